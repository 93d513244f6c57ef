"""A receiver in real Chromium over a shaped link, run as one program in the clinic's namespace.

The others are canned, so that the machine's cores are left to the receiver. `test_shaped.py` makes the network and
judges; what was seen comes out as one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path as FilePath
from typing import Any

from playwright.async_api import async_playwright

from media.api import Source
from media.paths import Path
from tests.media.browser_person import FLAGS, SCRIPT, Person
from tests.media.canned import Canned, Loop, loop_of
from tests.media.peers import RunningNode, running_node, settings_for

EVERY_S = 0.25
LAYERS = {"l": ((160, 90), (120_000,)), "h": ((640, 360), (1_200_000,))}
# Steps of a fifth or so: an encoder fills what it may send.
RATES = (80, 100, 125, 150, 180, 220, 265, 320, 385, 460, 550, 660, 800, 960, 1150, 1300)
LADDER = {"": ((320, 180), tuple(1000 * rate for rate in RATES))}


def loops(is_layered: bool) -> dict[str, list[Loop]]:
    plan = LAYERS if is_layered else LADDER
    return {rid: [loop_of(rate, size, [90, 60, 120]) for rate in rates] for rid, (size, rates) in plan.items()}


class Visit:
    """`told`: executable, commands by phase (which cap the way to the doctor or lift that), phases, people, layers."""

    def __init__(self, running: RunningNode, told: dict[str, Any]) -> None:
        self.running, self.told = running, told
        self.seen: list[dict[str, Any]] = []
        self.began_s = time.monotonic()

    async def run(self) -> None:
        media = loops(self.told["layered"])  # before anybody waits for this process
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=self.told["executable"], args=FLAGS)
            page = await browser.new_page()
            await page.route("http://localhost/", lambda route: route.fulfill(body="<body>", content_type="text/html"))
            await page.goto("http://localhost/")
            await page.add_script_tag(path=SCRIPT)
            await self.running.client.create_room("room")
            doctor = Person(self.running, page, "doctor")
            doctor.size = [160, 120]
            doctor.picture_first = self.told.get("picture_first", False)
            await doctor.prepare(1)
            room = self.running.node.rooms["room"]
            others = [asyncio.create_task(Canned(room, name, media).run()) for name in self.told["people"]]
            try:
                await self._watch_all(doctor, others)
            finally:
                for other in others:
                    other.cancel()
                await asyncio.gather(*others, return_exceptions=True)
                await doctor.stop()
                await browser.close()

    async def _watch_all(self, doctor: Person, others: list[asyncio.Task[None]]) -> None:
        async with asyncio.timeout(20):
            while ("anna", Source.CAMERA) not in doctor.mids:
                assert not any(other.done() for other in others), [other.exception() for other in others]
                await asyncio.sleep(0.05)
        self.began_s = time.monotonic()
        for phase, seconds in self.told["phases"]:
            for command in self.told["commands"][phase]:
                subprocess.run(command, check=False, capture_output=True)
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                assert not any(other.done() for other in others), [other.exception() for other in others]
                self.seen.append({"phase": phase, **await self._look(doctor)})
                await asyncio.sleep(EVERY_S)

    async def _look(self, doctor: Person) -> dict[str, Any]:
        told = await doctor.call("received", doctor.mids[("anna", Source.CAMERA)])
        down = self.running.node.rooms["room"].participants["doctor"].down
        assert down is not None
        return {
            "at_s": round(time.monotonic() - self.began_s, 2),
            "estimate_bps": down.downlink.estimate.bps,
            "protocol": protocol_of(down.connection.path),
            "paused": sorted(down.downlink.paused),
            **told,
        }


def protocol_of(path: Path | None) -> str | None:
    return None if path is None else "tcp" if path.is_tcp else "udp"


async def run(told: dict[str, Any]) -> list[dict[str, Any]]:
    settings = settings_for(FilePath(told["var"]), addresses=(told["address"],))
    async with running_node(settings) as running:
        visit = Visit(running, told)
        await visit.run()
        return visit.seen


def main() -> None:
    print(json.dumps(asyncio.run(run(json.loads(sys.argv[1])))))


if __name__ == "__main__":
    main()
