"""Which layer a receiver gets, second by second, for budgets and sources of the test's own."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.api import Source
from media.feedback import MS, SentReports
from media.forward import Forward
from media.layers import PAUSED, LayerChoice, Needs, Stream, allocate
from media.track import Layer, Track
from tests.media.stage import VP8, Asked, Link

LOW_BPS, HIGH_BPS = 150_000, 1_500_000
Camera = Source.CAMERA
NOBODY = Needs()


class Watch:
    """One receiver of one or more people's cameras, asked twice a second."""

    def __init__(self, *people: str, rids: tuple[str, ...] = ("l", "h")) -> None:
        self.asked = Asked()
        self.choice = LayerChoice()
        self.now_ns = 10**9
        self.wish = 0
        self.tracks: dict[str, Track] = {}
        self.forwards: dict[str, Forward] = {}
        for person in people or ("a",):
            self.add(person, Camera, rids)

    def add(self, person: str, source: Source, rids: tuple[str, ...]) -> None:
        track = Track(person, source, VP8, self.asked, [rid for rid in rids if rid])
        for place, rid in enumerate(rids):
            track.layers[rid] = Layer(track, rid, place + 1)
            track.layers[rid].meter.bps = LOW_BPS if rid == "l" else HIGH_BPS
        self.tracks[person] = track
        self.forwards[person] = Forward(cast(Any, Link()), track, b"name", SentReports())
        track.forwards.append(self.forwards[person])

    def choose(
        self, budget: int | None, *, silent: str = "", needs: Needs = NOBODY, times: int = 1
    ) -> dict[str, str | None]:
        for _ in range(times):
            self.now_ns += 500 * MS
            for track in self.tracks.values():
                for rid, layer in track.layers.items():
                    if not silent or rid not in silent:
                        layer.last_ns = self.now_ns
            self.wish = self.choice.choose(list(self.forwards.values()), budget, self.now_ns, needs)
        return {
            person: None if forward.is_paused else forward.target.rid
            for person, forward in self.forwards.items()
            if forward.target is not None
        }


@pytest.mark.parametrize(
    ("budget", "levels"),
    [
        (0, [PAUSED, PAUSED, PAUSED]),
        (150_000, [0, PAUSED, PAUSED]),
        (460_000, [0, 0, 0]),
        (1_800_000, [1, 0, 0]),
        (5_000_000, [1, 1, 1]),
    ],
)
def test_everybody_is_seen_before_anybody_is_seen_better(budget: int, levels: list[int]) -> None:
    assert allocate([Stream((LOW_BPS, HIGH_BPS))] * 3, budget) == levels


def test_who_may_not_pause_gets_the_lowest_at_any_price() -> None:
    assert allocate([Stream((LOW_BPS, HIGH_BPS), may_pause=False), Stream((LOW_BPS,))], 10_000) == [0, PAUSED]


@given(
    st.lists(st.lists(st.integers(0, 3_000_000), min_size=1, max_size=3).map(sorted), max_size=8),
    st.integers(0, 8_000_000),
)
def test_no_more_is_given_than_there_is(rates: list[list[int]], budget: int) -> None:
    levels = allocate([Stream(tuple(one)) for one in rates], budget)
    assert sum(one[level] for one, level in zip(rates, levels, strict=True) if level > PAUSED) <= budget


def test_without_a_limit_the_highest_active_layer_is_chosen_and_asked_for_a_key_frame() -> None:
    watch = Watch()
    assert watch.choose(None) == {"a": "h"}
    assert watch.asked.layers == [watch.tracks["a"].layers["h"]]
    assert watch.choose(None, times=10) == {"a": "h"}
    assert len(watch.asked.layers) == 1


def test_a_layer_that_falls_silent_gives_way_and_comes_back() -> None:
    watch = Watch()
    watch.choose(None)
    assert watch.choose(None, silent="h", times=3) == {"a": "l"}
    assert watch.choose(None) == {"a": "h"}


def test_a_narrow_link_goes_down_at_once_and_not_up_again_within_two_seconds() -> None:
    watch = Watch()
    watch.choose(None, times=6)
    assert watch.choose(400_000) == {"a": "l"}
    assert watch.wish > 1_000_000
    assert watch.choose(5_000_000, times=3) == {"a": "l"}
    assert watch.choose(5_000_000, times=2) == {"a": "h"}
    assert watch.wish == 0


def test_too_little_for_a_moment_takes_no_picture_away_and_for_a_second_does() -> None:
    watch = Watch("a", "b")
    watch.choose(None, times=6)
    assert watch.choose(200_000, times=2) == {"a": "l", "b": "l"}
    assert watch.choose(400_000, times=2) == {"a": "l", "b": "l"}
    assert watch.choose(200_000, times=3) == {"a": "l", "b": None}
    assert watch.choose(50_000, times=3) == {"a": None, "b": None}


def test_a_picture_comes_back_with_room_to_spare_and_later_each_time_it_was_in_vain() -> None:
    watch = Watch()
    watch.choose(None, times=6)
    away = []
    for _ in range(4):
        assert watch.choose(50_000, times=3) == {"a": None}
        assert watch.choose(170_000, times=20) == {"a": None}
        paused = 20
        while watch.choose(400_000) == {"a": None}:
            paused += 1
        away.append(paused)
        watch.choose(400_000, times=4)
    assert away == sorted(away)
    assert away[-1] > away[0]


def test_whoever_signs_goes_first_and_is_never_dropped_for_sound() -> None:
    for first, other in (("a", "b"), ("b", "a")):
        watch, needs = Watch("a", "b"), Needs(frozenset({first}))
        assert watch.choose(1_700_000, needs=needs) == {first: "h", other: "l"}
        assert watch.choose(10_000, needs=needs, times=6) == {first: "l", other: None}


def test_whoever_reads_lips_keeps_everybody_s_picture() -> None:
    watch = Watch("a", "b")
    watch.choose(None, times=6)
    assert watch.choose(10_000, needs=Needs(never_pause=True), times=6) == {"a": "l", "b": "l"}


def test_a_shared_screen_goes_before_faces() -> None:
    watch = Watch("a", "b")
    watch.add("c", Source.SCREEN, ("",))
    watch.tracks["c"].forwards.append(watch.forwards["c"])  # somebody else receives it too, so it won't give way
    assert watch.choose(1_550_000, times=3) == {"a": "l", "b": None, "c": ""}


def test_a_lone_layer_gives_way_to_what_its_publisher_is_told_down_to_the_floor() -> None:
    watch = Watch("a", rids=("",))
    watch.choose(None, times=6)
    assert watch.choose(400_000, times=4) == {"a": ""}
    assert watch.forwards["a"].usable_bps == 400_000
    assert watch.choose(60_000, times=4) == {"a": None}
    assert watch.forwards["a"].usable_bps == 0


def test_somebody_who_sends_nothing_is_chosen_nothing() -> None:
    assert Watch().choose(None, silent="lh") == {}


def test_what_a_receiver_can_use_is_told_to_the_track() -> None:
    watch = Watch("a", "b")
    watch.choose(1_700_000, needs=Needs(frozenset({"a"})))
    assert [watch.forwards[person].usable_bps for person in ("a", "b")] == [1_700_000, 200_000]
