"""The last second of a source's packets in plain form, for repairs; also what tells a duplicate.

Slots are reused in place: a number's slot is its low ten bits, and holds only the newest number with them.
"""

from __future__ import annotations

from array import array

SLOTS = 1024
KEPT_BYTES_MAX = 256 * 1024
KEPT_NS = 1_000_000_000
_MASK = SLOTS - 1


class PacketRing:
    """Numbers are unwrapped and need not arrive in order."""

    __slots__ = ("_arrived", "_bytes", "_numbers", "_tail", "markers", "payloads", "timestamps")

    def __init__(self) -> None:
        self._numbers = array("q", [-1]) * SLOTS
        self._arrived = array("q", [0]) * SLOTS
        self.timestamps = array("Q", [0]) * SLOTS
        self.markers = bytearray(SLOTS)
        self.payloads: list[bytes | None] = [None] * SLOTS
        self._bytes = 0
        self._tail = 0

    def has(self, number: int) -> bool:
        """Whether this number was put in, also when its payload is no longer kept."""
        return self._numbers[number & _MASK] == number

    def find(self, number: int) -> int:
        """The slot of a number whose payload is still kept, or -1."""
        slot = number & _MASK
        return slot if self._numbers[slot] == number and self.payloads[slot] is not None else -1

    def note(self, number: int) -> None:
        """Remember that a number came, without its packet."""
        self._release(number & _MASK)
        self._numbers[number & _MASK] = number

    def put(self, number: int, marker: int, timestamp: int, payload: bytes, now_ns: int) -> None:
        slot = number & _MASK
        self._release(slot)
        if self._bytes == 0 or number < self._tail:
            self._tail = number
        self._numbers[slot] = number
        self._arrived[slot] = now_ns
        self.timestamps[slot] = timestamp
        self.markers[slot] = marker
        self.payloads[slot] = payload
        self._bytes += len(payload) + 1
        self._evict(number, now_ns)

    def _release(self, slot: int) -> None:
        payload = self.payloads[slot]
        if payload is not None:
            self._bytes -= len(payload) + 1
            self.payloads[slot] = None

    def _evict(self, newest: int, now_ns: int) -> None:
        """From the oldest number on, what is too old or too much; a packet is never its own reason to go."""
        oldest_ns = now_ns - KEPT_NS
        tail = max(self._tail, newest - SLOTS + 1)
        while tail < newest:
            slot = tail & _MASK
            if self._numbers[slot] == tail and self.payloads[slot] is not None:
                if self._bytes <= KEPT_BYTES_MAX and self._arrived[slot] >= oldest_ns:
                    break
                self._release(slot)
            tail += 1
        self._tail = tail


class RateMeter:
    """Bits a second over the last whole interval; `add` on the packet path, `tick` once an interval."""

    __slots__ = ("_bytes", "_since_ns", "bps")

    def __init__(self) -> None:
        self._bytes = 0
        self._since_ns = 0
        self.bps = 0

    def add(self, size: int) -> None:
        self._bytes += size

    def tick(self, now_ns: int) -> None:
        elapsed = now_ns - self._since_ns
        if self._since_ns and elapsed > 0:
            self.bps = self._bytes * 8_000_000_000 // elapsed
        self._bytes, self._since_ns = 0, now_ns
