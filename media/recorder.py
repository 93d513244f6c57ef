"""One room's recording segment as it happens: which packets may be stored, framed on the media loop into chunks.

Sealing and writing happen in `logwriter.py`, the folder and the store in `capture.py`; who has consented is decided
elsewhere and arrives here as the grant.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from media.api import CapturePhase, CaptureState, SealingKey, StoredLog
from media.logformat import (
    PACK_PACKET,
    PACKET_OVERHEAD_BYTES,
    PAYLOAD_LIMIT_BYTES,
    RTP_HEADER_BYTES,
    EndRecord,
    FrameKind,
    KeyRecord,
    LogHeader,
    MarkRecord,
    RecordKind,
    ReportRecord,
    TrackRecord,
    json_frame,
    pack_report,
    pack_track,
)
from media.logwriter import LogFile, Work
from media.payload import begins_key_frame
from media.vault import ChunkSealer, decode_key

CHUNK_BYTES = 256 * 1024
MARK_LIMIT = 20_000

Detail = Mapping[str, Any] | str | None


@dataclass(frozen=True, slots=True)
class Clock:
    """The node's monotonic clock, the one packets are stamped with, and UTC; both in nanoseconds."""

    mono_ns: Callable[[], int] = time.monotonic_ns
    utc_ns: Callable[[], int] = time.time_ns


@dataclass(slots=True)
class _Stream:
    """The chunks of one participant under one key. `key` is set until the key record was handed to the writer."""

    participant_id: str
    key: SealingKey
    sealer: ChunkSealer
    key_record: bytes
    buffer: bytearray = field(default_factory=bytearray)
    declared: set[int] = field(default_factory=set)


@dataclass(slots=True)
class _Track:
    record: TrackRecord
    is_video: bool
    wants_key: bool
    stream: _Stream | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """Where a session's bytes go: the log file, how work for it is handed over, how much may be on its way."""

    log: LogFile
    submit: Callable[[Work], None]
    backlog_limit_bytes: int


class CaptureSession:
    """Capture of one room in one recording segment. All methods are called on the node's event loop."""

    def __init__(
        self,
        header: LogHeader,
        *,
        output: Output,
        clock: Clock,
        track_ids: Iterator[int],
        changed: Callable[[CaptureSession], None],
        finished: Callable[[CaptureSession], Awaitable[StoredLog | None]],
    ) -> None:
        self.header = header
        self._output = output
        self._clock = clock
        self._track_ids = track_ids
        self._changed = changed
        self._finished = finished
        self._journal = bytearray(json_frame(FrameKind.HEADER, header))
        self._streams: dict[str, _Stream] = {}
        self._stream_count = 0
        self._tracks: dict[int, _Track] = {}
        self._live: dict[int, _Track] = {}
        self._running = False
        self._phase = CapturePhase.OFF
        self._reason: str | None = None
        self._marks = 0
        self._handed_bytes = 0
        self._dropping_since_ns: int | None = None
        self._dropped = 0
        self._complete = True
        self._closed = False
        self.packets = 0

    # ---- what the room tells us

    def set_grant(self, running: bool, keys: Mapping[str, SealingKey], reason: str | None = None) -> None:
        """Store from this moment the packets of just these participants, under these keys; nothing while not running.

        `reason` is the code of a pause.
        Idempotent. Raises ValueError for a key that is not 256 bits of base64, before anything changes.
        """
        if self._phase in (CapturePhase.STOPPED, CapturePhase.FAILED):
            return
        data_keys = {participant_id: decode_key(key.key) for participant_id, key in keys.items()}
        gone = [one for one, stream in self._streams.items() if keys.get(one) != stream.key]
        new = [one for one in keys if one not in self._streams or one in gone]
        if not gone and not new and running == self._running:
            return
        self._flush_all()
        for participant_id in gone:
            self._flush(self._streams.pop(participant_id), final=True)
        for participant_id in new:
            self._streams[participant_id] = self._new_stream(participant_id, keys[participant_id], data_keys)
        self._running = running
        self._phase = CapturePhase.RUNNING if running else CapturePhase.PAUSED
        self._reason = None
        detail = {"participants": sorted(keys)}
        self._mark("running" if running else "paused", None, {**detail, "code": reason} if reason else detail)
        self._want_key_frames()
        self._refresh()
        self._changed(self)

    def open_track(
        self,
        *,
        participant_id: str,
        source: str,
        kind: str,
        codec: str,
        payload_type: int,
        clock_rate: int,
        fmtp: str = "",
        cname: str = "",
        rid: str = "",
    ) -> int:
        """A number for this track that no other room of this node uses, so that a packet cannot go astray."""
        track = TrackRecord(
            track=next(self._track_ids),
            at_ns=self._clock.mono_ns(),
            participant_id=participant_id,
            source=str(source),
            kind=str(kind),
            codec=codec,
            payload_type=payload_type,
            clock_rate=clock_rate,
            fmtp=fmtp,
            cname=cname,
            rid=rid,
        )
        is_video = kind == "video"
        self._tracks[track.track] = _Track(record=track, is_video=is_video, wants_key=is_video)
        self._refresh()
        return track.track

    def packet(self, track_id: int, arrived_ns: int, sequence48: int, header: bytes, payload: bytes) -> bool:
        """Frame one RTP packet; False when it is not stored. The loop's hottest call: no I/O, no objects."""
        track = self._live.get(track_id)
        size = len(payload)
        if track is None or size > PAYLOAD_LIMIT_BYTES or len(header) != RTP_HEADER_BYTES:
            if self._dropping_since_ns is not None:
                self._dropped += 1
            return False
        stream = track.stream
        assert stream is not None  # noqa: S101 - a live track has one
        buffer = stream.buffer
        buffer += PACK_PACKET(RecordKind.PACKET, size + PACKET_OVERHEAD_BYTES, track_id, arrived_ns, sequence48)
        buffer += header
        buffer += payload
        self.packets += 1
        if track.wants_key and begins_key_frame(track.record.codec, payload):
            track.wants_key = False
        if len(buffer) >= CHUNK_BYTES:
            self._flush(stream)
        return True

    def sender_report(self, track_id: int, arrived_ns: int, ntp: int, rtp: int) -> None:
        """Both clocks of the sender at one moment (RFC 3550 §6.4.1): `ntp` its 64 bits, `rtp` its 32."""
        track = self._live.get(track_id)
        if track is not None and track.stream is not None:
            report = ReportRecord(track=track_id, arrived_ns=arrived_ns, ntp=ntp & (2**64 - 1), rtp=rtp & (2**32 - 1))
            track.stream.buffer += pack_report(report)

    def mark(self, kind: str, participant_id: str | None = None, detail: Detail = None) -> None:
        """Note an event: ids and codes only. `gap` with a `track` number also asks that track for a key frame."""
        if self._closed or self._marks >= MARK_LIMIT:
            return
        fields: dict[str, Any] = {"code": detail} if isinstance(detail, str) else dict(detail or {})
        self._mark(kind, participant_id, fields)
        track = self._tracks.get(fields.get("track", 0))
        if kind == "gap" and track is not None:
            track.wants_key = track.is_video

    def wants_key_frame(self, track_id: int) -> bool:
        """Whether this video track is to be asked for a key frame (each second, until it is False)."""
        track = self._live.get(track_id)
        return track is not None and track.wants_key

    def state(self) -> CaptureState:
        return CaptureState(
            recording_id=self.header.recording_id,
            segment=self.header.segment,
            phase=self._phase,
            reason=self._reason,
            packets=self.packets,
            bytes=self._output.log.written_bytes,
        )

    async def close(self, reason: str) -> StoredLog | None:
        """End the log and put it into the store. None when nothing was ever stored, or the store can't be reached
        (then the log is kept and put there later). A second call answers None."""
        if self._closed:
            return None
        self.stop(reason)
        self._closed = True
        return await self._finished(self)

    # ---- what the store asks of a session

    @property
    def log(self) -> LogFile:
        return self._output.log

    @property
    def complete(self) -> bool:
        return self._complete

    @property
    def reason(self) -> str:
        return self._reason or ""

    def stop(self, reason: str, *, phase: CapturePhase = CapturePhase.STOPPED) -> None:
        """Store nothing more, and say why. What was framed before is still written."""
        if self._phase in (CapturePhase.STOPPED, CapturePhase.FAILED):
            return
        self._end_drop()
        self._phase, self._reason = phase, reason
        self._complete = phase is CapturePhase.STOPPED
        self._running = False
        self._live.clear()
        self._mark("stopped", None, {"code": reason})
        self._changed(self)

    def tick(self) -> None:
        """Hand over what has gathered; called a few times a second. Ends a drop once the disk has caught up."""
        if self._dropping_since_ns is not None and self._backlog() < self._output.backlog_limit_bytes // 2:
            self._end_drop()
            self._want_key_frames()
            self._refresh()
        self._flush_all()

    def finish(self) -> Future[None] | None:
        """Hand over the rest with the end of the log; None when there was nothing to write at all."""
        for stream in self._streams.values():
            self._flush(stream, final=True)
        self._streams.clear()
        if self.packets == 0:
            return None
        end = EndRecord(self._clock.mono_ns(), self.reason, self.packets, self._complete)
        self._journal += json_frame(FrameKind.END, end)
        done: Future[None] = Future()
        self._submit(Work(log=self.log, clear=self._take_journal(), done=done))
        return done

    # ---- inside

    def _new_stream(self, participant_id: str, key: SealingKey, data_keys: Mapping[str, bytes]) -> _Stream:
        self._stream_count += 1
        number = self._stream_count
        sealer = ChunkSealer(
            data_keys[participant_id], header=self.header, participant_id=participant_id, stream=number
        )
        record = KeyRecord(stream=number, participant_id=participant_id, wrapped=key.wrapped)
        return _Stream(participant_id, key, sealer, json_frame(FrameKind.KEY, record))

    def _refresh(self) -> None:
        """Work out anew which tracks are stored; a track is described in its owner's chunks before its packets."""
        self._live.clear()
        if not self._running or self._dropping_since_ns is not None:
            return
        for track_id, track in self._tracks.items():
            track.stream = self._streams.get(track.record.participant_id)
            if track.stream is None:
                continue
            if track_id not in track.stream.declared:
                track.stream.declared.add(track_id)
                track.stream.buffer += pack_track(track.record)
            self._live[track_id] = track

    def _want_key_frames(self) -> None:
        for track in self._tracks.values():
            track.wants_key = track.is_video

    def _mark(self, kind: str, participant_id: str | None, detail: dict[str, Any]) -> None:
        self._marks += 1
        record = MarkRecord(self._clock.mono_ns(), kind, participant_id, detail)
        self._journal += json_frame(FrameKind.MARK, record)

    def _flush_all(self) -> None:
        if self.packets == 0:
            return
        for stream in self._streams.values():
            if stream.buffer:
                self._flush(stream)
        if self._journal:
            self._submit(Work(log=self.log, clear=self._take_journal()))

    def _flush(self, stream: _Stream, *, final: bool = False) -> None:
        """Hand one participant's buffer to the writer as a chunk. A stream that never held anything leaves no trace."""
        if self.packets == 0 or (stream.key_record and not stream.buffer):
            return
        clear = self._take_journal() + stream.key_record
        stream.key_record = b""
        plain, stream.buffer = stream.buffer, bytearray()
        now_ns, utc_ns = self._clock.mono_ns(), self._clock.utc_ns()
        self._submit(Work(self.log, clear, stream.sealer, plain, utc_ns, now_ns, final))
        if self._dropping_since_ns is None and self._backlog() > self._output.backlog_limit_bytes:
            self._dropping_since_ns = now_ns
            self._live.clear()

    def _end_drop(self) -> None:
        """Say loudly what was not stored."""
        if self._dropping_since_ns is None:
            return
        detail = {"from_ns": self._dropping_since_ns, "packets": self._dropped}
        self._dropping_since_ns, self._dropped = None, 0
        self._mark("dropped", None, detail)
        self._changed(self)

    def _take_journal(self) -> bytes:
        journal = bytes(self._journal)
        self._journal.clear()
        return journal

    def _submit(self, work: Work) -> None:
        self._handed_bytes += len(work.clear) + len(work.plain)
        self._output.submit(work)

    def _backlog(self) -> int:
        return self._handed_bytes - self.log.taken_bytes
