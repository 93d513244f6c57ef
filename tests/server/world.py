"""One clinic with everything in it that somebody might want to see, and the whole cast at their browsers.

A visit that was held (its note signed and released, its film let to the patient), one that goes on just now, a guest
and an interpreter in it, an incident, a "no" at the door, a patient's page link. The matrix asks for all of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts import breakglass, proxies, sessions
from server.accounts.links import LinkKind
from server.accounts.proxies import NewProxy
from server.accounts.service import get_patient
from server.accounts.sessions import COOKIES, SessionKind
from server.accounts.trust_models import Proxy
from server.db import new_id
from server.encounters import films
from server.encounters.filmstore import SealedFilm, open_recordings, put_film
from server.encounters.keeping_models import RecordingWish
from server.encounters.models import ClinicText, Encounter, VisitCard
from server.encounters.recording_models import Film, FilmGrant, Recording
from server.events import Events
from server.permissions import Actor, ProxyScope, StaffRole
from server.records import corrections, exports, reading, withdrawing
from server.records import service as notes
from server.records.exports import Asker
from server.records.models import CorrectionRequest, Note
from server.records.rights_models import RecordRequest
from server.records.service import Writing
from server.scheduling.models import Appointment
from signaling.words import Role
from tests.server.cast import add_clinic, add_staff
from tests.server.visits import START, House

REQUESTS = {"wanted": "see", "unwanted": "erase"}
FILM = b"not really a film, but as long as one block" * 50
WHO = (
    "patient",
    "other patient",
    "proxy",
    "proxy out of scope",
    "proxy ended",
    "guest",
    "interpreter",
    "doctor",
    "colleague",
    "scheduler",
    "administrator",
    "privacy officer",
    "doctor elsewhere",
    "stranger",
    "nobody",
)


@dataclass
class World:
    """Names for the holes in the matrix's paths, and each person's cookies."""

    house: House
    ids: dict[str, str]
    cookies: dict[str, dict[str, str]]


async def make_world(house: House, folder: Path) -> World:
    """Fills the house's database; what is asked of it later keeps nothing."""
    cast = house.cast
    ids = {"clinic": cast.clinic.slug, "visit": cast.encounter_id, "appointment": cast.appointment_id}
    ids |= {
        "patient": cast.patient,
        "type": cast.visit_type_id,
        "doctor": cast.doctor,
        "admin": cast.administrator,
        "token": await cast.link(),
    }
    await _hold_the_visit(house)
    house.clock.forward(minutes=50)
    ids["next"] = await cast.another_visit(cast.patient)
    ids["next_appointment"] = (await cast.visit(ids["next"])).appointment.id
    ids["next_token"] = await cast.link(subject_id=ids["next_appointment"])
    ids["page_token"] = await cast.link(LinkKind.PAGE, cast.patient)
    ids["denied"] = await _say_no(house, ids["next_token"])
    ids["film"] = await _add_film(house, folder)
    ids |= await _wish_it_away(house)
    ids |= await _notes(house)
    guests = await _add_guests(house, ids["next"])
    async with cast.database.writing() as session:
        look = await breakglass.open_record(
            session,
            cast.vault.clinic(cast.clinic.id),
            cast.clinic.id,
            cast.patient,
            person_id=cast.doctor,
            reason="An emergency in the corridor",
            now=house.clock(),
        )
        ids["look"] = look.id
        ids["incident"] = await audit.file_incident(
            session,
            clinic_id=cast.clinic.id,
            kind="wrong_person",
            subject=("encounter", cast.encounter_id),
            filed_by_person_id=None,
            owner_person_id=cast.administrator,
            now=START,
        )
    cookies = await _cookies(house, guests)
    async with cast.database.reading() as session:
        ids["proxy"] = str(await session.scalar(select(Proxy.id).where(Proxy.name == "Proxy")))
    ids["place"] = str((await cast.visit(ids["next"])).patient_place().id)  # type: ignore[union-attr]
    return World(house, ids, cookies)


async def _hold_the_visit(house: House) -> None:
    """Written, signed, ended: an hour ago."""
    cast = house.cast
    browser = await house.browser_of("doctor")
    headers = {"Accept": "application/json", "If-Match": "0"}
    await browser.request("PUT", house.visit_url("/note/draft"), json={"text": "Cough."}, headers=headers)
    assert (await browser.post(house.visit_url("/note/sign"), {"revision": "1"})).status == 303
    async with cast.database.writing() as session:
        held = {"status": "finished", "outcome": "seen", "ended_at": START - timedelta(hours=1)}
        await session.execute(update(Encounter).where(Encounter.id == cast.encounter_id).values(**held))
        await session.execute(
            update(Appointment).where(Appointment.id == cast.appointment_id).values(status="fulfilled")
        )


async def _say_no(house: House, token: str) -> str:
    assert (await house.browser().post(f"/v/{token}", {"identity": "no"})).status == 303
    async with house.cast.database.reading() as session:
        query = select(audit.AuditEntry.id).where(audit.AuditEntry.action == audit.AuditAction.IDENTITY_DENIED.value)
        assert await session.scalar(query), "a 'no' at the door is in the audit"
        return str(await session.scalar(select(VisitCard.id).where(VisitCard.identity == "denied")))


async def _wish_it_away(house: House) -> dict[str, str]:
    """The patient withdrew after the note was signed: somebody has to answer."""
    cast = house.cast
    async with cast.database.writing() as session:
        recording = (await session.scalars(select(Recording))).one()
        wish = RecordingWish(
            clinic_id=cast.clinic.id,
            id=new_id(),
            recording_id=recording.id,
            participant_id=await cast.place(Role.PATIENT),
            choice="delete_all",
            state="asked",
            reason="note_signed",
            wished_at=START,
        )
        session.add(wish)
        return {"recording": recording.id, "wish": wish.id}


async def _notes(house: House) -> dict[str, str]:
    """What the patient calls wrong in the signed note, and another patient's that was entered in error."""
    cast = house.cast
    elsewhere = await cast.another_visit(cast.other_patient)
    actor = Actor(person_id=cast.doctor, clinic_id=cast.clinic.id, roles=frozenset({StaffRole.DOCTOR}))
    vault = cast.vault.clinic(cast.clinic.id)
    writing = Writing(cast.clinic, actor, START, Events(), vault)
    async with cast.database.writing() as session:
        note = (await session.scalars(select(Note).where(Note.encounter_id == cast.encounter_id))).one()
        released = await reading.get_released_note(session, vault, cast.clinic, cast.patient, note.id)
        await corrections.ask(session, writing, vault, released, "It was the left ear.")
        asked = await session.scalar(select(CorrectionRequest.id))
        export = await exports.ask(session, Asker(cast.clinic.id, cast.patient, None), "en", START)
        asked_for = {name: await _request(session, note, kind) for name, kind in REQUESTS.items()}
        await notes.save_draft(session, writing, elsewhere, "Fever.", 0)
        withdrawn = await notes.sign(session, writing, elsewhere, 1)
        await withdrawing.withdraw(session, writing, elsewhere)
        found = {"note": note.id, "correction": str(asked), "withdrawn": withdrawn.id, "export": export.id}
        return found | asked_for


async def _request(session: AsyncSession, note: Note, kind: str) -> str:
    row = RecordRequest(
        clinic_id=note.clinic_id, id=new_id(), patient_id=note.patient_id, kind=kind, subject_kind="note",
        subject_id=note.id, encounter_id=note.encounter_id, asked_at=START, due_on=START.date(), state="asked",
    )  # fmt: skip
    session.add(row)
    await session.flush()
    return row.id


async def _add_film(house: House, folder: Path) -> str:
    cast = house.cast
    film_id, recording_id = new_id(), new_id()
    key, path = os.urandom(32), f"films/{film_id}/one.film"
    source = folder / "film.mp4"
    source.write_bytes(FILM)
    await put_film(open_recordings(house.settings), SealedFilm(path, len(FILM), key), source)
    wrapped = cast.vault.clinic(cast.clinic.id).wrap_key(films.key_name(path), key)
    asked_by = await cast.place(Role.DOCTOR)
    async with cast.database.writing() as session:
        text = await session.scalar(select(ClinicText.id).where(ClinicText.kind == "recording_consent"))
        session.add(
            Recording(
                clinic_id=cast.clinic.id,
                id=recording_id,
                encounter_id=cast.encounter_id,
                n=1,
                phase="stopped",
                purpose="teaching",
                text_id=text,
                asked_by=asked_by,
                asked_at=START,
                delete_at=START + timedelta(days=180),
                created_at=START,
            )
        )
        await session.flush()
        session.add(
            Film(
                clinic_id=cast.clinic.id,
                id=film_id,
                recording_id=recording_id,
                encounter_id=cast.encounter_id,
                state="ready",
                path=path,
                size_bytes=len(FILM),
                duration_s=1.0,
                wrapped_key=wrapped,
                created_at=START,
            )
        )
        await session.flush()
        grant = FilmGrant(
            clinic_id=cast.clinic.id, film_id=film_id, patient_id=cast.patient, granted_by=cast.doctor, granted_at=START
        )
        session.add(grant)
    return film_id


async def _add_guests(house: House, encounter_id: str) -> dict[str, str]:
    places = {}
    browser = await house.browser_of("doctor")
    for who in ("guest", "interpreter"):
        url = f"/c/{house.cast.clinic.slug}/visits/{encounter_id}/guests"
        answer = await browser.request(
            "POST", url, json={"name": who.title(), "role": who}, headers={"Accept": "application/json"}
        )
        assert answer.status == 201
        places[who] = (await answer.json())["participant_id"]
    return places


async def _cookies(house: House, guests: dict[str, str]) -> dict[str, dict[str, str]]:
    cast = house.cast
    found: dict[str, dict[str, str]] = {"nobody": {}}
    async with cast.database.writing() as session:
        officer = await add_staff(session, cast.clinic, "Lea Privacy", StaffRole.PRIVACY_OFFICER, START)
        nowhere = await add_clinic(session, "west", START)
        alone = await add_staff(session, nowhere, "Nobody Known", StaffRole.SCHEDULER, START)
        staff = {
            "doctor": cast.doctor,
            "colleague": cast.colleague,
            "scheduler": cast.scheduler,
            "administrator": cast.administrator,
            "privacy officer": officer,
            "doctor elsewhere": cast.stranger,
            "stranger": alone,
        }
        for who, person in staff.items():
            found[who] = await _staff(session, house, person)
        for who, patient in (("patient", cast.patient), ("other patient", cast.other_patient)):
            opened = await sessions.open_page(
                session, {}, clinic_id=cast.clinic.id, patient_id=patient, now=house.clock()
            )
            found[who] = {COOKIES[SessionKind.PAGE]: str(opened.token)}
        for who, place in guests.items():
            opened = await sessions.open_visits(
                session, {}, clinic_id=cast.clinic.id, participation_id=place, now=START
            )
            found[who] = {COOKIES[SessionKind.VISITS]: str(opened.token)}
        found |= await _proxies(session, house)
    # The patient also holds their place in the visit that goes on; whoever enters by the link gets it.
    browser = house.browser()
    browser.cookies = found["patient"]
    async with cast.database.reading() as session:
        next_one = await session.scalar(
            select(Encounter.appointment_id).where(
                Encounter.id != cast.encounter_id, Encounter.patient_id == cast.patient
            )
        )
    await browser.post(f"/v/{await cast.link(subject_id=next_one)}", {"identity": "self"})
    return found


async def _proxies(session: AsyncSession, house: House) -> dict[str, dict[str, str]]:
    """One who may do everything, one who may only book, one whose time is over."""
    cast, now, found = house.cast, house.clock(), {}
    patient = await get_patient(session, cast.clinic.id, cast.patient)
    for who, scopes, ends_on in (
        ("proxy", frozenset(ProxyScope), None),
        ("proxy out of scope", frozenset({ProxyScope.BOOK}), None),
        ("proxy ended", frozenset(ProxyScope), now.date()),
    ):
        new = NewProxy(who.title(), "a friend", "power_of_attorney", scopes, None, ends_on)
        row = await proxies.add(session, cast.clinic, patient, new, by=cast.scheduler, now=now)
        opened = await sessions.open_proxy_page(session, {}, clinic_id=cast.clinic.id, proxy_id=row.id, now=now)
        found[who] = {COOKIES[SessionKind.PAGE]: str(opened.token)}
    return found


async def _staff(session: AsyncSession, house: House, person_id: str) -> dict[str, str]:
    opened = await sessions.open_session(session, SessionKind.STAFF, house.clock(), person_id=person_id)
    return {COOKIES[SessionKind.STAFF]: str(opened.token)}
