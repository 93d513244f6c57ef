"""A track on its way to one subscriber: numbers, time and pictures that go on whatever the source does."""

from __future__ import annotations

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtp import RtcpPacket, RtcpSrPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from media.api import Source
from media.track import Layer, Track
from tests.media.stage import OPUS, VP8, Stage


def test_nothing_is_sent_before_a_key_frame_and_one_is_asked_for() -> None:
    stage = Stage()
    stage.feed(1, b"a")
    assert stage.link.packets == []
    stage.forward.await_key_frame()
    assert stage.asked.layers == [stage.layers[""]]
    stage.feed(2, b"b", key=True)
    stage.feed(3, b"c")
    assert stage.payloads == [b"b", b"c"]
    assert stage.numbers == [0, 1]


def test_sound_begins_with_its_next_packet() -> None:
    stage = Stage(OPUS, repair_type=None)
    stage.feed(7, b"a")
    assert len(stage.link.packets) == 1


def test_first_numbers_lie_low_so_that_a_late_key_finds_no_wrap() -> None:
    firsts = set()
    for _ in range(50):
        stage = Stage()
        stage.feed(65000, key=True)
        firsts.add(stage.link.packets[0].sequence_number)
    assert max(firsts) < 1 << 14
    assert len(firsts) > 40


def test_a_gap_stays_a_gap_and_a_late_packet_keeps_its_place() -> None:
    stage = Stage()
    for sequence, key in ((10, True), (11, False), (13, False), (14, False), (12, False), (12, False)):
        stage.feed(sequence, b"%d" % sequence, key=key)
    assert stage.numbers == [0, 1, 3, 4, 2]
    assert stage.payloads == [b"10", b"11", b"13", b"14", b"12"]


def test_what_came_before_the_beginning_is_never_sent() -> None:
    stage = Stage()
    stage.feed(10, key=True)
    stage.feed(9)
    assert stage.numbers == [0]


def test_numbers_close_over_padding_and_late_ones_around_it_keep_their_place() -> None:
    stage = Stage()
    stage.feed(10, b"10", key=True)
    stage.feed(12, padding=True)
    stage.feed(13, b"13")
    assert stage.numbers == [0, 3]
    stage.feed(14, padding=True)
    stage.feed(15, padding=True)
    stage.feed(16, b"16")
    stage.feed(18, b"18")
    stage.feed(17, b"17")
    stage.feed(11, b"11")
    assert dict(zip(stage.payloads, stage.numbers, strict=True)) == {
        b"10": 0,
        b"13": 3,
        b"16": 4,
        b"18": 6,
        b"17": 5,
        b"11": 1,
    }


def test_a_source_that_begins_again_far_away_goes_on_without_a_jump() -> None:
    stage = Stage()
    for sequence in range(100, 105):
        stage.feed(sequence, key=sequence == 100)
    for sequence in range(40000, 40020):
        stage.feed(sequence, key=sequence == 40012)
    assert stage.numbers == list(range(5 + 8))
    assert stage.asked.layers != []


def test_sound_goes_on_at_once_after_its_source_begins_again() -> None:
    stage = Stage(OPUS, repair_type=None)
    for sequence in [*range(100, 105), *range(40000, 40010)]:
        stage.feed(sequence)
    assert stage.numbers == list(range(5 + 3))


def test_numbers_wrap_and_go_on() -> None:
    stage = Stage()
    for count in range(70_000):
        stage.feed(count, key=count == 0, later_ms=0)
        if count % 5000 == 0:
            del stage.link.packets[:-1], stage.link.raw[:-1]
    assert stage.forward.highest_out - stage.forward.first_out == 69_999
    assert stage.link.packets[-1].sequence_number == stage.forward.highest_out & 0xFFFF


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_no_number_ever_goes_out_twice(data: st.DataObject) -> None:
    stage = Stage(rids=["l", "h"])
    heads = {"l": 100, "h": 60000}
    for _ in range(data.draw(st.integers(1, 120))):
        rid = data.draw(st.sampled_from(["l", "h"]))
        heads[rid] += data.draw(st.sampled_from([-3, -1, 0, 1, 1, 1, 1, 2, 5, 4000]))
        kind = data.draw(st.integers(0, 9))
        if kind == 0:
            stage.forward.target = stage.layers[data.draw(st.sampled_from(["l", "h"]))]
        elif kind == 1:
            stage.forward.await_key_frame()
        for step in range(data.draw(st.sampled_from([1, 1, 1, 9]))):
            stage.feed(heads[rid] + step, key=kind > 6, rid=rid, padding=kind == 2)
    pairs = [packet.sequence_number for packet in stage.link.packets]
    assert len(pairs) == len(set(pairs))
    assert stage.forward.packets == len(pairs)


def timestamps(stage: Stage) -> list[int]:
    sent = [packet.timestamp for packet in stage.link.packets]
    return [((number - sent[0]) + 0x80000000 & 0xFFFFFFFF) - 0x80000000 for number in sent]


def test_a_switch_waits_for_the_other_layer_s_key_frame_and_then_goes_on() -> None:
    stage = Stage(rids=["l", "h"])
    low, high = stage.layers["l"], stage.layers["h"]
    low.report, high.report = (1 << 32, 1_000), ((1 << 32) + (1 << 31), 500_000)
    stage.feed(10, b"l0", key=True, rid="l", timestamp=10_000)
    stage.forward.target = high
    stage.feed(500, b"h0", rid="h", timestamp=480_000)
    stage.feed(11, b"l1", rid="l", timestamp=13_000)
    stage.feed(501, b"h1", key=True, rid="h", timestamp=470_000)
    stage.feed(12, b"l2", rid="l", timestamp=16_000)
    stage.feed(502, b"h2", rid="h", timestamp=473_000)
    assert stage.payloads == [b"l0", b"l1", b"h1", b"h2"]
    assert stage.numbers == [0, 1, 2, 3]
    # high's 470,000 is 30,000 before its report, which is 45,000 after low's report at 1,000: low's 16,000.
    assert timestamps(stage) == [0, 3_000, 6_000, 9_000]


def test_without_reports_time_goes_on_by_arrival() -> None:
    stage = Stage(rids=["l", "h"])
    stage.feed(10, key=True, rid="l", timestamp=10_000)
    stage.forward.target = stage.layers["h"]
    stage.feed(500, key=True, rid="h", timestamp=5, later_ms=40)
    assert timestamps(stage) == [0, 3_600]


def test_reports_that_make_no_sense_are_not_followed() -> None:
    stage = Stage(rids=["l", "h"])
    stage.layers["l"].report, stage.layers["h"].report = (1 << 32, 1_000), (9_000 << 32, 500_000)
    stage.feed(10, key=True, rid="l", timestamp=10_000)
    stage.forward.target = stage.layers["h"]
    stage.feed(500, key=True, rid="h", timestamp=5, later_ms=40)
    assert timestamps(stage) == [0, 3_600]


def picture(number: int, base: int, *, key: bool) -> bytes:
    return bytes(VpxPayloadDescriptor(1, 0, picture_id=number, tl0picidx=base, tid=(0, 0))) + (b"\0" if key else b"\1")


def test_picture_numbers_go_on_over_a_switch() -> None:
    stage = Stage(rids=["l", "h"])
    stage.feed(10, picture(300, 7, key=True), rid="l", padding=True)
    stage.feed(11, picture(301, 8, key=False), rid="l", padding=True)
    stage.forward.target = stage.layers["h"]
    stage.feed(500, picture(20_000, 250, key=True), rid="h", padding=True)
    stage.feed(501, picture(20_001, 251, key=False), rid="h", padding=True)
    stage.forward.target = stage.layers["l"]
    stage.feed(13, picture(400, 9, key=True), rid="l", padding=True)
    found = [VpxPayloadDescriptor.parse(packet.payload)[0] for packet in stage.link.packets]
    assert [one.picture_id for one in found] == [300, 301, 302, 303, 304]
    assert [one.tl0picidx for one in found] == [7, 8, 9, 10, 11]


def test_a_sender_report_is_translated_and_never_made_up() -> None:
    stage = Stage()
    layer = stage.layers[""]
    layer.report = (0xAABB_CCDD_0011_2233, 777)
    stage.forward.pass_report(layer, 1)
    assert stage.link.reports == []
    stage.feed(10, b"10", key=True, timestamp=1_000)
    (data,) = stage.link.reports
    report = RtcpPacket.parse(data)[0]
    assert isinstance(report, RtcpSrPacket)
    info = report.sender_info
    assert (report.ssrc, info.ntp_timestamp) == (stage.forward.ssrc, 0xAABB_CCDD_0011_2233)
    assert (stage.link.packets[0].timestamp - info.rtp_timestamp) & 0xFFFFFFFF == 1_000 - 777
    assert (info.packet_count, info.octet_count) == (1, 4)


def test_a_report_about_a_layer_that_is_not_sent_stays_here() -> None:
    stage = Stage(rids=["l", "h"])
    stage.feed(10, key=True, rid="l")
    stage.layers["h"].report = (1, 2)
    stage.forward.pass_report(stage.layers["h"], 1)
    assert stage.link.reports == []


def test_a_congested_way_out_drops_video_to_the_next_key_frame() -> None:
    stage = Stage()
    stage.feed(10, b"10", key=True)
    stage.link.path.is_congested = True
    stage.feed(11, b"11")
    stage.link.path.is_congested = False
    stage.feed(12, b"12")
    stage.feed(13, b"13", key=True)
    assert stage.payloads == [b"10", b"13"]
    assert stage.numbers == [0, 1]
    assert stage.asked.layers == [stage.layers[""]]


def test_a_reload_of_the_source_keeps_stream_numbers_and_time_going() -> None:
    stage = Stage()
    stage.feed(10, b"10", key=True, timestamp=1_000)
    again = Track("a", Source.CAMERA, VP8, stage.asked, [])
    stage.layers[""] = again.layers[""] = Layer(again, "", 2000)
    stage.forward.move_to(again)
    stage.feed(50_000, b"delta", timestamp=9)
    stage.feed(50_001, b"new", key=True, timestamp=99)
    assert stage.payloads == [b"10", b"new"]
    assert stage.numbers == [0, 1]
    assert 0 < timestamps(stage)[1] < 90_000
    assert stage.track.forwards == []


def test_detached_means_that_nothing_is_sent() -> None:
    stage = Stage()
    stage.feed(10, b"10", key=True)
    stage.forward.detach()
    stage.feed(11, b"11", key=True)
    assert stage.payloads == [b"10"]
    stage.forward.detach()


@pytest.mark.parametrize("count", [0, 3])
def test_packets_that_could_not_be_sent_are_not_counted(count: int) -> None:
    stage = Stage()
    stage.feed(10, key=True)
    stage.link.is_open = False
    for sequence in range(11, 11 + count):
        stage.feed(sequence)
    assert stage.forward.packets == 1
