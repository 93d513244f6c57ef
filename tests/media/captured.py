"""A capture store for tests: a clinic's keys, what the node was told, and a log read back."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

from media.api import CapturePhase, CaptureState, SealingKey, StoredLog
from media.capture import CaptureCallbacks, CaptureSession
from media.compose.reader import SegmentLog

HEADER = bytes(range(12))
KEY_FRAME = b"\x90\x80\x80\x01\x10rest"
INTER_FRAME = b"\x90\x80\x80\x02\x11rest"


class Keys:
    """A clinic's keys: the wrapped form is looked up again when the log is read."""

    def __init__(self, *who: str) -> None:
        self.raw = {one: os.urandom(32) for one in who}

    def grant(self, *who: str) -> dict[str, SealingKey]:
        return {
            one: SealingKey(
                key=base64.b64encode(self.raw[one]).decode(), wrapped=base64.b64encode(one.encode()).decode()
            )
            for one in who
        }

    def unwrap(self, participant_id: str, wrapped: bytes) -> bytes:
        assert wrapped == participant_id.encode()
        return self.raw[participant_id]


class Told:
    """What the node was told."""

    def __init__(self) -> None:
        self.states: list[CaptureState] = []
        self.failed = asyncio.Event()
        self.disk: list[dict[str, float]] = []
        self.logs: list[StoredLog] = []
        self.callbacks = CaptureCallbacks(
            changed=lambda _, state: self.take(state),
            disk=self.disk.append,
            stored=lambda _, log: self.logs.append(log),
        )

    def take(self, state: CaptureState) -> None:
        self.states.append(state)
        if state.phase is CapturePhase.FAILED:
            self.failed.set()


def microphone(session: CaptureSession, who: str) -> int:
    return session.open_track(
        participant_id=who, source="microphone", kind="audio", codec="opus", payload_type=111, clock_rate=48_000
    )


def camera(session: CaptureSession, who: str) -> int:
    return session.open_track(
        participant_id=who, source="camera", kind="video", codec="VP8", payload_type=96, clock_rate=90_000, rid="h"
    )


def read(tmp_path: Path, log: StoredLog | None, keys: Keys) -> SegmentLog:
    assert log is not None
    return SegmentLog(tmp_path / "recordings" / log.path, keys.unwrap)


def payloads(log: SegmentLog) -> dict[str, list[bytes]]:
    """By participant, everything the log holds of them."""
    held: dict[str, list[bytes]] = {}
    for track in log.tracks:
        held.setdefault(track.record.participant_id, []).extend(one.payload for one in log.packets(track))
    return held
