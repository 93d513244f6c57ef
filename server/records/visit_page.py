"""What the visit's page says, gathered for its template; who may see it was asked before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncSession

from server import uploads
from server.accounts.models import Patient
from server.encounters import chat, emergency, films, filmviews, recordings, visits
from server.encounters.models import ClinicText, Encounter
from server.encounters.visits import Visit
from server.errors import not_found
from server.records import corrections, reading, release, requests, service
from server.records.models import Note
from server.records.service import Writing
from server.scheduling import finding
from server.scheduling.wording import when
from server.vault import ClinicVault
from signaling.ports import StoredChat
from signaling.words import Departure


async def load_values(session: AsyncSession, writing: Writing, visit: Visit, vault: ClinicVault) -> dict[str, Any]:
    encounter = visit.encounter
    patient = await session.get(Patient, (encounter.clinic_id, encounter.patient_id))
    if patient is None:
        raise not_found()
    note = await service.load_note(session, encounter)
    slug, language = writing.clinic.slug, writing.clinic.language

    def times(moment: Any) -> dict[str, str] | None:
        return when(moment, encounter.zone, language) if moment else None

    return {
        "patient": patient,
        "follow_up": f"/c/{slug}/book/{patient.id}?visit_type={visit.appointment.visit_type_id}"
        f"&doctor={writing.person_id}",
        "doctor_name": visit.every_doctor_name,
        "colleagues": [
            (one.person_id, one.name)
            for one in await finding.load_practitioners(session, writing.clinic)
            if one.person_id not in visit.facts.doctor_ids
        ],
        "planned": times(visit.appointment.starts_at),
        "started": times(encounter.started_at),
        "ended": times(encounter.ended_at),
        "outcome": encounter.outcome,
        "by_phone": encounter.by_phone,
        "status": encounter.status,
        "card": await _card(session, visit),
        "guests": [one for one in visit.participants if one.role in visits.GUESTS],
        "requests": [
            (one, times(one.row.decided_at)) for one in await requests.load_of_visit(session, vault, encounter)
        ],
        "refusals": list(requests.REFUSALS.items()),
        "why": requests.WHY,
        "written_of_others": await _written_of_others(session, visit, f"/c/{slug}/visits"),
        "presses": [times(press.pressed_at) for press in await emergency.load_presses(session, visit.encounter)],
        "answers": [{**answer, "at": times(answer["at"])} for answer in await _answers(session, visit)],
        "films": [
            await filmviews.film_values(session, film, slug, may_grant=True, now=writing.now)
            for film in await films.load_films(session, encounter)
        ],
        "chat": _chat(visit, await chat.load_all(session, encounter, vault), times),
        "strangers_chat": _chat(visit, await chat.load_strangers(session, encounter, vault), times),
        **await _note(session, visit, note, vault, times),
    }


def _chat(visit: Visit, lines: Sequence[StoredChat], times: Callable[[Any], Any]) -> list[dict[str, Any]]:
    """A stranger's lines without the patient's name, under which they were written."""
    strangers = {one.id for one in visit.participants if one.reason == Departure.WRONG_PERSON.value}
    return [
        {
            "at": times(line.at),
            "name": None if line.participant_id in strangers else line.name.reveal(),
            "text": line.text.reveal(),
        }
        for line in lines
    ]


async def _note(
    session: AsyncSession, visit: Visit, note: Note | None, vault: ClinicVault, times: Callable[[Any], Any]
) -> dict[str, Any]:
    """What is signed and may still be read, who doesn't read it yet, what the patient calls wrong, what is attached."""
    clinic_id = visit.encounter.clinic_id
    is_signed = note is not None and note.signed_at is not None
    versions = await reading.load_readable(session, vault, note) if note is not None and is_signed else []
    asked = await corrections.load(session, vault, clinic_id, [note.id]) if note is not None and is_signed else []
    attached = await uploads.load_of(session, clinic_id, (service.ATTACHED_TO, visit.encounter.id))
    withdrawal = await reading.load_withdrawal(session, note) if note is not None else None
    return {
        "note": note,
        "broken": await service.first_broken(session, vault, note) if note is not None and is_signed else None,
        "is_signed": is_signed,
        "versions": [{"version": version, "at": times(version.signed_at)} for version in versions],
        "hold": await release.load_hold(session, clinic_id, note.id) if note is not None else None,
        "withdrawal": withdrawal,
        "corrections": [(one, times(one.asked_at)) for one in asked],
        "attachments": [(one, uploads.name_of(vault, one)) for one in attached] if withdrawal is None else [],
    }


async def _card(session: AsyncSession, visit: Visit) -> dict[str, Any] | None:
    """The card that counts, with the wording that was agreed to; None when nobody came through the door."""
    place = visit.patient_place()
    card = await visits.load_card(session, place) if place is not None else None
    if place is None or card is None:
        return None
    text = await session.get(ClinicText, (place.clinic_id, card.agreed_text_id)) if card.agreed_text_id else None
    return {"card": card, "agreed_version": text.version if text else None}


async def _written_of_others(session: AsyncSession, visit: Visit, visits_url: str) -> list[str]:
    """Where the drafts are that were written in this visit's place of somebody who was not the patient."""
    query = (
        select(Encounter.id)
        .join(Note, and_(Note.clinic_id == Encounter.clinic_id, Note.encounter_id == Encounter.id))
        .where(
            Encounter.clinic_id == visit.encounter.clinic_id,
            Encounter.appointment_id == visit.encounter.appointment_id,
            Encounter.id != visit.encounter.id,
            Encounter.status == "entered-in-error",
            Note.draft != "",
        )
    )
    return [f"{visits_url}/{one}/summary" for one in await session.scalars(query.order_by(Encounter.created_at))]


async def _answers(session: AsyncSession, visit: Visit) -> list[dict[str, Any]]:
    """Every answer about recording in its order, by whom."""
    return [
        {
            "name": person.name,
            "answer": row.answer,
            "version": row.text_version,
            "others_present": row.others_present,
            "given_for": row.given_for,
            "at": row.at,
        }
        for person, row in await recordings.load_said(session, visit.encounter)
    ]
