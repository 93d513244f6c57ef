"""A person who publishes pictures and sound encoded beforehand, straight into a node of this process.

Real receivers see an ordinary participant, while no encoder takes the machine's time; the way up is not part of it.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from typing import Any, cast

import numpy as np

from media import rtcp
from media.api import UpOffer
from media.negotiate import MID, RID
from media.publisher import Publisher
from media.room import Room
from tests.media.descriptions import FOLDER, sources_of
from tests.media.golden import audio, tone, video

Loop = list[list[bytes]]
RATE = 30
LOOP_S = 4
AUDIO_TYPE, VIDEO_TYPE = 111, 96
OFFERS = {True: "chromium-156-simulcast", False: "chromium-156-plain"}


def loop_of(bit_rate: int, size: tuple[int, int], colour: list[int]) -> Loop:
    """The packets of each frame of some seconds of a noisy picture, the first a key frame."""
    random = np.random.default_rng(7)
    noise = random.integers(0, 90, (16, size[1] // 8, size[0] // 4, 1), np.uint8).repeat(4, 1).repeat(4, 2)
    base = np.empty((size[1], size[0], 3), np.uint8)
    base[:] = [min(160, value) for value in colour]

    def picture(at_s: float) -> np.ndarray:
        image = base.copy()
        shown = noise[int(at_s * RATE) % 16]
        image[size[1] // 2 : size[1] // 2 + len(shown), : shown.shape[1]] += shown
        return image

    frames: Loop = []
    for packet in video(picture, [number / RATE for number in range(LOOP_S * RATE)], bit_rate=bit_rate):
        if packet.payload[0] & 0x10:
            frames.append([])
        frames[-1].append(packet.payload)
    return frames


class Stream:
    """One SSRC's numbers, and the loop it plays."""

    def __init__(self, ssrc: int, loops: list[Loop]) -> None:
        self.ssrc = ssrc
        self.loops = loops
        self.chosen = len(loops) - 1
        self.sequence = self.frame = self.picture = 0
        self.wants_key = True


class Canned:
    """`loops` by rid: several under "" are the same picture at rising rates, chosen by the cap that the node tells."""

    def __init__(self, room: Room, participant_id: str, loops: dict[str, list[Loop]]) -> None:
        self.room, self.participant_id = room, participant_id
        self.is_layered = "" not in loops
        first = secrets.randbits(30)
        self.streams = {rid: Stream(first + place, one) for place, (rid, one) in enumerate(loops.items())}
        self.voice = Stream(first + 9, [])
        self.sounds = [packet.payload for packet in audio(tone(440), 0, LOOP_S)]
        self.caps: list[int] = []
        self._began_ns = time.monotonic_ns()
        self._ids: dict[str, int] = {}
        self._sent = 0

    async def run(self) -> None:
        """Until cancelled."""
        publisher = self._publish()
        began, step = time.monotonic(), 0
        while True:
            step += 1
            await asyncio.sleep(max(0.0, began + step * 0.01 - time.monotonic()))
            now_ns = time.monotonic_ns()
            publisher.connection.heard_ns = now_ns
            if step % 2 == 0:
                self._speak(publisher, now_ns)
            if step % 10 in (0, 3, 7):
                for rid, stream in self.streams.items():
                    self._show(publisher, rid, stream, now_ns)

    # ---- inside

    def _publish(self) -> Publisher:
        name = OFFERS[self.is_layered]
        sdp = (FOLDER / f"{name}.sdp").read_text()
        self.room.admit(self.participant_id, admitted=True, picture_first=False)
        self.room.up(
            self.participant_id,
            UpOffer(connection_id=f"up-{self.participant_id}", revision=0, sdp=sdp, sources=sources_of(sdp)),
        )
        publisher = self.room.participants[self.participant_id].up
        assert publisher is not None
        self._ids = publisher.streams.ids
        publisher.connection.is_connected = True
        cast(Any, publisher.connection).send_rtcp = self._hear
        return publisher

    def _hear(self, packet: bytes) -> None:
        for kind, count, from_, to in rtcp.parts(packet):
            if kind == rtcp.PSFB and count == rtcp.PLI:
                ssrc = rtcp.media_ssrc(packet, from_, to)
                for stream in self.streams.values():
                    stream.wants_key = stream.wants_key or stream.ssrc == ssrc
            elif kind == rtcp.PSFB and count == rtcp.APPLICATION:
                self._follow(rtcp.remb_bps(packet, from_, to))

    def _follow(self, cap_bps: int | None) -> None:
        if cap_bps is None or self.is_layered:
            return
        self.caps.append(cap_bps)
        stream = self.streams[""]
        fits = [place for place, loop in enumerate(stream.loops) if rate_of(loop) < cap_bps - 40_000]
        chosen = max(fits, default=0)
        stream.wants_key = stream.wants_key or chosen != stream.chosen
        stream.chosen = chosen

    def _show(self, publisher: Publisher, rid: str, stream: Stream, now_ns: int) -> None:
        loop = stream.loops[stream.chosen]
        if stream.wants_key or stream.frame >= len(loop):
            stream.frame, stream.wants_key = 0, False
        parts = loop[stream.frame]
        stream.frame += 1
        stream.picture = (stream.picture + 1) & 0x7FFF
        tail = (0x8000 | stream.picture).to_bytes(2, "big")
        for place, part in enumerate(parts):
            self._feed(publisher, (stream, rid), part[:2] + tail + part[4:], now_ns, marker=place == len(parts) - 1)

    def _speak(self, publisher: Publisher, now_ns: int) -> None:
        sound = self.sounds[self.voice.sequence % len(self.sounds)]
        self._feed(publisher, (self.voice, None), sound, now_ns)

    def _feed(
        self,
        publisher: Publisher,
        of: tuple[Stream, str | None],
        payload: bytes,
        now_ns: int,
        *,
        marker: bool = False,
    ) -> None:
        """`of`: the stream and its rid, None for sound."""
        stream, rid = of
        is_sound = rid is None
        mid = b"0" if is_sound else b"1"
        names = [(self._ids[MID], mid)]
        if rid:
            names.append((self._ids[RID], rid.encode()))
        block = b"".join(bytes((name << 4 | len(value) - 1,)) + value for name, value in names)
        block += bytes(-len(block) % 4)
        stream.sequence += 1
        elapsed = now_ns - self._began_ns
        timestamp = stream.sequence * 960 if is_sound else elapsed * 9 // 100_000
        kind = (AUDIO_TYPE if is_sound else VIDEO_TYPE) | (0x80 if marker else 0)
        words = len(block) // 4
        head = struct.pack(
            "!BBHIIHH",
            0x90,
            kind,
            stream.sequence & 0xFFFF,
            timestamp & 0xFFFFFFFF,
            stream.ssrc,
            0xBEDE,
            words,
        )
        publisher.handle_rtp(head + block + payload, now_ns)


def rate_of(loop: Loop) -> int:
    return sum(len(part) for frame in loop for part in frame) * 8 // LOOP_S
