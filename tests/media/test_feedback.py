"""The books behind feedback, with numbers and times of the test's own."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.feedback import (
    ARRIVALS_MAX,
    MS,
    NACK_LIST_MAX,
    NACK_TRIES_MAX,
    REMB_RELEASED_BPS,
    Arrivals,
    Cap,
    KeyFrames,
    NackList,
    Reception,
    SentReports,
)

RTT = 100 * MS


def test_a_missing_number_is_asked_for_once_a_round_trip_and_then_given_up() -> None:
    nacks, now, asked = NackList(), 0, []
    nacks.miss([5], now)
    assert nacks.due(now, RTT) == ([], False)
    while True:
        now += 20 * MS
        numbers, gave_up = nacks.due(now, RTT)
        asked += [now] * len(numbers)
        if gave_up:
            break
    assert len(asked) == NACK_TRIES_MAX
    assert asked[0] == 20 * MS
    assert all(later - earlier >= RTT for earlier, later in pairwise(asked))
    assert (len(nacks), nacks.gave_up) == (0, 1)


def test_a_number_that_comes_or_is_overtaken_by_a_key_frame_is_no_longer_asked_for() -> None:
    nacks = NackList()
    nacks.miss([5, 6, 9], 0)
    nacks.found(5)
    nacks.clear_before(9)
    assert nacks.due(50 * MS, RTT) == ([9], False)


def test_too_many_missing_numbers_mean_a_key_frame_instead() -> None:
    nacks = NackList()
    nacks.miss(range(NACK_LIST_MAX + 1), 0)
    assert nacks.due(50 * MS, RTT) == ([], True)
    assert len(nacks) == 0


def place_all(reception: Reception, sequences: list[int]) -> list[int]:
    return [reception.place(sequence) for sequence in sequences]


def test_numbers_go_on_over_a_wrap_and_late_ones_keep_their_place() -> None:
    reception = Reception(90000)
    placed = place_all(reception, [65533, 65535, 1, 0, 65534])
    assert [number - placed[0] for number in placed] == [0, 2, 4, 3, 1]
    assert reception.highest == placed[2]


def test_a_lone_wild_number_is_no_packet_of_ours() -> None:
    reception = Reception(90000)
    place_all(reception, [100, 101])
    assert place_all(reception, [40000, 102, 40001]) == [-1, reception.highest, -1]


@pytest.mark.parametrize("restart", [5, 30000, 60000])
def test_a_source_that_begins_again_is_followed_and_never_repeats_a_number(restart: int) -> None:
    reception = Reception(90000)
    before = place_all(reception, list(range(31000, 31010)))
    after = [number for number in place_all(reception, list(range(restart, restart + 20))) if number >= 0]
    assert len(after) == 13
    assert min(after) > max(before)
    assert [number & 0xFFFF for number in after] == list(range(restart + 7, restart + 20))
    assert after == sorted(set(after))


def test_a_report_tells_losses_since_the_last_one_and_in_all() -> None:
    reception = Reception(48000)
    for sequence in (0, 1, 2, 3, 5, 7, 8, 9):
        reception.place(sequence)
        reception.arrived(sequence * 960, sequence * 20 * MS)
    first = reception.figures(1000 * MS)
    assert (first["lost"], first["fraction"], first["highest"]) == (2, 2 * 256 // 10, 9)
    assert first["jitter"] == 0
    for sequence in (10, 11):
        reception.place(sequence)
        reception.arrived(sequence * 960, sequence * 20 * MS)
    second = reception.figures(2000 * MS)
    assert (second["lost"], second["fraction"]) == (2, 0)


def test_jitter_is_in_the_source_s_units() -> None:
    reception = Reception(48000)
    for count in range(400):
        reception.place(count)
        reception.arrived(count * 960, count * 20 * MS + (count % 2) * 5 * MS)
    assert 150 < reception.figures(0)["jitter"] < 245


def test_a_report_echoes_the_sender_s_own_and_how_long_ago_it_was() -> None:
    reception = Reception(48000)
    reception.place(1)
    reception.reported(0x1111_2222_3333_4444, 1000 * MS)
    figures = reception.figures(1500 * MS)
    assert (figures["lsr"], figures["dlsr"]) == (0x2222_3333, 32768)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.booleans()), max_size=200))
def test_any_sequence_of_arrivals_gives_ascending_bounded_reports(steps: list[tuple[int, bool]]) -> None:
    arrivals = Arrivals()
    for count, (sequence, take) in enumerate(steps):
        arrivals.add(sequence, count * MS)
        if take:
            taken = arrivals.take()
            numbers = [number for number, _ in taken]
            assert numbers == sorted(set(numbers))
            assert numbers[-1] - numbers[0] < ARRIVALS_MAX


def test_arrivals_are_reported_once_and_over_a_wrap() -> None:
    arrivals = Arrivals()
    for count, sequence in enumerate((65534, 65535, 1)):
        arrivals.add(sequence, count * MS)
    taken = arrivals.take()
    assert [number - taken[0][0] for number, _ in taken] == [0, 1, 3]
    assert arrivals.take() == []
    arrivals.add(0, 5 * MS)
    assert [number - taken[0][0] for number, _ in arrivals.take()] == [2]
    assert arrivals.count == 2


def test_a_key_frame_is_asked_for_at_once_then_within_the_limit_until_one_passes() -> None:
    frames, now = KeyFrames(), 1000 * MS
    assert frames.want(now)
    assert not frames.want(now + 100 * MS)
    assert not frames.tick(now + 299 * MS)
    assert frames.tick(now + 300 * MS)
    assert not frames.tick(now + 1200 * MS)
    assert frames.tick(now + 1300 * MS)
    frames.passed()
    assert not frames.tick(now + 9000 * MS)
    assert frames.want(now + 9000 * MS)


def test_a_request_right_after_a_key_frame_waits_for_the_limit_and_is_then_sent() -> None:
    frames, now = KeyFrames(), 1000 * MS
    assert frames.want(now)
    frames.passed()
    assert not frames.want(now + 50 * MS)
    assert frames.is_wanted
    assert not frames.tick(now + 200 * MS)
    assert frames.tick(now + 300 * MS)


def test_the_round_trip_is_known_only_for_reports_that_were_sent() -> None:
    reports = SentReports()
    for count in range(20):
        reports.note(count << 16, count * MS)
    assert reports.round_trip_ns(19, 65536 // 1000, 69 * MS) == pytest.approx(49 * MS, rel=0.01)
    assert reports.round_trip_ns(3, 0, 69 * MS) is None
    assert reports.round_trip_ns(99, 0, 69 * MS) is None
    assert reports.round_trip_ns(19, 65536, 69 * MS) is None


def test_a_cap_begins_when_less_fits_than_is_sent_and_is_lifted_when_all_fits_again() -> None:
    cap = Cap()
    assert cap.decide(None, 1_000_000, 0) is None
    assert cap.decide(1_500_000, 1_000_000, 0) is None
    assert cap.decide(600_000, 1_000_000, 40_000) == 640_000
    assert cap.decide(900_000, 700_000, 0) == 900_000
    assert cap.decide(0, 700_000, 0) == 150_000
    assert cap.decide(2_500_000, 900_000, 0) == REMB_RELEASED_BPS
    assert cap.decide(2_600_000, 900_000, 0) == REMB_RELEASED_BPS
    assert cap.decide(2_600_000, 900_000, 0) == REMB_RELEASED_BPS
    assert cap.decide(2_600_000, 900_000, 0) is None


def test_a_ceiling_is_always_told_and_whoever_can_use_less_still_counts() -> None:
    cap = Cap(1_000_000)
    assert cap.decide(None, 0, 0) == 1_000_000
    assert cap.decide(None, 500_000, 40_000) == 1_000_000
    assert cap.decide(5_000_000, 500_000, 40_000) == 1_000_000
    assert cap.decide(600_000, 500_000, 40_000) == 640_000
    assert Cap(200_000).decide(None, 0, 100_000) == 250_000  # a picture's floor
