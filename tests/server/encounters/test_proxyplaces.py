"""Somebody who acts for the patient, in the visit: their own place, the patient's whereabouts, consent within scope."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from server.accounts import proxies, sessions
from server.accounts.proxies import NewProxy
from server.accounts.service import get_patient
from server.accounts.sessions import COOKIES, SessionKind
from server.audit import AuditAction, AuditEntry
from server.encounters.models import Participant
from server.errors import DomainError
from server.permissions import ProxyScope
from signaling.ports import ConsentGiven
from signaling.words import Code, ParticipantId, Role, SessionId
from tests.server.cast import Browser
from tests.server.visits import House

ATTEND, BOOK, CONSENT = ProxyScope.ATTEND, ProxyScope.BOOK, ProxyScope.CONSENT


async def acting(house: House, *scopes: ProxyScope) -> tuple[Browser, str]:
    """A proxy's browser at their page, and the proxy's id."""
    cast, now = house.cast, house.clock()
    async with house.database.writing() as session:
        patient = await get_patient(session, cast.clinic.id, cast.patient)
        new = NewProxy("Pia Proxy", "sister", "power_of_attorney", frozenset(scopes))
        row = await proxies.add(session, cast.clinic, patient, new, by=cast.scheduler, now=now)
        opened = await sessions.open_proxy_page(session, {}, clinic_id=cast.clinic.id, proxy_id=row.id, now=now)
    return Browser(house.client, {COOKIES[SessionKind.PAGE]: str(opened.token)}), row.id


def page(house: House, rest: str = "") -> str:
    return f"/c/north/patients/{house.cast.patient}/proxy{rest}"


async def enter(house: House, browser: Browser) -> Participant:
    """Through the door, with the card filled in."""
    door = (await browser.post(page(house, f"/visits/{house.cast.appointment_id}"))).headers["Location"]
    shown = await (await browser.get(door)).text()
    assert ("acting for" in shown, "Where are you now?" in shown, "No, neither" in shown) == (True, True, False)
    answer = await browser.post(door, {"identity": "helping", "place": "12 Mill Lane", "phone": "+49301"})
    assert answer.status == 303
    assert (await browser.get(answer.headers["Location"])).status == 200
    return await house.cast.participant(answer.headers["Location"].rpartition("/")[2])


async def code_of(wanted: object) -> Code | None:
    try:
        await wanted  # type: ignore[misc]
    except DomainError as refused:
        return refused.code
    return None


async def test_a_proxy_comes_as_themself_and_an_ambulance_finds_the_patient(house: House) -> None:
    cast = house.cast
    browser, proxy_id = await acting(house, ATTEND)
    place = await enter(house, browser)
    assert (place.role, place.name, place.relation) == (Role.PROXY, "Pia Proxy", "sister")
    again = await enter(house, browser)
    assert again.id == place.id, "one place, however often they come"
    cookies = browser.cookies
    seat = await cast.port.seat(cookies, place.id)
    assert seat.role is Role.PROXY
    await cast.port.arrived(cast.room, ParticipantId(place.id), SessionId(str(place.session_id or "s")))
    assert await cast.appointment_status() == "arrived"
    facts = next(one for one in (await cast.port.load_room(cast.room)).participants if one.role is Role.PROXY)
    assert facts.card is not None
    assert facts.card.place is not None
    assert facts.opened_by is not None
    assert "sister of Anna Müller" in facts.opened_by
    doctor = await cast.place(Role.DOCTOR)
    contact = await cast.port.emergency(cast.room, doctor)
    assert contact.place is not None
    assert str(contact.place) == "12 Mill Lane"

    patient = await house.browser_of("patient")
    assert (await patient.post(f"/c/north/patients/{cast.patient}/home/proxies/{proxy_id}/stop")).status == 303
    assert await code_of(cast.port.seat(cookies, place.id)) is Code.LINK_CLOSED
    assert (await cast.participant(place.id)).is_closed


async def test_what_is_the_patient_s_alone_shuts_the_proxy_out(house: House) -> None:
    cast = house.cast
    browser, _ = await acting(house, ATTEND, BOOK)
    place = await enter(house, browser)
    patient = await house.browser_of("patient")
    assert (await patient.post(f"/c/north/patients/{cast.patient}/home/alone/{cast.appointment_id}")).status == 303
    assert await code_of(cast.port.seat(browser.cookies, place.id)) is Code.LINK_CLOSED
    one = page(house, f"/visits/{cast.appointment_id}")
    for path in (one, f"{one}/cancel"):
        assert (await browser.post(path)).status == 404
    assert (await browser.get(f"{one}/move")).status == 404


@pytest.mark.parametrize(("scopes", "code"), [((ATTEND,), Code.NOT_ALLOWED), ((ATTEND, CONSENT), None)])
async def test_a_proxy_agrees_for_the_patient_only_where_they_may(
    house: House, scopes: tuple[ProxyScope, ...], code: Code | None
) -> None:
    cast = house.cast
    place = await enter(house, (await acting(house, *scopes))[0])
    doctor, proxy = await cast.place(Role.DOCTOR), ParticipantId(place.id)
    for who in (doctor, proxy):
        await cast.port.arrived(cast.room, who, SessionId(f"s-{who[:4]}"))
        await cast.port.admitted(cast.room, who, doctor)
    facts = {one.participant_id: one for one in (await cast.port.load_room(cast.room)).participants}
    assert facts[proxy].may_consent_for_patient is (code is None)
    assert not facts[doctor].may_consent_for_patient
    asked = await cast.port.ask_recording(cast.room, doctor, "teaching")

    def yes(given_for: str) -> object:
        given = ConsentGiven(asked.recording_id, proxy, 1, True, given_for=given_for)  # type: ignore[arg-type]
        return cast.port.record_consent(cast.room, given)

    assert await code_of(yes("self")) is code
    assert await code_of(yes("patient")) is code
    no = ConsentGiven(asked.recording_id, proxy, 1, False)
    assert await code_of(cast.port.record_consent(cast.room, no)) is None, "a No always counts"


async def test_a_proxy_books_and_cancels_within_scope_and_says_so_in_the_audit(house: House) -> None:
    cast = house.cast
    one = f"/visits/{cast.appointment_id}"
    house.clock.forward(hours=-3)
    browser, proxy_id = await acting(house, BOOK)
    other, _ = await acting(house, ATTEND)
    for path in (f"{one}/cancel", "/book", f"{one}/move"):
        assert (await other.post(page(house, path))).status == 404
    assert (await other.get(page(house, "/book"))).status == 404
    shown = await (await browser.get(page(house))).text()
    assert ("Yes, cancel it" in shown, "Go to the visit" in shown) == (True, False)
    assert (await browser.get(page(house, "/book"))).status == 200
    assert (await browser.get(page(house, f"{one}/move"))).status == 200
    assert (await browser.post(page(house, "/book"), {"visit_type": "x", "slot": "x", "key": "k"})).status == 422
    answer = await browser.post(page(house, f"{one}/cancel"))
    assert answer.headers["Location"] == page(house, "?done=cancelled")
    assert "The appointment is cancelled." in await (await browser.get(answer.headers["Location"])).text()
    assert await cast.appointment_status() == "cancelled"
    async with house.database.reading() as session:
        query = select(AuditEntry.detail).where(AuditEntry.action == AuditAction.PROXY_ACTED)
        assert proxy_id in str(await session.scalar(query))
