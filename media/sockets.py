"""Reading and writing a UDP socket: many datagrams with one system call where the platform has it, else one by one.

A reader gives each datagram's room with a key of the address it came from; an outbox sends to such a key. What a
datagram belongs to is the endpoint's affair. The plain ones are the reference that the others are tested against.
"""

from __future__ import annotations

import ctypes
import socket
import struct
import sys
from array import array
from typing import Any, Protocol

from media.rooms import ROOM_BYTES, Room, Rooms

# A video frame's packets, and a little more.
READ_AT_ONCE = 16
SENT_AT_ONCE = 32
_DONT_WAIT = 0x40
# struct mmsghdr on 64-bit Linux, in 64-bit words: name, name length, parts, their number, control, its length, flags,
# length of the datagram. struct iovec: base, length.
_HEADER_WORDS, _PARTS_AT, _LENGTH_AT = 8, 2, 7
_PART_WORDS = 2

# A key is whatever tells two addresses of one socket apart at the least cost.
Key = Any


class Reader(Protocol):
    """`rooms` holds what was taken last; `failures` counts reads that the socket refused."""

    rooms: list[Room]
    view: memoryview
    failures: int

    def take(self) -> tuple[list[int], list[Key]]:
        """Sizes and senders of what has come, in order, one for each room from the first on; more may be waiting.

        Longer datagrams are cut to a room's size.
        """

    def address(self, key: Key) -> tuple[Any, ...]:
        """The address of a key, as the socket module writes it."""

    def key(self, address: tuple[Any, ...]) -> Key:
        """The key of such an address."""


class Outbox(Protocol):
    """A datagram is written into `room`, then committed; `failures` counts those that the socket refused."""

    room: Room
    failures: int

    def commit(self, key: Key, size: int) -> None:
        """Send what lies in `room`, at once or, while held, with the next `flush`; `room` is another one then."""

    def flush(self) -> None: ...


class Hold:
    """Shared by the outboxes of a node: while it is on, they gather."""

    __slots__ = ("is_on",)

    def __init__(self) -> None:
        self.is_on = False


def reader_for(sock: socket.socket) -> Reader:
    return BatchReader(sock) if _is_known() else PlainReader(sock)


def outbox_for(sock: socket.socket, hold: Hold) -> Outbox:
    return BatchOutbox(sock, hold) if _is_known() else PlainOutbox(sock)


def _is_known() -> bool:
    return sys.platform == "linux" and ctypes.sizeof(ctypes.c_void_p) == 8 and sys.byteorder == "little"


class PlainReader:
    """One call a datagram, until nothing is left; keys are addresses."""

    def __init__(self, sock: socket.socket) -> None:
        made = Rooms(READ_AT_ONCE)
        self.rooms, self.view = made.rooms, made.view
        self.failures = 0
        self._receive = sock.recvfrom_into

    def take(self) -> tuple[list[int], list[Key]]:
        sizes: list[int] = []
        keys: list[Key] = []
        try:
            for room in self.rooms:
                size, address = self._receive(room.buffer)
                sizes.append(size)
                keys.append(address)
        except (BlockingIOError, InterruptedError):
            return sizes, keys
        except OSError:
            self.failures += 1
        return sizes, keys

    def address(self, key: Key) -> tuple[Any, ...]:
        return tuple(key)

    def key(self, address: tuple[Any, ...]) -> Key:
        return address


class PlainOutbox:
    """One call a datagram, at once."""

    def __init__(self, sock: socket.socket) -> None:
        self.room = Rooms(1).rooms[0]
        self.failures = 0
        self._send = sock.sendto

    def commit(self, key: Key, size: int) -> None:
        try:
            self._send(self.room.buffer[0:size], key)
        except OSError:
            self.failures += 1

    def flush(self) -> None:
        """Nothing waits."""


class _Batch:
    """Rooms, addresses and headers for one call of recvmmsg(2) or sendmmsg(2).

    It is called without giving up the interpreter's lock, since it never waits. Keys are raw socket addresses: of IPv4
    the eight bytes that matter as one number, of IPv6 all 28 as bytes.
    """

    def __init__(self, sock: socket.socket, call: str, count: int) -> None:
        made = Rooms(count)
        self.rooms, self.view = made.rooms, made.view
        self.failures = 0
        self.is_v6 = sock.family == socket.AF_INET6
        self.name_bytes = 28 if self.is_v6 else 16
        self.fd = sock.fileno()
        self.names = bytearray(count * self.name_bytes)
        self.name_words = memoryview(self.names).cast("Q")
        self.parts = array("Q")
        for place in range(count):
            self.parts.extend((made.address + place * ROOM_BYTES, ROOM_BYTES))
        names_at, parts_at = _address_of(self.names), self.parts.buffer_info()[0]
        self.headers = array("Q")
        for place in range(count):
            part = parts_at + place * 8 * _PART_WORDS
            self.headers.extend((names_at + place * self.name_bytes, self.name_bytes, part, 1, 0, 0, 0, 0))
        headers_at = self.headers.buffer_info()[0]
        # One pointer for each header, to begin from any of them.
        self.pointers = [ctypes.c_void_p(headers_at + place * 8 * _HEADER_WORDS) for place in range(count)]
        self.call = getattr(ctypes.PyDLL(None, use_errno=False), call)
        self.call.restype = ctypes.c_int


class BatchReader(_Batch):
    """recvmmsg(2)."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock, "recvmmsg", READ_AT_ONCE)
        self.call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)
        self._first = self.pointers[0]

    def take(self) -> tuple[list[int], list[Key]]:
        count = self.call(self.fd, self._first, READ_AT_ONCE, _DONT_WAIT, None)
        if count <= 0:
            return [], []
        sizes = self.headers[_LENGTH_AT : count * _HEADER_WORDS : _HEADER_WORDS].tolist()
        if self.is_v6:
            names, width = self.names, self.name_bytes
            return sizes, [bytes(names[at : at + width]) for at in range(0, count * width, width)]
        return sizes, self.name_words[0 : 2 * count : 2].tolist()

    def address(self, key: Key) -> tuple[Any, ...]:
        if not self.is_v6:
            raw = key.to_bytes(8, "little")
            return socket.inet_ntop(socket.AF_INET, raw[4:8]), raw[2] << 8 | raw[3]
        flow, scope = struct.unpack_from("!I", key, 4)[0], struct.unpack_from("=I", key, 24)[0]
        return socket.inet_ntop(socket.AF_INET6, key[8:24]), key[2] << 8 | key[3], flow, scope

    def key(self, address: tuple[Any, ...]) -> Key:
        host, port = address[:2]
        if not self.is_v6:
            raw = struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(host)
            return int.from_bytes(raw, "little")
        flow, scope = address[2:4] if len(address) == 4 else (0, 0)
        packed = socket.inet_pton(socket.AF_INET6, host)
        head = struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, flow)
        return head + packed + struct.pack("=I", scope)


class BatchOutbox(_Batch):
    """sendmmsg(2)."""

    def __init__(self, sock: socket.socket, hold: Hold) -> None:
        super().__init__(sock, "sendmmsg", SENT_AT_ONCE)
        self.call.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)
        self.room = self.rooms[0]
        self._hold = hold
        self._count = 0

    def commit(self, key: Key, size: int) -> None:
        count = self._count
        self.parts[count * _PART_WORDS + 1] = size
        if self.is_v6:
            self.names[count * 28 : count * 28 + 28] = key
        else:
            self.name_words[count * 2] = key
        self._count = count = count + 1
        if count == SENT_AT_ONCE or not self._hold.is_on:
            self.flush()
        else:
            self.room = self.rooms[count]

    def flush(self) -> None:
        count = self._count
        if not count:
            return
        self._count, self.room = 0, self.rooms[0]
        at = 0
        while at < count:
            sent = self.call(self.fd, self.pointers[at], count - at, _DONT_WAIT)
            if sent <= 0:  # this one is lost, the others are not
                self.failures += 1
                sent = 1
            at += sent


def _address_of(memory: Any) -> int:
    """Where a writable block of memory lies; it must not be resized afterwards."""
    return ctypes.addressof(ctypes.c_char.from_buffer(memory))
