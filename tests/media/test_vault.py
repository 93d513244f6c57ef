"""Chunks sealed by person: only whole, in their place and under their own key do they open."""

from __future__ import annotations

import base64
import contextlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from media.logformat import (
    MAGIC,
    EndRecord,
    FrameKind,
    KeyRecord,
    LogDamagedError,
    LogHeader,
    frame,
    json_frame,
    parse_mark,
    read_frames,
    split_chunk,
)
from media.vault import ChunkOpener, ChunkSealer, SealBrokenError, decode_key, delete_participant, participants_of

HEADER = LogHeader("rec", 1, "room", "node", "0f" * 16, "boot", 1, 2)
KEY = os.urandom(32)


def sealer(header: LogHeader = HEADER, who: str = "anna", stream: int = 1, key: bytes = KEY) -> ChunkSealer:
    return ChunkSealer(key, header=header, participant_id=who, stream=stream)


def opener(
    header: LogHeader = HEADER, who: str = "anna", stream: int = 1, key: bytes = KEY, *, lenient: bool = False
) -> ChunkOpener:
    return ChunkOpener(key, header=header, participant_id=who, stream=stream, lenient=lenient)


def bodies(sealed_by: ChunkSealer, *plains: bytes) -> list[bytes]:
    prefix = len(frame(FrameKind.CHUNK, b""))
    last = len(plains) - 1
    return [
        sealed_by.seal(plain, utc_ns=9, mono_ns=number, final=number == last)[prefix:]
        for number, plain in enumerate(plains)
    ]


def test_chunks_open_in_order_and_the_last_one_says_so() -> None:
    reader = opener()
    assert [reader.open(body) for body in bodies(sealer(), b"one", b"two", b"")] == [b"one", b"two", b""]
    assert reader.finished


def test_every_byte_of_a_chunk_is_guarded() -> None:
    (body,) = bodies(sealer(), b"secret")
    for place in range(len(body)):
        broken = bytearray(body)
        broken[place] ^= 1
        with pytest.raises((SealBrokenError, LogDamagedError)):
            opener().open(bytes(broken))


def test_chunks_swapped_repeated_or_left_out_are_refused() -> None:
    one, two, three = bodies(sealer(), b"one", b"two", b"three")
    for order in ([two], [one, one], [one, three], [one, two, one], [one, two, three, three]):
        reader = opener()
        for body in order[:-1]:
            with contextlib.suppress(SealBrokenError):
                reader.open(body)
        with pytest.raises(SealBrokenError):
            reader.open(order[-1])


def test_a_truncated_chunk_is_refused() -> None:
    (body,) = bodies(sealer(), b"secret")
    for cut in (1, 16, 20):
        with pytest.raises(SealBrokenError):
            opener().open(body[:-cut])


def test_a_chunk_of_another_person_segment_recording_log_or_key_is_refused() -> None:
    (body,) = bodies(sealer(), b"secret")
    others = [
        opener(who="doctor"),
        opener(stream=2),
        opener(key=os.urandom(32)),
        opener(replace(HEADER, segment=2)),
        opener(replace(HEADER, recording_id="other")),
        opener(replace(HEADER, log_id="f0" * 16)),
    ]
    for other in others:
        with pytest.raises(SealBrokenError):
            other.open(body)


def test_a_lenient_opener_goes_on_behind_a_hole_and_counts_it() -> None:
    one, two, three, four = bodies(sealer(), b"one", b"two", b"three", b"four")
    reader = opener(lenient=True)
    assert reader.open(one) == b"one"
    with pytest.raises(SealBrokenError):
        reader.open(two[:-1] + b"\x00")
    assert reader.open(four) == b"four"
    assert reader.missing == 2
    with pytest.raises(SealBrokenError):
        reader.open(three)


def test_the_same_grant_in_a_second_log_never_repeats_a_nonce() -> None:
    """Same data key, same index: the sealed bytes still differ, as another log has another key of its own."""
    other = replace(HEADER, log_id="f0" * 16)
    (one,), (two,) = bodies(sealer(), b"\x00" * 64), bodies(sealer(other), b"\x00" * 64)
    assert split_chunk(one)[1] == split_chunk(two)[1]
    assert split_chunk(one)[2][:64] != split_chunk(two)[2][:64]


@pytest.mark.parametrize("key", ["", "AAAA", base64.b64encode(b"x" * 31).decode(), "not base64!", "é"])
def test_a_key_that_is_not_256_bits_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        decode_key(key)


def written(path: Path, *, ended: bool = True) -> Path:
    doctor_key = os.urandom(32)
    anna, doctor = sealer(), sealer(who="doctor", stream=2, key=doctor_key)
    parts = [
        MAGIC,
        json_frame(FrameKind.HEADER, HEADER),
        json_frame(FrameKind.KEY, KeyRecord(1, "anna", "V1JBUFBFRC1BTk5B")),
        json_frame(FrameKind.KEY, KeyRecord(2, "doctor", "V1JBUFBFRC1ET0M=")),
    ]
    for number in range(3):
        parts.append(anna.seal(b"anna %d" % number, utc_ns=1, mono_ns=1, final=False))
        parts.append(doctor.seal(b"doctor %d" % number, utc_ns=1, mono_ns=1, final=number == 2))
    if ended:
        parts.append(json_frame(FrameKind.END, EndRecord(9, "ended", 6, True)))
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("ended", [True, False])
def test_deleting_a_person_leaves_a_log_without_them(tmp_path: Path, ended: bool) -> None:
    log = written(tmp_path / "log", ended=ended)
    assert list(participants_of(log)) == ["anna", "doctor"]
    assert delete_participant(log, tmp_path / "copy", "anna", at_ns=5) == 3
    assert list(participants_of(tmp_path / "copy")) == ["doctor"]
    left = (tmp_path / "copy").read_bytes()
    assert b"V1JBUFBFRC1BTk5B" not in left
    assert b"V1JBUFBFRC1ET0M=" in left
    with (tmp_path / "copy").open("rb") as file:
        frames = list(read_frames(file))
    owners = [split_chunk(one.body)[0].participant_id for one in frames if one.kind == FrameKind.CHUNK]
    assert owners == ["doctor"] * 3
    (mark,) = [parse_mark(one.body) for one in frames if one.kind == FrameKind.MARK]
    assert (mark.kind, mark.participant_id, mark.at_ns) == ("removed", "anna", 5)
    assert (frames[-1].kind == FrameKind.END) is ended


def test_deleting_never_writes_over_a_file(tmp_path: Path) -> None:
    log = written(tmp_path / "log")
    with pytest.raises(FileExistsError):
        delete_participant(log, log, "anna")
    assert list(participants_of(log)) == ["anna", "doctor"]
