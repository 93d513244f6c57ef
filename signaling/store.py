"""Where the state of every room lives: in memory for one process, in Redis for any number.

It keeps, compares and finds; it never looks into a room beyond what it must index. A state that can't be read is
as good as lost, and is rebuilt from the clinic by its caller.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from signaling.bus import Bus, Handler, MemoryBus
from signaling.messages import Phase
from signaling.state import RoomState, next_deadline
from signaling.words import ClinicId, PersonId, RoomId

ANSWER_TTL_S = 600
ROOM_TTL_S = 36 * 3600
ENDED_TTL_S = 3 * 3600
ALIVE_S = 8.0
"""A server that has not beaten for so long is gone; its sockets are away."""


class RoomStore(Protocol):
    """`save` is the one door: it writes only over the revision it was told, so that one server wins."""

    @property
    def bus(self) -> Bus: ...

    async def start(self) -> None: ...
    async def stop(self) -> None: ...

    async def load(self, room_id: RoomId) -> RoomState | None: ...

    async def save(self, state: RoomState, *, over: int | None) -> bool:
        """True when the stored revision was `over` (None: there was no room) and is now this state's."""
        ...

    async def drop(self, room_id: RoomId) -> None:
        """For a room that the clinic does not know."""
        ...

    async def active(self) -> list[RoomId]:
        """Rooms that wait, are open, or can still be reopened."""
        ...

    async def due(self, now: datetime) -> list[RoomId]:
        """Rooms whose next deadline has passed."""
        ...

    async def rooms_of(self, doctor: PersonId) -> list[RoomId]:
        """Active rooms that are, or once were, this doctor's."""
        ...

    async def untaken(self, clinic: ClinicId) -> list[RoomId]:
        """Active rooms of this clinic that no doctor holds: any of them may take it."""
        ...

    async def load_answer(self, key: str) -> dict[str, Any] | None:
        """The acknowledgement already given under this key, for ten minutes."""
        ...

    async def keep_answer(self, key: str, answer: dict[str, Any]) -> None: ...

    async def rise(self, key: str, floor: int) -> int:
        """A number above every one given before under this key, and at least `floor`."""
        ...

    async def beat(self, server_id: str) -> None: ...
    async def live_servers(self) -> frozenset[str]: ...
    async def leave(self, server_id: str) -> None: ...


def is_active(state: RoomState) -> bool:
    return state.phase != Phase.ENDED or state.undo_until is not None


def is_untaken(state: RoomState) -> bool:
    """Whoever waits there waits for all doctors of the clinic, until one takes them."""
    return not state.doctor_ids


def time_to_live_s(state: RoomState) -> int:
    return ROOM_TTL_S if is_active(state) else ENDED_TTL_S


@dataclass
class SharedMemory:
    """What servers of one process share; a process on its own has one for itself."""

    rooms: dict[RoomId, RoomState] = field(default_factory=dict)
    expiry: dict[RoomId, float] = field(default_factory=dict)
    answers: dict[str, tuple[float, dict[str, Any]]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    beats: dict[str, float] = field(default_factory=dict)
    hub: list[Handler] = field(default_factory=list)


class MemoryStore:
    """For one process. `monotonic` is the clock by which answers and rooms are forgotten."""

    def __init__(self, shared: SharedMemory | None = None, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._shared = shared if shared is not None else SharedMemory()
        self._monotonic = monotonic
        self._bus = MemoryBus(self._shared.hub)

    @property
    def bus(self) -> Bus:
        return self._bus

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def load(self, room_id: RoomId) -> RoomState | None:
        self._forget_old()
        return self._shared.rooms.get(room_id)

    async def save(self, state: RoomState, *, over: int | None) -> bool:
        held = self._shared.rooms.get(state.room_id)
        if (held.revision if held else None) != over:
            return False
        self._shared.rooms[state.room_id] = state
        self._shared.expiry[state.room_id] = self._monotonic() + time_to_live_s(state)
        return True

    async def drop(self, room_id: RoomId) -> None:
        self._shared.rooms.pop(room_id, None)
        self._shared.expiry.pop(room_id, None)

    async def active(self) -> list[RoomId]:
        return [room_id for room_id, state in self._shared.rooms.items() if is_active(state)]

    async def due(self, now: datetime) -> list[RoomId]:
        deadlines = ((room_id, next_deadline(state)) for room_id, state in self._shared.rooms.items())
        return [room_id for room_id, at in deadlines if at is not None and at <= now]

    async def rooms_of(self, doctor: PersonId) -> list[RoomId]:
        rooms = self._shared.rooms.items()
        return [room_id for room_id, state in rooms if doctor in state.doctor_ids and is_active(state)]

    async def untaken(self, clinic: ClinicId) -> list[RoomId]:
        rooms = self._shared.rooms.items()
        return [one for one, state in rooms if state.clinic_id == clinic and is_untaken(state) and is_active(state)]

    async def load_answer(self, key: str) -> dict[str, Any] | None:
        kept = self._shared.answers.get(key)
        return kept[1] if kept and kept[0] > self._monotonic() else None

    async def keep_answer(self, key: str, answer: dict[str, Any]) -> None:
        self._shared.answers.setdefault(key, (self._monotonic() + ANSWER_TTL_S, answer))

    async def rise(self, key: str, floor: int) -> int:
        number = max(floor, self._shared.numbers.get(key, 0) + 1)
        self._shared.numbers[key] = number
        return number

    async def beat(self, server_id: str) -> None:
        self._shared.beats[server_id] = self._monotonic()

    async def live_servers(self) -> frozenset[str]:
        since = self._monotonic() - ALIVE_S
        return frozenset(server for server, at in self._shared.beats.items() if at >= since)

    async def leave(self, server_id: str) -> None:
        self._shared.beats.pop(server_id, None)

    def _forget_old(self) -> None:
        now = self._monotonic()
        answers, expiry = self._shared.answers, self._shared.expiry
        while answers and next(iter(answers.values()))[0] <= now:
            answers.pop(next(iter(answers)))
        for room_id in [room_id for room_id, at in expiry.items() if at <= now]:
            del expiry[room_id]
            self._shared.rooms.pop(room_id, None)
