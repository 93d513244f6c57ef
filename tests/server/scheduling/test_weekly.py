"""The part of RRULE that weekly hours speak: strict reading, weeks counted as dateutil counts them."""

from __future__ import annotations

from datetime import date, datetime, timedelta

import pytest
from dateutil.rrule import rrulestr
from hypothesis import given
from hypothesis import strategies as st

from server.errors import DomainError
from server.scheduling.weekly import DAYS, parse_weekly
from signaling.words import Code


@pytest.mark.parametrize(
    "text",
    [
        "",
        "FREQ=MONTHLY;BYDAY=MO",
        "FREQ=WEEKLY",
        "FREQ=WEEKLY;BYDAY=",
        "FREQ=WEEKLY;BYDAY=XX",
        "FREQ=WEEKLY;BYDAY=MO;BYDAY=TU",
        "FREQ=WEEKLY;BYDAY=MO;INTERVAL=0",
        "FREQ=WEEKLY;BYDAY=MO;INTERVAL=-1",
        "FREQ=WEEKLY;BYDAY=MO;INTERVAL=٣",
        "FREQ=WEEKLY;BYDAY=MO;COUNT=3",
        "FREQ=WEEKLY;BYDAY=MO\r\nEXDATE:20260101",
        "FREQ=DAILY;INTERVAL=2",
        "FREQ=WEEKLY;BYDAY=" + "MO," * 200,
    ],
)
def test_a_rule_that_hours_don_t_use_is_refused(text: str) -> None:
    with pytest.raises(DomainError) as refused:
        parse_weekly(text)
    assert refused.value.code is Code.MALFORMED


@given(
    named=st.sets(st.sampled_from(DAYS), min_size=1),
    interval=st.integers(1, 5),
    first=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
)
def test_falls_on_the_dates_that_dateutil_names(named: set[str], interval: int, first: date) -> None:
    text = f"FREQ=WEEKLY;INTERVAL={interval};BYDAY={','.join(sorted(named))}"
    rule = parse_weekly(text)
    start = datetime(first.year, first.month, first.day)  # noqa: DTZ001 (wall clock)
    expected = {
        moment.date() for moment in rrulestr(text, dtstart=start).between(start, start + timedelta(days=60), inc=True)
    }
    assert {first + timedelta(days=n) for n in range(61) if rule.falls_on(first + timedelta(days=n), first)} == expected
