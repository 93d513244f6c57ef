"""The last second of packets: found by number, bounded in bytes and age, duplicates told."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from media.ring import KEPT_BYTES_MAX, KEPT_NS, SLOTS, PacketRing, RateMeter


def kept(ring: PacketRing) -> int:
    return sum(len(held[4]) for held in ring._slots if not isinstance(held, int))


def test_a_packet_is_found_by_its_number_with_all_that_a_repair_needs() -> None:
    ring = PacketRing()
    ring.put(70001, 0x80, 1234, b"payload", 5)
    assert ring.find(70001) == (70001, 5, 1234, 0x80, b"payload")
    assert ring.find(70001 - SLOTS) is ring.find(70002) is None


def test_bytes_and_age_are_bounded_and_the_number_is_still_known() -> None:
    ring = PacketRing()
    for number in range(1000, 1500):
        ring.put(number, 0, 0, bytes(1200), number)
    assert kept(ring) <= KEPT_BYTES_MAX
    assert ring.find(1499) is not None
    assert ring.find(1000) is None
    assert ring.has(1000)
    ring.put(1500, 0, 0, b"x", 1499 + KEPT_NS)
    assert kept(ring) <= 1201


def test_a_late_packet_is_kept_too() -> None:
    ring = PacketRing()
    ring.put(11, 0, 0, b"b", 1)
    ring.put(10, 0, 0, b"a", 2)
    ring.put(12, 0, 0, b"c", 3)
    assert [held[4] for number in (10, 11, 12) if (held := ring.find(number))] == [b"a", b"b", b"c"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(-40, 60), st.integers(0, 1400), st.integers(0, 10**8)), max_size=300))
def test_whatever_comes_the_books_agree_and_the_bounds_hold(steps: list[tuple[int, int, int]]) -> None:
    ring, number, now = PacketRing(), 100_000, 0
    for step, size, later in steps:
        number, now = number + step, now + later
        if not ring.has(number):
            ring.put(number, 0, 0, bytes(size), now)
            assert ring.find(number) is not None
        assert ring._bytes == sum(len(held[4]) + 1 for held in ring._slots if not isinstance(held, int))
        assert kept(ring) <= KEPT_BYTES_MAX + 1400 * 60


def test_a_rate_is_that_of_the_last_interval() -> None:
    meter = RateMeter()
    meter.tick(1_000_000_000)
    meter.bytes += 1000
    assert meter.bps == 0
    meter.tick(1_500_000_000)
    assert meter.bps == 16_000
    meter.tick(2_000_000_000)
    assert meter.bps == 0
