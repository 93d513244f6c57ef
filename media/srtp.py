"""SRTP on the packet path: libsrtp called straight through pylibsrtp's own binding, on one scratch buffer of the node.

Keys and policies are pylibsrtp's (`dtls` hands its sessions over); its slower `Session` calls are the reference that
tests compare this with.
"""

from __future__ import annotations

from typing import Any

import pylibsrtp
from pylibsrtp import _binding

SCRATCH_BYTES = 2048
# libsrtp may write a trailer of 148 bytes behind what it is given.
LONGEST = SCRATCH_BYTES - 256

SrtpError = pylibsrtp.Error

_lib: Any = _binding.lib
_protect, _protect_rtcp = _lib.srtp_protect, _lib.srtp_protect_rtcp
_unprotect, _unprotect_rtcp = _lib.srtp_unprotect, _lib.srtp_unprotect_rtcp


class Scratch:
    """Where packets are protected in place; used for the length of one call, so all sessions of a loop share it."""

    __slots__ = ("buffer", "data", "length")

    def __init__(self) -> None:
        ffi: Any = _binding.ffi
        self.data: Any = ffi.new("char[]", SCRATCH_BYTES)
        self.buffer: Any = ffi.buffer(self.data)
        self.length: Any = ffi.new("int *")


class Srtp:
    """One direction of one connection; every call takes and gives `bytes` and may raise SrtpError or ValueError."""

    __slots__ = ("_buffer", "_context", "_data", "_length", "_session")

    def __init__(self, session: pylibsrtp.Session, scratch: Scratch) -> None:
        # The session owns the context and must live as long as it is used.
        self._session = session
        self._context: Any = session._srtp[0]
        self._data, self._buffer, self._length = scratch.data, scratch.buffer, scratch.length

    def protect(self, packet: bytes) -> bytes:
        length, buffer = self._length, self._buffer
        length[0] = size = len(packet)
        if size > LONGEST:
            raise ValueError("packet is too long")
        buffer[0:size] = packet
        status = _protect(self._context, self._data, length)
        if status:
            raise SrtpError(status)
        protected: bytes = buffer[0 : length[0]]
        return protected

    def unprotect(self, packet: bytes) -> bytes:
        length, buffer = self._length, self._buffer
        length[0] = size = len(packet)
        if size > LONGEST:
            raise ValueError("packet is too long")
        buffer[0:size] = packet
        status = _unprotect(self._context, self._data, length)
        if status:
            raise SrtpError(status)
        plain: bytes = buffer[0 : length[0]]
        return plain

    def protect_rtcp(self, packet: bytes) -> bytes:
        return self._process(_protect_rtcp, packet)

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        return self._process(_unprotect_rtcp, packet)

    def remove_stream(self, ssrc: int) -> None:
        self._session.remove_stream(ssrc)

    def _process(self, call: Any, packet: bytes) -> bytes:
        size = len(packet)
        if size > LONGEST:
            raise ValueError("packet is too long")
        self._length[0] = size
        self._buffer[0:size] = packet
        status = call(self._context, self._data, self._length)
        if status:
            raise SrtpError(status)
        processed: bytes = self._buffer[0 : self._length[0]]
        return processed
