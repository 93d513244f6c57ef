"""SRTP on the packet path: libsrtp called straight through pylibsrtp's own binding, in place in a datagram's room.

Keys and policies are pylibsrtp's (`dtls` hands its sessions over); its slower `Session` calls are the reference that
tests compare this with.
"""

from __future__ import annotations

from typing import Any

import pylibsrtp
from pylibsrtp import _binding

from media.rooms import ROOM_BYTES, Room, single_room

# libsrtp may write a trailer of 148 bytes behind what it is given.
LONGEST = ROOM_BYTES - 256

SrtpError = pylibsrtp.Error

_lib: Any = _binding.lib
_protect, _protect_rtcp = _lib.srtp_protect, _lib.srtp_protect_rtcp
_unprotect, _unprotect_rtcp = _lib.srtp_unprotect, _lib.srtp_unprotect_rtcp


class Scratch:
    """What calls need for their own length only, so all sessions of a loop share it."""

    __slots__ = ("length", "room")

    def __init__(self) -> None:
        self.room = single_room()
        self.length: Any = _binding.ffi.new("int *")


class Srtp:
    """One direction of one connection. Any call may raise SrtpError or ValueError."""

    __slots__ = ("__weakref__", "_context", "_length", "_room", "_session")

    def __init__(self, session: pylibsrtp.Session, scratch: Scratch) -> None:
        # The session owns the context and must live as long as it is used.
        self._session = session
        self._context: Any = session._srtp[0]
        self._length, self._room = scratch.length, scratch.room

    # ---- in a room

    def seal(self, room: Room, size: int) -> int:
        """Protect the RTP packet of that size at the room's front; gives its new size."""
        length = self._length
        if size > LONGEST:
            raise ValueError("packet is too long")
        length[0] = size
        status = _protect(self._context, room.pointer, length)
        if status:
            raise SrtpError(status)
        sealed: int = length[0]
        return sealed

    def open(self, room: Room, size: int) -> bytes:
        """The plain RTP packet of what lies at the room's front."""
        length = self._length
        if size > LONGEST:
            raise ValueError("packet is too long")
        length[0] = size
        status = _unprotect(self._context, room.pointer, length)
        if status:
            raise SrtpError(status)
        plain: bytes = room.buffer[0 : length[0]]
        return plain

    def seal_rtcp(self, room: Room, size: int) -> int:
        return self._work(_protect_rtcp, room, size)

    def open_rtcp(self, room: Room, size: int) -> bytes:
        plain: bytes = room.buffer[0 : self._work(_unprotect_rtcp, room, size)]
        return plain

    # ---- the same, from bytes to bytes

    def protect(self, packet: bytes) -> bytes:
        sealed: bytes = self._room.buffer[0 : self.seal(self._room, self._fill(packet))]
        return sealed

    def unprotect(self, packet: bytes) -> bytes:
        return self.open(self._room, self._fill(packet))

    def protect_rtcp(self, packet: bytes) -> bytes:
        sealed: bytes = self._room.buffer[0 : self.seal_rtcp(self._room, self._fill(packet))]
        return sealed

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        return self.open_rtcp(self._room, self._fill(packet))

    def remove_stream(self, ssrc: int) -> None:
        self._session.remove_stream(ssrc)

    # ---- inside

    def _fill(self, packet: bytes) -> int:
        if len(packet) > LONGEST:
            raise ValueError("packet is too long")
        return self._room.fill(packet)

    def _work(self, call: Any, room: Room, size: int) -> int:
        if size > LONGEST:
            raise ValueError("packet is too long")
        self._length[0] = size
        status = call(self._context, room.pointer, self._length)
        if status:
            raise SrtpError(status)
        done: int = self._length[0]
        return done
