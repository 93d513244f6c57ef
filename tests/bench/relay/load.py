"""The load: calls of people who publish and receive, on one server, in a process of its own; prints its figures.

`python -m tests.bench.relay.load JSON` (a `Load`). It speaks as a browser does and knows nothing of how servers work.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import secrets
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from media.dtls import Certificate
from tests.bench.relay import describe
from tests.bench.relay.leg import Leg
from tests.bench.relay.loops import FRAME_RATE, Loop, load_loop
from tests.bench.relay.signalling import Bedside, Janus, Signalling, Stock
from tests.bench.relay.streams import Publisher, Subscriber

CONNECT_WITHIN_S = 30.0
DRAIN_S = 0.6
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
PAGE_KB = os.sysconf("SC_PAGE_SIZE") // 1024


@dataclass(frozen=True)
class Load:
    peer: str
    reach: str
    pid: int
    address: str
    calls: int
    seconds: float
    warm_s: float
    loop_file: str
    loop_s: int = 4
    people: int = 2
    # In a fan-out only the first person publishes, and all the others receive that.
    fan_out: bool = False
    record: bool = False
    lose: float = 0.0
    secret: str = ""
    recordings: str = ""


def signalling_of(load: Load) -> Signalling:
    if load.peer == "bedside":
        return Bedside(load.reach, load.secret)
    if load.peer == "janus":
        return Janus(load.reach, load.recordings if load.record else None)
    return Stock(load.reach)


class Call:
    """One room's people; legs are connected before any media flows."""

    def __init__(self, load: Load, signalling: Signalling, number: int, certificate: Certificate) -> None:
        self.load, self.signalling, self.number = load, signalling, number
        self.publishers: dict[int, Publisher] = {}
        self.subscribers: list[Subscriber] = []
        self._certificate = certificate

    async def begin(self, loop: Loop) -> None:
        load = self.load
        await self.signalling.room(self.number, load.people)
        for person in range(1 if load.fan_out else load.people):
            await self._publish(person, loop)
        for person in range(1 if load.fan_out else 0, load.people):
            await self.subscribe(person)

    async def _publish(self, person: int, loop: Loop) -> None:
        load = self.load
        numbers = [secrets.randbits(31) + 1 for _ in range(3)]
        ssrcs = describe.Ssrcs(*numbers)
        leg = Leg(load.address, self._certificate)
        sdp = await self.signalling.up(self.number, person, leg, ssrcs)
        self.publishers[person] = publisher = Publisher(leg, ssrcs, describe.agreed(sdp), loop, load.lose)
        leg.handle = publisher.handle
        leg.connect(sdp)
        await leg.is_up.wait()

    async def subscribe(self, person: int) -> Subscriber:
        source = 0 if self.load.fan_out else (person + 1) % self.load.people
        leg = Leg(self.load.address, self._certificate)
        sdp = await self.signalling.down(self.number, person, leg, source)
        subscriber = Subscriber(leg, describe.agreed(sdp), self.publishers[source], self.load.lose)
        leg.handle = subscriber.handle
        leg.connect(sdp)
        await leg.is_up.wait()
        self.subscribers.append(subscriber)
        return subscriber

    async def end(self) -> None:
        await self.signalling.end(self.number)
        for leg in [one.leg for one in self.publishers.values()] + [one.leg for one in self.subscribers]:
            await leg.close()


class Clock:
    """Calls each stream's function at its own pace until stopped, never twice to catch up with a late loop."""

    def __init__(self) -> None:
        self.late_ms = 0.0
        self._loop = asyncio.get_running_loop()
        self._handles: dict[int, asyncio.TimerHandle] = {}

    def every(self, interval_s: float, act: Callable[[], None]) -> None:
        key = len(self._handles)
        due = self._loop.time() + random.random() * interval_s

        def run() -> None:
            nonlocal due
            late = self._loop.time() - due
            self.late_ms = max(self.late_ms, late * 1000)
            due += interval_s * max(1, int(late / interval_s) + 1)
            self._handles[key] = self._loop.call_at(due, run)
            act()

        self._handles[key] = self._loop.call_at(due, run)

    def stop(self) -> None:
        for handle in self._handles.values():
            handle.cancel()


def cpu_s(pid: int) -> float:
    """User and system time of a process, all of its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def rss_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE_KB


def part(ordered: Sequence[int], share: float) -> float:
    """In milliseconds."""
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6 if ordered else 0.0


@dataclass
class Marks:
    """What is counted from the end of the warm-up on."""

    cpu_s: float
    own_s: float
    at_s: float
    received: int
    sent: int
    feedbacks: int


class Run:
    def __init__(self, load: Load) -> None:
        self.load = load
        self.calls: list[Call] = []

    @property
    def publishers(self) -> list[Publisher]:
        return [one for call in self.calls for one in call.publishers.values()]

    @property
    def subscribers(self) -> list[Subscriber]:
        return [one for call in self.calls for one in call.subscribers]

    async def measure(self) -> dict[str, Any]:
        load = self.load
        media = load_loop(Path(load.loop_file), load.loop_s)
        signalling = signalling_of(load)
        await signalling.open()
        before_kb, certificate = rss_kb(load.pid), Certificate()
        self.calls = [Call(load, signalling, number, certificate) for number in range(load.calls)]
        async with asyncio.timeout(CONNECT_WITHIN_S + load.calls):
            for call in self.calls:
                await call.begin(media)
        if load.record:
            for call in self.calls:
                await signalling.record(call.number, load.people)
        clock = Clock()
        self._start(clock)
        await asyncio.sleep(load.warm_s)
        for one in self.subscribers:
            del one.delays[:]
        clock.late_ms = 0.0
        marks = self._mark()
        await asyncio.sleep(load.seconds)
        now, kb = self._mark(), rss_kb(load.pid)
        late_ms = clock.late_ms
        join_ms = await self._join() if not load.fan_out else 0.0
        clock.stop()
        await asyncio.sleep(DRAIN_S)
        told = self._told(marks, now) | {"rss_kb_per_call": (kb - before_kb) / load.calls, "join_ms": join_ms}
        told |= {"generator_late_ms": round(late_ms, 1), "node": self._node_figures()}
        for call in self.calls:
            await call.end()
        await signalling.close()
        return told

    def _start(self, clock: Clock) -> None:
        for publisher in self.publishers:
            clock.every(1 / FRAME_RATE, publisher.send_frame)
            clock.every(0.02, publisher.send_sound)
            clock.every(1.0, publisher.report)
        for subscriber in self.subscribers:
            clock.every(1.0, subscriber.report)
            clock.every(0.02, lambda one=subscriber: one.tick(time.monotonic_ns()))  # type: ignore[misc]

    async def _join(self) -> float:
        """One person takes their down connection anew; until the first whole key frame has come."""
        call = self.calls[0]
        began_ns = time.time_ns()
        newcomer = await call.subscribe(0)
        async with asyncio.timeout(10):
            while not newcomer.key_ns:
                await asyncio.sleep(0.005)
        call.subscribers.remove(newcomer)
        await newcomer.leg.close()
        return round((newcomer.key_ns - began_ns) / 1e6, 1)

    def _mark(self) -> Marks:
        return Marks(
            cpu_s(self.load.pid),
            time.process_time(),
            time.monotonic(),
            sum(one.received for one in self.subscribers),
            sum(one.sent for one in self.publishers),
            sum(one.feedbacks for one in self.publishers),
        )

    def _told(self, marks: Marks, now: Marks) -> dict[str, Any]:
        publishers, subscribers = self.publishers, self.subscribers
        forwarded, elapsed = now.received - marks.received, now.at_s - marks.at_s
        delays = sorted(delay for one in subscribers for delay in one.delays)
        streams = [stream for one in subscribers for stream in one.streams.values()]
        return {
            "forwarded": forwarded,
            "forwarded_per_s": round(forwarded / elapsed),
            "cpu_ms_per_1000": round((now.cpu_s - marks.cpu_s) * 1e6 / max(1, forwarded), 2),
            "core": round((now.cpu_s - marks.cpu_s) / elapsed, 3),
            "generator_core": round((now.own_s - marks.own_s) / elapsed, 3),
            "added_ms": {"p50": round(part(delays, 0.5), 3), "p99": round(part(delays, 0.99), 3)},
            "timed": len(delays),
            "lost": sum(len(stream.missing) for stream in streams),
            "twcc_feedback": round((now.feedbacks - marks.feedbacks) / elapsed / max(1, len(publishers)), 2),
            "nack_in": sum(one.asked for one in subscribers),
            "nack_out": sum(one.nacked for one in publishers),
            "rtx": sum(one.rtx for one in subscribers),
            "pli": sum(one.plis for one in publishers),
            "sr": sum(one.reports for one in subscribers),
        }

    def _node_figures(self) -> dict[str, float]:
        if self.load.peer != "bedside":
            return {}
        with urllib.request.urlopen(f"{self.load.reach}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        found = dict(line.rsplit(" ", 1) for line in lines if line and not line.startswith("#"))
        return {
            "loop_lag_ms_max": float(found['bedside_media_loop_lag_ms{quantile="max"}']),
            "loop_lag_ms_p99": float(found['bedside_media_loop_lag_ms{quantile="0.99"}']),
        }


def command(load: Load) -> list[str]:
    return [sys.executable, "-m", "tests.bench.relay.load", json.dumps(asdict(load))]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(Run(Load(**json.loads(sys.argv[1]))).measure())) + "\n")
