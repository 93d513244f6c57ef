"""A simulated downlink: a line of so many bits a second with a queue, and a receiver that judges it as browsers do.

Time is counted, never slept. What is sent comes from real forwards of real tracks; only the connection is the test's.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

from media.api import Source
from media.counts import Counts
from media.downlink import Downlink
from media.feedback import MS, Cap, SentReports
from media.forward import Forward
from media.sdp import Codec
from media.track import Layer, Track

STEP_NS = 20 * MS
PACKET_BYTES = 1100
OVERHEAD_BYTES = 64
AUDIO_BPS = 32_000
VP8 = Codec(96, "vp8", 90000, 1, {}, {"nack"})
OPUS = Codec(111, "opus", 48000, 2)


@dataclass
class Line:
    """Bytes wait in the queue; what is longer than `patience_s` is dropped on arrival."""

    bps: float
    patience_s: float = 0.3
    loss: float = 0.0
    queue: deque[tuple[int, bool, int]] = field(default_factory=deque)
    waiting: int = 0
    credit: float = 0.0
    lost: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    arrived: dict[bool, int] = field(default_factory=lambda: {False: 0, True: 0})
    latest_ns: int = 0

    def put(self, size: int, is_sound: bool, now_ns: int) -> None:
        if self.waiting * 8 / self.bps > self.patience_s:
            self.lost[is_sound] += 1
            return
        self.queue.append((size, is_sound, now_ns))
        self.waiting += size

    def run(self, now_ns: int) -> int:
        """Lets one step's worth through; gives the bytes of pictures that arrived."""
        self.credit = min(self.credit + self.bps * STEP_NS / 8e9, self.bps / 8)
        came = 0
        while self.queue and self.queue[0][0] <= self.credit:
            size, is_sound, put_ns = self.queue.popleft()
            self.credit -= size
            self.waiting -= size
            self.arrived[is_sound] += 1
            self.latest_ns = max(self.latest_ns, now_ns - put_ns if is_sound else 0)
            came += 0 if is_sound else size - OVERHEAD_BYTES
        if not self.queue:
            self.credit = min(self.credit, 3000.0)
        return came

    @property
    def delay_s(self) -> float:
        return self.waiting * 8 / self.bps


class Receiver:
    """After five seconds its estimate is what comes; it grows by 8 % a second up to 1.5 times that, and falls to 0.85
    of the last second's when delay grows, at most five times a second. As in Chromium it knows of pictures alone, and
    goes on telling what it told last while none come."""

    def __init__(self) -> None:
        self.bps = 0.0
        self._told = 0.0
        self._told_ns = self._fell_ns = 0
        self._began_ns = 0
        self._came: deque[int] = deque(maxlen=50)
        self._delays: deque[float] = deque(maxlen=6)

    def step(self, came: int, delay_s: float, now_ns: int) -> int | None:
        """What it tells now, if anything."""
        self._came.append(came)
        self._delays.append(delay_s)
        self._began_ns = self._began_ns or now_ns
        received = sum(self._came) * 8e9 / (STEP_NS * len(self._came))
        if not self.bps:
            if now_ns - self._began_ns < 5_000 * MS:
                return None
            self.bps = received
        if not received:
            return int(self._told) if now_ns // STEP_NS % 50 == 0 else None
        if delay_s > 0.06 and delay_s >= self._delays[0]:
            if now_ns - self._fell_ns >= 200 * MS:
                self.bps, self._fell_ns = min(self.bps, 0.85 * received), now_ns
        elif delay_s < 0.02 and self.bps < 1.5 * received + 10_000:
            self.bps = min(self.bps * 1.08 ** (STEP_NS / 1e9), 1.5 * received + 10_000)
        if self.bps < self._told * 0.97 or now_ns - self._told_ns >= 200 * MS:
            self._told, self._told_ns = self.bps, now_ns
            return int(self.bps)
        return None


class _Link:
    """Stands where a connection sends: everything goes onto the line."""

    def __init__(self, line: Line) -> None:
        self.path = SimpleNamespace(is_congested=False, is_backed_up=False)
        self.line = line
        self.now_ns = 0

    def send_rtp(self, packet: bytes, **_: object) -> bytes | None:
        self.line.put(len(packet) - 20 + OVERHEAD_BYTES, packet[1] & 0x7F == OPUS.payload_type, self.now_ns)
        return packet

    def send_rtcp(self, packet: bytes) -> None:
        """Too little to matter here."""


class Person:
    """Publishes a camera (in one layer or two) and a microphone, as a browser does when told a cap."""

    def __init__(self, name: str, wishes: dict[str, int], link: _Link) -> None:
        self.wishes = wishes
        self.sent_bps = dict(wishes)
        self.key_wanted: set[Layer] = set()
        self.cap = Cap()
        self.camera = Track(name, Source.CAMERA, VP8, self, [rid for rid in wishes if rid])
        self.microphone = Track(name, Source.MICROPHONE, OPUS, self, [])
        for place, rid in enumerate(wishes):
            self.camera.layers[rid] = Layer(self.camera, rid, place + 1)
        self.voice = self.microphone.layers[""] = Layer(self.microphone, "", 9)
        self.forwards = [
            Forward(cast(Any, link), track, b"name", SentReports()) for track in (self.camera, self.microphone)
        ]
        self._debts = dict.fromkeys(wishes, 0.0)
        self._numbers = dict.fromkeys(wishes, 0)
        self._sounds = 0

    def want_key_frame(self, layer: Layer) -> None:
        self.key_wanted.add(layer)

    def attach(self) -> None:
        self.forwards[0].attach(VP8.payload_type, 97)
        self.forwards[1].attach(OPUS.payload_type, None)

    def step(self, now_ns: int, counts: Counts) -> None:
        for rid, layer in self.camera.layers.items():
            self._debts[rid] += self.sent_bps[rid] * STEP_NS / 8e9
            while self._debts[rid] > 0:
                self._debts[rid] -= PACKET_BYTES
                self._numbers[rid] += 1
                is_key = layer in self.key_wanted or not layer.last_ns
                self.key_wanted.discard(layer)
                self._feed(layer, self._numbers[rid], (b"\x10\x00" if is_key else b"\x10\x01"), now_ns)
        self._sounds += 1
        self._feed(self.voice, self._sounds, b"", now_ns, AUDIO_BPS // 8 // 50)

    def _feed(self, layer: Layer, number: int, head: bytes, now_ns: int, size: int = PACKET_BYTES) -> None:
        if layer.take(number & 0xFFFF, now_ns):
            layer.marker, layer.timestamp, layer.level = 0, now_ns // 1000 & 0xFFFFFFFF, 0
            layer.payload = head + bytes(size - len(head))
            layer.deliver(Counts())

    def listen(self) -> None:
        """Once a second, and when told that a receiver can use much less."""
        sent = sum(layer.meter.bps for layer in self.camera.layers.values())
        cap = self.cap.decide(self.camera.usable_bps(), sent, AUDIO_BPS)
        if cap is not None and not self.camera.rids:
            self.sent_bps[""] = min(self.wishes[""], max(30_000, int(cap * 0.95) - AUDIO_BPS))

    def measure(self, now_ns: int) -> None:
        for layer in (*self.camera.layers.values(), self.voice):
            layer.meter.tick(now_ns)


class Downstairs:
    """One receiver of these people, over one line."""

    def __init__(self, *wishes: dict[str, int], bps: float = 20e6, ceiling_bps: int | None = None) -> None:
        self.line = Line(bps)
        self.link = _Link(self.line)
        self.people = {chr(97 + place): Person(chr(97 + place), one, self.link) for place, one in enumerate(wishes)}
        self.forwards = [forward for person in self.people.values() for forward in person.forwards]
        self.downlink = Downlink(lambda: self.forwards, ceiling_bps)
        self.receiver = Receiver()
        self.now_ns = 10**9
        self.first: frozenset[str] = frozenset()
        self.never_pause = False
        for person in self.people.values():
            person.attach()
        self._lost = self._seen = 0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 50)):
            self._step()

    def until(self, test: Any, within_s: float) -> float:
        """Seconds until `test` holds."""
        for step in range(round(within_s * 50)):
            if test():
                return step / 50
            self._step()
        raise AssertionError(f"not within {within_s} s: {self.shown()}, {self.downlink.estimate.bps}")

    def shown(self) -> dict[str, str | None]:
        """Each person's layer, "paused", or None before the first key frame."""
        return {name: self._shown(person.forwards[0]) for name, person in self.people.items()}

    def sound_lost(self) -> float:
        return self.line.lost[True] / max(1, self.line.lost[True] + self.line.arrived[True])

    def rate(self, name: str) -> int:
        return sum(self.people[name].sent_bps.values())

    def _shown(self, forward: Forward) -> str | None:
        if forward.is_paused:
            return "paused"
        return forward.layer.rid if forward.layer is not None and not forward.is_waiting else None

    def _step(self) -> None:
        self.now_ns += STEP_NS
        now_ns = self.link.now_ns = self.now_ns
        counts = Counts()
        is_second = now_ns // STEP_NS % 50 == 0
        for person in self.people.values():
            person.step(now_ns, counts)
            if is_second:
                person.measure(now_ns)
            if is_second or person.camera.cap_changed:
                person.camera.cap_changed = False
                person.listen()
        self.downlink.tick(now_ns, self.first, never_pause=self.never_pause)
        told = self.receiver.step(self.line.run(now_ns), self.line.delay_s, now_ns)
        if told is not None:
            self.downlink.told(told, now_ns)
        if is_second:
            self._report()

    def _report(self) -> None:
        lost, arrived = self.line.lost[False] - self._lost, self.line.arrived[False] - self._seen
        self._lost, self._seen = self.line.lost[False], self.line.arrived[False]
        share = round(256 * lost / max(1, lost + arrived))
        firsts = [person.forwards[0] for person in self.people.values()]
        self.downlink.lost([(forward, forward.ssrc, share) for forward in firsts], self.now_ns)
