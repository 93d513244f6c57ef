"""What a TCP connection has not taken yet: sound and answers go before pictures, and neither grows without bound.

When to give up on the connection, or on pictures, is the path's to say.
"""

from __future__ import annotations

from collections import deque

from media.sdpwrite import H264, H264_RTX, VP8, VP8_RTX

# Some seconds of sound and answers, and more of a picture than is ever sent within the time it may wait.
URGENT_BYTES_MAX = 32 * 1024
PICTURE_BYTES_MAX = 256 * 1024
_PICTURES = frozenset((VP8, VP8_RTX, H264, H264_RTX))


def is_picture(datagram: bytes) -> bool:
    """Whether it is RTP of a picture, by the payload types that all down offers share."""
    return 127 < datagram[0] < 192 and datagram[1] & 0x7F in _PICTURES


class Waiting:
    """Frames in two lines; pictures' with the time since when they wait."""

    __slots__ = ("_picture_bytes", "_pictures", "_urgent", "_urgent_bytes")

    def __init__(self) -> None:
        self._urgent: deque[bytes] = deque()
        self._pictures: deque[tuple[int, bytes]] = deque()
        self._urgent_bytes = self._picture_bytes = 0

    def __len__(self) -> int:
        return len(self._urgent) + len(self._pictures)

    @property
    def picture_since_ns(self) -> int | None:
        """Since when the oldest picture's frame waits."""
        return self._pictures[0][0] if self._pictures else None

    def put(self, frame: bytes, now_ns: int, *, is_picture: bool) -> bool:
        """False when there is no room for it."""
        if is_picture:
            if self._picture_bytes + len(frame) > PICTURE_BYTES_MAX:
                return False
            self._picture_bytes += len(frame)
            self._pictures.append((now_ns, frame))
            return True
        if self._urgent_bytes + len(frame) > URGENT_BYTES_MAX:
            return False
        self._urgent_bytes += len(frame)
        self._urgent.append(frame)
        return True

    def take(self) -> bytes:
        """The next frame; raises IndexError when none waits."""
        if self._urgent:
            frame = self._urgent.popleft()
            self._urgent_bytes -= len(frame)
            return frame
        _, frame = self._pictures.popleft()
        self._picture_bytes -= len(frame)
        return frame

    def clear(self) -> None:
        self._urgent.clear()
        self._pictures.clear()
        self._urgent_bytes = self._picture_bytes = 0
