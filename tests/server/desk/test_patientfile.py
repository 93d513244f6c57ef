"""How a patient is reached: contact, refused ways, language, zone, the two marks; a doctor's own wish to relay."""

from __future__ import annotations

from sqlalchemy import select

from server.accounts.models import Membership, Patient
from server.audit import AuditAction, AuditEntry
from server.scheduling.models import Message
from tests.server.desk.conftest import Desk

FORM = {
    "phone": "030 23125 177",
    "email": "",
    "allowed": ["mail", "sms"],
    "language": "de",
    "zone": "Europe/Lisbon",
    "picture_first": "yes",
    "always_relay": "yes",
}
BAD = [
    ({"phone": "call me"}, "phone"),
    ({"email": "not an address"}, "Enter an e-mail address"),
    ({"zone": "Europe/Nowhere"}, "This is no time zone we know"),
    ({"language": ""}, "Enter the language"),
    ({"language": "<b>"}, "not written as expected"),
]


async def load(desk: Desk, patient: str) -> Patient:
    async with desk.site.database.reading() as session:
        return await session.get_one(Patient, (desk.site.cast.clinic.id, patient))


async def waiting(desk: Desk) -> list[tuple[str, str, str]]:
    async with desk.site.database.reading() as session:
        rows = await session.execute(select(Message.kind, Message.channel, Message.state).order_by(Message.kind))
        return [(kind, channel, state) for kind, channel, state in rows]


async def test_marks_and_contact_are_kept_and_what_waits_goes_to_the_new_address(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler = await desk.site.browser_of("scheduler")
    here = f"{desk.root}/patients/{cast.patient}/file"
    for change, words in BAD:
        answer = await scheduler.post(here, {**FORM, **change})
        assert answer.status == 422, change
        assert words in await answer.text(), change
    assert (await load(desk, cast.patient)).zone is None
    assert await waiting(desk) == [("confirmation", "mail", "waiting")]
    assert (await scheduler.post(here, FORM)).status == 303
    kept = await load(desk, cast.patient)
    assert (kept.phone, kept.email, kept.zone, kept.language) == ("+493023125177", None, "Europe/Lisbon", "de")
    assert kept.picture_first
    assert kept.always_relay
    assert await waiting(desk) == [("confirmation", "sms", "waiting")]
    page = await (await scheduler.get(f"{desk.root}/appointments/{desk.appointment}")).text()
    assert "Signs or lip-reads" in page
    assert "Always through the clinic’s server" in page
    async with desk.site.database.reading() as session:
        query = select(AuditEntry.detail).where(AuditEntry.action == AuditAction.PATIENT_CHANGED.value)
        (noted,) = list(await session.scalars(query))
    assert "3177" not in str(noted)


async def test_two_patients_with_one_contact_are_flagged_on_both_sides(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler = await desk.site.browser_of("scheduler")
    pages = [
        f"{desk.root}/appointments/{desk.appointment}",
        f"{desk.root}/book/{cast.patient}",
        f"{desk.root}/book/{cast.other_patient}",
    ]
    for page in pages:
        assert "Shared contact" not in await (await scheduler.get(page)).text()
    same = {"phone": "", "email": "Anna@mail.example", "allowed": "mail", "language": "en"}
    assert (await scheduler.post(f"{desk.root}/patients/{cast.other_patient}/file", same)).status == 303
    for page in pages:
        assert "Shared contact" in await (await scheduler.get(page)).text()
    assert "Boris" in await (await scheduler.get(f"{desk.root}/patients/{cast.patient}/file")).text()


async def test_a_patient_refuses_ways_on_their_own_page(desk: Desk) -> None:
    cast = desk.site.cast
    patient, stranger = await desk.site.browser_of("patient"), await desk.site.browser_of("other patient")
    home = f"{desk.root}/patients/{cast.patient}/home"
    assert (await stranger.post(f"{home}/channels", {})).status == 404
    assert (await patient.post(f"{home}/channels", {"allowed": "sms"})).status == 303
    assert await waiting(desk) == [("confirmation", "sms", "waiting")]
    assert (await patient.post(f"{home}/channels", {"allowed": ["pigeon"]})).status == 303
    assert await waiting(desk) == [("confirmation", "sms", "dropped")]
    scheduler = await desk.site.browser_of("scheduler")
    page = await (await scheduler.get(f"{desk.root}/appointments/{desk.appointment}")).text()
    assert "E-mail, Text message" in page


async def test_a_doctor_asks_for_the_relay_in_all_their_visits(desk: Desk) -> None:
    cast = desk.site.cast
    doctor = await desk.site.browser_of("doctor")
    for sent, expected in (({"always_relay": "yes"}, True), ({}, False)):
        assert (await doctor.post(f"{desk.root}/clinic/relay", sent)).status == 303
        async with desk.site.database.reading() as session:
            mine = await session.get_one(Membership, (cast.clinic.id, cast.doctor, "doctor"))
            other = await session.get_one(Membership, (cast.clinic.id, cast.colleague, "doctor"))
        assert (mine.always_relay, other.always_relay) == (expected, False)
