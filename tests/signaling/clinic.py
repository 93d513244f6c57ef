"""The clinic's port in memory: a small real implementation with the same refusals, over the rooms of `held.py`."""

from __future__ import annotations

import asyncio
import base64
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from media.api import SealingKey, StoredLog
from signaling.ports import (
    ConsentGiven,
    EmergencyContact,
    PatientPhones,
    RecordingFacts,
    RoomFacts,
    Seat,
    StaffSeat,
    StoredChat,
    Wording,
)
from signaling.words import (
    Code,
    Departure,
    Outcome,
    ParticipantId,
    RecordingId,
    Redacted,
    Refused,
    Right,
    Role,
    RoomId,
    SessionId,
)
from tests.signaling.held import CLINIC_ID, HeldRooms

COOKIE = "__Host-visits"
PHONES = PatientPhones("+44 20 7946 0000", "+44 20 7946 0001")
STAFF_COOKIE = "__Host-staff"

GERMAN = Wording("Um zu fragen", "Sie und Ihre Ärztin", "Acht Jahre lang", "Ein Nein ändert nichts.", "de")
"""In which the patient is asked; everybody else reads the clinic's words."""


class MemoryClinic(HeldRooms):
    """The port itself, over the rooms it holds."""

    async def seat(self, cookies: Mapping[str, str], participation: str) -> Seat:
        if self.is_down:
            raise RuntimeError("database down")
        session = SessionId(cookies.get(COOKIE, ""))
        if session in self.revoked or session not in self.owned:
            raise Refused(Code.NOT_SIGNED_IN)
        if participation not in self.owned[session]:
            raise Refused(Code.NOT_FOUND)
        room, one = self._find(ParticipantId(participation))
        if one.link_closed:
            raise Refused(Code.LINK_CLOSED)
        if one.blocked:
            raise Refused(Code.REMOVED)
        return Seat(
            room_id=room.facts.room_id,
            participant_id=one.participant_id,
            clinic_id=CLINIC_ID,
            session_id=session,
            role=one.role,
            name=one.name,
            rights=one.rights,
            person_id=one.person_id,
        )

    async def staff_seat(self, cookies: Mapping[str, str], clinic: str) -> StaffSeat:
        session = SessionId(cookies.get(STAFF_COOKIE, ""))
        if session not in self.staff or session in self.revoked:
            raise Refused(Code.NOT_SIGNED_IN)
        if clinic != CLINIC_ID:
            raise Refused(Code.NOT_ALLOWED)
        return StaffSeat(CLINIC_ID, self.staff[session], session, frozenset({Right.SEE_ARRIVALS}))

    async def load_room(self, room_id: RoomId) -> RoomFacts:
        room = self._room(room_id)
        return replace(room.facts, chat_count=len(room.chat))

    async def load_open_rooms(self) -> Sequence[RoomId]:
        return [room_id for room_id, room in self.rooms.items() if room.facts.phase != "ended"]

    async def arrived(self, room_id: RoomId, participant_id: ParticipantId, session_id: SessionId) -> datetime:
        self.calls.append("arrived")
        one = self._one(room_id, participant_id)
        since = one.waiting_since or self.clock()
        state = one.state if Right.ADMIT in one.rights or one.state == "admitted" else "waiting"
        self._set(room_id, replace(one, state=state, waiting_since=since, session_id=session_id, reason=None))
        return since

    async def admitted(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId) -> datetime:
        self.calls.append("admitted")
        one = self._one(room_id, participant_id)
        if one.link_closed:
            raise Refused(Code.LINK_CLOSED)
        if one.state != "admitted":
            self._lapse(room_id, participant_id)
        self._set(room_id, replace(one, state="admitted", reason=None))
        room = self._room(room_id)
        room.admitted_at.setdefault(participant_id, len(room.chat))
        if room.facts.phase == "waiting":
            room.facts = replace(room.facts, phase="open", started_at=self.clock())
        assert room.facts.started_at is not None
        return room.facts.started_at

    async def took_over(self, room_id: RoomId, participant_id: ParticipantId, session_id: SessionId) -> None:
        self.calls.append("took_over")
        self._set(room_id, replace(self._one(room_id, participant_id), session_id=session_id))
        self._lapse(room_id, participant_id)
        await asyncio.sleep(self.answers_after_s)

    def _lapse(self, room_id: RoomId, participant_id: ParticipantId) -> None:
        recording = self._room(room_id).facts.recording
        if recording is not None:
            consents = {one: yes for one, yes in recording.consents.items() if one != participant_id}
            self._set_recording(room_id, replace(recording, consents=consents))

    async def departed(self, room_id: RoomId, participant_id: ParticipantId, reason: Departure) -> None:
        self._set(room_id, replace(self._one(room_id, participant_id), state="left", reason=reason))

    async def back_to_waiting(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId) -> None:
        self._set(room_id, replace(self._one(room_id, participant_id), state="waiting"))

    async def wrong_person(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId) -> None:
        self.calls.append("wrong_person")
        one = self._one(room_id, participant_id)
        self._set(room_id, replace(one, state="left", reason=Departure.WRONG_PERSON, link_closed=True))
        room = self._room(room_id)
        room.facts = replace(
            room.facts, phase="waiting", started_at=None, recording=None, by_phone=False, chat_from=len(room.chat)
        )

    async def block(self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId, blocked: bool) -> None:
        self._set(room_id, replace(self._one(room_id, participant_id), blocked=blocked))

    async def guest_agreed(
        self, room_id: RoomId, participant_id: ParticipantId, by: ParticipantId, agreed: bool
    ) -> None:
        self._set(room_id, replace(self._one(room_id, participant_id), agreed=agreed))

    async def store_chat(self, room_id: RoomId, participant_id: ParticipantId, event_id: str, text: str) -> StoredChat:
        room = self._room(room_id)
        if event_id not in room.chat_ids:
            one = self._one(room_id, participant_id)
            line = StoredChat(len(room.chat) + 1, self.clock(), participant_id, one.name, one.role, Redacted(text))
            room.chat.append(line)
            room.chat_ids[event_id] = line.n
        return room.chat[room.chat_ids[event_id] - 1]

    async def load_chat(self, room_id: RoomId, participant_id: ParticipantId, after: int) -> Sequence[StoredChat]:
        room = self._room(room_id)
        is_guest = self._one(room_id, participant_id).role in (Role.GUEST, Role.INTERPRETER)
        first = max(after, room.admitted_at.get(participant_id, 0) if is_guest else 0)
        return [line for line in room.chat if line.n > first]

    async def ask_recording(self, room_id: RoomId, by: ParticipantId, purpose: str) -> RecordingFacts:
        if purpose != "second_opinion":
            raise Refused(Code.NOT_FOUND)
        before = self._room(room_id).facts.recording
        answer_by = self.clock() + timedelta(seconds=60)
        if before is not None and before.phase == "declined":
            if before.question > 1:
                raise Refused(Code.WRONG_PHASE)
            facts = replace(before, phase="asking", question=before.question + 1, answer_by=answer_by, consents={})
        else:
            facts = RecordingFacts(
                recording_id=RecordingId(secrets.token_hex(8)),
                phase="asking",
                question=1,
                purpose="To ask a colleague",
                who_may_watch="You and your doctor",
                kept="Eight years",
                consent_text="Nothing changes in your care if you say no.",
                asked_by=by,
                answer_by=answer_by,
                segment=1,
                wordings={ParticipantId("patient"): GERMAN},
            )
        self._set_recording(room_id, facts)
        return facts

    async def ask_newcomer(self, room_id: RoomId, recording_id: RecordingId) -> RecordingFacts:
        facts = self._recording(room_id, recording_id)
        asked = replace(facts, question=facts.question + 1, answer_by=self.clock() + timedelta(seconds=60))
        self._set_recording(room_id, asked)
        return asked

    async def ask_again(
        self, room_id: RoomId, recording_id: RecordingId, participant_id: ParticipantId
    ) -> RecordingFacts:
        facts = await self.ask_newcomer(room_id, recording_id)
        consents = {one: yes for one, yes in facts.consents.items() if one != participant_id}
        self._set_recording(room_id, replace(facts, consents=consents))
        await asyncio.sleep(self.answers_after_s)
        return replace(facts, consents=consents)

    async def choose_withdrawn(
        self, room_id: RoomId, recording_id: RecordingId, participant_id: ParticipantId, choice: str
    ) -> Literal["done", "asked"]:
        facts = self._recording(room_id, recording_id)
        if facts.consents.get(participant_id) is not False:
            raise Refused(Code.WRONG_PHASE)
        self._room(room_id).choices.append((participant_id, choice))
        return "done"

    async def record_consent(self, room_id: RoomId, given: ConsentGiven) -> None:
        facts = self._recording(room_id, given.recording_id)
        self._room(room_id).consents.append(given)
        self._set_recording(room_id, replace(facts, consents={**facts.consents, given.participant_id: given.yes}))

    async def sealing_keys(
        self, room_id: RoomId, recording_id: RecordingId, segment: int, participants: Sequence[ParticipantId]
    ) -> Mapping[ParticipantId, SealingKey]:
        facts = self._recording(room_id, recording_id)
        if not all(facts.consents.get(one) for one in participants):
            raise Refused(Code.CONSENT_MISSING)
        keys = self._room(room_id).keys
        for one in participants:
            key = base64.b64encode(secrets.token_bytes(32)).decode()
            keys.setdefault((recording_id, segment, one), SealingKey(key=key, wrapped=key))
        return {one: keys[recording_id, segment, one] for one in participants}

    async def recording_phase(
        self, room_id: RoomId, recording_id: RecordingId, phase: str, segment: int, code: str | None = None
    ) -> None:
        facts = self._recording(room_id, recording_id)
        self._room(room_id).phases.append((recording_id, phase, segment, code))
        self._set_recording(room_id, replace(facts, phase=phase, segment=segment, code=code))  # type: ignore[arg-type]

    async def log_stored(self, log: StoredLog) -> None:
        for room in self.rooms.values():
            recording = room.facts.recording
            if recording and recording.recording_id == log.recording_id and log not in room.logs:
                room.logs.append(log)

    async def emergency(self, room_id: RoomId, by: ParticipantId) -> EmergencyContact:
        return EmergencyContact("12 Hill Road", PHONES, "999", "GB", "phone", self.clock())

    async def by_phone(self, room_id: RoomId, by: ParticipantId) -> PatientPhones:
        room = self._room(room_id)
        room.facts = replace(room.facts, by_phone=True)
        return PHONES

    async def ended(self, room_id: RoomId, by: ParticipantId, outcome: Outcome) -> None:
        room = self._room(room_id)
        room.facts = replace(room.facts, phase="ended", outcome=outcome, ended_at=self.clock())
        if outcome is Outcome.WRONG_PERSON:
            self._close_patients(room_id, closed=True)

    async def reopened(self, room_id: RoomId, by: ParticipantId) -> None:
        room = self._room(room_id)
        if room.facts.phase != "ended":
            raise Refused(Code.WRONG_PHASE)
        if room.facts.outcome is Outcome.WRONG_PERSON:
            self._close_patients(room_id, closed=False)
        room.facts = replace(room.facts, phase="open", outcome=None, ended_at=None)

    async def arrivals_seen(self, seat: StaffSeat, participants: Sequence[ParticipantId]) -> None:
        self.seen.update(participants)

    async def seen_arrivals(self, participants: Sequence[ParticipantId]) -> frozenset[ParticipantId]:
        return frozenset(self.seen.intersection(participants))

    def _close_patients(self, room_id: RoomId, *, closed: bool) -> None:
        state, reason = ("left", Departure.WRONG_PERSON) if closed else ("admitted", None)
        for one in self._room(room_id).facts.participants:
            if one.role is Role.PATIENT:
                self._set(room_id, replace(one, state=state, reason=reason, link_closed=closed))  # type: ignore[arg-type]
