"""RTP in and out, held against aiortc's own reader; damaged packets are answered with None, never with an error."""

from __future__ import annotations

import pytest
from aiortc.codecs.vpx import VpxPayloadDescriptor
from aiortc.rtp import HeaderExtensionsMap, RtpPacket
from hypothesis import given, settings
from hypothesis import strategies as st

from media import rtp

KEY_START, DELTA_START, MIDDLE = b"\x10\x00frame", b"\x10\x01frame", b"\x00\x00frame"


def test_a_written_video_packet_reads_back() -> None:
    packet = rtp.write_video(96 | 0x80, 70000, 1 << 33, 0xCAFE, 0x123456) + b"payload"
    read = RtpPacket.parse(packet, HeaderExtensionsMap())
    assert (read.payload_type, read.marker, read.sequence_number) == (96, 1, 70000 & 0xFFFF)
    assert (read.timestamp, read.ssrc, read.payload) == (0, 0xCAFE, b"payload")
    span = rtp.layout(packet)
    assert span is not None
    found = rtp.elements(packet, span[0], span[1])
    assert [(name, packet[at:end]) for name, at, end in found] == [(rtp.ABS_SEND_TIME_ID, b"\x12\x34\x56")]


def test_a_written_audio_packet_carries_its_level() -> None:
    packet = rtp.write_audio(111, 5, 960, 1, 0, level=0x85) + b"sound"
    span = rtp.layout(packet)
    assert span is not None
    found = {name: packet[at:end] for name, at, end in rtp.elements(packet, span[0], span[1])}
    assert found == {rtp.ABS_SEND_TIME_ID: b"\0\0\0", rtp.AUDIO_LEVEL_ID: b"\x85"}
    assert packet[span[2] : span[3]] == b"sound"


def test_padding_is_left_out_and_a_packet_of_padding_alone_has_no_payload() -> None:
    header = rtp.HEADER.pack(0xA0, 96, 1, 2, 3)
    assert rtp.layout(header + b"ab\0\0\0\4") == (12, 12, 12, 14)
    assert rtp.layout(header + b"\0\0\0\4") == (12, 12, 12, 12)


def test_contributing_sources_are_skipped() -> None:
    packet = rtp.HEADER.pack(0x82, 96, 1, 2, 3) + bytes(8) + b"x"
    assert rtp.layout(packet) == (20, 20, 20, 21)


@pytest.mark.parametrize(
    "packet",
    [
        b"",
        bytes(11),
        rtp.HEADER.pack(0x40, 96, 1, 2, 3),
        rtp.HEADER.pack(0x8F, 96, 1, 2, 3),
        rtp.HEADER.pack(0x90, 96, 1, 2, 3),
        rtp.HEADER.pack(0x90, 96, 1, 2, 3) + b"\xbe\xde\x00\x02" + bytes(4),
        rtp.HEADER.pack(0xA0, 96, 1, 2, 3) + b"\0",
        rtp.HEADER.pack(0xA0, 96, 1, 2, 3) + b"\x09",
    ],
)
def test_lengths_that_contradict_each_other_are_no_packet(packet: bytes) -> None:
    assert rtp.layout(packet) is None


def test_two_byte_extensions_are_read_too() -> None:
    block = bytes((3, 0, 200, 2, 65, 66, 0, 0))
    packet = rtp.HEADER.pack(0x90, 96, 1, 2, 3) + b"\x10\x00\x00\x02" + block + b"x"
    span = rtp.layout(packet)
    assert span is not None
    assert [(n, packet[a:b]) for n, a, b in rtp.elements(packet, span[0], span[1])] == [(3, b""), (200, b"AB")]


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_laid_out_within_themselves_or_not_at_all(data: bytes) -> None:
    span = rtp.layout(data)
    if span is not None:
        from_, to, start, end = span
        assert 12 <= from_ <= to <= start <= end <= len(data)
        for _, at, stop in rtp.elements(data, from_, to):
            assert from_ < at <= stop <= to
    rtp.is_vp8_key_frame(data)
    rtp.is_h264_key_frame(data)
    rtp.vp8_numbers(data)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 40), st.integers(-30000, 30000))
def test_a_number_is_unwrapped_to_the_nearest(highest: int, step: int) -> None:
    assert rtp.unwrap(highest, (highest + step) & 0xFFFF) == highest + step


def test_a_vp8_key_frame_is_told_by_its_first_packet() -> None:
    assert rtp.is_vp8_key_frame(KEY_START)
    assert not rtp.is_vp8_key_frame(DELTA_START)
    assert not rtp.is_vp8_key_frame(MIDDLE)
    assert not rtp.is_vp8_key_frame(b"\x11\x00later partition")
    assert not rtp.is_vp8_key_frame(b"\x10")
    assert not rtp.is_vp8_key_frame(b"")


@pytest.mark.parametrize("picture", [None, 5, 127, 128, 32767])
@pytest.mark.parametrize("base", [None, 0, 255])
@pytest.mark.parametrize("layer", [None, (1, 1)])
def test_vp8_numbers_are_found_and_moved_in_every_form(
    picture: int | None, base: int | None, layer: tuple[int, int] | None
) -> None:
    descriptor = VpxPayloadDescriptor(1, 0, picture_id=picture, tl0picidx=base, tid=layer)
    payload = bytes(descriptor) + b"\x00frame"
    assert rtp.is_vp8_key_frame(payload)
    assert rtp.vp8_numbers(payload) == (-1 if picture is None else picture, -1 if base is None else base)
    moved, rest = VpxPayloadDescriptor.parse(rtp.vp8_renumber(payload, 3, 7))
    width = 0x7FFF if payload[2] & 0x80 else 0x7F
    assert moved.picture_id == (None if picture is None else (picture + 3) & width)
    assert moved.tl0picidx == (None if base is None else (base + 7) & 0xFF)
    assert (moved.tid, rest) == (layer, b"\x00frame")


@pytest.mark.parametrize(
    ("payload", "is_key"),
    [
        (b"\x67sps", True),
        (b"\x65idr", True),
        (b"\x61slice", False),
        (b"\x7c\x85start of an idr in fragments", True),
        (b"\x7c\x45end of an idr in fragments", False),
        (b"\x7c\x81start of a slice in fragments", False),
        (b"\x78\x00\x03\x68pp\x00\x02\x67s", True),
        (b"\x78\x00\x02\x61x", False),
        (b"\x78\xff\xff\x61", False),
        (b"\x78", False),
        (b"", False),
    ],
)
def test_an_h264_key_frame_is_told_by_its_units(payload: bytes, is_key: bool) -> None:
    assert rtp.is_h264_key_frame(payload) is is_key
