"""The sockets of this process: whom each speaks for and what it was last sent.

Only a local mirror for sending; who speaks for whom is the room state's word.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from signaling.messages import Arrivals, Snapshot
from signaling.ports import Seat, StaffSeat
from signaling.words import ClinicId, PersonId, RoomId, SessionId

RATE_PER_S = 20.0
BURST = 120.0


class RateLimit:
    """A bucket of `BURST` events filled by `RATE_PER_S`; trickled candidates come in bursts."""

    def __init__(self, now_s: float) -> None:
        self._level = BURST
        self._at_s = now_s

    def take(self, now_s: float) -> bool:
        """False when this event is one too many. `now_s` is a monotonic clock."""
        self._level = min(BURST, self._level + (now_s - self._at_s) * RATE_PER_S)
        self._at_s = now_s
        if self._level < 1:
            return False
        self._level -= 1
        return True


def device_id(room_id: RoomId, session_id: SessionId) -> str:
    """What others may see of a session: the same browser has the same one in a room, and it opens nothing."""
    return hashlib.sha256(f"{room_id}\n{session_id}".encode()).hexdigest()[:20]


@dataclass
class VisitSocket:
    sid: str
    seat: Seat
    tab: str
    limit: RateLimit
    is_greeted: bool = False
    """False until the connection is acknowledged: nothing may be sent before."""
    sent: Snapshot | None = None
    handling: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held from an event to its acknowledgement: a page that is put out still hears what became of its last one."""

    @property
    def device(self) -> str:
        return device_id(self.seat.room_id, self.seat.session_id)


@dataclass
class ClinicSocket:
    sid: str
    seat: StaffSeat
    limit: RateLimit
    is_greeted: bool = False
    sent: Arrivals | None = None
    showing: asyncio.Lock = field(default_factory=asyncio.Lock)


@dataclass
class Sockets:
    visit: dict[str, VisitSocket] = field(default_factory=dict)
    clinic: dict[str, ClinicSocket] = field(default_factory=dict)

    def in_room(self, room_id: RoomId) -> list[VisitSocket]:
        return [one for one in self.visit.values() if one.seat.room_id == room_id]

    def rooms(self) -> set[RoomId]:
        return {one.seat.room_id for one in self.visit.values()}

    def of_doctor(self, person_id: PersonId) -> list[ClinicSocket]:
        return [one for one in self.clinic.values() if one.seat.person_id == person_id]

    def doctors(self) -> set[PersonId]:
        return {one.seat.person_id for one in self.clinic.values()}

    def doctors_at(self, clinic_id: ClinicId) -> set[PersonId]:
        return {one.seat.person_id for one in self.clinic.values() if one.seat.clinic_id == clinic_id}

    def of_session(self, session_id: SessionId) -> Iterator[tuple[str, str]]:
        """(namespace, sid) of each."""
        for visit in list(self.visit.values()):
            if visit.seat.session_id == session_id:
                yield "/visit", visit.sid
        for clinic in list(self.clinic.values()):
            if clinic.seat.session_id == session_id:
                yield "/clinic", clinic.sid
