"""What a patient reads of who opened their record, and why, in words; the entries themselves are the audit's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from aiohttp import web
from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts import breakglass, proxies, rules
from server.accounts.models import Patient
from server.accounts.service import get_patient, person_names
from server.audit import AuditAction, AuditEntry
from server.encounters.models import Encounter
from server.encounters.recording_models import Film, Recording
from server.errors import not_found
from server.pages import render
from server.permissions import is_patient
from server.records.models import Note
from server.routing import Route
from server.scheduling.models import Appointment
from server.uploads import Upload
from signaling.words import N_

SHOWN_MAX = 300
SAME_LOOK_MIN = 60
"""Somebody who opens the same thing again within it is shown once."""
ACTION_WORDS: Mapping[str, str] = {
    AuditAction.PATIENT_CREATED: N_("put you on file"),
    AuditAction.PATIENT_CHANGED: N_("changed your details"),
    AuditAction.PATIENT_SEEN: N_("opened your details, to book or change an appointment"),
    AuditAction.PAGE_CODE_READ_OUT: N_("read out a code for this page"),
    AuditAction.APPOINTMENT_BOOKED: N_("booked an appointment"),
    AuditAction.APPOINTMENT_MOVED: N_("moved an appointment"),
    AuditAction.APPOINTMENT_CANCELLED: N_("cancelled an appointment"),
    AuditAction.APPOINTMENT_NO_SHOW: N_("noted that you didn't come"),
    AuditAction.APPOINTMENT_PUT_BACK: N_("put an appointment back"),
    AuditAction.ADMITTED: N_("let somebody into your visit, as its doctor"),
    AuditAction.GUEST_INVITED: N_("invited somebody to your visit"),
    AuditAction.EMERGENCY: N_("pressed Emergency in your visit"),
    AuditAction.VISIT_ENDED: N_("ended your visit"),
    AuditAction.RECORDING_ASKED: N_("asked whether your visit may be recorded"),
    AuditAction.RECORDING_WATCHED: N_("watched the recording of your visit, as its doctor"),
    AuditAction.RECORDING_GRANTED: N_("let you watch a recording"),
    AuditAction.RECORDING_DELETED: N_("had a recording deleted"),
    AuditAction.CHAT_READ: N_("read the chat of your visit, as its doctor"),
    AuditAction.NOTE_OPENED: N_("opened your note, as a doctor of the visit"),
    AuditAction.NOTE_SIGNED: N_("signed your note"),
    AuditAction.NOTE_READ: N_("read your note"),
    AuditAction.NOTE_PRINTED: N_("printed or kept your note"),
    AuditAction.EXPORT_FETCHED: N_("fetched a copy of your record"),
    AuditAction.NOTE_ADDED_TO: N_("added to your note"),
    AuditAction.DOCUMENT_ADDED: N_("added a document"),
    AuditAction.DOCUMENT_READ: N_("opened a document"),
    AuditAction.DOCUMENT_DELETED: N_("deleted a document"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """One time somebody opened or changed something of this patient's."""

    at: datetime
    name: str
    words: str
    reason: str = ""
    is_proxy: bool = False
    """By somebody who acts for the patient, not by the clinic."""


async def load_looks(session: AsyncSession, patient: Patient) -> list[Look]:
    """The newest first; what the patient did themself is left out."""
    entries = (
        await session.scalars(
            select(AuditEntry)
            .where(
                AuditEntry.clinic_id == patient.clinic_id,
                AuditEntry.subject_id.in_(await _subjects(session, patient)),
                AuditEntry.action.in_(sorted(ACTION_WORDS)),
                or_(_is_by_staff(patient), _is_by_proxy()),
            )
            .order_by(AuditEntry.at.desc(), AuditEntry.id)
            .limit(SHOWN_MAX)
        )
    ).all()
    names = await person_names(session, {entry.actor_person_id for entry in entries if entry.actor_person_id})
    names |= await proxies.load_names(session, patient.clinic_id, patient.id)
    looks: list[Look] = []
    seen: dict[tuple[str, str, str], datetime] = {}
    for entry in entries:
        who = entry.actor_person_id or proxies.acting_in(entry)
        key = (who, entry.action, entry.subject_id)
        last = seen.get(key)
        if last is None or (last - entry.at).total_seconds() > SAME_LOOK_MIN * 60:
            words, is_proxy = ACTION_WORDS[entry.action], entry.actor_person_id is None
            looks.append(Look(entry.at, names.get(who, ""), words, is_proxy=is_proxy))
            seen[key] = entry.at
    return looks


async def show(request: web.Request) -> web.Response:
    actor, scope = context.actor(request), context.clinic(request)
    wanted = request.match_info["patient"]
    if wanted not in actor.patients:
        raise not_found()
    async with context.database(request).reading() as session:
        patient = await get_patient(session, scope.id, wanted)
        request[context.LANGUAGE_ON_FILE] = patient.language
        looks = await load_looks(session, patient)
        looks += await _without_visit(request, session, patient)
    looks.sort(key=lambda look: look.at, reverse=True)
    values = {"patient": patient, "looks": looks, "clock": partial(rules.local_words, zone=scope.zone)}
    return render(request, "desk/access.html", values)


ROUTES = [Route("GET", "/c/{clinic}/patients/{patient}/home/access", show, is_patient, "mine.access")]


async def _without_visit(request: web.Request, session: AsyncSession, patient: Patient) -> list[Look]:
    """Looks at the whole record without a visit, with the reason that was given."""
    vault, now = context.vault(request).clinic(patient.clinic_id), context.now(request)
    found = await breakglass.load_shown(session, patient.clinic_id, patient.id, now)
    names = await person_names(session, {look.person_id for look in found})
    words = N_("opened your record without a visit. The reason given:")
    return [
        Look(look.opened_at, names.get(look.person_id, ""), words, breakglass.reason_of(vault, look)) for look in found
    ]


async def _subjects(session: AsyncSession, patient: Patient) -> list[str]:
    """Everything whose entries are about this patient."""
    mine = [patient.id]
    for model in (Appointment, Encounter, Note):
        query = select(model.id).where(model.clinic_id == patient.clinic_id, model.patient_id == patient.id)
        mine += list(await session.scalars(query))
    visits = select(Encounter.id).where(Encounter.clinic_id == patient.clinic_id, Encounter.patient_id == patient.id)
    for kept in (Recording, Film):
        mine += list(await session.scalars(select(kept.id).where(kept.encounter_id.in_(visits))))
    files = select(Upload.id).where(Upload.clinic_id == patient.clinic_id, Upload.subject_id.in_(mine))
    return mine + list(await session.scalars(files))


def _is_by_staff(patient: Patient) -> ColumnElement[bool]:
    return and_(AuditEntry.actor_person_id.is_not(None), AuditEntry.actor_person_id != patient.person_id)


def _is_by_proxy() -> ColumnElement[bool]:
    """A proxy is no person of the clinic's: the entry names their row."""
    return and_(AuditEntry.actor_person_id.is_(None), AuditEntry.detail.contains('"proxy":"', autoescape=True))
