"""What a subscriber missed: repaired as new packets of the repair stream, or as the very same ciphertext."""

from __future__ import annotations

import struct

from tests.media.stage import Stage


def test_a_repair_is_a_new_packet_of_the_repair_stream_with_the_old_number_in_front() -> None:
    stage = Stage()
    stage.feed(10, b"10", key=True)
    stage.feed(11, b"11")
    original = stage.link.packets[1]
    assert stage.forward.repair(original.sequence_number, 0) > 0
    repair = stage.link.packets[2]
    assert (repair.payload_type, repair.ssrc) == (97, stage.forward.repair_ssrc)
    assert repair.timestamp == original.timestamp
    assert repair.payload == struct.pack("!H", original.sequence_number) + original.payload


def test_a_packet_is_repaired_at_most_three_times_and_each_time_under_a_new_number() -> None:
    stage = Stage()
    stage.feed(10, b"10", key=True)
    number = stage.link.packets[0].sequence_number
    assert [bool(stage.forward.repair(number, 0)) for _ in range(5)] == [True] * 3 + [False] * 2
    assert len({packet.sequence_number for packet in stage.link.packets[1:]}) == 3


def test_a_number_never_sent_is_not_repaired() -> None:
    stage = Stage()
    stage.feed(9, b"9", key=False)
    stage.feed(10, b"10", key=True)
    first = stage.link.packets[0].sequence_number
    for number in (first - 1, first + 1, first + 100, first + 30_000):
        assert stage.forward.repair(number & 0xFFFF, 0) == 0
    assert len(stage.link.packets) == 1


def test_a_repair_finds_its_packet_behind_padding() -> None:
    stage = Stage()
    stage.feed(10, b"10", key=True)
    stage.feed(11, padding=True)
    stage.feed(12, b"12")
    stage.feed(13, b"13")
    for packet in list(stage.link.packets):
        stage.forward.repair(packet.sequence_number, 0)
    assert [packet.payload[4:] for packet in stage.link.packets[3:]] == [b"10", b"12", b"13"]


def test_a_packet_that_came_late_for_us_too_is_repaired_once_it_is_there() -> None:
    stage = Stage()
    stage.feed(10, b"10", key=True)
    stage.feed(12, b"12")
    missing = stage.link.packets[0].sequence_number + 1
    assert stage.forward.repair(missing, 0) == 0
    stage.feed(11, b"11")
    assert stage.forward.repair(missing, 0) > 0


def test_without_a_repair_stream_the_same_ciphertext_goes_again() -> None:
    stage = Stage(repair_type=None)
    stage.feed(10, b"10", key=True)
    number = stage.link.packets[0].sequence_number
    assert stage.forward.repair(number, 0) > 0
    assert stage.link.again == [b"sealed" + stage.link.raw[0]]
    assert len(stage.link.packets) == 1


def test_a_repair_that_comes_late_itself_is_sent_twice_under_two_numbers() -> None:
    """Its receiver asked for it in vain so far; lost here once more, it would come too late to be shown."""
    stage = Stage()
    stage.feed(10, b"10", key=True)
    stage.feed(12, b"12")
    stage.layers[""].is_repair = True
    stage.feed(11, b"11")
    plain, again = stage.link.packets[2:]
    assert (plain.ssrc, plain.payload[2:]) == (stage.forward.ssrc, b"11")
    assert (again.ssrc, again.payload_type) == (stage.forward.repair_ssrc, 97)
    assert again.payload == struct.pack("!H", plain.sequence_number) + plain.payload
    assert stage.forward.repair(plain.sequence_number, 0) > 0


def test_without_a_repair_stream_nothing_is_sent_twice() -> None:
    stage = Stage(repair_type=None)
    stage.feed(10, b"10", key=True)
    stage.feed(12, b"12")
    stage.layers[""].is_repair = True
    stage.feed(11, b"11")
    assert stage.payloads == [b"10", b"12", b"11"]
