"""The doors of a visit: looking changes nothing, one press lets in, and the clock never shuts anybody out."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select

from server.accounts.links import LinkKind
from server.accounts.models import Session
from server.audit import AuditAction, AuditEntry
from server.encounters.models import VisitCard
from server.scheduling import service as scheduling
from server.scheduling.models import Appointment
from server.scheduling.service import Act
from signaling.words import Outcome, ParticipantId, Role, SessionId
from tests.server.visits import START, House

SELF = {"identity": "self", "place": "4 Rue du Lac, Lyon, France", "phone": "+33 6 1", "others": "", "agrees": "yes"}


async def rows(house: House, what: type) -> int:
    async with house.cast.database.reading() as session:
        return await session.scalar(select(func.count()).select_from(what)) or 0


async def cards(house: House) -> list[VisitCard]:
    async with house.cast.database.reading() as session:
        return list(await session.scalars(select(VisitCard).order_by(VisitCard.at)))


async def test_a_scanner_that_opens_the_link_first_changes_nothing(house: House) -> None:
    token = await house.cast.link()
    before = [await rows(house, what) for what in (Session, VisitCard, AuditEntry)]
    for method in ("GET", "HEAD", "GET"):
        seen = await house.browser().request(method, f"/v/{token}", headers={"Sec-Fetch-Site": "cross-site"})
        assert seen.status == 200
        assert "Set-Cookie" not in seen.headers
    assert [await rows(house, what) for what in (Session, VisitCard, AuditEntry)] == before
    assert (await house.browser().post(f"/v/{token}", SELF)).status == 303


async def test_the_door_says_who_when_and_whom_to_ring(house: House) -> None:
    page = await (await house.browser().get(f"/v/{await house.cast.link()}")).text()
    for words in (
        "Dr Ida Weiss",
        "Tuesday 27 May 2031",
        "10:30",
        "Ring 112.",
        "I agree to a video visit.",
    ):
        assert words in page
    assert "Müller" not in page
    assert "1980" not in page


async def test_one_press_leads_into_the_waiting_room(house: House) -> None:
    browser = house.browser()
    entered = await browser.post(f"/v/{await house.cast.link()}", SELF)
    place = await house.cast.place(Role.PATIENT)
    assert entered.headers["Location"] == f"/visits/{place}"
    (card,) = await cards(house)
    assert (card.identity, card.place, card.phone, card.others) == ("self", SELF["place"], "+33 6 1", None)
    assert card.agreed_text_id is not None
    room = await browser.get(f"/visits/{place}")
    assert room.status == 200
    assert place in await room.text()
    assert "camera=(self)" in room.headers["Permissions-Policy"]


async def test_leaving_everything_out_never_blocks(house: House) -> None:
    entered = await house.browser().post(f"/v/{await house.cast.link()}", {})
    assert entered.status == 303
    (card,) = await cards(house)
    assert (card.identity, card.place, card.phone, card.others, card.agreed_text_id) == (
        "not_given", None, None, None, None,
    )  # fmt: skip


async def test_no_tells_the_desk_and_shows_nothing_more(house: House) -> None:
    token, browser = await house.cast.link(), house.browser()
    answer = await browser.post(f"/v/{token}", {"identity": "no", "place": "here"})
    assert answer.headers["Location"] == f"/v/{token}/not-me"
    assert browser.cookies == {}
    page = await (await browser.get(f"/v/{token}/not-me")).text()
    assert "+49 30 23125 100" in page
    for secret in ("Anna", "Dr Ida Weiss", "27 May"):
        assert secret not in page
    (card,) = await cards(house)
    assert (card.identity, card.place, card.participant_id) == ("denied", None, None)
    async with house.cast.database.reading() as session:
        query = select(AuditEntry).where(AuditEntry.action == AuditAction.IDENTITY_DENIED.value)
        assert (await session.scalars(query)).one().subject_id == house.cast.encounter_id
    assert (await house.browser().get(f"/v/{token}")).status == 200, "pressed by mistake: the link still opens"


async def test_a_browser_used_before_is_asked_nothing_twice(house: House) -> None:
    token, browser = await house.cast.link(), house.browser()
    await browser.post(f"/v/{token}", {**SELF, "identity": "helping"})
    again = await (await browser.get(f"/v/{token}")).text()
    assert SELF["place"] in again
    assert "checked" in again
    elsewhere = await (await house.browser().get(f"/v/{token}")).text()
    assert SELF["place"] not in elsewhere
    assert "checked" not in elsewhere


async def test_another_patients_card_is_not_shown_in_a_shared_browser(house: House) -> None:
    browser = house.browser()
    await browser.post(f"/v/{await house.cast.link()}", SELF)
    other = await house.cast.visit(await house.cast.another_visit(house.cast.other_patient))
    house.cast.clock.forward(hours=1)
    token = await house.cast.link(subject_id=other.encounter.appointment_id)
    assert SELF["place"] not in await (await browser.get(f"/v/{token}")).text()


async def test_early_it_counts_down_and_opens_by_itself(house: House) -> None:
    token, clock = await house.cast.link(), house.cast.clock
    clock.now = START - timedelta(days=1, hours=2, minutes=30)
    early = await house.browser().get(f"/v/{token}")
    page = await early.text()
    assert "In 1 day, 2 hours" in page
    assert 'method="post" action="/v/' not in page
    assert (await house.browser().post(f"/v/{token}", SELF)).headers["Location"] == f"/v/{token}"
    assert await rows(house, VisitCard) == 0
    clock.now = START - timedelta(minutes=31)
    assert (await house.browser().get(f"/v/{token}")).headers["Refresh"] == "61"
    assert "HX-Refresh" not in (await house.browser().get(f"/v/{token}/countdown")).headers
    clock.now = START - timedelta(minutes=30)
    assert (await house.browser().get(f"/v/{token}/countdown")).headers["HX-Refresh"] == "true"
    assert (await house.browser().post(f"/v/{token}", SELF)).headers["Location"].startswith("/visits/")


async def test_late_is_a_word_never_a_refusal(house: House) -> None:
    token = await house.cast.link()
    house.cast.clock.now = START + timedelta(hours=9)
    page = await house.browser().get(f"/v/{token}")
    assert "a little late" in await page.text()
    assert (await house.browser().post(f"/v/{token}", SELF)).headers["Location"].startswith("/visits/")


async def test_after_the_end_the_link_shows_the_closing_page_for_two_hours(house: House) -> None:
    cast, token = house.cast, await house.cast.link()
    browser = house.browser()
    await browser.post(f"/v/{token}", SELF)
    doctor, patient = await cast.place(Role.DOCTOR), await cast.place(Role.PATIENT)
    await cast.port.admitted(cast.room, patient, doctor)
    await cast.port.ended(cast.room, doctor, Outcome.SEEN)
    assert "The visit has ended" in await (await house.browser().get(f"/v/{token}")).text()
    assert (await browser.get(f"/visits/{patient}")).status == 200, "the doctor may undo it: a reload keeps the place"
    cast.clock.forward(seconds=16)
    assert (await browser.get(f"/visits/{patient}")).headers["Location"] == f"/visits/{patient}/closing"
    assert "The visit has ended" in await (await browser.get(f"/visits/{patient}/closing")).text()
    cast.clock.forward(hours=2, seconds=1)
    assert (await house.browser().get(f"/v/{token}")).status == 410
    assert (await browser.get(f"/visits/{patient}/closing")).status == 410


async def test_having_left_there_is_a_way_back(house: House) -> None:
    browser = house.browser()
    await browser.post(f"/v/{await house.cast.link()}", SELF)
    place = await house.cast.place(Role.PATIENT)
    page = await (await browser.get(f"/visits/{place}/closing")).text()
    assert f'href="/visits/{place}"' in page


async def test_a_wrong_link_is_a_plain_page(house: House) -> None:
    for token in ("x" * 32, "short", "A" * 4000, "%00", "..%2f..", "<script>"):
        for method in ("GET", "POST"):
            answer = await house.browser().request(method, f"/v/{token}")
            assert answer.status == 404, token
            assert "Dr Ida Weiss" not in await answer.text()


async def test_a_closed_link_gives_the_clinics_number(house: House) -> None:
    cast, token = house.cast, await house.cast.link()
    await house.browser().post(f"/v/{token}", SELF)
    wrong = await cast.place(Role.PATIENT)
    await cast.port.wrong_person(cast.room, wrong, await cast.place(Role.DOCTOR))
    shut = await house.browser().get(f"/v/{token}")
    assert shut.status == 410
    assert f'href="tel:{cast.clinic.phone.replace(" ", "")}"' in await shut.text()
    fresh = await house.browser().post(f"/v/{await cast.link()}", SELF)
    assert fresh.headers["Location"] == f"/visits/{await cast.place(Role.PATIENT)}"
    assert fresh.headers["Location"] != f"/visits/{wrong}"


async def test_who_waits_for_a_visit_that_is_cancelled_reads_so_and_whom_to_ring(house: House) -> None:
    cast, token = house.cast, await house.cast.link()
    browser = house.browser()
    room = (await browser.post(f"/v/{token}", SELF)).headers["Location"]
    async with house.database.writing() as session:
        act = Act(cast.clinic, cast.scheduler, house.clock(), cast.events)
        await scheduling.cancel(session, act, cast.appointment_id, "rang")
    number = f'href="tel:{cast.clinic.phone.replace(" ", "")}"'
    for path in (room, f"{room}/closing", f"/v/{token}"):
        answer = await browser.get(path)
        text = await answer.text()
        assert answer.status == 410, path
        assert number in text, path
        assert text.count("This visit was cancelled.") == 1, path
    assert number not in await (await house.browser().get(f"{room}/closing")).text(), "a stranger learns nothing"


async def test_nobody_of_the_staff_is_told_to_ring_their_own_clinic(house: House) -> None:
    for who in ("doctor", "scheduler"):
        browser = await house.browser_of(who)
        for path in (house.visit_url("-none/summary"), f"/c/{house.cast.clinic.slug}/appointments/none"):
            answer = await browser.get(path)
            main = (await answer.text()).partition("<main")[2].partition("</main")[0]
            assert answer.status in (403, 404)
            assert "technicians" in main
            assert "ring the clinic" not in main.lower()


async def test_a_second_browser_gets_the_same_place(house: House) -> None:
    token = await house.cast.link()
    first = await house.browser().post(f"/v/{token}", SELF)
    second = await house.browser().post(f"/v/{token}", SELF)
    assert first.headers["Location"] == second.headers["Location"]


async def test_sending_the_link_again_leaves_the_first_one_working(house: House) -> None:
    first, second = await house.cast.link(), await house.cast.link()
    assert [(await house.browser().get(f"/v/{one}")).status for one in (first, second)] == [200, 200]


async def test_what_is_typed_is_kept_or_asked_for_again(house: House) -> None:
    for form, status in (
        ({"place": "x" * 301}, 422),
        ({"phone": "1" * 33}, 422),
        ({"identity": "doctor"}, 422),
        ({"identity": "self", "unknown": "x"}, 303),
        ({"place": "a\x00b \u202e<script>alert(1)</script>"}, 303),
    ):
        answer = await house.browser().post(f"/v/{await house.cast.link()}", form)
        assert answer.status == status, form
        if status == 422:
            assert next(iter(form.values())) in await answer.text() or "identity" in form


async def test_an_oversized_or_foreign_body_is_refused_whole(house: House) -> None:
    token = await house.cast.link()
    assert (await house.browser().post(f"/v/{token}", {"place": "x" * 70_000})).status == 413
    json = await house.browser().request("POST", f"/v/{token}", json={"identity": "self"})
    assert json.status == 400
    cross = await house.browser().post(f"/v/{token}", SELF, headers={"Sec-Fetch-Site": "cross-site"})
    assert cross.status == 403
    assert await rows(house, VisitCard) == 0


async def test_no_stranger_opens_a_room_by_its_address(house: House) -> None:
    place = await house.cast.place(Role.PATIENT)
    doctor = await house.cast.place(Role.DOCTOR)
    for who in ("stranger", "doctor", "scheduler", "other patient"):
        browser = await house.browser_of(who)
        for path in (f"/visits/{place}", f"/visits/{place}/closing", f"/visits/{doctor}", "/visits/none"):
            assert (await browser.get(path)).status in (401, 403, 404)


# ── Guests ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def invite(house: House, who: str = "doctor", /, **form: object) -> tuple[int, dict[str, str]]:
    browser = await house.browser_of(who)
    answer = await browser.request(
        "POST", house.visit_url("/guests"), json=form, headers={"Accept": "application/json"}
    )
    return answer.status, await answer.json()


async def test_a_guest_link_opens_a_waiting_place_that_names_no_patient(house: House) -> None:
    status, made = await invite(house, name="Ida <b>Ø</b>", role="interpreter")
    assert status == 201
    path = made["url"].removeprefix(house.settings.origin)
    page = await (await house.browser().get(path)).text()
    assert "Ida &lt;b&gt;Ø&lt;/b&gt;" in page
    assert "Anna" not in page
    browser = house.browser()
    entered = await browser.post(path, {})
    assert entered.headers["Location"] == f"/visits/{made['participant_id']}"
    assert (await browser.get(entered.headers["Location"])).status == 200
    assert await rows(house, VisitCard) == 0
    place = await house.cast.participant(made["participant_id"])
    assert (place.role, place.agreed_at) == ("interpreter", None)


async def test_only_a_doctor_of_the_visit_invites(house: House) -> None:
    for who in ("stranger", "colleague", "scheduler", "administrator", "patient", "other patient"):
        assert (await invite(house, who, name="Ida", role="guest"))[0] in (401, 403, 404), who


UNTAKEN: tuple[dict[str, object], ...] = (
    {},
    {"name": "Ida"},
    {"name": "Ida", "role": "doctor"},
    {"name": "\u200b\u2060", "role": "guest"},
    {"name": "   ", "role": "guest"},
    {"name": "W" * 300, "role": "guest"},
    {"name": "Ida", "role": "guest", "admin": True},
    {"name": ["Ida"], "role": "guest"},
    {"name": "Ida", "role": "guest", "relation": "x" * 201},
    {"name": "\ud800", "role": "guest"},
)


async def test_a_guest_form_that_cannot_be_taken(house: House) -> None:
    for form in UNTAKEN:
        status, told = await invite(house, **form)
        assert status == 400, form
        assert told["error"] == "malformed"


async def test_a_body_that_is_no_form(house: House) -> None:
    browser = await house.browser_of("doctor")
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    for body in (b"", b"{", b"[" * 9000, b"\xff\xfe", b'"text"', b"null"):
        answer = await browser.request("POST", house.visit_url("/guests"), data=body, headers=headers)
        assert answer.status == 400, body[:9]


async def test_reversing_and_hidden_characters_leave_a_guests_name(house: House) -> None:
    _, made = await invite(house, name="\u202eneilO rD", role="guest")
    assert made["name"] == "neilO rD"
    _, made = await invite(house, name="\U0001f469\U0001f3fd\u200d\u2695\ufe0f Dr Li", role="guest")
    assert made["name"] == "\U0001f469\U0001f3fd\u200d\u2695\ufe0f Dr Li"


async def test_a_guest_who_was_put_out_finds_the_door_shut(house: House) -> None:
    cast = house.cast
    _, made = await invite(house, name="Ida", role="guest")
    path = made["url"].removeprefix(house.settings.origin)
    await cast.port.block(cast.room, ParticipantId(made["participant_id"]), await cast.place(Role.DOCTOR), True)
    assert (await house.browser().get(path)).status == 403
    assert (await house.browser().post(path, {})).status == 403


async def test_a_page_link_is_no_door(house: House) -> None:
    token = await house.cast.link(LinkKind.PAGE, house.cast.patient)
    assert (await house.browser().get(f"/v/{token}")).status == 404


async def test_whoever_came_once_is_not_shut_out_by_a_visit_that_is_moved(house: House) -> None:
    cast, browser = house.cast, house.browser()
    await browser.post(f"/v/{await cast.link()}", SELF)
    patient = await cast.place(Role.PATIENT)
    async with cast.database.writing() as session:
        appointment = await session.get_one(Appointment, (cast.clinic.id, cast.appointment_id))
        appointment.starts_at += timedelta(hours=3)
        appointment.ends_at += timedelta(hours=3)
    assert '"opens_at": "' in await (await browser.get(f"/visits/{patient}")).text()
    await cast.port.arrived(cast.room, patient, SessionId("tablet"))
    assert '"opens_at": null' in await (await browser.get(f"/visits/{patient}")).text()
