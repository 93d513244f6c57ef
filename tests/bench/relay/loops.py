"""The media that the load sends: encoded once, in a loop that begins with a key frame.

What goes around the payloads on the wire is `streams`' work.
"""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.media.golden import Picture, audio, video

FRAME_RATE = 30
BIT_RATE = 1_500_000
DESCRIPTOR_BYTES = 4


@dataclass(frozen=True)
class Loop:
    """`frames`: the VP8 packets of each frame without their descriptors; `sounds`: one Opus packet each 20 ms."""

    frames: list[list[bytes]]
    sounds: list[bytes]


def busy_picture(seed: int) -> Picture:
    """Something that moves before a soft background, with enough noise that the encoder needs its whole bit rate."""
    random = np.random.default_rng(seed)
    noise = random.integers(0, 40, (16, 180, 320, 1), np.uint8).repeat(2, 1).repeat(2, 2)

    def picture(at_s: float) -> np.ndarray:
        number = int(at_s * FRAME_RATE)
        image = np.full((720, 1280, 3), 90, np.uint8)
        image[180:540, 320:960] += noise[number % 16]
        left = (number * 24) % 1200
        image[600:700, left : left + 80] = (200, 60, 40)
        return image

    return picture


def make_loop(seconds: int) -> Loop:
    packets = video(busy_picture(7), [n / FRAME_RATE for n in range(seconds * FRAME_RATE)], bit_rate=BIT_RATE)
    frames: list[list[bytes]] = []
    for packet in packets:
        if packet.payload[0] & 0x10:
            frames.append([])
        frames[-1].append(packet.payload[DESCRIPTOR_BYTES:])
    random = np.random.default_rng(7)
    sound = audio(lambda at_s: (0.2 * random.standard_normal(len(at_s))).astype(np.float32), 0, seconds)
    return Loop(frames, [packet.payload for packet in sound])


def load_loop(path: Path, seconds: int) -> Loop:
    """From the file that an earlier run of the bench left there, else made now."""
    if path.exists():
        kept = pickle.loads(path.read_bytes())
        assert isinstance(kept, Loop)
        return kept
    loop = make_loop(seconds)
    path.write_bytes(pickle.dumps(loop))
    return loop
