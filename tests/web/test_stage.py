"""A shared screen is large, whoever is in the visit; people and one's own picture stand small beside or below it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.web.conftest import OpenPage
from tests.web.fake_room import FakeRoom
from tests.web.states import DOCTOR, GUEST, LONG_NAME, PATIENT, person, room, settled

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

BOXES = """() => [...document.querySelectorAll('#stage, .stage .tile, #self')].map((one) => {
  const { left, top, right, bottom } = one.getBoundingClientRect();
  return [one.dataset.kind ?? one.id, left, top, right, bottom];
})"""
OFF = {"camera": "off"}
SHARES = PATIENT | {"screen": True}
FOURTH = person("guest-1", LONG_NAME, "guest", camera="off")
VISITS = {
    "two": [DOCTOR, SHARES | OFF],
    "three": [DOCTOR, SHARES | OFF, GUEST | OFF],
    "five": [DOCTOR, SHARES | OFF, GUEST | OFF, FOURTH, FOURTH | {"participant_id": "guest-2"}],
    "screens": [DOCTOR, SHARES | OFF, GUEST | OFF | {"screen": True}],
}
Box = tuple[float, float, float, float]


def overlaps(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


async def test_a_shared_screen_is_large_and_nobody_stands_over_anybody(fake: FakeRoom, open_page: OpenPage) -> None:
    fake.snapshots["doctor"] = room(DOCTOR, VISITS["two"])
    page = await open_page("/room/doctor", 1440, 900)
    await page.wait_for_selector(".tile--screen")
    for name, people in VISITS.items():
        await fake.push("doctor", room(DOCTOR, people))
        wanted = len(people) - 1 + sum(one["screen"] for one in people)
        for width, height, panel in ((1440, 900, True), (1440, 900, False), (360, 740, False)):
            where = (name, width, panel)
            await page.set_viewport_size({"width": width, "height": height})
            if await page.is_visible("#panel") != panel:
                await page.click("#open-note")
            await page.wait_for_function("(n) => document.querySelectorAll('.stage .tile').length === n", arg=wanted)
            await settled(page)
            if folder := os.environ.get("BEDSIDE_SHOTS"):
                await page.screenshot(path=str(Path(folder) / f"stage-{name}-{width}-{panel}.png"))
            boxes = [
                (kind, (left, top, right, bottom)) for kind, left, top, right, bottom in await page.evaluate(BOXES)
            ]
            stage = next(box for kind, box in boxes if kind == "stage")
            screens = [box for kind, box in boxes if kind == "screen"]
            tiles = [box for kind, box in boxes if kind != "stage"]
            assert sum(map(area, screens)) > 0.5 * area(stage), where
            least = 0.98 if width < 600 else 0.7
            assert all(box[2] - box[0] >= least * (stage[2] - stage[0]) for box in screens), where
            people_area = [area(box) for kind, box in boxes if kind == "person"]
            assert max(people_area) < 0.5 * min(map(area, screens)), where
            assert max(people_area) - min(people_area) <= 0.03 * max(people_area), where
            covered = [one for n, one in enumerate(tiles) for other in tiles[n + 1 :] if overlaps(one, other)]
            assert not covered, where
            assert all(stage[0] - 8 <= box[0] and box[2] <= stage[2] + 8 and box[3] <= stage[3] for box in tiles), where
