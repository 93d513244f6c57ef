"""The Emergency button: which number is rung in a country, and the press written into the visit.

Which country somebody is in is `places.py`.
"""

from __future__ import annotations

from datetime import timedelta

from phonenumbers import PhoneMetadata, shortnumberinfo
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit
from server.accounts.service import get_clinic
from server.audit import AuditAction
from server.db import new_id
from server.encounters import rules, visits
from server.encounters.models import EmergencyPress, Encounter
from server.encounters.places import guess_countries
from server.encounters.service import Room
from server.encounters.strangers import strangers_until
from server.errors import not_found
from signaling.ports import EmergencyContact, EmergencyNumber

EVERYWHERE = "112"
"""Answered by mobile networks in most of the world."""
AMBULANCE = {
    "AU": "000", "BR": "192", "CA": "911", "CH": "144", "CN": "120", "FR": "15", "GB": "999", "IE": "999", "JP": "119",
    "KE": "999", "KR": "119", "MX": "911", "NO": "113", "NZ": "111", "AT": "144", "SA": "997", "US": "911", "IL": "101",
}  # fmt: skip
"""Where 112 is not what people ring for an ambulance; each is in phonenumbers' metadata (tested)."""


def number_of(country: str) -> str:
    """The number that brings an ambulance in this country (ISO 3166 code)."""
    region = country.upper()
    if region in AMBULANCE:
        return AMBULANCE[region]
    if shortnumberinfo.is_emergency_number(EVERYWHERE, region):
        return EVERYWHERE
    metadata = PhoneMetadata.short_metadata_for_region(region)
    number = metadata.emergency.example_number if metadata and metadata.emergency else None
    return str(number) if number else EVERYWHERE


async def press(session: AsyncSession, room: Room) -> EmergencyContact:
    """Place, phone and number, the time written into the visit; a press within half a minute is the same one."""
    encounter, by = room.encounter, room.by
    if by is None:
        raise not_found()
    clinic = await get_clinic(session, encounter.clinic_id)
    whereabouts = await visits.load_whereabouts(session, encounter)
    phones = (whereabouts.phones.given, whereabouts.phones.on_file)
    first, *others = (
        EmergencyNumber(number_of(guess.country), guess.country, guess.source)
        for guess in guess_countries(whereabouts.place, phones, clinic.country)
    )
    last = await _load_last(session, room)
    if last is None or room.now - last.pressed_at > rules.SAME_PRESS:
        last = EmergencyPress(
            clinic_id=encounter.clinic_id,
            id=new_id(),
            encounter_id=encounter.id,
            participant_id=by.id,
            number=first.number,
            country=first.country,
            pressed_at=room.now,
        )
        session.add(last)
        await audit.enter(
            session,
            clinic_id=encounter.clinic_id,
            actor_person_id=by.person_id,
            actor_participation_id=by.id,
            action=AuditAction.EMERGENCY,
            subject=("encounter", encounter.id),
            detail={"country": first.country},
            now=room.now,
        )
    return EmergencyContact(
        place=whereabouts.place,
        phones=whereabouts.phones,
        number=first.number,
        country=first.country,
        country_from=first.country_from,
        also=next((other for other in others if other.number != first.number), None),
        pressed_at=last.pressed_at,
    )


async def load_presses(session: AsyncSession, encounter: Encounter) -> list[EmergencyPress]:
    """Every press of this visit, in its order; none about somebody who was not the patient."""
    query = select(EmergencyPress).where(
        EmergencyPress.clinic_id == encounter.clinic_id, EmergencyPress.encounter_id == encounter.id
    )
    if until := await strangers_until(session, encounter):
        query = query.where(EmergencyPress.pressed_at > until)
    return list(await session.scalars(query.order_by(EmergencyPress.pressed_at)))


async def _load_last(session: AsyncSession, room: Room) -> EmergencyPress | None:
    query = select(EmergencyPress).where(
        EmergencyPress.clinic_id == room.encounter.clinic_id,
        EmergencyPress.encounter_id == room.encounter.id,
        EmergencyPress.pressed_at > room.now - timedelta(hours=1),
    )
    return (await session.scalars(query.order_by(EmergencyPress.pressed_at.desc()).limit(1))).first()
