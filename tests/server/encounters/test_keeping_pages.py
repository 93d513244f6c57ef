"""The pages about recordings in real Chromium: axe finds nothing, nothing is wider than the screen.

BEDSIDE_SHOTS names a folder in which a picture of each is kept, to be looked at.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from playwright.async_api import Page
from sqlalchemy import select, update

from media.compose import FilmReport, Stretch
from server.encounters import keeping
from server.encounters.models import Encounter
from server.encounters.recording_models import Film
from signaling.words import Outcome
from tests.server.cast import Browser
from tests.server.desk.test_browser import AXE, SIZES, chromium, findings
from tests.server.encounters.recorded import Recorded

pytestmark = pytest.mark.browser


async def page_of(window: object, recorded: Recorded, person: Browser) -> Page:
    context = await window.new_context()  # type: ignore[attr-defined]
    address = str(recorded.house.client.make_url("/")).replace("http:", "https:")
    cookies = [{"name": name, "value": value, "url": address, "secure": True} for name, value in person.cookies.items()]
    await context.add_cookies(cookies)
    await context.add_init_script(AXE.read_text())
    page: Page = await context.new_page()
    return page


async def look(page: Page, recorded: Recorded, path: str, name: str) -> None:
    await page.goto(str(recorded.house.client.make_url(path)))
    for one in await page.locator("details > summary").all():
        await one.click()
    for width, height in SIZES:
        await page.set_viewport_size({"width": width, "height": height})
        if folder := os.environ.get("BEDSIDE_SHOTS"):
            await page.screenshot(path=str(Path(folder) / f"{name}-{width}.png"), full_page=True)
        assert await findings(page) == [], (name, width)


async def test_axe_finds_nothing_on_the_pages_about_recordings(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.stopped(tmp_path)
    cast, house = recorded.house.cast, recorded.house
    summary = f"/c/{cast.clinic.slug}/visits/{cast.encounter_id}/summary"
    async with cast.database.writing() as session:
        await session.execute(update(Encounter).values(status="finished", outcome="seen", ended_at=cast.clock()))
    async with chromium() as window:
        doctor = await page_of(window, recorded, await house.browser_of("doctor"))
        await look(doctor, recorded, summary, "film-queued")
        await recorded.with_film(tmp_path, code="check_failed")
        report = FilmReport(
            empty=False, passed=False, duration_s=754.2, wall_clock_s=754.19, placement_within_s=0.013,
            placement_between_s=0.02, gaps=(Stretch(3.0, 5.0, "sound", recorded.patient),), removed=(recorded.patient,),
            sha256="5e" * 32, problems=("chunks_missing", "file_gap"), incomplete="end_missing",
        )  # fmt: skip
        async with cast.database.writing() as session:
            film = (await session.scalars(select(Film))).one()
            film.report, film.duration_s = json.dumps({**report.to_json(), "missing_segments": [2]}), 754.2
        await look(doctor, recorded, summary, "film-ready")
        await recorded.sign()
        await recorded.withdraw(recorded.patient)
        assert await recorded.choose(recorded.patient, "delete_all") == "asked"
        async with cast.database.writing() as session:
            recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
            await keeping.order_deletion(session, recording, recorded.patient, "withdrawn", cast.clock())
        await recorded.erase()
        officer = await page_of(window, recorded, await house.browser_of("administrator"))
        await look(officer, recorded, f"/c/{cast.clinic.slug}/recordings", "keeping")


async def test_axe_finds_nothing_where_people_decide_about_a_recording(recorded: Recorded) -> None:
    cast, house = recorded.house.cast, recorded.house
    await recorded.seal()
    await recorded.stop()
    await recorded.withdraw(recorded.patient)
    await cast.port.ended(cast.room, recorded.doctor, Outcome.SEEN)
    cookies, _ = await cast.visits_cookies(recorded.patient)
    mine = f"/c/{cast.clinic.slug}/patients/{cast.patient}/home/recordings"
    async with chromium() as window:
        patient = await page_of(window, recorded, Browser(house.client, cookies))
        await look(patient, recorded, f"/visits/{recorded.patient}/closing", "closing-choice")
        await patient.get_by_label("Delete my part").check()
        await patient.get_by_role("button", name="Say so to the clinic").click()
        await patient.get_by_text("Your picture and your sound were deleted.").wait_for()
        own = await page_of(window, recorded, await house.at_page(cast.patient))
        await look(own, recorded, mine, "my-recordings")
