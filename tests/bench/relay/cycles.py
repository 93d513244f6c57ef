"""What a node keeps of calls that have ended: many of them, one after another; prints the growth of its process.

`python -m tests.bench.relay.cycles JSON` (a `Cycles`). What a call does meanwhile is `load`'s and `leg`'s.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from media.dtls import Certificate
from tests.bench.relay.load import Call, Load, rss_kb
from tests.bench.relay.loops import Loop, load_loop
from tests.bench.relay.signalling import Bedside

AT_ONCE = 4
FRAMES = 15
FRAME_EVERY_S = 0.004
CALL_WITHIN_S = 60.0
# Until the last goodbyes are said and the node has found out that it is idle.
REST_S = 2.5


@dataclass(frozen=True)
class Cycles:
    reach: str
    pid: int
    address: str
    warm: int
    cycles: int
    loop_file: str
    loop_s: int
    secret: str


async def one_call(load: Load, signalling: Bedside, number: int, certificate: Certificate, loop: Loop) -> None:
    """Two people connect, send picture and sound until each has a whole key frame of the other, and leave."""
    call = Call(load, signalling, number, certificate)
    await call.begin(loop)
    sent = 0
    while sent < FRAMES or not all(one.key_ns for one in call.subscribers):
        for publisher in call.publishers.values():
            publisher.send_frame()
            publisher.send_sound()
        sent += 1
        await asyncio.sleep(FRAME_EVERY_S)
    await call.end()


async def calls(asked: Cycles, signalling: Bedside, numbers: Iterable[int], loop: Loop) -> None:
    load = Load("bedside", asked.reach, asked.pid, asked.address, 1, 0, 0, asked.loop_file)
    certificate, left = Certificate(), iter(numbers)

    async def one_after_another() -> None:
        for number in left:
            async with asyncio.timeout(CALL_WITHIN_S):
                await one_call(load, signalling, number, certificate, loop)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(one_after_another())


def held(pid: int) -> dict[str, int]:
    return {
        "rss_kb": rss_kb(pid),
        "threads": len(os.listdir(f"/proc/{pid}/task")),
        "descriptors": len(os.listdir(f"/proc/{pid}/fd")),
    }


async def measure(asked: Cycles) -> dict[str, Any]:
    loop, signalling = load_loop(Path(asked.loop_file), asked.loop_s), Bedside(asked.reach, asked.secret)
    await signalling.open()
    await calls(asked, signalling, range(asked.warm), loop)
    await asyncio.sleep(REST_S)
    before = held(asked.pid)
    await calls(asked, signalling, range(asked.warm, asked.warm + asked.cycles), loop)
    await asyncio.sleep(REST_S)
    after = held(asked.pid)
    await signalling.close()
    return {
        "cycles": asked.cycles,
        "growth_kb_per_cycle": round((after["rss_kb"] - before["rss_kb"]) / asked.cycles, 3),
        "before": before,
        "after": after,
    }


def command(asked: Cycles) -> list[str]:
    return [sys.executable, "-m", "tests.bench.relay.cycles", json.dumps(asdict(asked))]


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(measure(Cycles(**json.loads(sys.argv[1]))))) + "\n")
