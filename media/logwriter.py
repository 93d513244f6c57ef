"""The threads that seal, write and fsync packet logs, so that the media loop never waits for a disk.

What is stored, and when to stop, is decided in `capture.py`; a log always stays with one thread, in order.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import queue
import threading
import time
import zlib
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from media.logformat import MAGIC
from media.vault import ChunkSealer

SYNC_INTERVAL_S = 0.75
"""With what waits for a tick of `capture.py` less than a second: no more is lost when a machine is cut off."""
LATE_WITHIN_S = 60.0
LATE_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Work:
    """Append `clear` frames, then (with a sealer) `plain` as one chunk. `done` is set once it is on the disk."""

    log: LogFile
    clear: bytes
    sealer: ChunkSealer | None = None
    plain: bytes | bytearray = b""
    utc_ns: int = 0
    mono_ns: int = 0
    final: bool = False
    done: Future[None] | None = None


class LogFile:
    """One log on the disk. Used on its own I/O thread, but for the three counters, each with a single writer."""

    def __init__(self, path: Path, failed: Callable[[Exception], None]) -> None:
        self.path = path
        self.written_bytes = 0
        self.taken_bytes = 0
        self.broken = False
        self._failed = failed
        self._file: BinaryIO | None = None

    def perform(self, work: Work) -> None:
        """Never raises: an error of the disk breaks the log, is told once, and later work for it is let go."""
        try:
            if not self.broken:
                self._write(work)
        except Exception as error:  # whatever it is: the thread serves other rooms' logs too
            self.broken = True
            self._failed(error)
        self.taken_bytes += len(work.plain) + len(work.clear)
        if work.done is not None:
            self._close()
            work.done.set_result(None)

    def sync(self) -> None:
        if self._file is None or self.broken:
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            self.broken = True
            self._failed(error)

    def _close(self) -> None:
        """Also of a broken log: what it took is to be found, and its lock let go."""
        self.sync()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _write(self, work: Work) -> None:
        data = work.clear
        if work.sealer is not None:
            data += work.sealer.seal(work.plain, utc_ns=work.utc_ns, mono_ns=work.mono_ns, final=work.final)
        if not data:
            return
        file = self._file or self._create()
        write_all(file, data)
        self.written_bytes += len(data)

    def _create(self) -> BinaryIO:
        """Unbuffered, so that a chunk handed over is with the kernel at once; locked, so that no recovery takes it."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file = os.fdopen(descriptor, "wb", buffering=0)
        write_all(file, MAGIC)
        sync_folder(self.path.parent)
        self._file = file
        return file


class WriterPool:
    """At most four threads; `watch` is called about once a second on the first of them."""

    def __init__(self, threads: int, watch: Callable[[], None]) -> None:
        self._queues: list[queue.SimpleQueue[tuple[Work | None, float]]] = [queue.SimpleQueue() for _ in range(threads)]
        # When what each thread is at was handed over, and (when, how late) of what was written last.
        self._at_hand: list[float | None] = [None] * threads
        self._late: deque[tuple[float, float]] = deque(maxlen=LATE_KEPT)
        self._watch = watch
        self._threads = [
            threading.Thread(target=self._run, args=(index,), name=f"capture-{index}", daemon=True)
            for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, work: Work) -> None:
        self._queues[zlib.crc32(work.log.path.name.encode()) % len(self._queues)].put((work, time.monotonic()))

    def lag_s(self) -> float:
        """The longest that anything handed over in the last minute took to be with the disk, or has taken so far."""
        now = time.monotonic()
        done = [lag for when, lag in list(self._late) if now - when <= LATE_WITHIN_S]
        return max([*done, *(now - since for since in list(self._at_hand) if since is not None)], default=0.0)

    def stop(self) -> None:
        """Let the threads write what they were given and end; waits for them."""
        for work_queue in self._queues:
            work_queue.put((None, time.monotonic()))
        for thread in self._threads:
            thread.join()

    def _run(self, index: int) -> None:
        work_queue, unsynced = self._queues[index], set[LogFile]()
        next_sync = time.monotonic() + SYNC_INTERVAL_S
        while True:
            try:
                work, handed_s = work_queue.get(timeout=max(0.0, next_sync - time.monotonic()))
                if work is None:
                    break
                self._at_hand[index] = handed_s
                work.log.perform(work)
                self._at_hand[index] = None
                self._late.append((handed_s, time.monotonic() - handed_s))
                unsynced.add(work.log)
            except queue.Empty:
                pass
            if time.monotonic() >= next_sync:
                self._at_hand[index] = time.monotonic()
                _sync_all(unsynced)
                self._at_hand[index] = None
                if index == 0:
                    self._watch()
                next_sync = time.monotonic() + SYNC_INTERVAL_S
        _sync_all(unsynced)


def write_all(file: BinaryIO, data: bytes) -> None:
    """An unbuffered write may take a part only, on a disk that is filling up for one."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_all(unsynced: set[LogFile]) -> None:
    for log in unsynced:
        log.sync()
    unsynced.clear()
