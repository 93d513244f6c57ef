"""Which frames can be decoded, out of packets of which some never came."""

from __future__ import annotations

import numpy as np
import pytest

from media.compose.frames import EncodedFrame, assemble
from media.logformat import PacketRecord
from media.payload import begins_key_frame, h264_units, vp8_payload_offset
from tests.media.golden import Rtp, video


def noise(at_s: float) -> np.ndarray:
    """Pictures that need several packets each."""
    return np.random.default_rng(int(at_s * 1000)).integers(0, 255, (96, 128, 3), np.uint8)


@pytest.fixture(scope="module")
def sent() -> list[Rtp]:
    return video(noise, [number / 10 for number in range(10)], keys=[6])


def assembled(packets: list[Rtp], codec: str = "VP8") -> list[EncodedFrame]:
    records = [(PacketRecord(1, 0, one.sequence, one.header, one.payload), one.captured_s) for one in packets]
    return list(assemble(codec, records))


def numbers(frames: list[EncodedFrame]) -> list[int]:
    return [round(one.captured_s * 10) for one in frames]


def packets_of(sent: list[Rtp], frame: int) -> list[Rtp]:
    return [one for one in sent if round(one.captured_s * 10) == frame]


def test_everything_there_is_everything_decodable(sent: list[Rtp]) -> None:
    frames = assembled(sent)
    assert numbers(frames) == list(range(10))
    assert [number for number, one in enumerate(frames) if one.is_key] == [0, 6]
    assert len(packets_of(sent, 0)) > 1


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_lost_part_costs_its_frame_and_those_up_to_the_next_key_frame(sent: list[Rtp], which: int) -> None:
    lost = packets_of(sent, 3)[which]
    assert numbers(assembled([one for one in sent if one is not lost])) == [0, 1, 2, 6, 7, 8, 9]


def test_a_lost_frame_costs_those_up_to_the_next_key_frame(sent: list[Rtp]) -> None:
    lost = packets_of(sent, 3)
    assert numbers(assembled([one for one in sent if one not in lost])) == [0, 1, 2, 6, 7, 8, 9]


def test_left_out_padding_costs_nothing(sent: list[Rtp]) -> None:
    """The numbers have a hole between two frames, the picture ids go on."""
    moved = [
        Rtp(one.captured_s, one.sequence + (5 if one.captured_s >= 0.3 else 0), one.timestamp, one.marker, one.payload)
        for one in sent
    ]
    assert numbers(assembled(moved)) == list(range(10))


def test_without_a_key_frame_nothing_is_decodable(sent: list[Rtp]) -> None:
    assert numbers(assembled([one for one in sent if 0.05 < one.captured_s < 0.55])) == []


@pytest.mark.parametrize("payload", [b"", b"\x80", b"\x90\x80", b"\x90\xf0\x80", b"\xff" * 3, b"\x10"])
def test_a_cut_off_descriptor_is_no_frame(payload: bytes) -> None:
    assert vp8_payload_offset(payload) is None
    assert not begins_key_frame("VP8", payload)
    assert assembled([Rtp(0.0, 1, 1, True, payload)]) == []


def test_h264_units_are_put_together_from_aggregates_and_fragments() -> None:
    single, aggregate = b"\x65abc", b"\x18\x00\x02\x67s\x00\x02\x68p"
    fragments = [b"\x7c\x85one", b"\x7c\x05two", b"\x7c\x45end"]
    start = b"\x00\x00\x00\x01"
    assert h264_units([aggregate, single]) == start + b"\x67s" + start + b"\x68p" + start + single
    assert h264_units(fragments) == start + b"\x65onetwoend"
    assert begins_key_frame("H264", aggregate)
    assert begins_key_frame("H264", fragments[0])
    assert not begins_key_frame("H264", fragments[1])


@pytest.mark.parametrize("payload", [b"", b"\x18\x00\x09x", b"\x18\x00\x00", b"\x1f", b"\x7c", b"\x18\x00"])
def test_h264_that_makes_no_sense_is_no_frame(payload: bytes) -> None:
    assert h264_units([payload]) is None
