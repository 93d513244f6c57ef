"""The bytes of the packet log: what is written is read back, and no damage raises anything but LogDamagedError."""

from __future__ import annotations

import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.logformat import (
    MAGIC,
    ChunkHead,
    ChunkMark,
    EndRecord,
    FrameKind,
    LogDamagedError,
    LogHeader,
    MarkRecord,
    PacketRecord,
    ReportRecord,
    TrackRecord,
    frame,
    json_frame,
    pack_chunk_head,
    pack_mark,
    pack_packet,
    pack_report,
    pack_track,
    parse_header,
    parse_mark,
    read_frames,
    read_records,
    split_chunk,
)

HEADER = LogHeader("rec", 3, "room", "node", "ab" * 16, "boot", 1_790_000_000_000_000_000, 12_345)
TRACK = TrackRecord(9, 77, "anna", "camera", "video", "VP8", 96, 90_000, "max-fs=3600", "cname", "h")
HEAD = ChunkHead("rec", "node", "anna", segment=3, stream=2, index=11, final=True, utc_ns=5, mono_ns=6)
numbers = st.integers(0, 2**32 - 1)
packets = st.builds(
    PacketRecord,
    track=numbers,
    arrived_ns=st.integers(0, 2**63),
    sequence=st.integers(0, 2**48 - 1),
    header=st.binary(min_size=12, max_size=12),
    payload=st.binary(max_size=1500),
)
reports = st.builds(
    ReportRecord, track=numbers, arrived_ns=st.integers(0, 2**63), ntp=st.integers(0, 2**64 - 1), rtp=numbers
)


def log(*frames: bytes) -> io.BytesIO:
    return io.BytesIO(MAGIC + b"".join(frames))


@given(st.lists(st.one_of(packets, reports), max_size=20))
def test_records_come_back_in_order(records: list[PacketRecord | ReportRecord]) -> None:
    plain = b"".join(pack_packet(one) if isinstance(one, PacketRecord) else pack_report(one) for one in records)
    assert list(read_records(plain)) == records


def test_a_track_and_a_mark_come_back() -> None:
    mark = ChunkMark(9, 5, "gap", {"packets": 3})
    assert list(read_records(pack_track(TRACK) + pack_mark(mark))) == [TRACK, mark]


def test_only_the_asked_track_is_read() -> None:
    one = PacketRecord(1, 5, 7, b"h" * 12, b"one")
    two = one._replace(track=2)
    assert list(read_records(pack_packet(one) + pack_packet(two) + pack_packet(one), only_track=2)) == [two]


@given(st.lists(packets, max_size=3), st.binary(max_size=200))
def test_whatever_bytes_follow_whole_records_those_are_read_and_nothing_raises(
    records: list[PacketRecord], rest: bytes
) -> None:
    read = []
    with suppress(LogDamagedError):
        for one in read_records(b"".join(map(pack_packet, records)) + rest):
            read.append(one)
    assert read[: len(records)] == records


@given(st.integers(1, 200), st.lists(packets, min_size=1, max_size=3))
def test_records_cut_off_are_damaged(cut: int, records: list[PacketRecord]) -> None:
    plain = b"".join(map(pack_packet, records))[:-cut]
    whole = len(plain) == 0 or any(
        len(plain) == sum(len(pack_packet(one)) for one in records[:count]) for count in range(len(records))
    )
    if whole:
        list(read_records(plain))
    else:
        with pytest.raises(LogDamagedError):
            list(read_records(plain))


def test_a_chunk_head_is_split_from_what_is_sealed() -> None:
    packed = pack_chunk_head(HEAD)
    assert split_chunk(packed + b"sealed") == (HEAD, packed, b"sealed")


@given(st.binary(max_size=80))
def test_any_bytes_as_a_chunk_are_split_or_damaged(body: bytes) -> None:
    try:
        _, associated, sealed = split_chunk(body)
    except LogDamagedError:
        return
    assert associated + sealed == body


def test_frames_come_back_and_a_torn_tail_ends_quietly() -> None:
    frames = [json_frame(FrameKind.HEADER, HEADER), json_frame(FrameKind.MARK, MarkRecord(4, "join", "anna", {}))]
    whole = b"".join(frames)
    for cut in range(len(frames[1])):
        read = list(read_frames(log(whole[: len(whole) - cut])))
        assert len(read) == (2 if cut == 0 else 1)
        assert parse_header(read[0].body) == HEADER
    assert parse_mark(next(iter(list(read_frames(log(frames[1]))))).body).kind == "join"


def test_a_frame_with_a_flipped_bit_is_passed_over() -> None:
    first, second = frame(FrameKind.CHUNK, b"a" * 50), frame(FrameKind.CHUNK, b"b" * 50)
    flipped = bytearray(first)
    flipped[30] ^= 4
    assert [one.body for one in read_frames(log(bytes(flipped), second))] == [b"b" * 50]


def test_noughts_where_the_power_failed_end_the_reading() -> None:
    """Also of a length that holds whole frames of nothing, whose checksum would be right."""
    whole = frame(FrameKind.CHUNK, b"a" * 50)
    assert [one.body for one in read_frames(log(whole, bytes(9 * 7)))] == [b"a" * 50]
    empty = frame(FrameKind.CHUNK, b"")
    assert [one.body for one in read_frames(log(empty, whole))] == [b"", b"a" * 50]


def test_a_frame_of_absurd_length_ends_the_reading() -> None:
    assert list(read_frames(log(b"\xff\xff\xff\xff\x03\x00\x00\x00\x00" + b"x" * 100))) == []


@pytest.mark.parametrize("start", [b"", b"BEDSIDE\x02", b"\x1aE\xdf\xa3 something else"])
def test_a_file_that_is_no_log_of_this_version_is_refused(start: bytes) -> None:
    with pytest.raises(LogDamagedError):
        list(read_frames(io.BytesIO(start)))


@pytest.mark.parametrize("body", [b"", b"[]", b'{"v":1}', b"\xff", b'{"at_ns":1,"kind":"x","more":2}'])
def test_a_record_of_another_shape_is_damaged(body: bytes) -> None:
    with pytest.raises(LogDamagedError):
        parse_mark(body)


def test_no_frame_holds_a_name_in_clear_but_ids() -> None:
    """The clear part of an end: figures and a code."""
    (end,) = read_frames(log(json_frame(FrameKind.END, EndRecord(1, "ended", 4, True))))
    assert end.body == b'{"at_ns":1,"reason":"ended","packets":4,"complete":true}'
