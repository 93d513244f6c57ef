"""How long a recording is kept, and when it goes before: wishes after a withdrawal, holds, orders to delete.

Runs in the caller's transaction; keys go in it, objects of the store go in the job (`erasing.py`).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, jobs
from server.audit import AuditAction, DeletionKind
from server.db import new_id
from server.encounters import films, overdue, redacting, rules
from server.encounters.keeping_models import RecordingDeletion, RecordingHold, RecordingWish
from server.encounters.models import Encounter, Participant
from server.encounters.recording_models import Film, Recording, RecordingPurpose, SegmentKey
from server.encounters.rules import Answered
from server.errors import DomainError, not_found
from signaling.words import Code

JOB = overdue.JOB
Cause = Literal["withdrawn", "granted", "due", "restored", "log_done"]


# ── Wishes ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def choose(
    session: AsyncSession,
    recording: Recording,
    person: Participant,
    choice: str,
    *,
    before: Answered | None,
    now: datetime,
) -> Literal["done", "asked"]:
    """What somebody who withdrew wants done. Raises wrong_phase for anybody who didn't."""
    if before is None or before.answer != "withdrawn":
        raise DomainError(Code.WRONG_PHASE)
    earlier = await _newest_wish(session, recording, person.id)
    if earlier is not None and earlier.choice in (choice, "delete_all") and earlier.state != "refused":
        return "asked" if earlier.state == "asked" else "done"
    reason = None if choice == "keep" else await why_asked(session, recording)
    wish = RecordingWish(
        clinic_id=recording.clinic_id,
        id=new_id(),
        recording_id=recording.id,
        participant_id=person.id,
        choice=choice,
        state="asked" if reason else "done",
        wished_at=now,
        reason=reason or "",
    )
    session.add(wish)
    await session.flush()
    await _enter(session, recording, AuditAction.RECORDING_WISH, now, wish=wish.id, choice=choice, state=wish.state)
    if wish.state == "done":
        await _fulfil(session, recording, wish, "withdrawn", now)
    return "asked" if reason else "done"


async def answer_wish(
    session: AsyncSession, clinic_id: str, wish_id: str, *, by: str, grants: bool, reason: str, now: datetime
) -> RecordingWish:
    """A named person's answer, with its reason. Raises not_found, malformed, wrong_phase (held, answered)."""
    wish = await session.get(RecordingWish, (clinic_id, wish_id))
    if wish is None:
        raise not_found()
    if not reason.strip():
        raise DomainError(Code.MALFORMED, "Say why. Nothing was decided.")
    recording = await get_recording(session, clinic_id, wish.recording_id)
    if wish.state != "asked" or (grants and await load_hold(session, recording) is not None):
        raise DomainError(Code.WRONG_PHASE)
    wish.state, wish.reason = "granted" if grants else "refused", reason.strip()[:500]
    wish.answered_by, wish.answered_at = by, now
    await session.flush()
    await _enter(session, recording, AuditAction.RECORDING_WISH, now, by=by, wish=wish.id, state=wish.state)
    if grants:
        await _fulfil(session, recording, wish, "granted", now)
    return wish


async def why_asked(session: AsyncSession, recording: Recording) -> str | None:
    """Why a wish isn't simply done: the code of what stands against it, or None."""
    encounter = await session.get(Encounter, (recording.clinic_id, recording.encounter_id))
    purpose = await session.get(RecordingPurpose, (recording.clinic_id, recording.purpose))
    return rules.why_wish_is_asked(
        is_signed=encounter is not None and encounter.note_signed_at is not None,
        is_held=await load_hold(session, recording) is not None,
        is_record=purpose is not None and purpose.is_record,
    )


async def _fulfil(
    session: AsyncSession, recording: Recording, wish: RecordingWish, cause: Cause, now: datetime
) -> None:
    if wish.choice != "keep":
        who = wish.participant_id if wish.choice == "delete_mine" else None
        await order_deletion(session, recording, who, cause, now)


async def _newest_wish(session: AsyncSession, recording: Recording, participant_id: str) -> RecordingWish | None:
    wishes = [one for one in await load_wishes(session, recording) if one.participant_id == participant_id]
    return wishes[-1] if wishes else None


async def load_wishes(session: AsyncSession, recording: Recording) -> list[RecordingWish]:
    """Oldest first."""
    query = select(RecordingWish).where(
        RecordingWish.clinic_id == recording.clinic_id, RecordingWish.recording_id == recording.id
    )
    return list(await session.scalars(query.order_by(RecordingWish.wished_at, RecordingWish.id)))


# ── Holds ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def place_hold(session: AsyncSession, recording: Recording, *, by: str, reason: str, now: datetime) -> None:
    """Raises malformed without a reason; one that stands is left as it is."""
    if not reason.strip():
        raise DomainError(Code.MALFORMED, "Say why. Nothing was changed.")
    if await load_hold(session, recording) is not None:
        return
    hold = RecordingHold(
        clinic_id=recording.clinic_id,
        id=new_id(),
        recording_id=recording.id,
        reason=reason.strip()[:500],
        placed_by=by,
        placed_at=now,
    )
    session.add(hold)
    await session.flush()
    await _enter(session, recording, AuditAction.RECORDING_HELD, now, by=by, hold=hold.id)


async def lift_hold(session: AsyncSession, recording: Recording, *, by: str, now: datetime) -> None:
    hold = await load_hold(session, recording)
    if hold is not None:
        hold.lifted_by, hold.lifted_at = by, now
        await _enter(session, recording, AuditAction.RECORDING_RELEASED, now, by=by, hold=hold.id)


async def load_hold(session: AsyncSession, recording: Recording) -> RecordingHold | None:
    query = select(RecordingHold).where(
        RecordingHold.clinic_id == recording.clinic_id,
        RecordingHold.recording_id == recording.id,
        RecordingHold.lifted_at.is_(None),
    )
    return (await session.scalars(query.limit(1))).first()


async def hold_strangers(session: AsyncSession, person: Participant, *, by: str, now: datetime) -> None:
    """What was recorded of somebody who is not the patient: kept, shown to nobody, for the clinic to decide about."""
    keys = select(SegmentKey.recording_id).where(
        SegmentKey.clinic_id == person.clinic_id, SegmentKey.participant_id == person.id
    )
    recordings = select(Recording).where(Recording.clinic_id == person.clinic_id, Recording.id.in_(keys))
    for recording in list(await session.scalars(recordings.order_by(Recording.n))):
        hold = RecordingHold(
            clinic_id=recording.clinic_id,
            id=new_id(),
            recording_id=recording.id,
            reason=rules.STRANGER,
            placed_by=by,
            placed_at=now,
        )
        session.add(hold)
        await session.flush()
        await _enter(session, recording, AuditAction.RECORDING_HELD, now, by=by, hold=hold.id)


async def release_strangers(
    session: AsyncSession, encounter: Encounter, placed_at: datetime, *, by: str | None, now: datetime
) -> None:
    """They were the patient after all: the holds of that moment are taken back, and nothing is left of them."""
    recordings = select(Recording).where(
        Recording.clinic_id == encounter.clinic_id, Recording.encounter_id == encounter.id
    )
    for recording in list(await session.scalars(recordings)):
        gone = delete(RecordingHold).where(
            RecordingHold.clinic_id == recording.clinic_id,
            RecordingHold.recording_id == recording.id,
            RecordingHold.reason == rules.STRANGER,
            RecordingHold.placed_at == placed_at,
        )
        for hold_id in list(await session.scalars(gone.returning(RecordingHold.id))):
            await _enter(session, recording, AuditAction.RECORDING_RELEASED, now, by=by, hold=hold_id)


# ── Deleting ─────────────────────────────────────────────────────────────────────────────────────────────────────


async def order_deletion(
    session: AsyncSession, recording: Recording, participant_id: str | None, cause: Cause, now: datetime
) -> RecordingDeletion:
    """Destroys the keys at once, so that nothing opens any more; the job takes the bytes away and writes the proof.

    A person's part of a recording whose log is gone is all of it: the film can't be made again.
    """
    if recording.logs_deleted_at is not None:
        participant_id = None
    if await load_hold(session, recording) is not None and cause != "restored":
        raise DomainError(Code.WRONG_PHASE)
    ordered = RecordingDeletion(
        clinic_id=recording.clinic_id,
        id=new_id(),
        recording_id=recording.id,
        participant_id=participant_id,
        cause=cause,
        ordered_at=now,
    )
    session.add(ordered)
    keys = delete(SegmentKey).where(
        SegmentKey.clinic_id == recording.clinic_id, SegmentKey.recording_id == recording.id
    )
    if participant_id is not None:
        keys = keys.where(SegmentKey.participant_id == participant_id)
    await session.execute(keys)
    film = await films.load_film(session, recording)
    if film is not None:
        film.tracks_path = film.tracks_bytes = film.tracks_key = None
    if cause != "log_done":
        if film is not None:
            _close_film(film, is_whole=participant_id is None)
            await redacting.close(session, film, is_whole=participant_id is None)
        await _list_deletion(session, recording, participant_id, now)
        if participant_id is None:
            recording.deleted_at = now
    await session.flush()
    await _enter(
        session,
        recording,
        AuditAction.RECORDING_DELETED,
        now,
        deletion=ordered.id,
        cause=cause,
        participant=participant_id,
    )
    await jobs.enqueue(session, JOB, ordered.id, now, clinic_id=recording.clinic_id)
    return ordered


def _close_film(film: Film, *, is_whole: bool) -> None:
    film.path = film.wrapped_key = film.size_bytes = film.duration_s = film.parts = film.parts_key = None
    film.report, film.composed_from, film.progress = None, "[]", 0.0
    film.state, film.code = ("empty", films.DELETED) if is_whole else ("queued", None)


async def _list_deletion(
    session: AsyncSession, recording: Recording, participant_id: str | None, now: datetime
) -> None:
    kind = "recording_part" if participant_id else "recording"
    await audit.record_deletion(
        session,
        clinic_id=recording.clinic_id,
        kind=DeletionKind.DELETED,
        subject=(kind, listed_name(recording.id, participant_id)),
        now=now,
    )


def listed_name(recording_id: str, participant_id: str | None) -> str:
    """How the list outside the backup names it: both ids of a part, without their dashes."""
    return recording_id.replace("-", "") + (participant_id or "").replace("-", "")


async def replay(session: AsyncSession, kind: str, name: str, now: datetime) -> bool:
    """Deletes again, in a database that came back from a backup, what the list says was; whether there was any."""
    for recording in await session.scalars(select(Recording)):
        if not name.startswith(listed_name(recording.id, None)) or kind not in ("recording", "recording_part"):
            continue
        people = select(Participant).where(
            Participant.clinic_id == recording.clinic_id, Participant.encounter_id == recording.encounter_id
        )
        who = {listed_name(recording.id, one.id): one.id for one in await session.scalars(people)}
        await order_deletion(session, recording, who.get(name), "restored", now)
        return True
    return False


async def log_came(session: AsyncSession, recording: Recording, now: datetime) -> None:
    """A node brought a log later than what was ordered to be deleted, or says so once more: the orders hold for it too.

    What was done stays done, and its proof stands: it is looked once more whether anything lies there.
    """
    for ordered in await load_deletions(session, recording):
        await jobs.enqueue(session, JOB, ordered.id, now, clinic_id=recording.clinic_id)


async def load_deletions(session: AsyncSession, recording: Recording) -> list[RecordingDeletion]:
    query = select(RecordingDeletion).where(
        RecordingDeletion.clinic_id == recording.clinic_id, RecordingDeletion.recording_id == recording.id
    )
    return list(await session.scalars(query.order_by(RecordingDeletion.ordered_at, RecordingDeletion.id)))


async def is_deleting(session: AsyncSession, recording: Recording) -> bool:
    """Something that was ordered to be deleted may still lie in the store."""
    return any(one.done_at is None for one in await load_deletions(session, recording))


# ── What is due ──────────────────────────────────────────────────────────────────────────────────────────────────


async def order_due(session: AsyncSession, now: datetime) -> int:
    """Recordings past their date, and logs no longer needed beside their film; how many orders were given."""
    await overdue.order_again(session, now)
    count = 0
    past = select(Recording).where(Recording.deleted_at.is_(None), Recording.delete_at <= now)
    for recording in await session.scalars(past):
        if recording.phase in rules.FINAL_PHASES and await load_hold(session, recording) is None:
            await order_deletion(session, recording, None, "due", now)
            count += 1
    kept = (
        select(Recording, Film, Encounter)
        .join(Film, (Film.clinic_id == Recording.clinic_id) & (Film.recording_id == Recording.id))
        .join(Encounter, (Encounter.clinic_id == Recording.clinic_id) & (Encounter.id == Recording.encounter_id))
        .where(Recording.deleted_at.is_(None), Recording.logs_deleted_at.is_(None), Film.state == "ready")
    )
    for recording, film, encounter in (await session.execute(kept)).all():
        logs = [one.path for one in await films.load_logs(session, recording)]
        if not rules.is_log_done(
            passed=film.code is None,
            is_whole=not await films.load_missing(session, recording),
            is_newest=film.composed_from == json.dumps(logs),
            made_at=film.made_at,
            is_signed=encounter.note_signed_at is not None,
            now=now,
        ):
            continue
        if await _is_undecided(session, recording) or await load_hold(session, recording) is not None:
            continue
        recording.logs_deleted_at = now
        await order_deletion(session, recording, None, "log_done", now)
        count += 1
    return count


async def _is_undecided(session: AsyncSession, recording: Recording) -> bool:
    return any(one.state == "asked" for one in await load_wishes(session, recording))


async def note_signed(session: AsyncSession, encounter: Encounter, now: datetime) -> None:
    """From now on a wish to delete is answered by a named person."""
    encounter.note_signed_at = encounter.note_signed_at or now


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def get_recording(session: AsyncSession, clinic_id: str, recording_id: str) -> Recording:
    """Raises not_found."""
    found = await session.get(Recording, (clinic_id, recording_id))
    if found is None:
        raise not_found()
    return found


async def load_open_wishes(session: AsyncSession, clinic_id: str) -> Sequence[RecordingWish]:
    """Those that wait for an answer, oldest first."""
    query = select(RecordingWish).where(RecordingWish.clinic_id == clinic_id, RecordingWish.state == "asked")
    return list(await session.scalars(query.order_by(RecordingWish.wished_at)))


async def _enter(
    session: AsyncSession,
    recording: Recording,
    action: AuditAction,
    now: datetime,
    *,
    by: str | None = None,
    **detail: str | None,
) -> None:
    await audit.enter(
        session,
        clinic_id=recording.clinic_id,
        actor_person_id=by,
        action=action,
        subject=("recording", recording.id),
        detail=detail,
        now=now,
    )
