"""What pages say after a press: that a message goes out only where one does, and who must be told by phone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from server.accounts.models import Patient
from server.db import new_id
from server.desk import acts, told
from server.desk.told import BY_PHONE, FAILED, IS_HERE, NOT_KNOWN, UNTOLD, WHY, WITH_CODE, Told
from server.scheduling import messages
from server.scheduling.models import Message
from server.scheduling.reach import Reach, reach_of
from tests.server.cast import Browser
from tests.server.desk.conftest import TEN, Desk


def message(kind: str, state: str) -> Message:
    return Message(kind=kind, state=state)


@pytest.mark.parametrize("done", ["booked", "moved", "cancelled", "sent"])
def test_a_message_is_promised_only_where_one_goes_out(done: str) -> None:
    said, ask = acts.DONE[done], BY_PHONE if done == "cancelled" else WITH_CODE
    kind = told.ABOUT[done][-1]
    for state in ("waiting", "sending", "sent"):
        assert told.after(done, said, [message(kind, state)], Reach.REACHED) == Told([said])
    failed = told.after(done, said, [message(kind, "sent"), message(kind, "failed")], Reach.REACHED)
    assert failed == Told([UNTOLD[done], FAILED, ask], is_untold=True)
    for reach in (Reach.NO_ADDRESS, Reach.UNWANTED):
        for sent in ([], [message("late", "sent"), message(kind, "dropped")]):
            assert told.after(done, said, sent, reach) == Told([UNTOLD[done], WHY[reach], ask], is_untold=True)
    assert told.after(done, said, [], Reach.REACHED) == Told([UNTOLD[done], NOT_KNOWN])


def test_what_promises_no_message_is_said_as_it_is() -> None:
    for done in set(acts.DONE) - set(told.ABOUT):
        assert told.after(done, acts.DONE[done], [], Reach.NO_ADDRESS) == Told([acts.DONE[done]])
    here = told.after("booked", acts.DONE["booked"], [], Reach.REACHED, is_walk_in=True)
    assert here == Told([UNTOLD["booked"], IS_HERE], is_untold=True)


def test_a_way_that_isnt_wanted_is_none_and_no_way_is_no_refusal() -> None:
    both, none = Patient(email="a@mail.example", phone="+4930"), Patient(email=None, phone=None)
    assert reach_of(both, {"mail"}) is Reach.REACHED
    assert reach_of(both, {"mail", "sms"}) is Reach.UNWANTED
    assert reach_of(Patient(email=None, phone="+4930"), {"sms"}) is Reach.UNWANTED
    assert reach_of(none, {"mail"}) is Reach.NO_ADDRESS


async def no_messages(desk: Desk) -> None:
    async with desk.site.database.writing() as session:
        patient = await session.get_one(Patient, (desk.site.cast.clinic.id, desk.site.cast.patient))
        await messages.refuse(session, patient, ["mail", "sms"], desk.site.clock())


async def after(browser: Browser, path: str, form: dict[str, str]) -> str:
    answer = await browser.post(path, form)
    assert answer.status == 303, await answer.text()
    page = await (await browser.get(answer.headers["Location"])).text()
    banner = re.search(r'nhsuk-notification-banner__content">(.*?)</div>', page, re.DOTALL)
    assert banner is not None
    return re.sub(r"\s+", " ", re.sub("<[^>]+>", " ", banner[1])).strip()


async def test_of_whoever_wants_no_messages_the_desk_hears_that_they_must_be_rung(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    await no_messages(desk)
    scheduler, own = await site.signed_in(cast.scheduler), await site.at_page(cast.patient)
    slot = f"{cast.doctor}|2026-03-16T11:00:00Z"
    form = {"visit_type": desk.visit_type, "slot": slot, "key": new_id()}
    page = f"{desk.root}/book/{cast.patient}"
    assert "wants no messages" in await (await scheduler.get(page)).text()
    said = await after(scheduler, page, form)
    assert said == f"{UNTOLD['booked']} {WHY[Reach.UNWANTED]} {WITH_CODE}"
    async with site.database.reading() as session:
        booked = (await session.scalars(select(Message.id).where(Message.state == "waiting"))).all()
    assert booked == []
    one = f"{desk.root}/appointments/{desk.appointment}"
    moved = {"slot": f"{cast.doctor}|2026-03-16T12:00:00Z", "sequence": "0"}
    assert (await after(scheduler, f"{one}/move", moved)).startswith(UNTOLD["moved"])
    again = await scheduler.post(f"{one}/send-again")
    text = await again.text()
    assert again.status == 409
    assert "wants no messages about appointments" in text
    assert "neither an e-mail" not in text
    assert f'action="{one}/door-code"' in text
    assert await after(scheduler, f"{one}/cancel", {"why": "ill"}) == (
        f"{UNTOLD['cancelled']} {WHY[Reach.UNWANTED]} {BY_PHONE}"
    )
    home = await (await own.get(f"{desk.root}/patients/{cast.patient}/home?done=booked")).text()
    assert "You get a message" not in home
    assert "No message is sent to you" in home


async def test_of_whoever_can_be_written_to_the_desk_hears_that_they_are(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler = await desk.site.signed_in(cast.scheduler)
    slot = f"{cast.doctor}|2026-03-16T11:00:00Z"
    form = {"visit_type": desk.visit_type, "slot": slot, "key": new_id()}
    assert await after(scheduler, f"{desk.root}/book/{cast.patient}", form) == acts.DONE["booked"]
    one = f"{desk.root}/appointments/{desk.appointment}"
    assert await after(scheduler, f"{one}/cancel", {"why": "ill"}) == f"{UNTOLD['cancelled']} {NOT_KNOWN}"
    here = {"visit_type": desk.visit_type, "key": new_id()}
    said = await after(scheduler, f"{desk.root}/book/{cast.patient}/walk-in", here)
    assert said == f"{UNTOLD['booked']} {IS_HERE}"


async def test_the_waiting_list_and_running_late_promise_nobody_a_message_in_vain(desk: Desk) -> None:
    site, cast = desk.site, desk.site.cast
    scheduler, doctor = await site.signed_in(cast.scheduler), await site.signed_in(cast.doctor)
    later = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(hours=1))
    assert "is told" in await after(doctor, f"{desk.root}/clinic/late", {"minutes": "10"})
    async with site.database.writing() as session:
        await session.execute(update(Patient).where(Patient.id == cast.patient).values(phone=None, email=None))
    assert "Please ring those" in await after(doctor, f"{desk.root}/clinic/late", {"minutes": "20"})
    wait = f"{desk.root}/appointments/%s/wait"
    assert "nobody asks them" in await after(scheduler, wait % desk.appointment, {})
    assert "is asked by message" in await after(scheduler, wait % later, {})
