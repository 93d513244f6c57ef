"""Away and back, by times of the test's own; connections stand in as what was last heard of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from media.api import NodeEventKind
from media.feedback import MS
from media.participant import ENDED_KEPT_MAX, Participant

NOW = 100_000 * MS


class Line:
    """A connection as far as presence looks at it."""

    def __init__(self, heard_ns: int = NOW, rtp_ns: int = 0, *, is_connected: bool = True) -> None:
        self.connection_id = "c"
        self.heard_ns = heard_ns
        self.rtp_heard_ns = rtp_ns
        self.made_ns = heard_ns
        self.is_connected = is_connected
        self.ended: list[str] = []

    def tend_paths(self, now_ns: int) -> None: ...

    def end(self, reason: str) -> None:
        self.ended.append(reason)


def person(up: Line | None = None, down: Line | None = None, *, waited: bool = False) -> Participant:
    made = Participant("p", has_connected=True)
    made.up = cast(Any, SimpleNamespace(connection=up)) if up is not None else None
    if down is not None:
        made.down = cast(Any, SimpleNamespace(connection=down, has_waited_for_answer=lambda _, __: waited))
    return made


@pytest.mark.parametrize(
    ("rtp_before_ms", "silent_ms", "is_away"),
    [(0, 4_900, False), (0, 5_100, True), (1_900, 5_100, True), (2_100, 5_100, False), (2_100, 15_100, True)],
)
def test_who_publishes_is_away_after_five_seconds_and_who_only_listens_after_fifteen(
    rtp_before_ms: int, silent_ms: int, is_away: bool
) -> None:
    one = person(Line(NOW, NOW - rtp_before_ms * MS), Line(NOW - 1000 * MS))
    expected = (NodeEventKind.AWAY, "silent") if is_away else None
    assert one.look(NOW + silent_ms * MS) == expected
    assert bool(one.away_since_ns) == is_away


def test_either_connection_is_enough_to_be_there() -> None:
    one = person(Line(NOW - 60_000 * MS, NOW - 60_000 * MS), Line(NOW))
    assert one.look(NOW + 1000 * MS) is None


def test_whoever_never_connected_is_not_away() -> None:
    one = person(Line(NOW, is_connected=False))
    one.has_connected = False
    assert one.look(NOW + 60_000 * MS) is None


def test_without_any_connection_left_somebody_is_away_at_once_with_the_reason() -> None:
    one = person()
    one.last_reason = "closed_by_peer"
    assert one.look(NOW) == (NodeEventKind.AWAY, "closed_by_peer")
    assert one.look(NOW + 1) is None


def test_back_needs_something_heard_since() -> None:
    line = Line(NOW)
    one = person(line)
    one.look(NOW + 16_000 * MS)
    assert one.look(NOW + 17_000 * MS) is None
    line.heard_ns = NOW + 18_000 * MS
    assert one.look(NOW + 18_100 * MS) == (NodeEventKind.BACK, None)
    assert one.look(NOW + 18_200 * MS) is None


def test_what_is_beyond_hope_ends_with_its_reason() -> None:
    silent, unmet, unanswered = Line(NOW - 31_000 * MS), Line(NOW, is_connected=False), Line(NOW)
    unmet.made_ns = NOW - 31_000 * MS
    person(silent).end_hopeless(NOW)
    person(unmet).end_hopeless(NOW)
    person(None, unanswered, waited=True).end_hopeless(NOW)
    assert (silent.ended, unmet.ended, unanswered.ended) == (["silent"], ["never_connected"], ["no_answer"])


def test_ended_connections_are_remembered_up_to_a_bound() -> None:
    one = person()
    for number in range(ENDED_KEPT_MAX + 5):
        line = Line()
        line.connection_id = str(number)
        one.remember(cast(Any, line))
    assert len(one.ended) == ENDED_KEPT_MAX
    assert one.ended[-1] == str(ENDED_KEPT_MAX + 4)
