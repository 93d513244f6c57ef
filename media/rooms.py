"""Memory that C and Python work on together: rooms of one datagram each, in one block.

Datagrams are received into rooms, SRTP works in them in place, and they are sent from them; whose turn it is is told
by whoever owns the rooms (`sockets`, `paths`).
"""

from __future__ import annotations

from typing import Any

from pylibsrtp import _binding

# Longer than any datagram taken, with what libsrtp may write behind one.
ROOM_BYTES = 2048

_ffi: Any = _binding.ffi


class Room:
    """`buffer` is the room as Python sees it (slices are `bytes`), `pointer` as libsrtp does."""

    __slots__ = ("_memory", "buffer", "pointer")

    def __init__(self, memory: Any, at: int) -> None:
        self._memory = memory  # which the pointer alone does not keep
        self.pointer: Any = memory + at
        self.buffer: Any = _ffi.buffer(self.pointer, ROOM_BYTES)

    def fill(self, data: bytes) -> int:
        """Copy a datagram to the front; gives its size. Raises ValueError for one that is too long."""
        size = len(data)
        if size > ROOM_BYTES:
            raise ValueError("datagram is too long")
        self.buffer[0:size] = data
        return size


class Rooms:
    """Some rooms side by side; `view` is all of their bytes."""

    def __init__(self, count: int) -> None:
        memory = _ffi.new("char[]", count * ROOM_BYTES)
        self.address = int(_ffi.cast("uintptr_t", memory))
        self.view = memoryview(_ffi.buffer(memory)).cast("B")
        self.rooms = [Room(memory, place * ROOM_BYTES) for place in range(count)]


def single_room() -> Room:
    return Rooms(1).rooms[0]
