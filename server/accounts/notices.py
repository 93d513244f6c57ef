"""Telling members of staff what concerns them: on their own page, and by mail, which `scheduling/staffmail.py` sends.

A notice names a kind, another member of staff and where to look; never a patient.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.models import Membership, Person
from server.accounts.trust_models import StaffNotice
from server.db import new_id
from server.jobs import enqueue
from server.permissions import StaffRole
from signaling.words import N_

SEND = "send_staff_notice"
"""The kind of the job; its subject is the notice's id."""
SHOWN_MAX = 20
CHECKS = {
    "in_person": N_("they stood in front of the administrator"),
    "video": N_("the administrator saw them on video"),
    "called_back": N_("the administrator rang them back on the number on file"),
    "other_administrator": N_("another member of staff vouched for them in person"),
    "on_the_server": N_("it was done on the server itself"),
}
WORDS = {
    "factor_replaced": N_("Your authenticator app is being replaced: an administrator made a new link for you."),
    "factor_replaced_by_you": N_("You made a link that replaces a colleague's authenticator app."),
    "sign_in_set_up": N_("Your sign-in was set up anew: password or app. All earlier sessions ended."),
    "colleague_set_up": N_("A colleague to whom you gave a link has set up their sign-in."),
    "password_changed": N_("Your password was changed."),
    "codes_made": N_("New recovery codes were made for you. The earlier ones are void."),
    "roles_changed": N_("Your roles were changed."),
    "look_opened": N_("A record was opened without a visit. It waits for a review."),
    "look_reviewed": N_("Your look at a record without a visit was reviewed."),
    "incident_yours": N_("An incident is yours to look into."),
    "visit_handed_over": N_("A colleague handed a visit to you."),
    "note_unsigned": N_("Notes of your visits are not signed yet. Nobody but you reads them before."),
    "walk_in_untaken": N_("A walk-in that you wrote down still waits: no doctor has taken it."),
    "audit_broken": N_("The audit of this clinic does not verify: an incident was filed."),
    "recording_check_failed": N_("A recording did not pass its own check. Watch it, and say whether it is right."),
    "recording_not_deleted": N_(
        "A recording that was to be deleted is still in the store. See that it can be reached."
    ),
    "recording_storage_full": N_("A recording was stopped because the store is full. Make room; visits go on."),
}
PATHS = {
    "factor_replaced": "account",
    "factor_replaced_by_you": "people",
    "colleague_set_up": "people",
    "look_opened": "looks",
    "incident_yours": "incidents",
    "note_unsigned": "notes",
    "audit_broken": "incidents",
    "recording_check_failed": "incidents",
    "recording_not_deleted": "incidents",
    "recording_storage_full": "incidents",
}
"""Where on the clinic's pages to look; the rest stands on one's own account's page."""
OF_A_PLACE = frozenset({"visit_handed_over", "walk_in_untaken", "recording_check_failed"})
"""Their detail is where to look, if they have one."""


@dataclass(frozen=True, slots=True)
class Notice:
    """`detail` is where on the clinic's pages to look, or a code."""

    kind: str
    about_person_id: str | None = None
    detail: str | None = None


async def tell(
    session: AsyncSession, clinic_id: str, person_ids: Collection[str], notice: Notice, now: datetime
) -> None:
    """In the transaction of what they are told of; each of them once."""
    for person_id in sorted(set(person_ids)):
        row = StaffNotice(
            clinic_id=clinic_id,
            id=new_id(),
            person_id=person_id,
            kind=notice.kind,
            about_person_id=notice.about_person_id,
            detail=notice.detail,
            state="waiting",
            at=now,
        )
        session.add(row)
        await session.flush()
        await enqueue(session, SEND, row.id, now, clinic_id=clinic_id)


async def holders_of(session: AsyncSession, clinic_id: str, *roles: StaffRole) -> list[str]:
    """Everybody with one of these roles in the clinic."""
    query = select(Membership.person_id).where(
        Membership.clinic_id == clinic_id, Membership.is_active, Membership.role.in_([role.value for role in roles])
    )
    return list(await session.scalars(query.distinct()))


async def load_newest(session: AsyncSession, clinic_id: str, person_id: str) -> Sequence[tuple[StaffNotice, str]]:
    """What this person was told here, the newest first, with the name of the other one."""
    query = (
        select(StaffNotice, Person.name)
        .outerjoin(Person, Person.id == StaffNotice.about_person_id)
        .where(StaffNotice.clinic_id == clinic_id, StaffNotice.person_id == person_id)
        .order_by(StaffNotice.at.desc(), StaffNotice.id)
        .limit(SHOWN_MAX)
    )
    return [(notice, name or "") for notice, name in await session.execute(query)]


def sentences(notice: StaffNotice, about: str) -> list[str]:
    """What happened, who it was or whom it was about, and how they were known where that was asked."""
    said = [WORDS.get(notice.kind, "")]
    if about:
        said.append(f"By or about: {about}")
    if notice.detail in CHECKS:
        said.append(f"How they knew who asked: {CHECKS[notice.detail]}")
    return said


def path_of(notice: StaffNotice) -> str:
    """Where to look, below the clinic's address."""
    if notice.kind in OF_A_PLACE and notice.detail:
        return notice.detail
    return PATHS.get(notice.kind, "account")


async def settle(
    session: AsyncSession,
    notice: StaffNotice,
    now: datetime,
    *,
    error: str | None,
    subject: str | None = None,
    text: str | None = None,
) -> None:
    """It went, or will not go. Words are kept only where the table is the delivery."""
    row = await session.get_one(StaffNotice, (notice.clinic_id, notice.id))
    row.state, row.error = ("failed", error) if error else ("sent", None)
    row.sent_at = None if error else now
    row.subject, row.text = subject, text
