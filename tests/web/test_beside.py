"""What stands beside the pictures: whose names may show, a draft whose answer was lost, Emergency without a network."""

from __future__ import annotations

import pytest

from tests.web.conftest import OpenPage
from tests.web.fake_room import FakeRoom
from tests.web.states import DOCTOR, PATIENT, room

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="module")]

CARD = {"participant_id": "patient", "place": "12 Mill Lane, Leeds", "phone": "+44 113 496 0000", "others": None}


async def test_a_screen_shared_in_another_visit_leaves_no_name_and_no_note_here(
    fake: FakeRoom, open_page: OpenPage
) -> None:
    fake.arrivals = {"waiting": [], "silent": True, "names_hidden": False}
    fake.snapshots["doctor"] = room(DOCTOR, [DOCTOR, PATIENT])
    page = await open_page("/room/doctor")
    await page.wait_for_selector(f'.tile__name:has-text("{PATIENT["name"]}")')
    assert await page.title() == "Anna Marker – Bedside"
    await fake.push_arrivals(fake.arrivals | {"names_hidden": True})
    await page.wait_for_selector("#banner-names:not([hidden])")
    assert await page.title() == "Bedside"
    for hidden in (".tile__name", "#note-text"):
        assert not await page.locator(hidden).first.is_visible(), hidden
    # In the visit whose screen is shared, its own people may be named.
    await fake.push("doctor", room(DOCTOR, [DOCTOR | {"screen": True}, PATIENT]))
    await page.wait_for_selector("#banner-names", state="hidden")
    assert await page.locator(".tile__name").first.is_visible()
    assert await page.title() == "Anna Marker – Bedside"


async def test_ones_own_text_whose_answer_was_lost_is_no_conflict(fake: FakeRoom, open_page: OpenPage) -> None:
    fake.snapshots["doctor"] = room(DOCTOR, [DOCTOR])
    # The first answer is lost on its way: the server holds what was sent as revision 1.
    fake.draft_answers = [(503, {}), (409, {"revision": 1, "text": "Coughing"})]
    page = await open_page("/room/doctor")
    await page.fill("#note-text", "Coughing")
    await page.wait_for_selector("#note-status[data-state=waiting]")
    await page.fill("#note-text", "Cough")
    await page.wait_for_selector("#note-status[data-state=saved]")
    assert await page.is_hidden("#note-conflict")
    assert fake.drafts[-1] == ("1", "Cough")


async def test_emergency_says_what_this_page_knows_while_nothing_answers(fake: FakeRoom, open_page: OpenPage) -> None:
    fake.snapshots["doctor"] = room(DOCTOR, [DOCTOR, PATIENT], cards=[CARD | {"agrees": True}])
    fake.silent.add("emergency")
    page = await open_page("/room/doctor")
    await page.click("#emergency")
    known = await page.inner_text("#emergency-known")
    assert "12 Mill Lane, Leeds" in known
    assert await page.locator('#emergency-known a[href="tel:+441134960000"]').count() == 1
