"""What the clinic in memory holds: rooms, who owns which participation; made by a test's cast, changed at its desk."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from media.api import SealingKey, StoredLog
from signaling.ports import ConsentGiven, ParticipantFacts, RecordingFacts, RoomFacts, StoredChat
from signaling.words import (
    ClinicId,
    Code,
    ParticipantId,
    PersonId,
    RecordingId,
    Redacted,
    Refused,
    Right,
    Role,
    RoomId,
    SessionId,
    utc_now,
)

CLINIC_ID = ClinicId("clinic1")
DOCTOR_RIGHTS = frozenset(Right)
GUEST_RIGHTS = frozenset({Right.TAKE_PART})


@dataclass
class Room:
    facts: RoomFacts
    chat: list[StoredChat] = field(default_factory=list)
    chat_ids: dict[str, int] = field(default_factory=dict)
    consents: list[ConsentGiven] = field(default_factory=list)
    phases: list[tuple[str, str, int, str | None]] = field(default_factory=list)
    keys: dict[tuple[str, int, str], SealingKey] = field(default_factory=dict)
    admitted_at: dict[ParticipantId, int] = field(default_factory=dict)
    """How many chat lines there were when they were let in."""
    logs: list[StoredLog] = field(default_factory=list)
    choices: list[tuple[str, str]] = field(default_factory=list)


class HeldRooms:
    """A cast is added with `add_room` and `invite`; a session owns participations through `own`."""

    def __init__(self) -> None:
        self.ahead = timedelta()
        """How far this clinic's clock, which the room goes by, is ahead of ours."""
        self.rooms: dict[RoomId, Room] = {}
        self.owned: dict[SessionId, set[ParticipantId]] = {}
        self.staff: dict[SessionId, PersonId] = {}
        self.revoked: set[SessionId] = set()
        self.seen: set[ParticipantId] = set()
        self.is_down = False
        self.answers_after_s = 0.0
        """How long it takes over an answer after it has stored that a consent counts no longer."""
        self.calls: list[str] = []

    def clock(self) -> datetime:
        return utc_now() + self.ahead

    # ── Making a cast ────────────────────────────────────────────────────────────────────────────────────────

    def add_room(self, room_id: str = "room1", *, doctor: str | None = "doctor1", always_relay: bool = False) -> RoomId:
        facts = RoomFacts(
            room_id=RoomId(room_id),
            clinic_id=CLINIC_ID,
            phase="waiting",
            doctor_ids=frozenset({PersonId(doctor)} if doctor else ()),
            doctor_name=Redacted("Dr Adeyemi" if doctor else ""),
            starts_at=datetime(2030, 1, 1, 12, 0, tzinfo=UTC),
            late_at=datetime(2030, 1, 1, 12, 15, tzinfo=UTC),
            always_relay=always_relay,
            participants=[],
        )
        self.rooms[facts.room_id] = Room(facts)
        return facts.room_id

    def invite(
        self,
        participant: str,
        role: Role,
        *,
        room: str = "room1",
        name: str | None = None,
        person: str | None = None,
        session: str | None = None,
        birth_date: str | None = None,
    ) -> SessionId:
        """Adds a participation and answers a session that owns it."""
        rights = DOCTOR_RIGHTS if role == Role.DOCTOR else GUEST_RIGHTS
        facts = ParticipantFacts(
            participant_id=ParticipantId(participant),
            role=role,
            name=Redacted(name or participant.title()),
            rights=rights,
            state="invited",
            person_id=PersonId(person) if person else None,
            birth_date=Redacted(birth_date) if birth_date else None,
            opened_by="the patient" if role == Role.PATIENT else None,
        )
        held = self.rooms[RoomId(room)]
        held.facts = replace(held.facts, participants=[*held.facts.participants, facts])
        return self.own(session or f"session-{participant}", participant)

    def own(self, session: str, participant: str) -> SessionId:
        self.owned.setdefault(SessionId(session), set()).add(ParticipantId(participant))
        return SessionId(session)

    def sign_in(self, session: str, person: str) -> SessionId:
        self.staff[SessionId(session)] = PersonId(person)
        return SessionId(session)

    # ── Finding and changing what is held ──

    def _room(self, room_id: RoomId) -> Room:
        room = self.rooms.get(room_id)
        if room is None:
            raise Refused(Code.NOT_FOUND)
        return room

    def _find(self, participant_id: ParticipantId) -> tuple[Room, ParticipantFacts]:
        for room in self.rooms.values():
            for one in room.facts.participants:
                if one.participant_id == participant_id:
                    return room, one
        raise Refused(Code.NOT_FOUND)

    def _one(self, room_id: RoomId, participant_id: ParticipantId) -> ParticipantFacts:
        for one in self._room(room_id).facts.participants:
            if one.participant_id == participant_id:
                return one
        raise Refused(Code.NOT_FOUND)

    def change(self, room_id: str, participant: str, **changes: object) -> None:
        """A fact changes at the clinic's desk; `Signaling.refresh_room` is told by whoever did it."""
        self._set(RoomId(room_id), replace(self._one(RoomId(room_id), ParticipantId(participant)), **changes))  # type: ignore[arg-type]

    def _set(self, room_id: RoomId, changed: ParticipantFacts) -> None:
        room = self._room(room_id)
        people = [changed if one.participant_id == changed.participant_id else one for one in room.facts.participants]
        room.facts = replace(room.facts, participants=people)

    def _recording(self, room_id: RoomId, recording_id: RecordingId) -> RecordingFacts:
        facts = self._room(room_id).facts.recording
        if facts is None or facts.recording_id != recording_id:
            raise Refused(Code.NOT_FOUND)
        return facts

    def _set_recording(self, room_id: RoomId, facts: RecordingFacts) -> None:
        room = self._room(room_id)
        room.facts = replace(room.facts, recording=facts)
