"""The visit's chat: stored once, numbered, sealed, with the sender's name and role as they were then."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from server.encounters.models import ChatLine, Encounter, Participant
from server.encounters.strangers import strangers_until
from server.errors import DomainError
from server.vault import ClinicVault
from signaling.messages import CHAT_LIMIT_CHARACTERS
from signaling.ports import StoredChat
from signaling.words import Code, ParticipantId, Redacted, Role


def check_text(text: str) -> None:
    """Raises too_long, malformed."""
    if len(text) > CHAT_LIMIT_CHARACTERS:
        raise DomainError(Code.TOO_LONG, limit=CHAT_LIMIT_CHARACTERS)
    if not text.strip():
        raise DomainError(Code.MALFORMED)


async def store(
    session: AsyncSession,
    encounter: Encounter,
    person: Participant,
    *,
    event_id: str,
    text: str,
    vault: ClinicVault,
    now: datetime,
) -> StoredChat:
    """The line with its number; the same event again answers the line as it was stored."""
    query = select(ChatLine).where(
        ChatLine.clinic_id == encounter.clinic_id,
        ChatLine.participant_id == person.id,
        ChatLine.event_id == event_id,
    )
    line = (await session.scalars(query)).first()
    if line is not None:
        return _opened(line, vault)
    if person.state != "admitted" and person.role != Role.DOCTOR:
        raise DomainError(Code.NOT_ADMITTED)
    encounter.chat_count += 1
    words = json.dumps({"name": person.name, "text": text}, ensure_ascii=False)
    line = ChatLine(
        clinic_id=encounter.clinic_id,
        encounter_id=encounter.id,
        n=encounter.chat_count,
        participant_id=person.id,
        role=person.role,
        event_id=event_id,
        sealed=vault.seal(_name(encounter.id, person.id, event_id), words.encode()),
        at=now,
    )
    session.add(line)
    await session.flush()
    return _opened(line, vault)


async def load(
    session: AsyncSession, encounter: Encounter, person: Participant, after: int, vault: ClinicVault
) -> Sequence[StoredChat]:
    """The lines this person may read: a doctor all, anybody else what was written after they were let in."""
    if person.role != Role.DOCTOR and person.state != "admitted":
        raise DomainError(Code.NOT_ADMITTED)
    start = after if person.role == Role.DOCTOR else max(after, person.reads_after)
    return await load_all(session, encounter, vault, after=start)


async def load_all(
    session: AsyncSession, encounter: Encounter, vault: ClinicVault, *, after: int = 0
) -> list[StoredChat]:
    """In their order; none that was written while somebody who was not the patient was there."""
    query = select(ChatLine).where(*_lines_of(encounter), ChatLine.n > after)
    if until := await strangers_until(session, encounter):
        query = query.where(ChatLine.at > until)
    return [_opened(line, vault) for line in await session.scalars(query.order_by(ChatLine.n))]


async def load_strangers(session: AsyncSession, encounter: Encounter, vault: ClinicVault) -> list[StoredChat]:
    """What was written while somebody who was not the patient was there, for the doctor's eyes."""
    until = await strangers_until(session, encounter)
    if until is None:
        return []
    query = select(ChatLine).where(*_lines_of(encounter), ChatLine.at <= until)
    return [_opened(line, vault) for line in await session.scalars(query.order_by(ChatLine.n))]


async def load_begin(session: AsyncSession, encounter: Encounter) -> int:
    """The number after which the conversation with the patient begins."""
    until = await strangers_until(session, encounter)
    if until is None:
        return 0
    last = await session.scalar(select(func.max(ChatLine.n)).where(*_lines_of(encounter), ChatLine.at <= until))
    return last or 0


def _lines_of(encounter: Encounter) -> tuple[ColumnElement[bool], ...]:
    return ChatLine.clinic_id == encounter.clinic_id, ChatLine.encounter_id == encounter.id


def _opened(line: ChatLine, vault: ClinicVault) -> StoredChat:
    words = json.loads(vault.open(_name(line.encounter_id, line.participant_id, line.event_id), line.sealed))
    return StoredChat(
        n=line.n,
        at=line.at,
        participant_id=ParticipantId(line.participant_id),
        name=Redacted(words["name"]),
        role=Role(line.role),
        text=Redacted(words["text"]),
    )


def _name(encounter_id: str, participant_id: str, event_id: str) -> str:
    return f"chat/{encounter_id}/{participant_id}/{event_id}"
