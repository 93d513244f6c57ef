"""The privacy officer's page of erasing: what patients asked for, what the law says of each, holds, proofs.

Nothing of a note's words is shown here. Deciding is `erasing.py` and `requests.py`.
"""

from __future__ import annotations

from typing import Annotated, Any
from zoneinfo import ZoneInfo

from aiohttp import web
from pydantic import BaseModel, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import context, uploads
from server.accounts.models import Patient
from server.accounts.service import get_patient, person_names
from server.audit import AuditAction
from server.errors import not_found
from server.forms import parse_form
from server.pages import render
from server.permissions import is_privacy_officer
from server.records import erasing, requests, service
from server.records.models import Note
from server.records.requests import Asked
from server.records.rights_models import NoteErasure, RecordHold
from server.records.rules import Ground, Obstacle, which_erased
from server.records.service import Writing
from server.routing import Route, see_other
from server.scheduling.wording import when
from signaling.words import N_

GROUNDS = {
    Ground.PERIOD_OVER: N_("The time for which the law wants it kept is over"),
    Ground.ENTERED_IN_ERROR: N_("It was entered in error, about somebody else"),
    Ground.ORDERED: N_("A court or an authority ordered it"),
}
GROUND_WORDS = {**{ground.value: words for ground, words in GROUNDS.items()}, "restored": N_("Erased before a restore")}
PROOFS_MAX = 200


class EraseForm(BaseModel):
    ground: Annotated[Ground, Field(title=N_("the ground"))]


class RefuseForm(BaseModel):
    reason: Annotated[str, Field(max_length=24, title=N_("the reason"))] = ""


class HoldForm(BaseModel):
    reason: Annotated[str, Field(max_length=500, title=N_("the reason"))] = ""


async def show_all(request: web.Request) -> web.Response:
    clinic, now = context.clinic(request), context.now(request)
    vault, today = context.vault(request).clinic(clinic.id), now.astimezone(ZoneInfo(clinic.zone)).date()
    async with context.database(request).reading() as session:
        asked = await requests.load_open_erasures(session, vault, clinic.id)
        overdue = await requests.load_overdue(session, vault, clinic.id, today)
        query = select(RecordHold).where(RecordHold.clinic_id == clinic.id, RecordHold.lifted_at.is_(None))
        holds = list(await session.scalars(query.order_by(RecordHold.placed_at)))
        proofs = select(NoteErasure).where(NoteErasure.clinic_id == clinic.id).order_by(NoteErasure.at.desc())
        erased = list(await session.scalars(proofs.limit(PROOFS_MAX)))
        ids = {one.row.patient_id for one in [*asked, *overdue]} | {hold.patient_id for hold in holds}
        people = {patient_id: await get_patient(session, clinic.id, patient_id) for patient_id in sorted(ids)}
        names = await person_names(session, {hold.placed_by for hold in holds})
    values = {
        "asked": _with_times(request, asked),
        "overdue": _with_times(request, overdue),
        "holds": [(hold, when(hold.placed_at, clinic.zone, clinic.language)) for hold in holds],
        "erased": [(one, when(one.at, clinic.zone, clinic.language), erasing.proof_of(one)) for one in erased],
        "grounds": GROUND_WORDS,
        "people": people,
        "names": names,
    }
    return render(request, "records/erasures.html", values)


async def show_one(request: web.Request) -> web.Response:
    """What the law says of one signed note, by its id; the look is entered."""
    return await _one(request)


async def erase(request: web.Request) -> web.Response:
    writing = _writing(request)
    form = await parse_form(request, EraseForm)
    note_id = request.match_info["note"]
    async with context.database(request).writing() as session:
        erased = await erasing.erase(session, writing, note_id, form.ground)
        await requests.note_erased(session, writing, note_id)
    place = uploads.open_uploads(context.settings(request))
    for upload_id in erased.files:
        await uploads.remove(place, writing.clinic.id, upload_id)
    return see_other(_url(request, note_id))


async def refuse(request: web.Request) -> web.Response:
    writing = _writing(request)
    form = await parse_form(request, RefuseForm)
    async with context.database(request).writing() as session:
        await requests.refuse_erasure(session, writing, request.match_info["request"], form.reason)
    return see_other(_url(request))


async def hold(request: web.Request) -> web.Response:
    writing, patient_id = _writing(request), request.match_info["patient"]
    form = await parse_form(request, HoldForm)
    async with context.database(request).writing() as session:
        await get_patient(session, writing.clinic.id, patient_id)
        await erasing.place_hold(session, writing, patient_id, form.reason)
    return see_other(_url(request))


async def lift(request: web.Request) -> web.Response:
    writing, patient_id = _writing(request), request.match_info["patient"]
    async with context.database(request).writing() as session:
        await get_patient(session, writing.clinic.id, patient_id)
        await erasing.lift_hold(session, writing, patient_id)
    return see_other(_url(request))


# ── Inside ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def _one(request: web.Request) -> web.Response:
    writing, clinic = _writing(request), context.clinic(request)
    today = writing.now.astimezone(ZoneInfo(clinic.zone)).date()
    async with context.database(request).writing() as session:
        note = await session.get(Note, (clinic.id, request.match_info["note"]))
        if note is None or note.signed_at is None:
            raise not_found()
        of = await erasing.load_erasable(session, note)
        proofs = await erasing.load_proofs(session, clinic.id, note.id)
        hold = await erasing.load_hold(session, clinic.id, note.patient_id)
        asked = await _request_of(session, writing, note)
        patient = await session.get_one(Patient, (clinic.id, note.patient_id))
        broken = await service.first_broken(session, writing.vault, note)
        await service.enter(session, writing, AuditAction.NOTE_OPENED, note.id, words=0)
    judged = {ground: which_erased(of, ground, today) for ground in Ground}
    values: dict[str, Any] = {
        "note": note,
        "patient": patient,
        "signed": when(note.signed_at, clinic.zone, clinic.language),
        "of": of,
        "hold": hold,
        "asked": asked,
        "possible": [
            (ground.value, GROUNDS[ground]) for ground, one in judged.items() if not isinstance(one, Obstacle)
        ],
        "obstacles": {one for one in judged.values() if isinstance(one, Obstacle)},
        "proofs": [(one, when(one.at, clinic.zone, clinic.language), erasing.proof_of(one)) for one in proofs],
        "grounds": GROUND_WORDS,
        "refusals": list(requests.ERASURE_REFUSALS.items()),
        "broken": broken,
    }
    return render(request, "records/erasure.html", values)


async def _request_of(session: AsyncSession, writing: Writing, note: Note) -> Asked | None:
    open_ones = await requests.load_open_erasures(session, writing.vault, writing.clinic.id)
    return next((one for one in open_ones if one.row.subject_id == note.id), None)


def _with_times(request: web.Request, asked: list[Asked]) -> list[tuple[Asked, dict[str, str]]]:
    language = context.clinic(request).language
    return [(one, when(one.starts_at, one.zone, language)) for one in asked]


def _writing(request: web.Request) -> Writing:
    clinic = context.clinic(request)
    vault = context.vault(request).clinic(clinic.id)
    return Writing(clinic, context.actor(request), context.now(request), context.events(request), vault)


def _url(request: web.Request, note_id: str | None = None) -> str:
    url = f"/c/{context.clinic(request).slug}/erasures"
    return f"{url}/{note_id}" if note_id else url


_C = "/c/{clinic}"
ROUTES = [
    Route("GET", f"{_C}/erasures", show_all, is_privacy_officer, "erasures", nav=N_("Erasing")),
    Route("GET", f"{_C}/erasures/{{note}}", show_one, is_privacy_officer, "erasure"),
    Route("POST", f"{_C}/erasures/{{note}}", erase, is_privacy_officer, "erasure.erase"),
    Route("POST", f"{_C}/erasure-requests/{{request}}", refuse, is_privacy_officer, "erasure.refuse"),
    Route("POST", f"{_C}/patients/{{patient}}/hold", hold, is_privacy_officer, "record.hold"),
    Route("POST", f"{_C}/patients/{{patient}}/hold/lift", lift, is_privacy_officer, "record.lift"),
]
