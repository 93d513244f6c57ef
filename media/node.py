"""The media node's process: settings in, sockets and control API up, rooms served, ended in order.

What a room does is in `room`; how a call is parsed in `control`.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from media import log
from media.api import NodeEventKind, NodeRefusal, NodeState, RoomCreated, StoredLog
from media.capture import CaptureCallbacks, CaptureLimits, CaptureStore
from media.config import NodeSettings, SettingsRefused, load_settings
from media.connection import Ceilings, Shared
from media.control import make_app
from media.dtls import Certificate
from media.endpoint import CannotListen, Endpoint, bracketed, local_addresses
from media.events import EventLog
from media.log import LogEvent
from media.loop import new_loop
from media.metrics import Metrics
from media.refused import Refused
from media.room import Room
from media.tasks import Tasks

BEAT_NS = 20_000_000
# While nothing comes, and to see how late the loop is.
TIMER_S = 0.05
HANDSHAKES_AT_ONCE = 8
END_WITHIN_S = 8.0
GOODBYE_WITHIN_S = 1.0
SWITCH_INTERVAL_S = 0.0005
CERTIFICATE_RENEWED_BEFORE_S = 7 * 24 * 3600


class Node:
    """Everything of one process; `serve` runs it from the first socket to the last log.

    `lines_dropped` tells how many lines of the log found no reader.
    """

    def __init__(self, settings: NodeSettings, lines_dropped: Callable[[], int] = int) -> None:
        self.settings = settings
        self.lines_dropped = lines_dropped
        self.secret = settings.secret or development_secret(settings.var)
        self.node_id = settings.node_id or f"node-{secrets.token_hex(4)}"
        self.events = EventLog(secrets.token_hex(8))
        self.endpoint = Endpoint()
        self.tasks = Tasks(lambda error: log.write_error(LogEvent.TASK_FAILED, error))
        self.metrics_registry = Metrics(self)
        self.rooms: dict[str, Room] = {}
        self.is_draining = False
        self.load = 0.0
        self.store = CaptureStore(
            settings.var / "captures",
            settings.recordings or str(settings.var / "recordings"),
            self.node_id,
            CaptureCallbacks(
                changed=lambda room_id, state: self.events.emit(NodeEventKind.CAPTURE, room_id=room_id, capture=state),
                disk=self._disk_changed,
                stored=self._log_stored,
            ),
            limits=CaptureLimits(disk_floor_bytes=settings.min_free_bytes),
        )
        self._shared = Shared(
            self.endpoint,
            Certificate(),
            self.tasks,
            asyncio.Semaphore(HANDSHAKES_AT_ONCE),
            ceilings=Ceilings(settings.max_up_bps, settings.max_down_bps),
        )
        self._ended = asyncio.Event()
        self._ready = False
        self._forwarded = 0
        self._loaded_s = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None

    # ---- what the control API asks (Rooms)

    def create_room(self, room_id: str) -> RoomCreated:
        if room_id not in self.rooms:
            if self.is_draining:
                raise Refused(NodeRefusal.DRAINING, "this node takes no new rooms")
            if len(self.rooms) >= self.settings.max_rooms:
                raise Refused(NodeRefusal.AT_CAPACITY, "this node has as many rooms as it may")
            limit = self.settings.max_participants
            self.rooms[room_id] = Room(room_id, self._shared, self.events, self.store, limit)
            log.write(LogEvent.ROOM_OPENED, room_id=room_id)
        return RoomCreated(room_id=room_id, epoch=self.events.epoch, ice_servers=self.endpoint.ice_servers)

    def close_room(self, room_id: str, reason: str) -> None:
        room = self.rooms.pop(room_id, None)
        if room is not None:
            self.metrics_registry.keep(room.counts)
            room.close(reason)
            log.write(LogEvent.ROOM_CLOSED, room_id=room_id, code=reason)
        if self.is_draining and not self.rooms:
            self._ended.set()

    def find_room(self, room_id: str) -> Room | None:
        return self.rooms.get(room_id)

    def room(self, room_id: str) -> Room:
        room = self.rooms.get(room_id)
        if room is None:
            raise Refused(NodeRefusal.NOT_FOUND, "no such room here")
        return room

    def state(self) -> NodeState:
        return NodeState(
            node_id=self.node_id,
            epoch=self.events.epoch,
            draining=self.is_draining,
            load=self.load,
            last_event=self.events.last,
            rooms={room_id: room.state() for room_id, room in self.rooms.items()},
        )

    def metrics(self) -> bytes:
        return self.metrics_registry.text()

    def is_ready(self) -> bool:
        return self._ready and not self.is_draining

    # ---- the process

    async def serve(self, on_listening: Callable[[str], None] = lambda _: None) -> None:
        """Raises CannotListen before anything has begun; otherwise returns once the node has ended.

        `on_listening` is told the control API's address.
        """
        settings = self.settings
        addresses = list(settings.addresses) or local_addresses(settings.env == "development")
        await self.endpoint.open(
            addresses,
            settings.port,
            advertised=list(settings.advertised),
            with_tcp=settings.tcp,
            tcp_port=settings.tcp_port,
        )
        runner = web.AppRunner(make_app(self), access_log=None, shutdown_timeout=GOODBYE_WITHIN_S)
        try:
            await runner.setup()
            control = await self._listen(runner)
            await self._recover()
            self._ready = True
            log.write(
                LogEvent.LISTENING,
                node_id=self.node_id,
                control=control,
                port=self.endpoint.port,
                tcp_port=self.endpoint.tcp_port,
                addresses=addresses,
            )
            on_listening(control)
            await self._run()
        finally:
            await self._end(runner)

    def drain(self) -> None:
        """Take no new rooms; end when the last one closes."""
        self.is_draining = True
        log.write(LogEvent.DRAINING, rooms=len(self.rooms))
        self.events.emit(NodeEventKind.DRAINING)
        if not self.rooms:
            self._ended.set()

    def handle_term(self) -> None:
        """The first SIGTERM drains, the second ends."""
        if self.is_draining:
            self.stop()
        else:
            self.drain()

    def stop(self) -> None:
        log.write(LogEvent.STOPPING, rooms=len(self.rooms))
        self.is_draining = True
        self._ended.set()

    # ---- inside

    async def _listen(self, runner: web.AppRunner) -> str:
        host, port = self.settings.control_host, self.settings.control_port
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise CannotListen(f"control {bracketed(host)}:{port}: {error.strerror}") from None
        address = runner.addresses[0]
        return f"http://{bracketed(address[0])}:{address[1]}"

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        self.endpoint.beat, self.endpoint.beat_due_ns = self._beat, 0
        self._timer = loop.call_at(loop.time() + TIMER_S, self._on_timer, loop, loop.time() + TIMER_S)
        await self._ended.wait()
        self._timer.cancel()

    def _on_timer(self, loop: asyncio.AbstractEventLoop, due_s: float) -> None:
        """What packets have not brought about; mostly their wake-ups do, and a timer's own costs as much as they."""
        self.metrics_registry.note_lag(max(0.0, loop.time() - due_s))
        due_s = max(due_s, loop.time()) + TIMER_S
        self._timer = loop.call_at(due_s, self._on_timer, loop, due_s)
        now_ns = time.monotonic_ns()
        if now_ns >= self.endpoint.beat_due_ns:
            self._beat(now_ns)

    def _beat(self, now_ns: int) -> None:
        """Every 20 ms while anything comes, else every 50."""
        self.endpoint.beat_due_ns = now_ns + BEAT_NS
        self.endpoint.hold()
        for room in list(self.rooms.values()):
            try:
                room.tick(now_ns)
            except Exception as error:  # one room's fault leaves the others alone
                log.write_error(LogEvent.TICK_FAILED, error)
        self.endpoint.release()
        self._measure_load(now_ns / 1e9)

    def _measure_load(self, now_s: float) -> None:
        elapsed = now_s - self._loaded_s
        if elapsed < 1.0:
            return
        forwarded = sum(room.counts.rtp_out for room in self.rooms.values())
        self.load = max(0, forwarded - self._forwarded) / elapsed
        self._forwarded, self._loaded_s = forwarded, now_s
        if self._shared.certificate.expires_at_s - time.time() < CERTIFICATE_RENEWED_BEFORE_S:
            self._shared.certificate = Certificate()
        if self.load == 0 and gc.get_count()[2] > 10:
            gc.collect()

    async def _recover(self) -> None:
        logs = await self.store.recover()
        for found in logs:
            self.events.emit(NodeEventKind.LOG_STORED, log=found)
        if logs:
            log.write(LogEvent.LOGS_RECOVERED, logs=len(logs))

    def _disk_changed(self, figures: dict[str, float]) -> None:
        """Below its floor, or above it again: loud in the log, in the metrics and to every server."""
        log.write_warning(LogEvent.DISK, **figures)
        self.events.emit(NodeEventKind.DISK, figures=figures)

    def _log_stored(self, room_id: str, stored: StoredLog) -> None:
        self.events.emit(NodeEventKind.LOG_STORED, room_id=room_id, log=stored)

    async def _end(self, runner: web.AppRunner) -> None:
        """Close every log, say goodbye on every connection, let readers have the last events."""
        try:
            async with asyncio.timeout(END_WITHIN_S):
                for room_id in list(self.rooms):
                    self.close_room(room_id, "node_stopped")
                await self.tasks.settle(END_WITHIN_S - 2)
                await self.store.close()
        except TimeoutError as error:
            log.write_error(LogEvent.TASK_FAILED, error)
        self.events.close()
        await self.tasks.close()
        await asyncio.sleep(0)
        await runner.cleanup()
        await self.endpoint.close()
        log.write(LogEvent.STOPPED)


async def run_node(settings: NodeSettings) -> int:
    """Run one node until it is told to end; the exit code."""
    lines = log.configure()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    node = Node(settings, lambda: lines.dropped)
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, node.handle_term)
    loop.add_signal_handler(signal.SIGINT, node.stop)
    try:
        await node.serve(on_listening=_settle_memory)
    except CannotListen as error:
        log.write(LogEvent.CANNOT_START, code="cannot_listen", what=str(error))
        return 1
    return 0


def run(settings: NodeSettings) -> int:
    """The whole process' work, on its own kind of loop; the exit code."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(run_node(settings))


def _settle_memory(_: str) -> None:
    """What is there after the start stays; generation 2 is collected only while nothing is forwarded."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(700, 10, 1_000_000)


def development_secret(var: Path) -> str:
    """Made once and kept in var/keys, so that server and node of one machine share it."""
    path = var / "keys" / "node_secret"
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(encoding="ascii").strip()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="ascii").strip()
    with os.fdopen(file, "w", encoding="ascii") as out:
        secret = secrets.token_urlsafe(32)
        out.write(secret)
    return secret


def main() -> int:
    """The node alone, settings from the environment."""
    try:
        settings = load_settings()
    except SettingsRefused as refused:
        for complaint in refused.complaints:
            sys.stderr.write(complaint + "\n")
        return 2
    return run(settings)
