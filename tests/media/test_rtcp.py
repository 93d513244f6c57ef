"""RTCP in and out, held against aiortc's reader where it has one; anything else is left out without an error."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import (
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSrPacket,
    unpack_remb_fci,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from media import rtcp


def test_a_sender_report_goes_with_its_source_description() -> None:
    data = rtcp.sender_report(7, 0x1122334455667788, 1 << 33 | 99, packets=3, octets=4, cname=b"somebody")
    report, names = RtcpPacket.parse(data)
    assert isinstance(report, RtcpSrPacket)
    assert isinstance(names, RtcpSdesPacket)
    assert report.sender_info.ntp_timestamp == 0x1122334455667788
    assert (report.ssrc, report.sender_info.rtp_timestamp) == (7, 99)
    assert (report.sender_info.packet_count, report.sender_info.octet_count) == (3, 4)
    assert names.chunks[0].ssrc == 7
    assert names.chunks[0].items == [(1, b"somebody")]
    (kind, _, from_, to), _ = rtcp.parts(data)
    assert kind == rtcp.SR
    assert rtcp.sender_info(data, from_, to) == (7, 0x1122334455667788, 99)


@pytest.mark.parametrize("length", range(1, 9))
def test_a_source_description_is_padded_whatever_the_name_s_length(length: int) -> None:
    (names,) = RtcpPacket.parse(rtcp.source_description(1, b"x" * length))
    assert isinstance(names, RtcpSdesPacket)
    assert names.chunks[0].items == [(1, b"x" * length)]


def test_report_blocks_read_back() -> None:
    block = rtcp.block(ssrc=9, fraction=64, lost=-3, highest=1 << 32 | 5, jitter=6, lsr=7, dlsr=8)
    data = rtcp.receiver_report(1, [block, block])
    (report,) = RtcpPacket.parse(data)
    assert isinstance(report, RtcpRrPacket)
    assert (report.reports[1].ssrc, report.reports[1].packets_lost, report.reports[1].highest_sequence) == (9, -3, 5)
    _, count, from_, to = rtcp.parts(data)[0]
    assert rtcp.report_blocks(data, from_ + 4, to, count) == [(9, 64, 7, 8)] * 2
    assert rtcp.report_blocks(data, from_ + 4, to, 31) == [(9, 64, 7, 8)] * 2


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(60000, 70000), min_size=1, max_size=40, unique=True).map(sorted))
def test_a_nack_names_just_the_numbers_given(numbers: list[int]) -> None:
    data = rtcp.nack(1, 2, numbers)
    (packet,) = RtcpPacket.parse(data)
    assert isinstance(packet, RtcpRtpfbPacket)
    expected = sorted(number & 0xFFFF for number in numbers)
    # aiortc adds the bitmask to the first number without wrapping (RFC 4585 §6.2.1 counts modulo 2^16).
    assert sorted(number & 0xFFFF for number in packet.lost) == expected
    _, _, from_, to = rtcp.parts(data)[0]
    assert sorted(rtcp.nack_numbers(data, from_, to)) == expected
    assert rtcp.media_ssrc(data, from_, to) == 2


def test_a_picture_loss_names_its_source() -> None:
    (packet,) = RtcpPacket.parse(rtcp.picture_loss(1, 2))
    assert isinstance(packet, RtcpPsfbPacket)
    assert (packet.fmt, packet.ssrc, packet.media_ssrc) == (rtcp.PLI, 1, 2)


@pytest.mark.parametrize("bps", [0, 1, 200_000, 262_143, 262_144, 5_000_000, 1 << 35])
def test_a_rate_reads_back_to_its_18_bits(bps: int) -> None:
    data = rtcp.remb(1, bps, [5, 6])
    (packet,) = RtcpPacket.parse(data)
    assert isinstance(packet, RtcpPsfbPacket)
    rate, ssrcs = unpack_remb_fci(packet.fci)
    assert ssrcs == [5, 6]
    assert rate <= bps
    assert bps - rate <= bps >> 17
    _, _, from_, to = rtcp.parts(data)[0]
    assert rtcp.remb_bps(data, from_, to) == rate


def test_fir_and_dlrr_are_read() -> None:
    fir = rtcp.packet(rtcp.PSFB, rtcp.FIR, struct.pack("!IIII", 1, 0, 77, 0))
    _, _, from_, to = rtcp.parts(fir)[0]
    assert rtcp.fir_ssrcs(fir, from_, to) == [77]
    extended = rtcp.packet(rtcp.XR, 0, struct.pack("!IBBHIII", 1, 5, 0, 3, 8, 9, 10))
    _, _, from_, to = rtcp.parts(extended)[0]
    assert rtcp.dlrr(extended, from_, to) == [(8, 9, 10)]


def unpacked_arrivals(data: bytes) -> tuple[int, dict[int, int]]:
    """(feedback count, number → arrival in µs), read straight from draft-holmer-rmcat-transport-wide-cc §3.1."""
    base, count, reference = struct.unpack_from("!HHI", data, 12)
    at = 20
    symbols: list[int] = []
    while len(symbols) < count:
        (chunk,) = struct.unpack_from("!H", data, at)
        at += 2
        if chunk & 0x8000 == 0:
            symbols += [chunk >> 13] * (chunk & 0x1FFF)
        elif chunk & 0x4000:
            symbols += [chunk >> shift & 3 for shift in range(12, -1, -2)]
        else:
            symbols += [chunk >> shift & 1 for shift in range(13, -1, -1)]
    clock, found = (reference >> 8) * 256, {}
    for place, symbol in enumerate(symbols[:count]):
        if symbol == 1:
            clock += data[at]
            at += 1
        elif symbol == 2:
            clock += struct.unpack_from("!h", data, at)[0]
            at += 2
        if symbol:
            found[base + place] = clock * 250
    assert len(data) - at < 4
    return reference & 0xFF, found


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(-20_000, 60_000)), min_size=1, max_size=60),
    st.integers(0, 60_000),
)
def test_arrivals_read_back_to_a_quarter_millisecond(steps: list[tuple[int, int]], first: int) -> None:
    number, clock, arrivals = first, 5_000_000, []
    for step, delta in steps:
        number, clock = number + step, max(0, clock + delta)
        arrivals.append((number, clock))
    data = rtcp.transport_cc(1, 2, 300, arrivals)
    assert len(data) % 4 == 0
    count, found = unpacked_arrivals(data)
    base = arrivals[0][0] & 0xFFFF
    assert count == 300 & 0xFF
    assert {one - base: arrived for one, arrived in found.items()} == {
        one - arrivals[0][0]: arrived // 250 * 250 for one, arrived in arrivals
    }


def test_an_arrival_beyond_the_format_s_reach_counts_as_missing() -> None:
    _, found = unpacked_arrivals(rtcp.transport_cc(1, 2, 0, [(1, 0), (2, 60_000_000), (3, 1000)]))
    assert set(found) == {1, 3}


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120))
def test_any_bytes_are_read_or_left_out(data: bytes) -> None:
    for _, count, from_, to in rtcp.parts(data):
        assert 4 <= from_ <= to <= len(data)
        rtcp.sender_info(data, from_, to)
        rtcp.report_blocks(data, from_ + 4, to, count)
        rtcp.media_ssrc(data, from_, to)
        rtcp.nack_numbers(data, from_, to)
        rtcp.fir_ssrcs(data, from_, to)
        rtcp.remb_bps(data, from_, to)
        rtcp.dlrr(data, from_, to)


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=8, max_size=64), st.sampled_from([200, 201, 205, 206, 207]), st.integers(0, 31))
def test_any_body_behind_a_sound_header_is_read_or_left_out(body: bytes, kind: int, count: int) -> None:
    data = rtcp.packet(kind, count, body[: len(body) // 4 * 4])
    ((_, _, from_, to),) = rtcp.parts(data)
    rtcp.sender_info(data, from_, to)
    assert len(rtcp.report_blocks(data, from_ + 4, to, count)) <= 31
    assert len(rtcp.nack_numbers(data, from_, to)) <= 17 * len(body)
    rtcp.fir_ssrcs(data, from_, to)
    rtcp.remb_bps(data, from_, to)
    rtcp.dlrr(data, from_, to)
