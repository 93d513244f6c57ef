"""Two Chromiums over links that lose 5 % each way at 100 ms round trip: sound, freezes, delay (make soak).

The links log each packet they lose; with what the node was asked for and repaired, that says which freeze has an
excuse. `lossbooks` keeps those books.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, async_playwright

from media.api import Source
from tests.media.browser_person import FLAGS, SCRIPT, Person, through
from tests.media.lossbooks import Books, Span, freezes, is_excused
from tests.media.peers import RunningNode, running_node, settings_for
from tests.support.udplink import UdpLink, Weather

pytestmark = [pytest.mark.soak, pytest.mark.browser, pytest.mark.timeout(240)]

LOSS, ONE_WAY_S = 0.05, 0.05
LOOKS, LOOK_EVERY_S = 12, 5
LATE_S = 0.04
SENTENCES = (
    "Good morning. How have you been since we last spoke? The pain in my left shoulder is better, but it still wakes me"
    " at night. I took the tablets twice a day, after breakfast and before I went to bed."
)


async def test_five_per_cent_each_way_leaves_sound_whole_and_no_freeze_without_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice, books = spoken(), Books(ONE_WAY_S)
    books.listen(monkeypatch)
    weather = Weather(delay_s=ONE_WAY_S)
    late: list[Span] = []
    async with running_node(settings_for(tmp_path)) as running, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        with links(running, weather) as (up, down):
            anna, doctor = await people(running, browser)
            anna.changes["up"], doctor.changes["down"] = through(up), through(down)
            await meet(anna, doctor, voice)
            weather.loss = LOSS
            noticing = asyncio.create_task(notice_lags(late))
            looks, watched = await look_for_a_minute(doctor)
            noticing.cancel()
            await asyncio.gather(noticing, return_exceptions=True)
            slow = books.slow_losses(up, down, ssrcs(running, doctor))
        for person in (anna, doctor):
            await person.stop()
        await browser.close()
    judge_sound(looks)
    judge_picture(watched, slow, late)


@contextlib.contextmanager
def links(running: RunningNode, weather: Weather) -> Iterator[tuple[UdpLink, UdpLink]]:
    """Two of their own to the node, so that each loses the packets of one connection."""
    target = ("127.0.0.1", running.node.endpoint.port)
    first, second = (UdpLink(target, weather, seed=random.randrange(99)) for _ in range(2))
    with first as up, second as down:
        yield up, down


async def meet(anna: Person, doctor: Person, voice: str) -> None:
    for person in (anna, doctor):
        await person.prepare()
        await person.call("speak", voice)
    for person in (anna, doctor):
        await person.call("begin")
    await doctor.sees(anna)


async def notice_lags(late: list[Span]) -> None:
    """When this process, in which node and links run, came late to what it had to do."""
    while True:
        due_s = time.monotonic() + 0.01
        await asyncio.sleep(0.01)
        if time.monotonic() - due_s > LATE_S:
            late.append((due_s, time.monotonic()))


async def look_for_a_minute(doctor: Person) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    mid = doctor.mids[("anna", Source.CAMERA)]
    await doctor.call("watch", mid)
    looks = []
    for _ in range(LOOKS + 1):
        await asyncio.sleep(LOOK_EVERY_S)
        looks.append(await doctor.call("received", mid))
    return looks, await doctor.call("watched")


def spoken() -> str:
    """Some sentences as a WAV file in base64, by ffmpeg's own voice: what is synthesised by hand Opus takes for music
    now and then, which it doesn't protect."""
    words = f"flite=text='{SENTENCES}':voice=slt"
    command = ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", words, "-ar", "48000", "-ac", "1", "-f", "wav", "-"]
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode != 0:
        pytest.skip("ffmpeg has no voice here (libflite)")
    return base64.b64encode(done.stdout).decode()


def ssrcs(running: RunningNode, doctor: Person) -> tuple[int, int]:
    """Of anna's picture as it comes, and as it goes to the doctor."""
    room = running.node.rooms["room"]
    up, down = room.participants["anna"].up, room.participants["doctor"].down
    assert up is not None
    assert down is not None
    mid = doctor.mids[("anna", Source.CAMERA)]
    forward = next(section.forward for section in down.sections if section.mid == mid)
    assert forward is not None
    return up.tracks[Source.CAMERA].layers[""].ssrc, forward.ssrc


async def people(running: RunningNode, browser: Browser) -> list[Person]:
    await running.client.create_room("room")
    found = []
    for name in ("anna", "doctor"):
        page = await browser.new_page()
        await page.route("http://localhost/", lambda route: route.fulfill(body="<body>", content_type="text/html"))
        await page.goto("http://localhost/")
        await page.add_script_tag(path=SCRIPT)
        person = Person(running, page, name)
        person.size = [320, 180] if name == "anna" else [80, 60]
        found.append(person)
    return found


def judge_sound(looks: list[dict[str, Any]]) -> None:
    first, last = looks[0], looks[-1]
    concealment = (last["concealed"] - first["concealed"]) / (last["samples"] - first["samples"])
    delays = [look["sound_delay_s"] for look in looks[1:]]
    third = len(delays) // 3
    print(f"concealment {concealment:.3%}, delays {[round(one, 3) for one in delays]}")
    assert concealment <= 0.06
    assert sum(delays[-third:]) <= sum(delays[:third]) * 1.3 + 0.05 * third


def judge_picture(watched: dict[str, Any], slow: list[float], late: list[Span]) -> None:
    since_epoch_s = time.time() - time.monotonic()
    shown = [at_s - since_epoch_s for at_s in watched["shown"]]
    pages_late = [(from_s - since_epoch_s, to_s - since_epoch_s) for from_s, to_s in watched["late"]]
    frozen = freezes([at_s for at_s in shown if at_s > shown[0] + 5])
    unexcused = [freeze for freeze in frozen if not is_excused(freeze, slow, [*late, *pages_late])]
    print(f"{len(shown)} frames, {len(frozen)} freezes, {len(slow)} slow losses, {len(late)} lags of this process")
    assert unexcused == [], f"{len(unexcused)} of {len(frozen)} freezes"
