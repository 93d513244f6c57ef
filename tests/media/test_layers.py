"""Which layer a receiver gets, second by second, for estimates and sources of the test's own."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

from media.api import Source
from media.feedback import MS, SentReports
from media.forward import Forward
from media.layers import LayerChoice
from media.track import Layer, Track
from tests.media.test_forward import VP8, Asked, Link

LOW_BPS, HIGH_BPS = 150_000, 1_500_000


class Watch:
    """One receiver of one or two people's cameras, asked twice a second."""

    def __init__(self, *people: str) -> None:
        self.asked = Asked()
        self.choice = LayerChoice()
        self.now_ns = 10**9
        self.tracks = {}
        self.forwards = {}
        for person in people or ("a",):
            track = Track(person, Source.CAMERA, VP8, self.asked, ["l", "h"])
            for place, (rid, bps) in enumerate((("l", LOW_BPS), ("h", HIGH_BPS))):
                track.layers[rid] = Layer(track, rid, place + 1)
                track.layers[rid].meter.bps = bps
            self.tracks[person] = track
            self.forwards[person] = Forward(cast(Any, Link()), track, b"name", SentReports())

    def choose(
        self, estimate: int | None, *, silent: str = "", first: frozenset[str] = frozenset(), times: int = 1
    ) -> dict[str, str]:
        for _ in range(times):
            self.now_ns += 500 * MS
            for track in self.tracks.values():
                for rid, layer in track.layers.items():
                    if rid not in silent:
                        layer.last_ns = self.now_ns
            self.choice.choose(list(self.forwards.values()), estimate, self.now_ns, first)
        return {person: forward.target.rid for person, forward in self.forwards.items() if forward.target is not None}


def test_without_an_estimate_the_highest_active_layer_is_chosen_and_asked_for_a_key_frame() -> None:
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


def test_a_poor_estimate_goes_down_and_not_up_again_within_two_seconds() -> None:
    watch = Watch()
    watch.choose(None, times=6)
    assert watch.choose(400_000) == {"a": "l"}
    assert watch.choose(5_000_000, times=3) == {"a": "l"}
    assert watch.choose(5_000_000, times=2) == {"a": "h"}


def test_going_up_is_tried_ever_more_rarely_while_it_fails() -> None:
    watch, ups, before = Watch(), [], "h"
    watch.choose(None, times=6)
    for step in range(400):
        chosen = watch.choose(220_000)["a"]
        if (before, chosen) == ("l", "h"):
            ups.append(step)
        before = chosen
    gaps = [later - earlier for earlier, later in pairwise(ups)]
    assert len(gaps) >= 2
    assert gaps == sorted(gaps)
    assert gaps[-1] >= 2 * gaps[0] - 10


def test_who_is_to_be_seen_first_keeps_the_better_picture_when_both_do_not_fit() -> None:
    for first, other in (("a", "b"), ("b", "a")):
        watch = Watch("a", "b")
        chosen = watch.choose(1_700_000, first=frozenset({first}))
        assert chosen == {first: "h", other: "l"}


def test_somebody_who_sends_nothing_is_chosen_nothing() -> None:
    assert Watch().choose(None, silent="lh") == {}


def test_what_a_receiver_can_use_is_told_to_the_track() -> None:
    watch = Watch("a", "b")
    watch.choose(1_700_000, first=frozenset({"a"}))
    assert [watch.forwards[person].usable_bps for person in ("a", "b")] == [1_700_000, 200_000]
