"""What a note begins with: the clinic's headings for this kind of visit, and one line of what the system knows.

The line is put in by one tap and is the doctor's text from then on; what nobody was asked reads "not asked".
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.encounters import emergency, recordings, visits
from server.encounters.models import Participant
from server.encounters.visits import Visit
from server.records.models import NoteTemplate
from server.scheduling.models import VisitType
from server.scheduling.wording import when
from signaling.words import N_, Role

SOAP = N_(
    "Subjective: what the patient tells\n\n\nObjective: what is seen and measured\n\n\n"
    "Assessment: what it probably is\n\n\nPlan: what happens now, and when to come back\n"
)
TEMPLATE_LIMIT_CHARACTERS = 5000
NOT_ASKED = N_("not asked")
IDENTITIES = {
    "self": N_("confirmed by the patient at the door"),
    "helping": N_("confirmed by somebody helping the patient"),
    "denied": N_("somebody else opened the link"),
}
Translate = Callable[[str], str]


async def load_template(session: AsyncSession, clinic_id: str, visit_type_id: str, translate: Translate) -> str:
    """The clinic's headings for this kind of visit; SOAP where it has none of its own."""
    found = await session.get(NoteTemplate, (clinic_id, visit_type_id))
    return found.text if found else translate(SOAP)


async def load_all(session: AsyncSession, clinic_id: str, translate: Translate) -> list[tuple[VisitType, str]]:
    """Every kind of visit with its headings."""
    query = select(VisitType).where(VisitType.clinic_id == clinic_id, VisitType.is_active.is_(True))
    kinds = await session.scalars(query.order_by(VisitType.name))
    return [(kind, await load_template(session, clinic_id, kind.id, translate)) for kind in list(kinds)]


async def start_line(session: AsyncSession, visit: Visit, language: str, translate: Translate) -> str:
    """Identity, place, others, consents, interpreter, presses, mode and times, one fact a line; never a guess."""
    encounter, not_asked = visit.encounter, translate(NOT_ASKED)
    place = visit.patient_place()
    card = await visits.load_card(session, place) if place is not None else None
    identity = IDENTITIES.get(card.identity) if card else None
    facts = [
        (N_("Identity"), translate(identity) if identity else not_asked),
        (N_("Place"), (card.place if card else None) or not_asked),
        (N_("Others present"), _others(visit, card.others if card else None) or not_asked),
        (N_("Consent to video"), translate(N_("given at the door")) if card and card.agreed_text_id else not_asked),
        (N_("Consent to recording"), await _recording(session, visit, translate) or not_asked),
        (N_("Interpreter"), _interpreters(visit) or translate(N_("none"))),
        (N_("Held"), translate(N_("by phone")) if encounter.by_phone else translate(N_("by video"))),
        (N_("Time"), _times(visit, language) or not_asked),
    ]
    presses = await emergency.load_presses(session, visit.encounter)
    if presses:
        clocks = ", ".join(when(one.pressed_at, encounter.zone, language)["clock"] for one in presses)
        facts.append((N_("Emergency was pressed"), clocks))
    return "\n".join(f"{translate(label)}: {value}" for label, value in facts)


def _others(visit: Visit, said: str | None) -> str:
    guests = [f"{one.name} ({one.relation})" if one.relation else one.name for one in _guests(visit, Role.GUEST)]
    return ", ".join([said, *guests] if said else guests)


def _interpreters(visit: Visit) -> str:
    """Whether one is a professional is what the doctor wrote when inviting them, else nothing is claimed."""
    found = _guests(visit, Role.INTERPRETER)
    return ", ".join(f"{one.name} ({one.relation})" if one.relation else one.name for one in found)


def _guests(visit: Visit, role: Role) -> list[Participant]:
    return [one for one in visit.participants if one.role == role and one.state in ("admitted", "left")]


def _times(visit: Visit, language: str) -> str:
    encounter = visit.encounter
    if encounter.started_at is None:
        return ""
    began = when(encounter.started_at, encounter.zone, language)
    ended = when(encounter.ended_at, encounter.zone, language)["clock"] if encounter.ended_at else "…"
    return f"{began['date']}, {began['clock']}–{ended} ({began['zone']})"


async def _recording(session: AsyncSession, visit: Visit, translate: Translate) -> str:
    """Each one's last answer, by name."""
    said = await recordings.load_said(session, visit.encounter)
    last = {person.id: (person.name, answer.answer) for person, answer in said}
    words = {"yes": N_("yes"), "no": N_("no"), "unanswered": N_("no answer, so no"), "withdrawn": N_("taken back")}
    return ", ".join(f"{name}: {translate(words[answer])}" for name, answer in last.values() if answer in words)
