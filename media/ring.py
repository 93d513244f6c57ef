"""The last second of a source's packets in plain form, for repairs; also what tells a duplicate.

Slots are reused: a number's slot is its low ten bits, and holds only the newest number with them. A packet lies in one
tuple, so that the packet path touches one place in memory and not five.
"""

from __future__ import annotations

SLOTS = 1024
KEPT_BYTES_MAX = 256 * 1024
KEPT_NS = 1_000_000_000
_MASK = SLOTS - 1


# Number, arrival in ns, timestamp, marker, payload. A plain tuple, since the packet path makes one for each packet.
Kept = tuple[int, int, int, int, bytes]


class PacketRing:
    """Numbers are unwrapped and need not arrive in order."""

    __slots__ = ("_bytes", "_slots", "_tail")

    def __init__(self) -> None:
        # A bare number is remembered without its packet.
        self._slots: list[Kept | int] = [-1] * SLOTS
        self._bytes = 0
        self._tail = 0

    def has(self, number: int) -> bool:
        """Whether this number was put in, also when its payload is no longer kept."""
        held = self._slots[number & _MASK]
        return held == number if isinstance(held, int) else held[0] == number

    def find(self, number: int) -> Kept | None:
        """The packet with this number, while it is kept."""
        held = self._slots[number & _MASK]
        return held if not isinstance(held, int) and held[0] == number else None

    def note(self, number: int) -> None:
        """Remember that a number came, without its packet."""
        self._release(number & _MASK)
        self._slots[number & _MASK] = number

    def put(self, number: int, marker: int, timestamp: int, payload: bytes, now_ns: int) -> None:
        slots, slot = self._slots, number & _MASK
        if not isinstance(slots[slot], int):
            self._release(slot)
        if self._bytes == 0 or number < self._tail:
            self._tail = number
        slots[slot] = (number, now_ns, timestamp, marker, payload)
        self._bytes += len(payload) + 1
        # From the oldest number on, what is too old or too much goes; a packet is never its own reason to.
        oldest_ns, tail = now_ns - KEPT_NS, self._tail
        if tail <= number - SLOTS:
            tail = number - SLOTS + 1
        while tail < number:
            held = slots[tail & _MASK]
            if not isinstance(held, int) and held[0] == tail:
                if self._bytes <= KEPT_BYTES_MAX and held[1] >= oldest_ns:
                    break
                self._release(tail & _MASK)
            tail += 1
        self._tail = tail

    def _release(self, slot: int) -> None:
        held = self._slots[slot]
        if not isinstance(held, int):
            self._bytes -= len(held[4]) + 1
            self._slots[slot] = held[0]


class RateMeter:
    """Bits a second over the last whole interval; the packet path adds to `bytes`, `tick` comes once an interval."""

    __slots__ = ("_since_ns", "bps", "bytes")

    def __init__(self) -> None:
        # The packet path adds here; `tick` takes.
        self.bytes = 0
        self._since_ns = 0
        self.bps = 0

    def tick(self, now_ns: int) -> None:
        elapsed = now_ns - self._since_ns
        if self._since_ns and elapsed > 0:
            self.bps = self.bytes * 8_000_000_000 // elapsed
        self.bytes, self._since_ns = 0, now_ns
