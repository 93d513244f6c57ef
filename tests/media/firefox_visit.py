"""Relayed visits between Firefox and Chromium, run as one program inside a namespace of its own.

Firefox doesn't reach 127.0.0.1 from its candidates, so the node listens on the namespace's address; the result is
one line of JSON for `test_firefox.py`. With a third argument, Firefox is alone there and idle for so many seconds.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
from pathlib import Path
from typing import Any

from aiohttp import web
from playwright.async_api import Page, async_playwright

from media.api import DownRequest, NodeEventKind
from tests.media.browser_person import FLAGS, SCRIPT, Person, frames_rise
from tests.media.peers import RunningNode, running_node, settings_for
from tests.support.firefox import Firefox, firefox
from tests.support.marks import draw_marks


class FirefoxPage:
    """The part of a playwright page that a Person uses, at Firefox."""

    def __init__(self, firefox: Firefox) -> None:
        self._firefox = firefox

    async def evaluate(self, expression: str, argument: Any) -> Any:
        return await asyncio.to_thread(self._firefox.evaluate, f"({expression})({json.dumps(argument)})")


async def serve_page() -> tuple[web.AppRunner, str]:
    async def page(_: web.Request) -> web.Response:
        return web.Response(text=f"<body><script>{SCRIPT.read_text()}</script>", content_type="text/html")

    app = web.Application()
    app.router.add_get("/", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    return runner, f"http://localhost:{runner.addresses[0][1]}/"


async def visits(address: str, var: Path, at_firefox: Firefox) -> list[dict[str, Any]]:
    """One with a single layer and one with two, by the same two browsers."""
    runner, url = await serve_page()
    async with running_node(settings_for(var, addresses=(address,))) as running, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = await browser.new_page()
        told = []
        for layers in (1, 2):
            await page.goto(url)
            await asyncio.to_thread(at_firefox.open, url)
            told.append(await visit(running, page, at_firefox, layers))
        await browser.close()
    await runner.cleanup()
    return told


async def visit(running: RunningNode, page: Page, at_firefox: Firefox, layers: int) -> dict[str, Any]:
    """Both see each other, through a restart of both of Firefox's connections."""
    room_id = f"room-{layers}"
    await running.client.create_room(room_id)
    anna = Person(running, FirefoxPage(at_firefox), "anna", room_id)
    doctor = Person(running, page, "doctor", room_id)
    for person in (anna, doctor):
        await person.prepare(layers)
    before = await running.client.stats(room_id)
    for person in (anna, doctor):
        await person.call("begin")
    await doctor.sees(anna)
    await anna.sees(doctor)
    await anna.offer(restart=True)
    request = DownRequest(connection_id=anna.down_id, restart=True)
    await anna.take(await running.client.down(room_id, "anna", request))
    await frames_rise(doctor, anna, within_s=30)
    await frames_rise(anna, doctor, within_s=30)
    heard = [(await person.call("inbound", "down"))["audio"]["packetsReceived"] for person in (anna, doctor)]
    for person in (anna, doctor):
        await person.stop()
    await running.client.close_room(room_id)
    return {"layers": layers, "before": before.rtp_in, "heard": heard}


async def idle(address: str, var: Path, at_firefox: Firefox, seconds: float) -> list[str]:
    """What the node said of Firefox, with both connections prepared and nothing on them, from then on."""
    runner, url = await serve_page()
    async with running_node(settings_for(var, addresses=(address,))) as running:
        await asyncio.to_thread(at_firefox.open, url)
        await running.client.create_room("room")
        anna = Person(running, FirefoxPage(at_firefox), "anna")
        await anna.prepare()
        async with asyncio.timeout(20):
            while sum(event.kind is NodeEventKind.CONNECTED for event in running.events) < 2:
                await asyncio.sleep(0.1)
        said = len(running.events)
        await asyncio.sleep(seconds)
        await anna.stop()
        found = [event.kind.value for event in running.events[said:]]
    await runner.cleanup()
    return found


def main() -> None:
    address, var = sys.argv[1], Path(sys.argv[2])
    marks = list(draw_marks(["first", "second", "screen"], random.Random()).values())
    with firefox("anna", marks) as person:
        if len(sys.argv) > 3:
            print(json.dumps(asyncio.run(idle(address, var, person, float(sys.argv[3])))))
        else:
            print(json.dumps(asyncio.run(visits(address, var, person))))


if __name__ == "__main__":
    main()
