"""The clinic's list of recordings: wishes that wait for an answer, holds, dates, and the proof of what was deleted.

For administrators and privacy officers. Nobody watches anything here; what each decision leads to is `keeping.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from aiohttp import web
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts.service import person_names
from server.encounters import keeping, rules
from server.encounters.events import WishAnswered
from server.encounters.forms import ReasonForm
from server.encounters.keeping_models import RecordingDeletion, RecordingWish
from server.encounters.models import Encounter, Participant
from server.encounters.recording_models import Recording, RecordingPurpose
from server.errors import DomainError
from server.forms import parse_form
from server.pages import render, translate
from server.permissions import may_handle_incidents
from server.routing import Route, see_other
from server.scheduling.wording import when
from signaling.words import N_, Code, Role

SHOWN_MAX = 100
SAY_WHY = N_("Say why. Nothing was decided.")

CHOICES: Mapping[str, str] = MappingProxyType(
    {"delete_mine": N_("wants their own part deleted"), "delete_all": N_("wants all of it deleted")}
)
WHY_ASKED: Mapping[str, str] = MappingProxyType(
    {
        "note_signed": N_("The note of this visit is signed."),
        "held": N_("A hold keeps this recording."),
        "record": N_("This recording is part of the record."),
    }
)
CAUSES: Mapping[str, str] = MappingProxyType(
    {
        "withdrawn": N_("somebody withdrew"),
        "granted": N_("a wish was granted"),
        "due": N_("its date had come"),
        "restored": N_("deleted again after a restore"),
        "log_done": N_("the original, once the film was checked"),
    }
)


async def show(request: web.Request) -> web.Response:
    return await _page(request, {})


async def _page(request: web.Request, errors: dict[str, str]) -> web.Response:
    scope = context.clinic(request)
    async with context.database(request).reading() as session:
        wishes = [
            await _wish(session, one, scope.language) for one in await keeping.load_open_wishes(session, scope.id)
        ]
        kept = await _kept(session, scope.id, scope.language)
        gone = await _gone(session, scope.id, scope.zone, scope.language)
    values = {"wishes": wishes, "recordings": kept, "deletions": gone, "errors": errors}
    return render(request, "encounters/keeping.html", values, status=422 if errors else 200)


async def _wish(session: AsyncSession, wish: RecordingWish, language: str) -> dict[str, Any]:
    recording = await keeping.get_recording(session, wish.clinic_id, wish.recording_id)
    encounter = await session.get_one(Encounter, (wish.clinic_id, recording.encounter_id))
    person = await session.get_one(Participant, (wish.clinic_id, wish.participant_id))
    return {
        "id": wish.id,
        "name": person.name,
        "choice": CHOICES.get(wish.choice, ""),
        "why": WHY_ASKED.get(wish.reason, ""),
        "visit": when(recording.created_at, encounter.zone, language),
        "held": await keeping.load_hold(session, recording) is not None,
        "has_page": person.role == Role.PATIENT,
    }


async def _kept(session: AsyncSession, clinic_id: str, language: str) -> list[dict[str, Any]]:
    query = (
        select(Recording, RecordingPurpose, Encounter)
        .join(
            RecordingPurpose,
            (RecordingPurpose.clinic_id == Recording.clinic_id) & (RecordingPurpose.code == Recording.purpose),
        )
        .join(Encounter, (Encounter.clinic_id == Recording.clinic_id) & (Encounter.id == Recording.encounter_id))
        .where(Recording.clinic_id == clinic_id, Recording.deleted_at.is_(None), Recording.phase != "declined")
        .order_by(Recording.created_at.desc())
        .limit(SHOWN_MAX)
    )
    shown = []
    for recording, purpose, encounter in (await session.execute(query)).all():
        hold = await keeping.load_hold(session, recording)
        names = await person_names(session, {hold.placed_by}) if hold is not None else {}
        shown.append(
            {
                "id": recording.id,
                "visit": when(recording.created_at, encounter.zone, language),
                "purpose": purpose.words,
                "until": when(recording.delete_at, encounter.zone, language),
                "hold": {
                    "reason": hold.reason if hold.reason != rules.STRANGER else None,
                    "by": names.get(hold.placed_by, ""),
                }
                if hold is not None
                else None,
            }
        )
    return shown


async def _gone(session: AsyncSession, clinic_id: str, zone: str, language: str) -> list[dict[str, Any]]:
    query = select(RecordingDeletion).where(RecordingDeletion.clinic_id == clinic_id)
    rows = await session.scalars(query.order_by(RecordingDeletion.ordered_at.desc()).limit(SHOWN_MAX))
    return [
        {
            "recording": row.recording_id,
            "part": row.participant_id is not None,
            "cause": CAUSES.get(row.cause, row.cause),
            "ordered": when(row.ordered_at, zone, language),
            "done": when(row.done_at, zone, language) if row.done_at else None,
            "objects": _count(row.proof),
        }
        for row in rows
    ]


def _count(proof: str | None) -> int:
    said = json.loads(proof) if proof else {}
    deleted = [*said.get("films", {}).get("deleted", ()), *said.get("logs", {}).get("deleted", ())]
    return len(deleted) + len(said.get("copies", ()))


async def answer(request: web.Request) -> web.Response:
    """A named person's answer to a wish, with its reason."""
    form = await parse_form(request, ReasonForm)
    by = context.actor(request).person_id
    if form.answer not in ("grant", "refuse") or by is None:
        raise DomainError(Code.MALFORMED)
    scope, now = context.clinic(request), context.now(request)
    if not form.reason.strip():
        return await _page(request, {"": translate(request, SAY_WHY)})
    async with context.database(request).writing() as session:
        wish = await keeping.answer_wish(
            session,
            scope.id,
            request.match_info["wish"],
            by=by,
            grants=form.answer == "grant",
            reason=form.reason,
            now=now,
        )
        await _tell_patient(request, session, wish)
    return see_other(f"/c/{scope.slug}/recordings")


async def _tell_patient(request: web.Request, session: AsyncSession, wish: RecordingWish) -> None:
    """A message that their page has something new; nobody else of the visit left an address."""
    person = await session.get_one(Participant, (wish.clinic_id, wish.participant_id))
    if person.role != Role.PATIENT:
        return
    encounter = await session.get_one(Encounter, (wish.clinic_id, person.encounter_id))
    told = WishAnswered(wish.clinic_id, encounter.patient_id, wish.recording_id, context.now(request))
    await context.events(request).raise_event(session, told)


async def hold(request: web.Request) -> web.Response:
    """Keeps a recording whatever its date and whoever wishes it away, or lets it go its way again."""
    form = await parse_form(request, ReasonForm)
    by = context.actor(request).person_id
    if form.answer not in ("hold", "lift") or by is None:
        raise DomainError(Code.MALFORMED)
    scope, now = context.clinic(request), context.now(request)
    if form.answer == "hold" and not form.reason.strip():
        return await _page(request, {"": translate(request, SAY_WHY)})
    async with context.database(request).writing() as session:
        recording = await keeping.get_recording(session, scope.id, request.match_info["recording"])
        if form.answer == "hold":
            await keeping.place_hold(session, recording, by=by, reason=form.reason, now=now)
        else:
            await keeping.lift_hold(session, recording, by=by, now=now)
    return see_other(f"/c/{scope.slug}/recordings")


ROUTES = [
    Route("GET", "/c/{clinic}/recordings", show, may_handle_incidents, "keeping", nav=N_("Recordings")),
    Route("POST", "/c/{clinic}/recordings/wishes/{wish}", answer, may_handle_incidents, "keeping.wish"),
    Route("POST", "/c/{clinic}/recordings/{recording}/hold", hold, may_handle_incidents, "keeping.hold"),
]
