"""The place in a visit of somebody who acts for the patient: their own name and role, while they may attend.

Who may act, how far and until when is `accounts/proxies.py`; whatever ends it closes the place at once.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts import links
from server.accounts.links import LinkKind
from server.accounts.trust_models import PatientOnly, Proxy
from server.encounters import planning, visits
from server.encounters.models import Encounter, Participant, ProxyPlace
from server.errors import DomainError, not_found
from signaling.words import Code, Role


async def open_door(session: AsyncSession, proxy: Proxy, appointment_id: str, now: datetime) -> str:
    """The token of a link to the proxy's own place in this appointment's visit. Raises not_found, visit_over."""
    encounter = await visits.load_live_encounter(session, proxy.clinic_id, appointment_id)
    if encounter is None or encounter.patient_id != proxy.patient_id:
        raise not_found()
    if encounter.status in ("finished", "cancelled"):
        raise DomainError(Code.VISIT_OVER)
    place = await _place(session, encounter, proxy, now)
    return await links.new_link(session, clinic_id=proxy.clinic_id, kind=LinkKind.GUEST, subject_id=place.id, now=now)


async def close_places(
    session: AsyncSession,
    clinic_id: str,
    now: datetime,
    *,
    proxy_id: str | None = None,
    encounter_id: str | None = None,
) -> list[str]:
    """Shuts the proxy out of every visit, or every proxy out of this one; answers the visits' ids, for signaling."""
    query = select(Participant).join(
        ProxyPlace,
        (ProxyPlace.clinic_id == Participant.clinic_id) & (ProxyPlace.participant_id == Participant.id),
    )
    query = query.where(Participant.clinic_id == clinic_id, Participant.is_closed.is_(False))
    query = query.where(ProxyPlace.proxy_id == proxy_id if proxy_id else ProxyPlace.encounter_id == encounter_id)
    closed = list(await session.scalars(query))
    for place in closed:
        place.is_closed = True
        await links.close_links(session, place.id, "stopped", now, revoked=True)
    return sorted({place.encounter_id for place in closed})


async def _place(session: AsyncSession, encounter: Encounter, proxy: Proxy, now: datetime) -> Participant:
    alone = await session.get(PatientOnly, (encounter.clinic_id, "encounter", encounter.id))
    if alone is not None:
        raise not_found()
    query = select(ProxyPlace.participant_id).where(
        ProxyPlace.clinic_id == encounter.clinic_id,
        ProxyPlace.encounter_id == encounter.id,
        ProxyPlace.proxy_id == proxy.id,
    )
    held = await session.scalar(query)
    if held is not None:
        place = await visits.get_participant(session, encounter, held)
        if place.is_closed:
            raise not_found()
        return place
    place = planning.new_participant(encounter, Role.PROXY, proxy.name, now, relation=proxy.relation)
    session.add(place)
    await session.flush()
    row = ProxyPlace(
        clinic_id=encounter.clinic_id, participant_id=place.id, encounter_id=encounter.id, proxy_id=proxy.id
    )
    session.add(row)
    await session.flush()
    return place
