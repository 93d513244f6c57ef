"""Reading logs that somebody or something has touched."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from media.compose import FilmOptions, LogDamagedError, compose_film
from media.compose.reader import SegmentLog
from media.logformat import FrameKind, PacketRecord, TrackRecord, pack_packet, pack_track, read_frames
from tests.media.golden import GoldenLog, Rtp


@pytest.fixture
def golden(tmp_path: Path) -> GoldenLog:
    log = GoldenLog(tmp_path / "one.bedlog")
    for who in ("anna", "doctor"):
        track = log.track(who, "microphone")
        log.send(track, [Rtp(n * 0.02, n, n * 960, False, b"%s %d" % (who.encode(), n)) for n in range(100)])
    log.write(2.0)
    return log


def held(log: SegmentLog) -> dict[str, int]:
    return {one.record.participant_id: len(list(log.packets(one))) for one in log.tracks}


def chunk_places(path: Path) -> list[tuple[int, int]]:
    with path.open("rb") as file:
        return [(one.offset, one.size) for one in read_frames(file) if one.kind == FrameKind.CHUNK]


def test_an_untouched_log_reads_whole(golden: GoldenLog) -> None:
    log = SegmentLog(golden.path, golden.unwrap)
    assert log.problems == set()
    assert held(log) == {"anna": 100, "doctor": 100}
    assert log.participants == ["anna", "doctor"]


def test_a_chunk_with_a_flipped_bit_is_left_out_and_said(golden: GoldenLog) -> None:
    data = bytearray(golden.path.read_bytes())
    offset, size = chunk_places(golden.path)[2]
    data[offset + size - 5] ^= 1
    golden.path.write_bytes(bytes(data))
    log = SegmentLog(golden.path, golden.unwrap)
    assert log.problems == {"chunks_missing"}, "the checksum passed over it"
    assert 0 < held(log)["anna"] < 100
    assert held(log)["doctor"] == 100


def test_swapped_chunks_are_left_out_and_said(golden: GoldenLog) -> None:
    data = golden.path.read_bytes()
    places = chunk_places(golden.path)
    parts = [data[offset : offset + size] for offset, size in places]
    parts[0], parts[2] = parts[2], parts[0]
    start, end = places[0][0], places[-1][0] + places[-1][1]
    golden.path.write_bytes(data[:start] + b"".join(parts) + data[end:])
    log = SegmentLog(golden.path, golden.unwrap)
    assert "chunk_refused" in log.problems
    assert held(log)["doctor"] == 100


def test_chunks_of_another_recording_are_refused(golden: GoldenLog, tmp_path: Path) -> None:
    """A consultation's neighbour never appears, even where somebody pastes it in under the same key."""
    other = GoldenLog(tmp_path / "two.bedlog", recording_id="rec-2", keys=dict(golden.keys))
    track = other.track("anna", "microphone")
    other.send(track, [Rtp(n * 0.02, n + 500, n * 960, False, b"neighbour") for n in range(100)])
    other.write(2.0)
    foreign = [other.path.read_bytes()[offset : offset + size] for offset, size in chunk_places(other.path)]
    data = golden.path.read_bytes()
    golden.path.write_bytes(data + b"".join(foreign))
    log = SegmentLog(golden.path, golden.unwrap)
    assert log.problems == {"chunk_refused"}
    assert held(log) == {"anna": 100, "doctor": 100}
    assert not any(b"neighbour" in one.payload for track in log.tracks for one in log.packets(track))


def test_a_record_of_a_track_its_stream_never_declared_is_refused(tmp_path: Path) -> None:
    log = GoldenLog(tmp_path / "one.bedlog")
    track = log.track("anna", "microphone")
    doctor = log.track("doctor", "microphone")
    log.send(track, [Rtp(0.0, 1, 1, False, b"mine")])
    stray = PacketRecord(doctor.number, log.ns(0.1), 9, bytes(12), b"astray")
    log._records.append((0.1, "anna", pack_packet(stray)))
    log.write(1.0)
    read = SegmentLog(log.path, log.unwrap)
    assert read.problems == {"foreign_record"}
    assert [one.payload for track in read.tracks for one in read.packets(track)] == [b"mine"]


def test_a_track_that_claims_another_owner_is_refused(tmp_path: Path) -> None:
    log = GoldenLog(tmp_path / "one.bedlog")
    log.track("anna", "microphone")
    claim = TrackRecord(9, log.ns(0), "doctor", "camera", "video", "VP8", 96, 90_000, "", "", "")
    log._records.append((0.1, "anna", pack_track(claim)))
    log.write(1.0)
    read = SegmentLog(log.path, log.unwrap)
    assert read.problems == {"foreign_record"}
    assert [track.record.participant_id for track in read.tracks] == ["anna"]


def test_a_log_cut_at_any_place_reads_up_to_the_last_whole_chunk(golden: GoldenLog) -> None:
    data = golden.path.read_bytes()
    first = chunk_places(golden.path)[0][0]
    counts = []
    for cut in range(first, len(data), 997):
        golden.path.write_bytes(data[:cut])
        counts.append(sum(held(SegmentLog(golden.path, golden.unwrap)).values()))
    assert counts == sorted(counts)
    assert counts[0] == 0
    assert counts[-1] > 190


def test_the_wrong_key_opens_nothing_and_says_so(golden: GoldenLog, tmp_path: Path) -> None:
    golden.keys["anna"] = os.urandom(32)
    golden.keys["doctor"] = os.urandom(32)
    report = compose_film(
        [golden.path], tmp_path / "film.mp4", unwrap=golden.unwrap, options=FilmOptions(width=64, height=36)
    )
    assert report.empty
    assert not report.passed
    assert "chunk_refused" in report.problems
    assert not (tmp_path / "film.mp4").exists()


@pytest.mark.parametrize("data", [b"", b"BEDSIDE\x01", b"\x00" * 100, b"BEDSIDE\x02" + b"x" * 50])
def test_a_file_that_is_no_log_is_said_to_be_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x"
    path.write_bytes(data)
    with pytest.raises(LogDamagedError):
        SegmentLog(path, lambda who, wrapped: b"")


def test_a_mark_forged_to_lie_years_away_makes_no_endless_film(golden: GoldenLog) -> None:
    golden._marks.clear()
    golden.mark(-1e8, "running")
    golden.mark(1e8, "paused")
    golden.write(1e8)
    log = SegmentLog(golden.path, golden.unwrap)
    assert log.problems == {"mark_implausible"}
    assert log.marks[-1].at_ns - log.marks[0].at_ns < 5 * 3600e9
    assert log.last_ns < golden.ns(3 * 3600)


def test_a_track_of_a_codec_we_cannot_read_is_left_out_and_said(tmp_path: Path) -> None:
    log = GoldenLog(tmp_path / "one.bedlog")
    for codec in ("AV1", "opus"):
        track = log.track("anna", "camera", codec=codec)
        log.send(track, [Rtp(0.0, 1, 1, True, b"x")])
    good = log.track("anna", "microphone")
    log.send(good, [Rtp(0.0, 1, 1, False, b"good")])
    log.write(1.0)
    read = SegmentLog(log.path, log.unwrap)
    assert read.problems == {"codec_unsupported"}
    assert [track.record.source for track in read.tracks] == ["microphone"]


def test_a_record_that_cannot_be_read_costs_its_chunk_not_the_film(golden: GoldenLog, tmp_path: Path) -> None:
    log = GoldenLog(tmp_path / "two.bedlog")
    track = log.track("anna", "microphone")
    log.send(track, [Rtp(n * 0.2, n, n * 9600, False, b"x") for n in range(10)])
    log._records.append((0.5, "anna", b"\x09\x00\x02\x00\x00"))
    log.write(2.0)
    read = SegmentLog(log.path, log.unwrap)
    assert "record_unreadable" in read.problems
    assert 5 < held(read)["anna"] < 10
