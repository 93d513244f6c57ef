"""An interpreter is invited beforehand: their own link, named to the patient, and no link once they don't come."""

from __future__ import annotations

import html
import re

from sqlalchemy import select

from server.encounters.models import Participant
from tests.server.desk.conftest import Desk


async def places(desk: Desk) -> list[Participant]:
    async with desk.site.database.reading() as session:
        return list(await session.scalars(select(Participant).where(Participant.role == "interpreter")))


async def test_the_desk_invites_an_interpreter_by_a_link_of_their_own_and_takes_it_back(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    scheduler = await site.browser_of("scheduler")
    one = f"{desk.root}/appointments/{desk.appointment}"
    made = await scheduler.post(f"{one}/interpreter", {"name": "Ida <b>Ø</b>", "need": "signed"})
    assert made.status == 201
    text = html.unescape(await made.text())
    path = re.findall(r'value="https?://[^/]+(/v/[^"]+)"', text)[0]
    assert "mailto:?subject=" in text
    assert "Müller" not in text, "what is sent names no patient"
    (place,) = await places(desk)
    assert (place.is_arranged, place.agreed_by, place.state) == (True, None, "invited")
    assert (await desk.load()).interpreter == "signed"
    page = await (await scheduler.get(one)).text()
    assert "comes in together with the patient" in page
    assert "Interpreter invited" in page
    assert "not invited yet" not in await (await scheduler.get(f"{desk.root}/board")).text()
    patient = await site.at_page(cast.patient)
    assert "Ida &lt;b&gt;Ø&lt;/b&gt;" in await (await patient.get(f"{desk.root}/patients/{cast.patient}/home")).text()
    door = await (await site.browser().get(path)).text()
    assert "lets you in together with them" in door
    assert "Anna" not in door
    entered = await site.browser().post(path, {})
    assert entered.headers["Location"] == f"/visits/{place.id}"
    for _ in range(2):
        assert (await scheduler.post(f"{one}/interpreter/{place.id}/withdraw")).status == 303
    shut = await site.browser().get(path)
    assert "Ida" not in await shut.text()
    assert shut.status == 410
    assert "Not invited yet" in await (await scheduler.get(one)).text()


async def test_what_is_no_invitation_invites_nobody(desk: Desk) -> None:
    scheduler = await desk.site.browser_of("scheduler")
    one = f"{desk.root}/appointments/{desk.appointment}"
    for form in ({}, {"name": "Ida"}, {"name": "\u200b", "need": "spoken"}, {"name": "Ida", "need": "dance"}):
        assert (await scheduler.post(f"{one}/interpreter", form)).status == 422, form
    assert (await scheduler.post(f"{one}/interpreter/nobody/withdraw")).status == 404
    assert (await scheduler.post(f"{one}/cancel", {"why": "ill"})).status == 303
    assert (await scheduler.post(f"{one}/interpreter", {"name": "Ida", "need": "spoken"})).status == 404
    assert await places(desk) == []
