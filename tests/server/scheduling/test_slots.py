"""Starts that hours offer: the collected cases of real calendars, and random rules against the slow oracle."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.scheduling.slots import (
    Agenda,
    DayException,
    Hours,
    Shape,
    by_local_day,
    clock_labels,
    judge,
    list_each,
    list_slots,
    local_instant,
    starts,
    tick_of,
    ticks_between,
    working_day,
)
from server.scheduling.weekly import parse_weekly
from signaling.words import Code
from tests.server.scheduling import slow_oracle

WEEKDAYS = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
DAILY = "FREQ=DAILY"


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def minutes(clock: str) -> int:
    hour, minute = clock.split(":")
    return int(hour) * 60 + int(minute)


def hours(zone: str, opens: str, closes: str, rule: str = DAILY, valid_from: str = "2020-01-06") -> Hours:
    return Hours(ZoneInfo(zone), parse_weekly(rule), minutes(opens), minutes(closes), date.fromisoformat(valid_from))


def shape(length: int, grid: int | None = None, before: int = 0, after: int = 0) -> Shape:
    return Shape(*(timedelta(minutes=n) for n in (length, grid or length, before, after)))


def of_day(zone: str, day: str) -> tuple[datetime, datetime]:
    on = date.fromisoformat(day)
    return local_instant(on, 0, ZoneInfo(zone)), local_instant(on, 1440, ZoneInfo(zone))


def local(found: list[datetime], zone: str) -> list[str]:
    return [f"{moment.astimezone(ZoneInfo(zone)):%H:%M}" for moment in found]


def listed(agenda: Agenda, wanted: Shape, since: datetime, until: datetime) -> list[datetime]:
    return [slot.starts_at for slot in list_slots(agenda, wanted, since, until)]


def test_c61_the_first_slot_is_nine_before_and_after_the_clocks_change() -> None:
    agenda = Agenda([hours("America/New_York", "9:00", "17:00", WEEKDAYS)])
    found = listed(agenda, shape(30), at("2026-10-28T00:00:00-04:00"), at("2026-12-09T00:00:00-05:00"))
    firsts = {
        days[0].starts_at
        for days in by_local_day(
            list_slots(agenda, shape(30), at("2026-10-28T00:00:00-04:00"), at("2026-12-09T00:00:00-05:00")),
            ZoneInfo("America/New_York"),
        ).values()
    }
    for expected in ("2026-10-30T13:00:00Z", "2026-11-02T14:00:00Z", "2026-11-30T14:00:00Z", "2026-12-04T14:00:00Z"):
        assert at(expected) in firsts
    assert {f"{moment.astimezone(ZoneInfo('America/New_York')):%H:%M}" for moment in firsts} == {"09:00"}
    bounds = {"earliest": at("2026-10-01T00:00:00Z"), "latest": at("2027-01-01T00:00:00Z")}
    assert all(judge(agenda, shape(30), moment, **bounds) is None for moment in found)


def test_c63_a_wall_clock_time_after_the_change_takes_the_offset_of_its_own_date() -> None:
    stored = local_instant(date(2026, 11, 10), minutes("10:00"), ZoneInfo("America/New_York"))
    assert stored == at("2026-11-10T15:00:00Z")


def test_c65_slots_stand_on_the_calendar_days_of_whoever_looks() -> None:
    agenda = Agenda([hours("America/Chihuahua", "9:00", "17:00", WEEKDAYS)])
    since, _ = of_day("America/Chihuahua", "2022-06-24")
    _, until = of_day("America/Chihuahua", "2022-06-27")
    viewer = ZoneInfo("Europe/Belgrade")
    days = by_local_day(list_slots(agenda, shape(60), since, until), viewer)
    shown = {str(day): local([slot.starts_at for slot in slots], "Europe/Belgrade") for day, slots in days.items()}
    evening = ["17:00", "18:00", "19:00", "20:00", "21:00", "22:00", "23:00"]
    assert shown == {
        "2022-06-24": evening,
        "2022-06-25": ["00:00"],
        "2022-06-27": evening,
        "2022-06-28": ["00:00"],
    }
    probe = local_instant(date(2023, 1, 16), minutes("9:00"), ZoneInfo("America/Chihuahua"))
    assert probe == at("2023-01-16T15:00:00Z")


def test_c67_a_notice_takes_slots_away_and_shifts_none() -> None:
    agenda = Agenda([hours("America/New_York", "9:00", "17:00", WEEKDAYS)])
    earliest = at("2026-10-25T12:00:00-04:00").astimezone(UTC) + timedelta(hours=7 * 24)
    assert earliest == at("2026-11-01T16:00:00Z")
    found = listed(agenda, shape(60), earliest, at("2026-11-03T00:00:00-05:00"))
    assert (found[0], found[-1]) == (at("2026-11-02T14:00:00Z"), at("2026-11-02T21:00:00Z"))


def test_c69_the_repeated_hour_is_two_slots_that_don_t_know_each_other() -> None:
    zone = ZoneInfo("America/Denver")
    agenda = Agenda([hours("America/Denver", "0:00", "5:00")])
    span = of_day("America/Denver", "2026-11-01")
    found = list_slots(agenda, shape(60), *span)
    assert [slot.starts_at for slot in found] == [at(f"2026-11-01T{hour:02}:00:00Z") for hour in range(6, 12)]
    assert clock_labels(found, zone)[:4] == ["00:00 MDT", "01:00 MDT", "01:00 MST", "02:00 MST"]
    first = found[1]
    booked = Agenda(agenda.hours, busy=frozenset(ticks_between(first.starts_at, first.ends_at)))
    assert at("2026-11-01T08:00:00Z") in listed(booked, shape(60), *span)
    assert first.starts_at not in listed(booked, shape(60), *span)


def test_c71_a_slot_at_eleven_at_night_is_tomorrow_s_for_a_viewer_to_the_east() -> None:
    agenda = Agenda([hours("Europe/London", "23:00", "24:00")])
    for viewer, day, expected in (
        ("Europe/Lisbon", "2026-01-15", ["23:00"]),
        ("Europe/Paris", "2026-01-16", ["00:00"]),
    ):
        since, until = of_day(viewer, day)
        found = listed(agenda, shape(60), since, until)
        assert local(found, viewer) == expected
        assert found == [at("2026-01-15T23:00:00Z")]
    assert at("2026-01-15T23:00:00Z") not in listed(agenda, shape(60), *of_day("Europe/Paris", "2026-01-15"))


def test_c75_the_slot_that_is_taken_is_the_one_that_disappears() -> None:
    zone = ZoneInfo("Atlantic/Azores")
    booked = local_instant(date(2026, 8, 20), minutes("11:00"), zone)
    block = hours("Atlantic/Azores", "9:00", "17:00")
    span = of_day("Atlantic/Azores", "2026-08-20")
    free = local(listed(Agenda([block]), shape(60), *span), "Europe/Amsterdam")
    assert free == ["11:00", "12:00", "13:00", "14:00", "15:00", "16:00", "17:00", "18:00"]
    busy = frozenset(ticks_between(booked, booked + timedelta(hours=1)))
    left = local(listed(Agenda([block], busy=busy), shape(60), *span), "Europe/Amsterdam")
    assert sorted(set(free) - set(left)) == ["13:00"]


def test_c77_the_pause_after_a_visit_keeps_the_next_one_away() -> None:
    zone = "Europe/Vienna"
    with_pause = shape(30, grid=15, after=15)
    start = local_instant(date(2026, 3, 20), minutes("10:00"), ZoneInfo(zone))
    busy = frozenset(ticks_between(start, start + timedelta(minutes=45)))
    agenda = Agenda([hours(zone, "9:00", "12:00")], busy=busy)
    shown = local(listed(agenda, with_pause, *of_day(zone, "2026-03-20")), zone)
    assert next(clock for clock in shown if clock > "10:00") == "10:45"
    assert [clock for clock in shown if clock < "10:00"][-1] == "09:15"


def test_c77_a_long_visit_keeps_its_second_half_after_it_began() -> None:
    zone = "Europe/Vienna"
    one, half_two = (local_instant(date(2026, 3, 20), minutes(clock), ZoneInfo(zone)) for clock in ("13:00", "14:30"))
    agenda = Agenda([hours(zone, "9:00", "18:00")], busy=frozenset(ticks_between(one, half_two)))
    earliest = one + timedelta(minutes=5 + 30)
    shown = local(listed(agenda, shape(60), earliest, one + timedelta(hours=5)), zone)
    assert shown == ["15:00", "16:00", "17:00"]


def test_c79_the_last_start_is_closing_time_minus_length() -> None:
    zone = "Europe/Vienna"
    agenda, span = Agenda([hours(zone, "15:00", "19:00")]), of_day(zone, "2026-03-20")
    often = listed(agenda, shape(75, grid=15), *span)
    assert (len(often), often[-1]) == (12, at("2026-03-20T16:45:00Z"))
    assert local(listed(agenda, shape(75), *span), zone) == ["15:00", "16:15", "17:30"]


def test_c87_weekly_and_daily_hours_keep_their_wall_clock_over_the_change() -> None:
    weekly = Agenda([hours("Europe/Berlin", "10:00", "11:00", "FREQ=WEEKLY;BYDAY=FR")])
    found = listed(weekly, shape(60), at("2026-10-16T00:00:00Z"), at("2026-10-31T00:00:00Z"))
    assert found == [at("2026-10-16T08:00:00Z"), at("2026-10-23T08:00:00Z"), at("2026-10-30T09:00:00Z")]
    daily = Agenda([hours("Europe/Berlin", "9:00", "10:00")])
    found = listed(daily, shape(60), at("2026-10-23T00:00:00Z"), at("2026-10-27T23:00:00Z"))
    assert [f"{moment:%dT%H}" for moment in found] == ["23T07", "24T07", "25T08", "26T08", "27T08"]


def test_the_hour_that_is_skipped_in_spring_holds_no_slot() -> None:
    agenda = Agenda([hours("America/New_York", "0:00", "5:00")])
    found = list_slots(agenda, shape(60), *of_day("America/New_York", "2026-03-08"))
    assert clock_labels(found, ZoneInfo("America/New_York")) == ["00:00 EST", "01:00 EST", "03:00 EDT", "04:00 EDT"]


def test_a_night_reaches_over_midnight_from_the_day_it_began() -> None:
    agenda = Agenda([hours("Europe/Berlin", "22:00", "30:00", "FREQ=WEEKLY;BYDAY=FR")])
    found = listed(agenda, shape(120), *of_day("Europe/Berlin", "2026-11-28"))
    assert local(found, "Europe/Berlin") == ["00:00", "02:00", "04:00"]


def test_a_closed_afternoon_takes_its_slots_and_shifts_none() -> None:
    zone = "Europe/Vienna"
    closed = DayException(ZoneInfo(zone), date(2026, 3, 20), True, minutes("10:10"), minutes("11:00"))
    agenda = Agenda([hours(zone, "9:00", "12:00")], [closed])
    assert local(listed(agenda, shape(30), *of_day(zone, "2026-03-20")), zone) == ["09:00", "09:30", "11:00", "11:30"]


def test_extra_hours_replace_those_of_a_closed_day() -> None:
    zone = "Europe/Vienna"
    day = date(2026, 3, 20)
    exceptions = [
        DayException(ZoneInfo(zone), day, True),
        DayException(ZoneInfo(zone), day, False, minutes("18:00"), minutes("19:00")),
    ]
    agenda = Agenda([hours(zone, "9:00", "12:00")], exceptions)
    assert local(listed(agenda, shape(30), *of_day(zone, "2026-03-20")), zone) == ["18:00", "18:30"]


def test_a_half_hour_zone_and_half_hour_clock_change() -> None:
    agenda = Agenda([hours("Australia/Lord_Howe", "9:00", "10:00")])
    found = listed(agenda, shape(60), at("2026-10-02T00:00:00Z"), at("2026-10-05T00:00:00Z"))
    assert local(found, "Australia/Lord_Howe") == ["09:00"] * len(found)
    assert {f"{moment:%M}" for moment in found} == {"00", "30"}


def test_a_start_between_the_grid_s_is_not_offered_and_a_taken_one_is_taken() -> None:
    agenda = Agenda(
        [hours("UTC", "9:00", "12:00")],
        busy=frozenset(ticks_between(at("2026-03-20T10:00:00Z"), at("2026-03-20T10:30:00Z"))),
    )
    bounds = {"earliest": at("2026-03-20T09:10:00Z"), "latest": at("2026-03-20T11:00:00Z")}
    verdicts = {
        clock: judge(agenda, shape(30), at(f"2026-03-20T{clock}:00Z"), **bounds)
        for clock in ("09:00", "09:30", "09:35", "10:00", "10:30", "11:30", "13:00")
    }
    assert verdicts == {
        "09:00": Code.IN_THE_PAST,
        "09:30": None,
        "09:35": Code.SLOT_NOT_OFFERED,
        "10:00": Code.SLOT_TAKEN,
        "10:30": None,
        "11:30": Code.SLOT_NOT_OFFERED,
        "13:00": Code.SLOT_NOT_OFFERED,
    }


def test_a_patient_who_is_elsewhere_then_is_offered_no_start_and_refused_the_same_one() -> None:
    hours = (Hours(ZoneInfo("Europe/Berlin"), parse_weekly(WEEKDAYS), 9 * 60, 12 * 60, date(2026, 1, 1)),)
    nine, noon = at("2026-03-16T09:00+01:00"), at("2026-03-16T12:00+01:00")
    half = timedelta(minutes=30)
    shape = Shape(half, half, before=timedelta(minutes=10), after=timedelta(minutes=10))
    elsewhere = frozenset(ticks_between(nine + half, nine + 2 * half))
    agenda = Agenda(hours, patient_busy=elsewhere)
    expected = [nine, nine + 2 * half, nine + 3 * half, nine + 4 * half, nine + 5 * half]
    assert [slot.starts_at for slot in list_slots(agenda, shape, nine, noon)] == expected, "pauses are the doctor's"
    each = dict(list_each({"a": agenda, "b": Agenda(hours)}, shape, nine, noon))
    assert [slot.starts_at for slot in each["a"]] == expected
    assert len(list(each["b"])) == 6
    for slot in starts(agenda, shape, nine, noon):
        said = judge(agenda, shape, slot.starts_at, earliest=nine, latest=noon)
        assert (said is None) == slot.is_free == (slot.starts_at in expected)
        assert said in (None, Code.SLOT_TAKEN)


WORKING = [
    ("2026-03-16T12:00", "2026-03-16T00:00", "2026-03-17T06:00"),
    ("2026-03-16T23:10", "2026-03-16T00:00", "2026-03-17T06:00"),
    ("2026-03-17T05:59", "2026-03-16T00:00", "2026-03-17T06:00"),
    ("2026-03-17T06:00", "2026-03-17T06:00", "2026-03-18T00:00"),
    ("2026-03-18T00:00", "2026-03-18T00:00", "2026-03-19T00:00"),
    ("2026-03-28T12:00", "2026-03-28T00:00", "2026-03-29T01:00"),
    ("2026-03-29T00:30", "2026-03-28T00:00", "2026-03-29T01:00"),
    ("2026-03-29T12:00", "2026-03-29T01:00", "2026-03-30T00:00"),
]


@pytest.mark.parametrize(("now", "since", "until"), WORKING)
def test_a_night_s_hours_belong_to_the_day_they_began_on(now: str, since: str, until: str) -> None:
    zone = ZoneInfo("Europe/Berlin")
    mondays = Hours(zone, parse_weekly("FREQ=WEEKLY;BYDAY=MO"), 22 * 60, 30 * 60, date(2026, 1, 1))
    late = DayException(zone, date(2026, 3, 28), is_closed=False, opens_min=20 * 60, closes_min=25 * 60)
    found = working_day(Agenda((mondays,), (late,)), at(now).replace(tzinfo=zone), zone)
    assert found == (at(since).replace(tzinfo=zone), at(until).replace(tzinfo=zone))


def test_a_doctor_without_hours_works_from_midnight_to_midnight() -> None:
    zone = ZoneInfo("Europe/Berlin")
    since, until = working_day(Agenda(), at("2026-03-29T12:00+02:00"), zone)
    assert (until - since, since.astimezone(zone).hour) == (timedelta(hours=23), 0)


def test_ticks_touch_what_they_cover() -> None:
    start = at("2026-03-20T10:00:00Z")
    assert len(ticks_between(start, start + timedelta(minutes=30))) == 6
    assert tick_of(start + timedelta(seconds=299)) == tick_of(start)


ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Africa/Casablanca",
]
CHANGES = [
    date(2026, 3, 8),
    date(2026, 3, 29),
    date(2026, 4, 5),
    date(2026, 10, 4),
    date(2026, 10, 25),
    date(2026, 11, 1),
]
five = st.integers(0, 287).map(lambda n: n * 5)
days = st.sets(st.sampled_from(["MO", "TU", "WE", "TH", "FR", "SA", "SU"]), min_size=1).map(sorted).map(",".join)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[str, str, int, int, date]:
    opens = draw(five)
    closes = opens + draw(st.integers(1, 144)) * 5
    interval = draw(st.sampled_from([1, 1, 2, 3]))
    rule = f"FREQ=WEEKLY;INTERVAL={interval};BYDAY={draw(days)}"
    valid_from = draw(st.sampled_from(CHANGES)) - timedelta(days=draw(st.integers(0, 40)))
    return rule, draw(st.sampled_from(ZONES)), opens, closes, valid_from


@settings(max_examples=60, deadline=None)
@given(
    weekly=st.lists(blocks(), min_size=1, max_size=3),
    around=st.sampled_from(CHANGES),
    length=st.integers(1, 18).map(lambda n: n * 5),
    grid=st.integers(1, 12).map(lambda n: n * 5),
    buffers=st.tuples(st.sampled_from([0, 5, 15]), st.sampled_from([0, 10])),
    taken=st.lists(st.tuples(st.integers(0, 3 * 288), st.integers(1, 24)), max_size=4),
    closed=st.lists(st.tuples(st.sampled_from(ZONES), st.integers(0, 2), five, st.integers(1, 100)), max_size=2),
)
def test_lists_what_the_slow_oracle_lists(weekly, around, length, grid, buffers, taken, closed) -> None:  # type: ignore[no-untyped-def]  # noqa: PLR0917
    since = datetime(around.year, around.month, around.day, tzinfo=UTC) - timedelta(days=1)
    until = since + timedelta(days=3)
    busy = [(since + timedelta(minutes=5 * a), since + timedelta(minutes=5 * (a + n))) for a, n in taken]
    shut = [(zone, around - timedelta(days=1 - n), a, a + 5 * m) for zone, n, a, m in closed]
    agenda = Agenda(
        [Hours(ZoneInfo(zone), parse_weekly(rule), a, b, first) for rule, zone, a, b, first in weekly],
        [DayException(ZoneInfo(zone), day, True, a, b) for zone, day, a, b in shut],
        frozenset(tick for a, b in busy for tick in ticks_between(a, b)),
    )
    wanted = shape(length, grid, *buffers)
    found = listed(agenda, wanted, since, until)
    assert set(found) == slow_oracle.free_starts(weekly, shut, length, grid, buffers, busy, since, until)
    assert found == sorted(set(found))
    others = Agenda(agenda.hours[:1], agenda.exceptions)
    each = {"b": agenda, "c": others, "a": Agenda(agenda.hours, agenda.exceptions)}
    assert {who: list(free) for who, free in list_each(each, wanted, since, until)} == {
        who: list_slots(kept, wanted, since, until) for who, kept in each.items()
    }
    for slot in starts(agenda, wanted, since, until):
        verdict = judge(agenda, wanted, slot.starts_at, earliest=since, latest=until)
        assert verdict is (None if slot.is_free else Code.SLOT_TAKEN)
