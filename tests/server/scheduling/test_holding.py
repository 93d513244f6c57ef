"""A time is kept while the form is filled in, with or without a patient yet; several doctors at once; languages."""

from __future__ import annotations

import re

from sqlalchemy import select

from server.scheduling import spoken
from server.scheduling.models import Hold, Tick
from tests.server.desk.conftest import Desk

LATE = "2026-03-17T10:00:00Z"
LATER = "2026-03-17T11:00:00Z"


async def held(desk: Desk) -> list[str]:
    async with desk.site.database.reading() as session:
        return [f"{hold.starts_at:%Y-%m-%dT%H:%M:%SZ}" for hold in await session.scalars(select(Hold))]


async def test_a_picked_time_is_kept_and_another_pick_gives_it_back(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler, doctor = await desk.site.browser_of("scheduler"), await desk.site.browser_of("doctor")
    form = {"visit_type": desk.visit_type, "slot": f"{cast.doctor}|{LATE}"}
    answer = await scheduler.post(f"{desk.root}/hold", form)
    text = await answer.text()
    assert 'data-countdown="600"' in text
    assert "10:10" in text
    kept = re.findall(r'name="hold" value="([^"]+)"', text)[0]
    refused = await doctor.post(f"{desk.root}/hold", form)
    assert refused.status == 409
    assert "Somebody has just taken this time" in await refused.text()
    booked = await doctor.post(f"{desk.root}/book/{cast.other_patient}", {**form, "key": "k", "hold": kept})
    assert booked.status == 409
    assert (await scheduler.post(f"{desk.root}/hold", {**form, "hold": kept, "slot": "nonsense"})).status == 422
    assert await held(desk) == [LATE]
    moved = await scheduler.post(f"{desk.root}/hold", {**form, "hold": kept, "slot": f"{cast.doctor}|{LATER}"})
    assert moved.status == 200
    assert await held(desk) == [LATER]
    kept = re.findall(r'name="hold" value="([^"]+)"', await moved.text())[0]
    done = await scheduler.post(
        f"{desk.root}/book/{cast.other_patient}",
        {
            **form,
            "key": "k2",
            "hold": kept,
            "slot": f"{cast.doctor}|{LATER}",
            "language": "tr",
            "interpreter": "signed",
        },
    )
    assert done.status == 303
    made = (await desk.appointments())[-1]
    assert (made.language, made.interpreter) == ("tr", "signed")
    page = await (await scheduler.get(done.headers["Location"])).text()
    assert "Turkish" in page
    async with desk.site.database.reading() as session:
        assert not list(await session.scalars(select(Tick).where(Tick.hold_id.is_not(None))))


async def test_a_kept_time_is_everybodys_again_after_ten_minutes(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler, doctor = await desk.site.browser_of("scheduler"), await desk.site.browser_of("doctor")
    form = {"visit_type": desk.visit_type, "slot": f"{cast.doctor}|{LATE}"}
    kept = re.findall(r'name="hold" value="([^"]+)"', await (await scheduler.post(f"{desk.root}/hold", form)).text())[0]
    desk.site.clock.forward(minutes=10)
    assert (await doctor.post(f"{desk.root}/book/{cast.patient}", {**form, "key": "a"})).status == 303
    late = await scheduler.post(f"{desk.root}/book/{cast.other_patient}", {**form, "key": "b", "hold": kept})
    assert late.status == 409
    assert "This time is gone" in await late.text()


async def test_a_time_is_chosen_first_and_kept_until_the_patient_is_found(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler = await desk.site.browser_of("scheduler")
    free = await (await scheduler.get(f"{desk.root}/free?day=2026-03-17")).text()
    starts = re.findall(r'name="slot"[^>]*value="([^"]+)"', free)
    assert starts[:2] == [f"{who}|2026-03-17T08:00:00Z" for who in sorted((cast.doctor, cast.colleague))]
    kept = await scheduler.post(f"{desk.root}/free", {"visit_type": desk.visit_type, "slot": f"{cast.doctor}|{LATE}"})
    assert kept.status == 303
    address = kept.headers["Location"]
    find = await (await scheduler.get(address)).text()
    assert "Kept for you until 10:10" in find
    hold = address.partition("hold=")[2]
    found = await scheduler.post(f"{desk.root}/book", {"search": "boris", "hold": hold})
    assert found.headers["Location"].endswith(f"hold={hold}")
    chosen = re.findall(r'href="([^"]+)">Choose', await (await scheduler.get(found.headers["Location"])).text())[0]
    assert hold in chosen
    new = {"name": "Chloé Petit", "birth_date": "2001-02-03", "phone": "030 23125 199", "hold": hold}
    registered = await scheduler.post(f"{desk.root}/book/new", new)
    page = await (await scheduler.get(registered.headers["Location"])).text()
    assert f'value="{cast.doctor}|{LATE}" checked' in page
    form = {"visit_type": desk.visit_type, "slot": f"{cast.doctor}|{LATE}", "key": "k", "hold": hold}
    assert (await scheduler.post(registered.headers["Location"], form)).status == 303
    gone = await scheduler.post(f"{desk.root}/free", {"visit_type": desk.visit_type, "slot": f"{cast.doctor}|{LATE}"})
    assert gone.status == 409
    assert "Somebody has just taken this time" in await gone.text()


async def test_several_doctors_together_are_offered_and_booked_at_once(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler = await desk.site.browser_of("scheduler")
    here = f"{desk.root}/book/{cast.other_patient}"
    both = f"doctor={cast.doctor}&doctor={cast.colleague}&together=yes&day=2026-03-16"
    page = await (await scheduler.get(f"{here}?{both}")).text()
    starts = re.findall(r'name="slot"[^>]*value="([^"]+)"', page)
    people = starts[0].partition("|")[0]
    assert set(people.split(",")) == {cast.doctor, cast.colleague}
    # 10:30 is the doctor's own visit: the colleague alone is free then.
    assert [start.partition("|")[2] for start in starts[:2]] == ["2026-03-16T09:00:00Z", "2026-03-16T10:00:00Z"]
    form = {"visit_type": desk.visit_type, "slot": starts[0], "key": "k"}
    done = await scheduler.post(here, form)
    assert done.status == 303
    assert "Dr Ida Weiss, Dr Omar Haddad" in await (await scheduler.get(done.headers["Location"])).text()
    move = await (await scheduler.get(done.headers["Location"].partition("?")[0] + "/move?day=2026-03-17")).text()
    assert {value.partition("|")[0] for value in re.findall(r'name="slot"[^>]*value="([^"]+)"', move)} == {people}
    again = await scheduler.post(f"{desk.root}/book/{cast.patient}", {**form, "key": "l"})
    assert again.status == 409


BAD = [{"language": "Klingon"}, {"language": "../x"}, {"interpreter": "dance"}, {"slot": "a,b|x"}, {"slot": "," * 300}]


async def test_bad_wishes_book_nothing(desk: Desk) -> None:
    cast = desk.site.cast
    scheduler = await desk.site.browser_of("scheduler")
    form = {"visit_type": desk.visit_type, "slot": f"{cast.doctor}|{LATE}", "key": "k"}
    for change in BAD:
        assert (await scheduler.post(f"{desk.root}/book/{cast.patient}", {**form, **change})).status == 422, change
    assert (await scheduler.post(f"{desk.root}/hold", {"visit_type": "nothing", "slot": form["slot"]})).status == 404
    assert len(await desk.appointments()) == 1


def test_every_language_has_a_name() -> None:
    named = dict(spoken.names("en"))
    assert named["tr"] == "Turkish"
    assert all(name != code for code, name in named.items())
