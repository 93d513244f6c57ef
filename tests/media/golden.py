"""Makes packet logs out of really encoded media, each moment of them chosen by the test.

Written with `logformat` and `vault` alone, so that a log may hold what the recorder would never write.
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from media.logformat import (
    MAGIC,
    EndRecord,
    FrameKind,
    KeyRecord,
    LogHeader,
    MarkRecord,
    PacketRecord,
    ReportRecord,
    TrackRecord,
    json_frame,
    pack_packet,
    pack_report,
    pack_track,
)
from media.vault import ChunkSealer

MONO_0 = 5_000_000_000_000
UTC_0 = 1_790_000_000_000_000_000
RATES = {"audio": 48_000, "video": 90_000}


@dataclass(frozen=True)
class Rtp:
    """One packet of a sender: `captured_s` on the true clock, counted from the moment the capture was granted."""

    captured_s: float
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes

    @property
    def header(self) -> bytes:
        second = 96 | (0x80 if self.marker else 0)
        numbers = (self.sequence & 0xFFFF).to_bytes(2, "big") + (self.timestamp & 0xFFFFFFFF).to_bytes(4, "big")
        return bytes((0x80, second)) + numbers + b"\x00\x00\x12\x34"


Picture = Callable[[float], np.ndarray]


def flat(
    width: int, height: int, rgb: tuple[int, int, int], flash_at: Sequence[float] = (), flash_s: float = 0.2
) -> Picture:
    """One colour, white while it flashes."""

    def picture(at_s: float) -> np.ndarray:
        lit = any(flash <= at_s + 1e-6 < flash + flash_s for flash in flash_at)
        return np.full((height, width, 3), (255, 255, 255) if lit else rgb, np.uint8)

    return picture


def tone(
    frequency: float, on: Sequence[tuple[float, float]] = ((0.0, 1e9),), level: float = 0.4
) -> Callable[[np.ndarray], np.ndarray]:
    """A sine that sounds within the given spans."""

    def signal(at_s: np.ndarray) -> np.ndarray:
        gate = np.zeros(len(at_s), bool)
        for start, end in on:
            gate |= (at_s >= start) & (at_s < end)
        return (level * np.sin(2 * np.pi * frequency * at_s) * gate).astype(np.float32)

    return signal


def video(
    picture: Picture,
    times_s: Iterable[float],
    *,
    first_sequence: int = 1000,
    first_timestamp: int = 90_000,
    first_picture_id: int = 100,
    clock: float = 1.0,
    codec: str = "VP8",
    keys: Sequence[int] = (),
    bit_rate: int = 400_000,
) -> list[Rtp]:
    """VP8 (or H.264) packets; a picture of another size begins anew with a key frame. `clock`: the sender's rate."""
    packets: list[Rtp] = []
    encoder, size, sequence, planar = None, None, first_sequence, VideoReformatter()
    for number, at_s in enumerate(times_s):
        image = picture(at_s)
        if encoder is None or image.shape != size or number in keys:
            encoder, size = _video_encoder(codec, image.shape[1], image.shape[0], bit_rate), image.shape
        frame = planar.reformat(av.VideoFrame.from_ndarray(image, format="rgb24"), format="yuv420p")
        frame.pts, frame.time_base = number, Fraction(1, 30)
        data = b"".join(bytes(packet) for packet in encoder.encode(frame))
        timestamp = first_timestamp + round(at_s * RATES["video"] * clock)
        parts = _vp8_parts(data, first_picture_id + number) if codec == "VP8" else _h264_parts(data)
        for index, part in enumerate(parts):
            packets.append(Rtp(at_s, sequence, timestamp, index == len(parts) - 1, part))
            sequence += 1
    return packets


def audio(
    signal: Callable[[np.ndarray], np.ndarray],
    start_s: float,
    end_s: float,
    *,
    first_sequence: int = 7,
    first_timestamp: int = 48_000,
    clock: float = 1.0,
) -> list[Rtp]:
    """Opus packets of 20 ms that cover the span."""
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.bit_rate = 48_000, "mono", "flt", 32_000
    encoder.options = {"application": "voip"}
    packets: list[Rtp] = []
    for number in range(round((end_s - start_s) * 50)):
        at_s = start_s + number * 0.02
        frame = av.AudioFrame.from_ndarray(signal(at_s + np.arange(960) / 48_000)[None, :], format="flt", layout="mono")
        frame.sample_rate, frame.pts = 48_000, number * 960
        for packet in encoder.encode(frame):
            timestamp = first_timestamp + round(at_s * 48_000 * clock)
            packets.append(Rtp(at_s, first_sequence + number, timestamp, False, bytes(packet)))
    return packets


@dataclass
class Track:
    number: int
    kind: str
    participant_id: str


@dataclass
class GoldenLog:
    """Times are seconds of the film, 0 being the grant."""

    path: Path
    recording_id: str = "rec-1"
    segment: int = 1
    mono_0: int = MONO_0
    utc_0: int = UTC_0
    clock: str = "boot-1"
    keys: dict[str, bytes] = field(default_factory=dict)
    _records: list[tuple[float, str, bytes]] = field(default_factory=list)
    _marks: list[MarkRecord] = field(default_factory=list)
    _tracks: int = 0

    def __post_init__(self) -> None:
        self.header = LogHeader(
            self.recording_id, self.segment, "room-1", "node-1", uuid.uuid4().hex, self.clock, self.utc_0, self.mono_0
        )

    def ns(self, at_s: float) -> int:
        return self.mono_0 + round(at_s * 1e9)

    def track(
        self,
        participant_id: str,
        source: str,
        *,
        cname: str | None = None,
        at_s: float = 0.0,
        codec: str | None = None,
        rid: str = "",
    ) -> Track:
        kind = "audio" if source in ("microphone", "screen_audio") else "video"
        self.keys.setdefault(participant_id, os.urandom(32))
        self._tracks += 1
        record = TrackRecord(
            self._tracks,
            self.ns(at_s),
            participant_id,
            source,
            kind,
            codec or ("opus" if kind == "audio" else "VP8"),
            96,
            RATES[kind],
            "",
            cname if cname is not None else f"cname-{participant_id}",
            rid,
        )
        self._records.append((at_s - 1e-6, participant_id, pack_track(record)))
        return Track(self._tracks, kind, participant_id)

    def send(self, track: Track, packets: Iterable[Rtp], delay: Callable[[float], float] = lambda _: 0.02) -> None:
        for packet in packets:
            at_s = packet.captured_s + delay(packet.captured_s)
            record = PacketRecord(track.number, self.ns(at_s), packet.sequence, packet.header, packet.payload)
            self._records.append((at_s, track.participant_id, pack_packet(record)))

    def reports(
        self,
        track: Track,
        times_s: Iterable[float],
        *,
        ntp_0: float = 3_900_000_000.0,
        clock: float = 1.0,
        first_timestamp: int | None = None,
        ntp_clock: float = 1.0,
        step: Callable[[float], float] = lambda _: 0.0,
        delay: float = 0.02,
    ) -> None:
        """Sender reports: the sender's NTP clock starts at `ntp_0` and runs `ntp_clock` times as fast as the truth."""
        rate = RATES[track.kind]
        start = rate if first_timestamp is None else first_timestamp
        for at_s in times_s:
            ntp = round((ntp_0 + at_s * ntp_clock + step(at_s)) * 2**32)
            rtp = round(start + at_s * rate * clock) & 0xFFFFFFFF
            self._records.append(
                (
                    at_s + delay,
                    track.participant_id,
                    pack_report(ReportRecord(track.number, self.ns(at_s + delay), ntp, rtp)),
                )
            )

    def mark(self, at_s: float, kind: str, participant_id: str | None = None, **detail: object) -> None:
        self._marks.append(MarkRecord(self.ns(at_s), kind, participant_id, dict(detail)))

    def write(self, end_s: float | None, reason: str = "ended") -> Path:
        """The log's file; without an end it is as a crash leaves it."""
        if not any(mark.kind == "running" for mark in self._marks):
            self.mark(0.0, "running")
        if end_s is not None:
            self.mark(end_s, "stopped", code=reason)
        streams = {who: number for number, who in enumerate(self.keys, 1)}
        sealers = {
            who: ChunkSealer(self.keys[who], header=self.header, participant_id=who, stream=number)
            for who, number in streams.items()
        }
        out = bytearray(MAGIC + json_frame(FrameKind.HEADER, self.header))
        for who, number in streams.items():
            out += json_frame(FrameKind.KEY, KeyRecord(number, who, base64.b64encode(self.wrapped(who)).decode()))
        for mark in sorted(self._marks, key=lambda one: one.at_ns):
            out += json_frame(FrameKind.MARK, mark)
        for slot, who, plain, final in self._chunks(end_s is not None):
            out += sealers[who].seal(plain, utc_ns=self.utc_0, mono_ns=self.ns(slot), final=final)
        if end_s is not None:
            out += json_frame(FrameKind.END, EndRecord(self.ns(end_s), reason, len(self._records), True))
        self.path.write_bytes(out)
        return self.path

    def wrapped(self, participant_id: str) -> bytes:
        return b"wrapped " + participant_id.encode()

    def unwrap(self, participant_id: str, wrapped: bytes) -> bytes:
        assert wrapped == self.wrapped(participant_id)
        return self.keys[participant_id]

    def _chunks(self, ended: bool) -> list[tuple[float, str, bytes, bool]]:
        slots: dict[tuple[int, str], bytearray] = {}
        for at_s, who, record in sorted(self._records, key=lambda one: one[0]):
            slots.setdefault((int(at_s / 0.4), who), bytearray()).extend(record)
        chunks = [(slot * 0.4, who, bytes(plain), False) for (slot, who), plain in slots.items()]
        return chunks + [(0.0, who, b"", True) for who in self.keys if ended]


def _video_encoder(codec: str, width: int, height: int, bit_rate: int) -> av.VideoCodecContext:
    encoder = av.CodecContext.create("libvpx" if codec == "VP8" else "libx264", "w")
    encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuv420p"
    encoder.thread_count = 1  # pictures this small only wait for each other
    encoder.time_base, encoder.bit_rate, encoder.gop_size = Fraction(1, 30), bit_rate, 3000
    fast = {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
    encoder.options = fast if codec == "VP8" else {"preset": "ultrafast", "tune": "zerolatency", "profile": "baseline"}
    return encoder


def _vp8_parts(data: bytes, picture_id: int, size: int = 1100) -> list[bytes]:
    parts = []
    for offset in range(0, len(data), size):
        first = 0x90 if offset == 0 else 0x80
        descriptor = bytes((first, 0x80)) + (0x8000 | picture_id & 0x7FFF).to_bytes(2, "big")
        parts.append(descriptor + data[offset : offset + size])
    return parts


def _h264_parts(data: bytes, size: int = 1100) -> list[bytes]:
    parts = []
    for unit in (one for one in data.replace(b"\x00\x00\x00\x01", b"\x00\x00\x01").split(b"\x00\x00\x01") if one):
        if len(unit) <= size:
            parts.append(unit)
            continue
        body, head = unit[1:], unit[0]
        pieces = [body[offset : offset + size] for offset in range(0, len(body), size)]
        for index, piece in enumerate(pieces):
            flags = (0x80 if index == 0 else 0) | (0x40 if index == len(pieces) - 1 else 0) | head & 0x1F
            parts.append(bytes((head & 0xE0 | 28, flags)) + piece)
    return parts
