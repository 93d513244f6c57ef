"""Zones, status changes, starts on five minutes, and that late is a state."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from server.encounters.rules import door
from server.errors import DomainError
from server.scheduling import rules
from server.scheduling.rules import Status
from server.scheduling.slots import local_instant
from signaling.words import Code


@pytest.mark.parametrize(
    ("old", "canonical"),
    [
        ("Europe/Kyiv", "Europe/Kyiv"),
        ("Europe/Kiev", "Europe/Kyiv"),
        ("Asia/Calcutta", "Asia/Kolkata"),
        ("Asia/Kolkata", "Asia/Kolkata"),
        ("America/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("America/Indianapolis", "America/Indiana/Indianapolis"),
        ("US/Pacific", "America/Los_Angeles"),
        ("Etc/GMT+5", "Etc/GMT+5"),
    ],
)
def test_c81_old_names_of_zones_mean_their_place(old: str, canonical: str) -> None:
    for day in (date(2026, 1, 1), date(2026, 7, 1)):
        assert local_instant(day, 600, rules.zone_of(old)) == local_instant(day, 600, ZoneInfo(canonical))


def test_c81_kyiv_and_gmt_plus_five_are_where_they_should_be() -> None:
    summer = date(2026, 7, 1)
    assert local_instant(summer, 600, rules.zone_of("Europe/Kiev")).isoformat() == "2026-07-01T07:00:00+00:00"
    assert local_instant(summer, 600, rules.zone_of("Etc/GMT+5")).isoformat() == "2026-07-01T15:00:00+00:00"


@pytest.mark.parametrize(
    "name", ["india/kolkata", "India/Kolkata", "GMT+5", "", None, "../etc/passwd", "Factory", "a\0b"]
)
def test_c81_a_name_that_is_no_zone_is_refused_and_never_utc(name: str | None) -> None:
    with pytest.raises(DomainError) as refused:
        rules.zone_of(name)
    assert refused.value.code is Code.UNKNOWN_ZONE


def test_c83_late_is_a_state_decided_by_instants_alone() -> None:
    starts_at = local_instant(date(2022, 7, 14), 540, ZoneInfo("America/Chicago"))
    for device in ("America/New_York", "Asia/Tokyo"):
        seen = [
            door(
                starts_at=starts_at,
                status="planned",
                ended_at=None,
                now=datetime.fromisoformat(f"2022-07-14T{clock}Z").astimezone(ZoneInfo(device)),
            )
            for clock in ("13:29:59", "13:30:00", "14:10:00", "14:15:00", "14:15:01")
        ]
        assert seen == ["early", "open", "open", "open", "late"]


def test_only_named_changes_of_status_are_allowed() -> None:
    allowed = {(old, new) for old in Status for new in Status if new in rules.MAY_BECOME[old]}
    for old in Status:
        for new in Status:
            if (old, new) in allowed:
                rules.check_change(old, new)
                continue
            with pytest.raises(DomainError) as refused:
                rules.check_change(old, new)
            assert refused.value.code is Code.WRONG_PHASE
    assert not rules.MAY_BECOME[Status.CANCELLED]
    assert (Status.NOSHOW, Status.BOOKED) in allowed


@pytest.mark.parametrize("text", ["2026-03-20T10:01:00+00:00", "2026-03-20T10:00:30+00:00", "2026-03-20T10:00:00"])
def test_a_start_off_the_five_minutes_is_refused(text: str) -> None:
    with pytest.raises(DomainError) as refused:
        rules.check_five_minutes(datetime.fromisoformat(text), timedelta(minutes=30))
    assert refused.value.code is Code.MALFORMED
