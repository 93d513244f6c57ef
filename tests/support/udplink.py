"""A UDP link that delays and loses what passes, on purpose and on record: every loss is in its log with its time.

It stands between one listening address and one target; what the packets mean it does not know.
"""

from __future__ import annotations

import heapq
import itertools
import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Address = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Loss:
    """One packet that did not pass: when (monotonic seconds), which way, and its first bytes."""

    at_s: float
    towards_target: bool
    head: bytes


@dataclass
class Weather:
    """How the link behaves now; a test may change it while packets pass."""

    loss: float = 0.0
    delay_s: float = 0.0
    jitter_s: float = 0.0
    drop: Callable[[bytes, bool], bool] | None = None
    """Asked for each packet (its bytes, whether it goes towards the target) before chance is."""


@dataclass
class UdpLink:
    """Clients send to `address`; each gets a socket of its own towards `target`, so replies find their way back."""

    target: Address
    weather: Weather = field(default_factory=Weather)
    seed: int = 0
    losses: list[Loss] = field(default_factory=list)
    passed: int = 0

    def __enter__(self) -> UdpLink:
        self._chance = random.Random(self.seed)
        self._front = _socket()
        self._back: dict[Address, socket.socket] = {}
        self._waiting: list[tuple[float, int, socket.socket, bytes, Address]] = []
        self._order = itertools.count()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._ended = threading.Event()
        self._moved = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._selector.close()
        for one in (self._front, *self._back.values()):
            one.close()

    @property
    def address(self) -> Address:
        host, port = self._front.getsockname()
        return str(host), int(port)

    def rebind(self) -> None:
        """From now on the target sees each client at another address, as when a NAT has forgotten its mappings; what is
        sent to the old ones is lost."""
        self._moved.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            if self._moved.is_set():
                self._moved.clear()
                for old in self._back.values():
                    self._selector.unregister(old)
                    old.close()
                self._back.clear()
            wait = 0.02 if not self._waiting else max(0.0, min(0.02, self._waiting[0][0] - time.monotonic()))
            for key, _ in self._selector.select(wait):
                assert isinstance(key.fileobj, socket.socket)
                self._drain(key.fileobj, key.data)
            self._send_due()

    def _drain(self, arrived: socket.socket, client: Address | None) -> None:
        for _ in range(64):
            try:
                packet, sender = arrived.recvfrom(2048)
            except (BlockingIOError, ConnectionRefusedError):
                return
            if client is None:
                self._take(packet, self._towards(sender), self.target, towards_target=True)
            else:
                self._take(packet, self._front, client, towards_target=False)

    def _towards(self, client: Address) -> socket.socket:
        if client not in self._back:
            self._back[client] = _socket()
            self._selector.register(self._back[client], selectors.EVENT_READ, client)
        return self._back[client]

    def _take(self, packet: bytes, out: socket.socket, to: Address, *, towards_target: bool) -> None:
        weather = self.weather
        chosen = weather.drop is not None and weather.drop(packet, towards_target)
        if chosen or self._chance.random() < weather.loss:
            self.losses.append(Loss(time.monotonic(), towards_target, packet[:16]))
            return
        due = time.monotonic() + weather.delay_s + self._chance.random() * weather.jitter_s
        heapq.heappush(self._waiting, (due, next(self._order), out, packet, to))

    def _send_due(self) -> None:
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, out, packet, to = heapq.heappop(self._waiting)
            try:
                out.sendto(packet, to)
                self.passed += 1
            except OSError:
                self.losses.append(Loss(now, out is not self._front, packet[:16]))


def _socket() -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.setblocking(False)
    return made
