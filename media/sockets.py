"""Reading a UDP socket: many datagrams with one system call where the platform has it, one by one elsewhere.

A reader gives each datagram with a key of the address it came from; what it belongs to is the endpoint's affair. The
plain reader is the reference that the other is tested against.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from array import array
from typing import Any, Protocol

ROOM_BYTES = 2048
# A video frame's packets, and a little more.
AT_ONCE = 16
PLAIN_AT_ONCE = 64
_HEADER_WORDS = 16  # struct mmsghdr on 64-bit Linux, in 32-bit words
_LENGTH_WORD = 14
_DONT_WAIT = 0x40


class Reader(Protocol):
    """`failures` counts reads that the socket refused."""

    failures: int

    def read(self) -> list[tuple[bytes, Any]]:
        """(datagram, key) of what has come, in order; more may be waiting. Longer ones are cut to ROOM_BYTES."""

    def address(self, key: Any) -> tuple[Any, ...]:
        """The address of a key, as the socket module writes it."""

    def key(self, address: tuple[Any, ...]) -> Any:
        """The key of such an address."""


def reader_for(sock: socket.socket) -> Reader:
    is_known = sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8 and sys.byteorder == "little"
    return BatchReader(sock) if is_known else PlainReader(sock)


class PlainReader:
    """One call a datagram, until nothing is left."""

    def __init__(self, sock: socket.socket) -> None:
        self.failures = 0
        self._receive = sock.recvfrom

    def read(self) -> list[tuple[bytes, Any]]:
        found: list[tuple[bytes, Any]] = []
        try:
            while len(found) < PLAIN_AT_ONCE:
                found.append(self._receive(ROOM_BYTES))
        except (BlockingIOError, InterruptedError):
            return found
        except OSError:
            self.failures += 1
        return found

    def address(self, key: Any) -> tuple[Any, ...]:
        return tuple(key)

    def key(self, address: tuple[Any, ...]) -> Any:
        return address


class BatchReader:
    """recvmmsg(2) into one block of memory; keys are the raw socket addresses.

    Called without giving up the interpreter's lock, since it never waits.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.failures = 0
        self._is_v6 = sock.family == socket.AF_INET6
        self._name_bytes = 28 if self._is_v6 else 16
        self._fd = sock.fileno()
        self._data = memoryview(bytearray(AT_ONCE * ROOM_BYTES))
        self._names = bytearray(AT_ONCE * self._name_bytes)
        # struct iovec { base, length }, struct mmsghdr { name, name length, iov, iov length, control, …, length }
        parts = array("Q")
        for place in range(AT_ONCE):
            parts.extend((_at(self._data) + place * ROOM_BYTES, ROOM_BYTES))
        self._parts = parts
        headers = bytearray()
        for place in range(AT_ONCE):
            name = _at(self._names) + place * self._name_bytes
            part = parts.buffer_info()[0] + place * 16
            headers += struct.pack("=QI4xQQQQi4xI4x", name, self._name_bytes, part, 1, 0, 0, 0, 0)
        self._headers = headers
        self._words = memoryview(headers).cast("I")
        call = ctypes.PyDLL(None).recvmmsg
        call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
        call.restype = ctypes.c_int
        self._call = call
        self._pointer = ctypes.c_void_p(_at(headers))

    def read(self) -> list[tuple[bytes, Any]]:
        count = self._call(self._fd, self._pointer, AT_ONCE, _DONT_WAIT, None)
        if count < 0:
            return []
        found: list[tuple[bytes, Any]] = []
        data, names, words, width = self._data, self._names, self._words, self._name_bytes
        at = start = 0
        size_at = _LENGTH_WORD
        for _ in range(count):
            found.append((bytes(data[start : start + words[size_at]]), bytes(names[at : at + width])))
            start += ROOM_BYTES
            at += width
            size_at += _HEADER_WORDS
        return found

    def address(self, key: Any) -> tuple[Any, ...]:
        port = key[2] << 8 | key[3]
        if not self._is_v6:
            return socket.inet_ntop(socket.AF_INET, key[4:8]), port
        flow, scope = struct.unpack_from("!I", key, 4)[0], struct.unpack_from("=I", key, 24)[0]
        return socket.inet_ntop(socket.AF_INET6, key[8:24]), port, flow, scope

    def key(self, address: tuple[Any, ...]) -> Any:
        host, port = address[:2]
        if not self._is_v6:
            return struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host) + bytes(8)
        flow, scope = address[2:4] if len(address) == 4 else (0, 0)
        packed = socket.inet_pton(socket.AF_INET6, host)
        head = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, flow)
        return head + packed + struct.pack("=I", scope)


def _at(memory: Any) -> int:
    """Where a writable block of memory lies; it must not be resized afterwards."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
