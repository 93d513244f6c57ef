"""Who may do what: named predicates over the actor and small frozen facts; imports no area.

Every route names one of the coarse predicates; services ask the finer ones with facts they loaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from signaling.words import Right, Role


class StaffRole(StrEnum):
    DOCTOR = "doctor"
    SCHEDULER = "scheduler"
    ADMINISTRATOR = "administrator"
    PRIVACY_OFFICER = "privacy_officer"


class ProxyScope(StrEnum):
    """What somebody who acts for a patient may do."""

    BOOK = "book"
    ATTEND = "attend"
    READ_NOTES = "read_notes"
    WATCH_FILMS = "watch_films"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class ActsFor:
    """One patient this browser acts for, as their proxy, and how far."""

    proxy_id: str
    patient_id: str
    scopes: frozenset[ProxyScope]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, within the clinic of the page's address; every field comes from their own session."""

    person_id: str | None = None
    session_id: str | None = None
    """The staff session."""
    visits_session_id: str | None = None
    page_session_id: str | None = None
    clinic_id: str | None = None
    roles: frozenset[StaffRole] = frozenset()
    participations: frozenset[str] = frozenset()
    """Visits that this browser's `__Host-visits` session holds a place in."""
    patients: frozenset[str] = frozenset()
    """Patients (ids in this clinic) whose page this session has opened with birth date and code."""
    acts_for: frozenset[ActsFor] = frozenset()
    """Patients whose proxy this session was opened by; never among `patients`."""


NOBODY = Actor()

Predicate = Callable[[Actor], bool]


def anybody(actor: Actor) -> bool:
    """Public pages: sign-in, the door of a visit link, health checks, assets."""
    return True


def is_staff(actor: Actor) -> bool:
    return bool(actor.roles)


def is_doctor(actor: Actor) -> bool:
    return StaffRole.DOCTOR in actor.roles


def is_scheduler(actor: Actor) -> bool:
    return StaffRole.SCHEDULER in actor.roles


def is_administrator(actor: Actor) -> bool:
    return StaffRole.ADMINISTRATOR in actor.roles


def is_privacy_officer(actor: Actor) -> bool:
    return StaffRole.PRIVACY_OFFICER in actor.roles


def may_review_looks(actor: Actor) -> bool:
    return is_doctor(actor) or is_privacy_officer(actor)


def may_handle_incidents(actor: Actor) -> bool:
    return is_administrator(actor) or is_privacy_officer(actor)


def may_book(actor: Actor) -> bool:
    return is_scheduler(actor) or is_doctor(actor)


def may_keep_hours(actor: Actor) -> bool:
    """Doctors' hours and the kinds of visit."""
    return is_scheduler(actor) or is_administrator(actor)


def is_visitor(actor: Actor) -> bool:
    return bool(actor.participations)


def is_patient(actor: Actor) -> bool:
    return bool(actor.patients)


def is_proxy(actor: Actor) -> bool:
    return bool(actor.acts_for)


def acts_for(actor: Actor, patient_id: str, *scopes: ProxyScope) -> bool:
    """Whether a proxy of this patient asks who holds one of these scopes; any will do when none is named."""
    mine = [one for one in actor.acts_for if one.patient_id == patient_id]
    return any(not scopes or one.scopes & frozenset(scopes) for one in mine)


@dataclass(frozen=True, slots=True)
class VisitFacts:
    """Whose visit it is."""

    patient_id: str
    doctor_ids: frozenset[str]
    """Persons."""
    former_ids: frozenset[str] = frozenset()
    """Who handed it to a colleague."""


def holds_visit(actor: Actor, visit: VisitFacts) -> bool:
    """A doctor of this visit: writes its note, reads its chat, watches its films. Nobody else of the staff does."""
    return is_doctor(actor) and actor.person_id is not None and actor.person_id in visit.doctor_ids


def reads_visit(actor: Actor, visit: VisitFacts) -> bool:
    """Who holds it, and who held it before they handed it to a colleague: to read, and nothing else."""
    return holds_visit(actor, visit) or (is_doctor(actor) and actor.person_id in visit.former_ids)


def may_watch_film(actor: Actor, visit: VisitFacts, granted_to: frozenset[str]) -> bool:
    """`granted_to` are the patients whom a doctor of the visit let watch it, on their own page."""
    if reads_visit(actor, visit) or granted_to & actor.patients & {visit.patient_id}:
        return True
    return visit.patient_id in granted_to and acts_for(actor, visit.patient_id, ProxyScope.WATCH_FILMS)


def is_somebody(actor: Actor) -> bool:
    """For routes whose handler answers 404 to whoever may not know: only those without any session are sent away."""
    return bool(actor.person_id or actor.participations or actor.patients or actor.acts_for)


def rights_in_room(role: Role) -> frozenset[Right]:
    """What a place in the room may do; a doctor's is given only to a doctor of the visit."""
    return frozenset(Right) if role is Role.DOCTOR else frozenset({Right.TAKE_PART})
