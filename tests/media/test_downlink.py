"""Receivers on simulated lines: how soon pictures give way, what sound loses by it, how soon they are back."""

from __future__ import annotations

from itertools import pairwise

import pytest

from media.estimate import Estimate
from media.feedback import MS
from media.probe import APART_MAX_NS, APART_NS, Probe
from tests.media.simulated import Downstairs

LAYERED = {"l": 150_000, "h": 1_500_000}
LONE = {"": 1_500_000}
NARROW, WIDE = 600_000.0, 20_000_000.0


def test_of_three_people_a_narrow_link_gets_the_low_layers_and_the_upper_ones_again_after_it() -> None:
    room = Downstairs(LAYERED, LAYERED)
    room.run(10)
    assert room.shown() == {"a": "h", "b": "h"}
    room.line.bps = NARROW
    room.until(lambda: room.shown() == {"a": "l", "b": "l"}, 3)
    room.run(20)
    assert room.downlink.paused == frozenset()
    room.line.bps = WIDE
    room.until(lambda: room.shown()["a"] == "h", 12)
    room.until(lambda: room.shown() == {"a": "h", "b": "h"}, 8)
    assert room.sound_lost() < 0.03
    room.run(20)
    assert room.downlink.estimate.bps is None


def test_of_two_people_the_publisher_gives_way_and_comes_back_without_a_switch() -> None:
    room = Downstairs(LONE)
    room.run(10)
    room.line.bps = NARROW
    room.until(lambda: room.rate("a") < NARROW, 3)
    room.run(20)
    before = room.line.lost[True]
    room.run(20)
    assert room.line.lost[True] == before
    assert room.rate("a") > 0.5 * NARROW
    room.line.bps = WIDE
    room.until(lambda: room.rate("a") >= 0.8 * LONE[""], 12)


@pytest.mark.parametrize("wishes", [LONE, LAYERED])
def test_below_the_floor_sound_alone_goes_on_and_pictures_come_back(wishes: dict[str, int]) -> None:
    room = Downstairs(wishes)
    room.run(10)
    room.line.bps = 110_000
    room.until(lambda: room.downlink.paused == frozenset({"a"}), 15)
    lost = room.line.lost[True]
    room.run(20)
    assert room.line.lost[True] - lost < 30
    room.line.bps = WIDE
    room.until(lambda: not room.downlink.paused and room.shown()["a"] is not None, 20)


@pytest.mark.parametrize("kind", ["who signs", "who reads lips"])
def test_a_picture_that_is_needed_stays_below_the_floor(kind: str) -> None:
    room = Downstairs(LAYERED)
    room.first = frozenset({"a"}) if kind == "who signs" else frozenset()
    room.never_pause = kind == "who reads lips"
    room.run(10)
    room.line.bps = 110_000
    room.run(20)
    assert room.shown() == {"a": "l"}


@pytest.mark.parametrize("wishes", [LONE, LAYERED])
def test_a_ceiling_holds_on_the_widest_link_and_a_narrower_one_counts_below_it(wishes: dict[str, int]) -> None:
    room = Downstairs(wishes, ceiling_bps=800_000)
    room.run(10)
    before = room.downlink._sent_bytes()
    room.run(20)
    assert (room.downlink._sent_bytes() - before) * 8 / 20 <= 800_000
    assert room.shown()["a"] == min(wishes, key=lambda rid: wishes[rid])
    room.line.bps = 110_000
    room.until(lambda: room.downlink.paused == frozenset({"a"}), 15)


def test_loss_that_is_the_network_s_own_lowers_nothing() -> None:
    estimate = Estimate()
    for second in range(60):
        assert not estimate.lost(0.08, 1_500_000, second * 1000 * MS)
    assert estimate.bps is None
    assert estimate.lost(0.4, 1_500_000, 61_000 * MS)
    assert estimate.bps is not None
    assert 700_000 < estimate.bps < 900_000


def test_loss_alone_takes_no_picture_away() -> None:
    estimate = Estimate()
    for second in range(60):
        estimate.lost(0.5, estimate.bps or 1_500_000, second * 2000 * MS)
    assert estimate.bps == 300_000


def test_an_estimate_that_is_low_since_little_is_sent_shows_no_limit() -> None:
    estimate, now_ns = Estimate(), 0
    for second in range(30):
        now_ns = second * 1000 * MS
        estimate.told(60_000, 40_000, now_ns)
    assert not estimate.told(60_000, 1_500_000, now_ns + 200 * MS)
    assert not estimate.told(65_000, 1_500_000, now_ns + 2_000 * MS)
    assert estimate.bps is None
    assert estimate.told(65_000, 1_500_000, now_ns + 9_000 * MS)


def test_a_fall_in_a_probe_leaves_what_went_well_before_it() -> None:
    estimate = Estimate()
    estimate.told(2_000_000, 1_500_000, 0)
    estimate.told(900_000, 1_500_000, 500 * MS)
    assert estimate.bps == 900_000
    estimate.told(300_000, 500_000, 5_000 * MS, probed_bps=1_200_000)
    assert estimate.bps == 600_000


def test_a_probe_stops_at_once_where_a_tcp_connection_backs_up() -> None:
    room = Downstairs(LAYERED)
    room.run(10)
    room.line.bps = NARROW
    room.until(lambda: room.shown() == {"a": "l"}, 3)
    room.until(lambda: room.downlink._probe.rate_bps > 0, 20)
    room.link.path.is_backed_up = True
    room.run(0.02)
    assert room.downlink._probe.rate_bps == 0
    before = room.downlink._extra_bytes
    room.run(10)
    assert room.downlink._extra_bytes == before


def test_a_lone_picture_s_link_is_tried_again_although_its_receiver_s_figure_stands_still() -> None:
    room = Downstairs(LONE)
    room.run(10)
    room.line.bps = NARROW
    room.until(lambda: room.rate("a") < NARROW, 3)
    room.run(3)
    room.line.bps = WIDE
    room.receiver.step = lambda came, delay_s, now_ns: None  # type: ignore[method-assign]
    room.until(lambda: room.downlink._probe.rate_bps > 0, 12)


def test_probes_come_seldom_after_failures_and_soon_after_one_that_passed() -> None:
    probe, now_ns = Probe(), 0
    begun: list[int] = []
    while len(begun) < 6:
        now_ns += 100 * MS
        probe.want(2_000_000, 500_000, 0, now_ns)
        if probe.rate_bps:
            begun.append(now_ns)
            probe.fell(now_ns + 200 * MS)
    gaps = [later - earlier for earlier, later in pairwise(begun)]
    assert gaps[0] > APART_NS
    assert gaps == sorted(gaps)
    assert gaps[-1] <= APART_MAX_NS + 300 * MS


def test_a_probe_sends_as_many_bytes_as_its_rate_wants_and_then_waits_for_signs() -> None:
    probe, now_ns, sent = Probe(), 1_000 * MS, 0
    probe.want(2_000_000, 400_000, 0, now_ns)
    assert probe.rate_bps == 800_000
    while probe.is_sending:
        now_ns += 20 * MS
        sent += probe.due(sent, now_ns)
    assert sent == pytest.approx(800_000 * 0.4 / 8, rel=0.1)
    assert probe.verdict(now_ns) == 0
    assert probe.verdict(now_ns + 700 * MS) == 800_000
    assert probe.rate_bps == 0


def test_after_a_failure_the_next_probe_asks_for_half_of_the_difference() -> None:
    probe = Probe()
    probe.want(5_000_000, 400_000, 0, 10_000 * MS)
    probe.fell(10_200 * MS)
    probe.want(5_000_000, 400_000, 0, 30_000 * MS)
    assert probe.rate_bps == 600_000
