"""Cover: a doctor's visits go to a colleague or to new times, all or one by one; undone until the messages leave."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from server import context
from server.accounts.models import Link, Patient
from server.jobs.loop import JobsLoop
from server.scheduling import handing, jobs, service
from server.scheduling.models import AppointmentHistory, Message, Tick
from server.scheduling.rules import Kind, Status
from server.scheduling.service import Booking
from server.scheduling.ticks import in_transaction
from tests.server.cast import Browser
from tests.server.desk.conftest import SQUEEZED, TEN, Desk

DAY = "2026-03-16"


async def run_jobs(desk: Desk) -> None:
    site = desk.site
    await JobsLoop(site.database, site.settings, site.app[context.VAULT], site.clock, jobs.HANDLERS).run_due()


async def doctors_of(desk: Desk, appointment: str) -> tuple[str, ...]:
    async with desk.site.database.reading() as session:
        return await service.load_practitioner_ids(session, desk.site.cast.clinic, appointment)


async def ticks_of(desk: Desk, person: str) -> int:
    async with desk.site.database.reading() as session:
        return len(list(await session.scalars(select(Tick.tick).where(Tick.person_id == person))))


async def told(desk: Desk) -> list[tuple[str, str]]:
    async with desk.site.database.reading() as session:
        query = select(Message.kind, Message.state).where(Message.kind != "reminder").order_by(Message.created_at)
        return [(kind, state) for kind, state in await session.execute(query)]


def to(person: str, starts_at: datetime) -> str:
    """A way of the form."""
    return f"{person}|{starts_at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


async def page_of_day(desk: Desk, browser: Browser, **more: str) -> dict[str, str]:
    """The form as it comes, with what is chosen on it."""
    params = {"doctor": desk.site.cast.doctor, "day": DAY, **more}
    text = await (await browser.get(f"{desk.root}/cover", params=params)).text()
    form = dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', text))
    form |= dict(re.findall(r'name="(to-[^"]+)" id="[^"]+" value="([^"]+)" checked', text))
    assert form["doctor"] == params["doctor"]
    return form


async def test_a_whole_day_goes_to_a_colleague_and_the_patients_hear_of_it_after_the_time_to_undo(desk: Desk) -> None:
    cast = desk.site.cast
    await run_jobs(desk)
    squeezed = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(hours=1), **SQUEEZED)
    await run_jobs(desk)
    scheduler = await desk.site.browser_of("scheduler")
    before = await ticks_of(desk, cast.doctor)
    form = await page_of_day(desk, scheduler, colleague=cast.colleague)
    preview = await scheduler.post(f"{desk.root}/cover", form)
    text = await preview.text()
    assert preview.status == 200
    assert text.count("stays at its time; another doctor sees you") == 2
    assert "Haddad" not in re.sub(r"<h2.*?</h2>", "", text).partition("bs-main")[2]
    assert await doctors_of(desk, desk.appointment) == (cast.doctor,)
    done = await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})
    assert done.status == 303
    for appointment in (desk.appointment, squeezed):
        assert await doctors_of(desk, appointment) == (cast.colleague,)
        assert (await desk.load(appointment)).starts_at.astimezone(UTC) >= TEN.astimezone(UTC)
    assert (await ticks_of(desk, cast.doctor), await ticks_of(desk, cast.colleague)) == (0, before)
    await run_jobs(desk)
    assert [row for row in await told(desk) if row[0] == "cover"] == [("cover", "waiting")] * 2
    desk.site.clock.forward(minutes=5)
    await run_jobs(desk)
    assert [row for row in await told(desk) if row[0] == "cover"] == [("cover", "sent")] * 2
    assert (await scheduler.post(f"{done.headers['Location']}/undo")).status == 409
    assert "The patients are told." in await (await scheduler.get(done.headers["Location"])).text()
    assert (await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})).status == 422


async def test_the_rest_of_a_day_leaves_what_has_begun_and_every_link_works_on(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    await run_jobs(desk)
    later = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(hours=1))
    await run_jobs(desk)
    site.clock.forward(minutes=40)
    scheduler = await site.browser_of("scheduler")
    form = await page_of_day(desk, scheduler, colleague=cast.colleague, rest="yes")
    assert {name for name in form if name.startswith("to-")} == {f"to-{later}"}
    async with site.database.reading() as session:
        links = {link.id: link.closed_at for link in await session.scalars(select(Link))}
        texts = await session.scalars(
            select(Message.text).where(Message.appointment_id == later, Message.state == "sent")
        )
        (door,) = {found for text in texts for found in re.findall(r"/v/\S+", text or "")}
    assert (await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})).status == 303
    assert await doctors_of(desk, desk.appointment) == (cast.doctor,)
    assert await doctors_of(desk, later) == (cast.colleague,)
    async with site.database.reading() as session:
        assert {link.id: link.closed_at for link in await session.scalars(select(Link))} == links
    assert "Haddad" in await (await site.browser().get(door)).text()


async def test_undone_in_time_nothing_has_happened_and_nobody_hears_of_it(desk: Desk) -> None:
    cast = desk.site.cast
    await run_jobs(desk)
    scheduler = await desk.site.browser_of("scheduler")
    form = await page_of_day(desk, scheduler, colleague=cast.colleague)
    where = (await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})).headers["Location"]
    assert "Undo all of it" in await (await scheduler.get(where)).text()
    for _ in range(2):
        assert (await scheduler.post(f"{where}/undo")).status == 303
    assert "everything is as it was" in await (await scheduler.get(where)).text()
    assert await doctors_of(desk, desk.appointment) == (cast.doctor,)
    assert await ticks_of(desk, cast.colleague) == 0
    desk.site.clock.forward(minutes=10)
    await run_jobs(desk)
    assert await told(desk) == [("confirmation", "sent"), ("cover", "dropped")]
    async with desk.site.database.reading() as session:
        actions = list(await session.scalars(select(AppointmentHistory.action).order_by(AppointmentHistory.at)))
    assert sorted(actions) == ["booked", "cover_undone", "covered"]


async def test_one_visit_goes_to_a_new_time_and_the_other_stays(desk: Desk) -> None:
    cast = desk.site.cast
    await run_jobs(desk)
    other = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(hours=1))
    taken = await desk.book(cast.other_patient, cast.colleague, TEN + timedelta(minutes=30))
    scheduler = await desk.site.browser_of("scheduler")
    form = await page_of_day(desk, scheduler)
    assert {value for name, value in form.items() if name.startswith("to-")} == {"keep"}
    late = f"{cast.colleague}|{(TEN + timedelta(minutes=60)).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    where = await scheduler.post(f"{desk.root}/cover", {**form, f"to-{desk.appointment}": late, "go": "yes"})
    assert where.status == 303
    moved = await desk.load()
    assert moved.starts_at == TEN + timedelta(minutes=60)
    assert await doctors_of(desk, desk.appointment) == (cast.colleague,)
    assert await doctors_of(desk, other) == (cast.doctor,)
    assert (await scheduler.post(f"{where.headers['Location']}/undo")).status == 303
    assert (await desk.load()).starts_at == TEN
    assert await doctors_of(desk, taken) == (cast.colleague,)


async def test_a_colleague_who_is_busy_is_not_offered_and_not_forced(desk: Desk) -> None:
    cast = desk.site.cast
    await desk.book(cast.other_patient, cast.colleague, TEN)
    scheduler = await desk.site.browser_of("scheduler")
    form = await page_of_day(desk, scheduler, colleague=cast.colleague)
    assert form[f"to-{desk.appointment}"] == "keep"
    forced = f"{cast.colleague}|{TEN.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    answer = await scheduler.post(f"{desk.root}/cover", {**form, f"to-{desk.appointment}": forced, "go": "yes"})
    assert answer.status == 409
    assert await doctors_of(desk, desk.appointment) == (cast.doctor,)


async def test_what_changed_meanwhile_and_nonsense_change_nothing(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler = await desk.site.browser_of("scheduler")
    form = await page_of_day(desk, scheduler, colleague=cast.colleague)
    to, seq = f"to-{desk.appointment}", f"seq-{desk.appointment}"
    for change in (
        {to: "keep"},
        {to: "x"},
        {to: "nobody|2026-03-16T12:00:00Z"},
        {seq: "-1"},
        {seq: "x"},
        {"doctor": "nobody"},
        {"day": "never"},
    ):
        answer = await scheduler.post(f"{desk.root}/cover", {**form, **change, "go": "yes"})
        assert answer.status == (303 if "day" in change else 422), change
        if "day" in change:
            await scheduler.post(f"{answer.headers['Location']}/undo")
    stale = await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})
    assert stale.status == 409
    assert "has changed meanwhile" in await stale.text()
    assert await doctors_of(desk, desk.appointment) == (cast.doctor,)
    assert (await scheduler.get(f"{desk.root}/cover/nothing")).status == 404
    assert (await scheduler.post(f"{desk.root}/cover/nothing/undo")).status == 404


async def covered_twice(desk: Desk) -> tuple[Browser, dict[str, str], datetime]:
    """A visit that a cover gave a new time two minutes ago, and the form that gives it to another doctor then."""
    cast, new = desk.site.cast, TEN + timedelta(hours=2)
    await run_jobs(desk)
    scheduler = await desk.site.browser_of("scheduler")
    form = await page_of_day(desk, scheduler)
    given = {**form, f"to-{desk.appointment}": to(cast.colleague, new), "go": "yes"}
    assert (await scheduler.post(f"{desk.root}/cover", given)).status == 303
    desk.site.clock.forward(minutes=2)
    form = await page_of_day(desk, scheduler, doctor=cast.colleague)
    return scheduler, {**form, f"to-{desk.appointment}": to(cast.doctor, new)}, new


async def test_a_new_time_that_nobody_heard_of_is_told_though_a_second_cover_was_undone(desk: Desk) -> None:
    scheduler, form, new = await covered_twice(desk)
    second = await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})
    assert (await scheduler.post(f"{second.headers['Location']}/undo")).status == 303
    assert (await desk.load()).starts_at == new
    assert await doctors_of(desk, desk.appointment) == (desk.site.cast.colleague,)
    await run_jobs(desk)
    assert ("change", "waiting") in await told(desk), "not before the first can't be undone any more"
    desk.site.clock.forward(minutes=3)
    await run_jobs(desk)
    assert sorted(await told(desk)) == sorted(
        [("confirmation", "sent"), ("change", "dropped"), ("change", "dropped"), ("change", "sent")]
    )
    assert "12:30" in ([one.text for one in await desk.messages() if one.state == "sent"][-1] or "")


@pytest.mark.parametrize("state", ["waiting", "sending", "failed"])
async def test_a_new_time_that_nobody_heard_of_does_not_stay(desk: Desk, state: str) -> None:
    """Nor where the word of it is on its way or did not arrive."""
    scheduler, form, _ = await covered_twice(desk)
    async with desk.site.database.writing() as session:
        await session.execute(update(Message).where(Message.kind == "change").values(state=state))
    preview = await (await scheduler.post(f"{desk.root}/cover", form)).text()
    assert "stays at its time" not in preview
    assert "12:30" in preview
    assert (await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})).status == 303
    desk.site.clock.forward(minutes=5)
    await run_jobs(desk)
    (text,) = [one.text for one in await desk.messages() if one.kind == "change" and one.state == "sent"]
    assert "12:30" in (text or "")
    assert "cover" not in dict(await told(desk))


async def test_what_waits_for_the_morning_still_waits_after_a_cover_undone_at_night(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    async with site.database.writing() as session:
        await session.execute(update(Patient).values(email=None))
    noon, nine = (datetime.fromisoformat(f"2026-03-17T{clock}:00+01:00") for clock in ("12:30", "09:30"))
    moved = await desk.book(cast.other_patient, cast.doctor, noon)
    await run_jobs(desk)
    site.clock.now = datetime.fromisoformat("2026-03-16T22:00:00+01:00")
    scheduler = await site.signed_in(cast.scheduler)
    press = {"slot": to(cast.doctor, nine + timedelta(hours=4)), "sequence": "0"}
    assert (await scheduler.post(f"{desk.root}/appointments/{moved}/move", press)).status == 303
    await run_jobs(desk)
    before = [(one.kind, one.due_at) for one in await desk.messages() if one.state == "waiting"]
    assert [kind for kind, _ in before] == ["change"]
    form = await page_of_day(desk, scheduler, colleague=cast.colleague, day="2026-03-17")
    given = await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})
    site.clock.forward(minutes=1)
    assert (await scheduler.post(f"{given.headers['Location']}/undo")).status == 303
    await run_jobs(desk)
    assert [(one.kind, one.due_at) for one in await desk.messages() if one.state == "waiting"] == before
    site.clock.now = datetime.fromisoformat("2026-03-17T08:00:00+01:00")
    await run_jobs(desk)
    sent = [one.text for one in await desk.messages() if one.kind == "change" and one.state == "sent"]
    assert len(sent) == 1
    assert "13:30" in (sent[0] or "")


async def test_the_reminder_comes_at_its_time_after_a_cover_undone(desk: Desk) -> None:
    cast, site = desk.site.cast, desk.site
    day_after = await desk.book(cast.other_patient, cast.doctor, TEN + timedelta(days=2))
    await run_jobs(desk)
    due = [one.due_at for one in await desk.messages() if one.appointment_id == day_after and one.kind == "reminder"]
    scheduler = await site.browser_of("scheduler")
    form = await page_of_day(desk, scheduler, colleague=cast.colleague, day="2026-03-18")
    given = await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})
    assert (await scheduler.post(f"{given.headers['Location']}/undo")).status == 303
    waiting = [(one.kind, one.due_at, one.sequence) for one in await desk.messages() if one.state == "waiting"]
    assert waiting == [("reminder", due[0], 2)]


async def test_a_squeezed_in_visit_given_a_new_time_comes_back_squeezed_in(desk: Desk) -> None:
    """Beside the normal one at its time, with the patient who had arrived for it; its mark is on the board again."""
    cast = desk.site.cast
    squeezed = await desk.book(cast.other_patient, cast.doctor, TEN, **SQUEEZED)
    await in_transaction(
        desk.site.database, lambda session: service.set_status(session, desk.act(), squeezed, Status.ARRIVED)
    )
    scheduler = await desk.site.browser_of("scheduler")
    form = await page_of_day(desk, scheduler, colleague=cast.colleague)
    taken = await ticks_of(desk, cast.doctor)
    given = {**form, f"to-{squeezed}": to(cast.colleague, TEN + timedelta(hours=1)), "go": "yes"}
    done = await scheduler.post(f"{desk.root}/cover", given)
    assert (done.status, (await desk.load(squeezed)).kind) == (303, Kind.NORMAL)
    page = await (await scheduler.get(f"{desk.root}/appointments/{squeezed}")).text()
    assert "Not squeezed in any more" in page
    assert (await scheduler.post(f"{done.headers['Location']}/undo")).status == 303
    back = await desk.load(squeezed)
    assert (back.starts_at, back.kind, back.status) == (TEN, Kind.SQUEEZED_IN, Status.ARRIVED)
    assert await doctors_of(desk, squeezed) == await doctors_of(desk, desk.appointment) == (cast.doctor,)
    assert (await ticks_of(desk, cast.doctor), await ticks_of(desk, cast.colleague)) == (taken, 0)
    assert (await desk.load()).kind == Kind.NORMAL


async def ways_of(desk: Desk, browser: Browser, appointment: str) -> list[str]:
    params = {"doctor": desk.site.cast.doctor, "day": DAY}
    text = await (await browser.get(f"{desk.root}/cover", params=params)).text()
    return [way for way in re.findall(rf'name="to-{appointment}" id="[^"]+" value="([^"]+)"', text) if way != "keep"]


async def test_a_visit_of_two_doctors_keeps_the_other_one_wherever_it_goes(desk: Desk) -> None:
    """Who is in it isn't offered it, the times on offer are those of both, and undone it is with both again."""
    cast = desk.site.cast
    both = tuple(sorted((cast.doctor, cast.colleague)))
    asked = Booking(cast.other_patient, desk.visit_type, both, TEN + timedelta(hours=1))
    made = await in_transaction(desk.site.database, lambda session: service.book(session, desk.act(), asked))
    nine = TEN + timedelta(days=1, minutes=-90)
    await desk.book(cast.patient, cast.colleague, nine)
    scheduler = await desk.site.browser_of("scheduler")
    ways = await ways_of(desk, scheduler, made.id)
    assert ways == [to(cast.doctor, nine + timedelta(minutes=30 * later)) for later in (1, 2, 3)]
    form = await page_of_day(desk, scheduler)
    for starts_at in (made.starts_at, TEN + timedelta(hours=3)):
        forced = {**form, f"to-{made.id}": to(cast.colleague, starts_at), "go": "yes"}
        refused = await scheduler.post(f"{desk.root}/cover", forced)
        assert refused.status == 422
        assert "in that visit already" in await refused.text()
    done = await scheduler.post(f"{desk.root}/cover", {**form, f"to-{made.id}": ways[0], "go": "yes"})
    assert (done.status, await doctors_of(desk, made.id)) == (303, both)
    assert (await scheduler.post(f"{done.headers['Location']}/undo")).status == 303
    assert (await doctors_of(desk, made.id), (await desk.load(made.id)).starts_at) == (both, made.starts_at)


async def test_what_was_handed_on_meanwhile_is_not_undone(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler = await desk.site.browser_of("scheduler")
    form = await page_of_day(desk, scheduler, colleague=cast.colleague)
    done = await scheduler.post(f"{desk.root}/cover", {**form, "go": "yes"})
    await in_transaction(
        desk.site.database,
        lambda session: handing.hand_over(session, desk.act(), desk.appointment, cast.colleague, cast.doctor),
    )
    assert (await scheduler.post(f"{done.headers['Location']}/undo")).status == 409
    assert await doctors_of(desk, desk.appointment) == (cast.doctor,)
