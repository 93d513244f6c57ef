"""`signaling.ports.Clinic` over our database: each call is one transaction, committed when it returns.

Says nothing itself: what a call means is in `service.py`, `recordings.py`, `chat.py`, `emergency.py` and `seats.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncSession

from media.api import SealingKey, StoredLog
from server.accounts.service import get_clinic
from server.context import ClinicScope
from server.db import Database
from server.encounters import alarms, chat, emergency, keeping, recordings, seats, service, visits
from server.encounters.models import Participant
from server.encounters.places import country_names
from server.encounters.recording_models import Recording
from server.encounters.service import Room
from server.events import Events
from server.scheduling.service import Act
from server.vault import ClinicVault, Vault
from signaling.ports import (
    ConsentGiven,
    EmergencyContact,
    PatientPhones,
    RecordingFacts,
    RoomFacts,
    Seat,
    StaffSeat,
    StoredChat,
)
from signaling.words import Clock, Departure, Outcome, ParticipantId, RecordingId, RoomId, SessionId, utc_now


@dataclass(frozen=True, slots=True)
class _Change:
    """A write in progress: its session and the locked visit."""

    session: AsyncSession
    room: Room

    async def person(self, participant_id: str) -> Participant:
        return await visits.get_participant(self.session, self.room.encounter, participant_id)

    async def recording(self, recording_id: str) -> Recording:
        return await recordings.get_recording(self.session, recording_id, encounter=self.room.encounter)


class ClinicPort:
    """The clinic's side of every room of this server."""

    def __init__(self, database: Database, events: Events, vault: Vault, clock: Clock = utc_now) -> None:
        self._database = database
        self._events = events
        self._vault = vault
        self._clock = clock

    # ── Who ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async def seat(self, cookies: Mapping[str, str], participation: str) -> Seat:
        async with self._database.reading() as session:
            return await seats.get_seat(session, cookies, participation, self._clock())

    async def staff_seat(self, cookies: Mapping[str, str], clinic: str) -> StaffSeat:
        async with self._database.reading() as session:
            return await seats.get_staff_seat(session, cookies, clinic, self._clock())

    async def load_room(self, room_id: RoomId) -> RoomFacts:
        async with self._database.reading() as session:
            return await visits.load_room_facts(session, room_id)

    async def load_open_rooms(self) -> Sequence[RoomId]:
        async with self._database.reading() as session:
            return await visits.load_open_rooms(session)

    # ── People ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def arrived(self, room_id: RoomId, participant_id: ParticipantId, session_id: SessionId) -> datetime:
        async with self._change(room_id) as change:
            person = await change.person(participant_id)
            return await service.arrived(change.session, change.room, person, session_id)

    async def admitted(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId) -> datetime:
        async with self._change(room_id, by) as change:
            return await service.admitted(change.session, change.room, await change.person(participant_id))

    async def took_over(self, room_id: RoomId, participant_id: ParticipantId, session_id: SessionId) -> None:
        async with self._change(room_id) as change:
            person = await change.person(participant_id)
            await service.took_over(change.session, change.room, person, session_id)

    async def departed(self, room_id: RoomId, participant_id: ParticipantId, reason: Departure) -> None:
        async with self._change(room_id) as change:
            await service.departed(change.session, change.room, await change.person(participant_id), reason)

    async def back_to_waiting(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId) -> None:
        async with self._change(room_id, by) as change:
            await service.back_to_waiting(change.session, change.room, await change.person(participant_id))

    async def wrong_person(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId) -> None:
        async with self._change(room_id, by) as change:
            await service.wrong_person(change.session, change.room, await change.person(participant_id))

    async def block(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId, blocked: bool) -> None:
        async with self._change(room_id, by) as change:
            person = await change.person(participant_id)
            await service.block(change.session, change.room, person, blocked=blocked)

    async def guest_agreed(
        self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId, agreed: bool
    ) -> None:
        async with self._change(room_id, by) as change:
            guest = await change.person(participant_id)
            await service.guest_agreed(change.session, change.room, guest, agreed=agreed)

    # ── Chat ─────────────────────────────────────────────────────────────────────────────────────────────────────

    async def store_chat(self, room_id: RoomId, participant_id: ParticipantId, event_id: str, text: str) -> StoredChat:
        chat.check_text(text)
        vault = await self._vault_of(room_id)
        async with self._change(room_id) as change:
            person = await change.person(participant_id)
            return await chat.store(
                change.session,
                change.room.encounter,
                person,
                event_id=event_id,
                text=text,
                vault=vault,
                now=change.room.now,
            )

    async def load_chat(self, room_id: RoomId, participant_id: ParticipantId, after: int) -> Sequence[StoredChat]:
        async with self._database.reading() as session:
            encounter = await visits.get_encounter(session, room_id)
            person = await visits.get_participant(session, encounter, participant_id)
            return await chat.load(session, encounter, person, after, self._vault.clinic(encounter.clinic_id))

    # ── Recording ────────────────────────────────────────────────────────────────────────────────────────────────

    async def ask_recording(self, room_id: RoomId, by: ParticipantId, purpose: str) -> RecordingFacts:
        async with self._change(room_id) as change:
            asker = await change.person(by)
            asked = await recordings.ask(change.session, change.room.encounter, asker, purpose, change.room.now)
            return await recordings.facts_of(change.session, asked)

    async def ask_newcomer(self, room_id: RoomId, recording_id: RecordingId) -> RecordingFacts:
        async with self._change(room_id) as change:
            recording = await change.recording(recording_id)
            await recordings.ask_newcomer(change.session, recording, change.room.now)
            return await recordings.facts_of(change.session, recording)

    async def ask_again(
        self, room_id: RoomId, recording_id: RecordingId, participant_id: ParticipantId
    ) -> RecordingFacts:
        async with self._change(room_id) as change:
            recording = await change.recording(recording_id)
            await recordings.ask_again(change.session, recording, await change.person(participant_id), change.room.now)
            return await recordings.facts_of(change.session, recording)

    async def choose_withdrawn(
        self, room_id: RoomId, recording_id: RecordingId, participant_id: ParticipantId, choice: str
    ) -> Literal["done", "asked"]:
        async with self._change(room_id) as change:
            recording, person = await change.recording(recording_id), await change.person(participant_id)
            before = (await recordings.load_answers(change.session, recording)).get(person.id)
            now = change.room.now
            return await keeping.choose(change.session, recording, person, choice, before=before, now=now)

    async def record_consent(self, room_id: RoomId, given: ConsentGiven) -> None:
        async with self._change(room_id) as change:
            recording = await change.recording(given.recording_id)
            person = await change.person(given.participant_id)
            await recordings.record_consent(change.session, recording, person, given, change.room.now)

    async def sealing_keys(
        self, room_id: RoomId, recording_id: RecordingId, segment: int, participants: Sequence[ParticipantId]
    ) -> Mapping[ParticipantId, SealingKey]:
        vault = await self._vault_of(room_id)
        async with self._change(room_id) as change:
            recording = await change.recording(recording_id)
            for participant_id in participants:
                await change.person(participant_id)
            return await recordings.sealing_keys(
                change.session, recording, segment, participants, vault=vault, now=change.room.now
            )

    async def recording_phase(
        self, room_id: RoomId, recording_id: RecordingId, phase: str, segment: int, code: str | None = None
    ) -> None:
        async with self._change(room_id) as change:
            recording = await change.recording(recording_id)
            before = recording.phase
            await recordings.set_phase(
                change.session, recording, phase, segment=segment, code=code, now=change.room.now
            )
            if recording.phase != before:
                await alarms.capture_ended(change.session, recording, change.room.now)

    async def log_stored(self, log: StoredLog) -> None:
        async with self._database.reading() as session:
            room_id = RoomId((await recordings.get_recording(session, log.recording_id)).encounter_id)
        async with self._change(room_id) as change:
            recording = await change.recording(log.recording_id)
            await recordings.log_stored(change.session, change.room.encounter, recording, log, change.room.now)

    # ── The visit ────────────────────────────────────────────────────────────────────────────────────────────────

    async def emergency(self, room_id: RoomId, by: ParticipantId) -> EmergencyContact:
        await asyncio.to_thread(country_names)
        async with self._change(room_id, by) as change:
            return await emergency.press(change.session, change.room)

    async def by_phone(self, room_id: RoomId, by: ParticipantId) -> PatientPhones:
        async with self._change(room_id, by) as change:
            return await service.by_phone(change.session, change.room)

    async def ended(self, room_id: RoomId, by: ParticipantId, outcome: Outcome) -> None:
        async with self._change(room_id, by) as change:
            await service.ended(change.session, change.room, outcome)

    async def reopened(self, room_id: RoomId, by: ParticipantId) -> None:
        async with self._change(room_id, by) as change:
            await service.reopened(change.session, change.room)

    async def arrivals_seen(self, seat: StaffSeat, participants: Sequence[ParticipantId]) -> None:
        async with self._database.writing() as session:
            await service.mark_seen(session, seat.clinic_id, participants, self._clock())

    async def seen_arrivals(self, participants: Sequence[ParticipantId]) -> frozenset[ParticipantId]:
        async with self._database.reading() as session:
            return frozenset(ParticipantId(one) for one in await service.load_seen(session, participants))

    # ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def _change(self, room_id: str, by: str | None = None) -> AsyncIterator[_Change]:
        """One transaction over the locked visit, in the name of `by` where somebody pressed a button."""
        async with self._database.writing() as session:
            encounter = await visits.get_encounter(session, room_id, lock=True)
            presser = await visits.get_participant(session, encounter, by) if by is not None else None
            clinic: ClinicScope = await get_clinic(session, encounter.clinic_id)
            act = Act(clinic, presser.person_id if presser else None, self._clock(), self._events)
            yield _Change(session, Room(act, encounter, presser))

    async def _vault_of(self, room_id: str) -> ClinicVault:
        """The clinic's keyset, read before a transaction begins: its first use reads a file."""
        async with self._database.reading() as session:
            clinic_id = (await visits.get_encounter(session, room_id)).clinic_id
        return self._vault.clinic(clinic_id)
