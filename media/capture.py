"""The captures folder and the recordings store: opens a session per room, ends logs, finds those a crash left.

What a session stores is `recorder.py`'s; the threads are `logwriter.py`'s; deleting from the store is the server's.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obstore
from obstore.store import LocalStore, ObjectStore, from_url

from media.api import CapturePhase, CaptureState, StoredLog
from media.foundlog import FoundLog, close_found_log
from media.logformat import (
    SUFFIX,
    LogHeader,
)
from media.logwriter import LogFile, WriterPool, sync_folder
from media.recorder import CaptureSession, Clock, Output

__all__ = ["CaptureCallbacks", "CaptureLimits", "CaptureSession", "CaptureStore", "Clock", "StorageFullError"]

TICK_INTERVAL_S = 0.2
RETRY_INTERVAL_S = 10.0


class StorageFullError(Exception):
    """The disk is below its floor: no new recording begins."""


def _ignore(*_: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class CaptureCallbacks:
    """Called on the event loop. `stored` tells of logs that reached the store later than their `close()`."""

    changed: Callable[[str, CaptureState], None] = _ignore
    disk: Callable[[dict[str, float]], None] = _ignore
    stored: Callable[[str, StoredLog], None] = _ignore


@dataclass(frozen=True, slots=True)
class CaptureLimits:
    threads: int = 4
    backlog_limit_bytes: int = 8 * 1024 * 1024
    disk_floor_bytes: int = 512 * 1024 * 1024


class CaptureStore:
    """Owns the I/O threads, the ticker and every session of one node."""

    def __init__(
        self,
        captures: Path,
        recordings: str | ObjectStore,
        node_id: str,
        callbacks: CaptureCallbacks | None = None,
        *,
        limits: CaptureLimits | None = None,
        clock: Clock | None = None,
        free_bytes: Callable[[Path], int] | None = None,
    ) -> None:
        self._captures = captures
        self._recordings = open_store(recordings)
        self._node_id = node_id
        self._callbacks = callbacks or CaptureCallbacks()
        self._limits = limits or CaptureLimits()
        self._clock = clock or Clock()
        self._clock_name = clock_name()
        self._free_bytes = free_bytes or free_bytes_of
        self._track_ids = itertools.count(1)
        self._sessions: set[CaptureSession] = set()
        self._waiting: list[tuple[Path, str]] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pool: WriterPool | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closings: set[asyncio.Task[None]] = set()
        self._is_low = False
        captures.mkdir(mode=0o700, parents=True, exist_ok=True)

    def open_session(self, room_id: str, recording_id: str, segment: int) -> CaptureSession:
        """Begin a segment; nothing is on the disk before its first packet. Raises StorageFullError."""
        self._start()
        self._look_at_disk(self._free_bytes(self._captures))
        if self._is_low:
            raise StorageFullError
        header = LogHeader(
            recording_id=recording_id,
            segment=segment,
            room_id=room_id,
            node_id=self._node_id,
            log_id=uuid.uuid4().hex,
            clock=self._clock_name,
            utc_ns=self._clock.utc_ns(),
            mono_ns=self._clock.mono_ns(),
        )
        session: CaptureSession | None = None

        def failed(error: Exception) -> None:
            self._call_soon(self._disk_failed, session, error)

        log = LogFile(self._captures / log_name(header), failed)
        session = CaptureSession(
            header,
            output=Output(log, self._submit, self._limits.backlog_limit_bytes),
            clock=self._clock,
            track_ids=self._track_ids,
            changed=lambda one: self._callbacks.changed(room_id, one.state()),
            finished=self._finish,
        )
        self._sessions.add(session)
        return session

    @property
    def is_low(self) -> bool:
        """The disk is below its floor: nothing is recorded until there is room again."""
        return self._is_low

    def lag_s(self) -> float:
        """How far the disk was behind the calls within the last minute."""
        return self._pool.lag_s() if self._pool is not None else 0.0

    async def recover(self) -> list[StoredLog]:
        """Close the logs that a crash left behind and put them into the store. A log in use elsewhere is left alone."""
        self._start()
        stored = []
        for path in sorted(self._captures.glob("*" + SUFFIX)):
            if any(session.log.path == path for session in self._sessions):
                continue
            found = await asyncio.to_thread(close_found_log, path)
            if found is None:
                continue
            log = await self._put(path, found)
            if log is not None:
                stored.append(log)
        return stored

    async def retry(self) -> None:
        """Try again to store the logs that could not be stored when they were closed."""
        waiting, self._waiting = self._waiting, []
        for path, room_id in waiting:
            found = await asyncio.to_thread(close_found_log, path)
            log = await self._put(path, found) if found is not None else None
            if log is not None:
                self._callbacks.stored(room_id, log)

    async def close(self) -> None:
        """Close every session, then the threads. Logs the store won't take stay for the next start."""
        for session in list(self._sessions):
            await self._close_and_tell(session, "node_stopped")
        await asyncio.gather(*self._closings)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        if self._pool is not None:
            await asyncio.to_thread(self._pool.stop)
            self._pool = None

    # ---- inside

    def _start(self) -> None:
        if self._pool is None:
            self._loop = asyncio.get_running_loop()
            self._pool = WriterPool(self._limits.threads, self._watch)
            ways = {"capture-ticker": self._tick(), "capture-retries": self._keep_retrying()}
            self._tasks = [self._loop.create_task(way, name=name) for name, way in ways.items()]

    def _submit(self, work: Any) -> None:
        assert self._pool is not None  # noqa: S101 - open_session started it
        self._pool.submit(work)

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_INTERVAL_S)
            for session in list(self._sessions):
                session.tick()

    async def _keep_retrying(self) -> None:
        while True:
            await asyncio.sleep(RETRY_INTERVAL_S)
            await self.retry()

    async def _finish(self, session: CaptureSession) -> StoredLog | None:
        done = session.finish()
        try:
            if done is None:
                return None
            await asyncio.wrap_future(done)
        finally:
            self._sessions.discard(session)
        found = await asyncio.to_thread(close_found_log, session.log.path, session.reason)
        return await self._put(session.log.path, found) if found is not None else None

    async def _put(self, path: Path, found: FoundLog) -> StoredLog | None:
        """Into the store, then off the captures folder: only once the store has all of it."""
        header = found.header
        key = f"logs/{header.recording_id}/{header.segment:04d}-{header.log_id[:8]}{SUFFIX}"
        try:
            await obstore.put_async(self._recordings, key, path)
            kept = await obstore.head_async(self._recordings, key)
            if kept["size"] != found.size:
                raise OSError(errno.EIO, "the store kept another length")
            await asyncio.to_thread(self._settle, key, path)
        except (OSError, obstore.exceptions.BaseError):
            self._waiting.append((path, header.room_id))
            return None
        return StoredLog(
            recording_id=header.recording_id,
            segment=header.segment,
            path=key,
            bytes=found.size,
            packets=found.packets,
            complete=found.complete,
        )

    def _settle(self, key: str, captured: Path) -> None:
        """A folder's copy is on the disk before the captured one goes."""
        if isinstance(self._recordings, LocalStore) and self._recordings.prefix is not None:
            path = Path(self._recordings.prefix) / key
            with path.open("rb") as file:
                os.fsync(file.fileno())
            sync_folder(path.parent)
        captured.unlink(missing_ok=True)

    def _watch(self) -> None:
        """On an I/O thread, each second."""
        with contextlib.suppress(OSError):
            self._call_soon(self._look_at_disk, self._free_bytes(self._captures))

    def _look_at_disk(self, free: int) -> None:
        was_low, self._is_low = self._is_low, free < self._limits.disk_floor_bytes
        if self._is_low:
            for session in list(self._sessions):
                session.stop("storage_full")
                self._put_away(session)
        if self._is_low != was_low:
            figures = {"free_bytes": float(free), "floor_bytes": float(self._limits.disk_floor_bytes)}
            self._callbacks.disk({**figures, "low": float(self._is_low)})

    def _disk_failed(self, session: CaptureSession, error: Exception) -> None:
        full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)
        session.stop("storage_full" if full else "write_failed", phase=CapturePhase.FAILED)
        self._put_away(session)

    def _put_away(self, session: CaptureSession) -> None:
        """End the log of a session that can go no further, without waiting for its room to close it."""
        if self._loop is not None:
            task = self._loop.create_task(self._close_and_tell(session, session.reason), name="capture-put-away")
            self._closings.add(task)
            task.add_done_callback(self._closings.discard)

    async def _close_and_tell(self, session: CaptureSession, reason: str) -> None:
        log = await session.close(reason)
        if log is not None:
            self._callbacks.stored(session.header.room_id, log)

    def _call_soon(self, what: Callable[..., None], *args: Any) -> None:
        """From an I/O thread onto the loop, unless the loop is gone already."""
        with contextlib.suppress(RuntimeError):
            if self._loop is not None:
                self._loop.call_soon_threadsafe(what, *args)


def open_store(recordings: str | ObjectStore) -> ObjectStore:
    """A store from its URL (`s3://…`, `file:///…`) or a plain folder path."""
    if not isinstance(recordings, str):
        return recordings
    if "://" in recordings:
        return from_url(recordings)
    Path(recordings).mkdir(mode=0o700, parents=True, exist_ok=True)
    return LocalStore(recordings)


def log_name(header: LogHeader) -> str:
    return f"{header.recording_id}.{header.segment:04d}.{header.log_id[:8]}{SUFFIX}"


def clock_name() -> str:
    """Names the monotonic clock: it is the same for as long as this machine is not started anew."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return uuid.uuid4().hex


def free_bytes_of(folder: Path) -> int:
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize
