"""The demo clinic's wordings and purposes of recording; yesterday's visits as they ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.accounts.seed import DemoPeople
from server.db import new_id
from server.encounters import texts, visits
from server.encounters.models import ClinicText, Encounter, VisitCard
from server.encounters.recording_models import PurposeWords, RecordingPurpose
from server.events import Events
from server.scheduling.models import Appointment
from server.vault import Vault
from signaling.words import Outcome, Role

TEXTS = {
    texts.VIDEO_CONSENT: {
        "en": "A video visit is like a visit at the practice, except that the doctor cannot touch you. "
        "If you need to be examined, you are asked to come in. You may end the visit at any time. "
        "Nothing is recorded unless you say so.",
        "de": "Eine Videosprechstunde ist wie ein Besuch in der Praxis, nur kann die Ärztin oder der Arzt Sie nicht "
        "berühren. Wenn Sie untersucht werden müssen, werden Sie in die Praxis gebeten. Sie können die Sprechstunde "
        "jederzeit beenden. Nichts wird aufgezeichnet, wenn Sie es nicht sagen.",
    },
    texts.RECORDING_CONSENT: {
        "en": "May we record picture and sound of this visit? If you say no, nothing changes in your care. "
        "If you say yes, you or anybody else here can stop it at any time with one button.",
        "de": "Dürfen wir Bild und Ton dieser Sprechstunde aufzeichnen? Wenn Sie Nein sagen, ändert sich an Ihrer "
        "Behandlung nichts. Wenn Sie Ja sagen, können Sie oder jede andere Person hier die Aufzeichnung jederzeit "
        "mit einem Knopf beenden.",
    },
}
PURPOSES = (
    ("care", 3650, ("As part of your record", "The doctors who treat you here"),
     ("Als Teil Ihrer Akte", "Die Ärztinnen und Ärzte, die Sie hier behandeln")),
    ("teaching", 180, ("To teach young doctors", "The doctors of this practice"),
     ("Zur Ausbildung junger Ärztinnen und Ärzte", "Die Ärztinnen und Ärzte dieser Praxis")),
    ("second_opinion", 90, ("To ask another doctor for an opinion", "Your doctor and the doctor who is asked"),
     ("Um eine zweite Meinung einzuholen", "Ihre Ärztin oder Ihr Arzt und die Person, die gefragt wird")),
)  # fmt: skip


async def seed(session: AsyncSession, events: Events, vault: Vault, people: DemoPeople, now: datetime) -> None:
    clinic_id = people.clinic.id
    for kind, wordings in TEXTS.items():
        for version, (language, text) in enumerate(wordings.items(), 1):
            session.add(
                ClinicText(
                    clinic_id=clinic_id, id=new_id(), kind=kind, language=language, version=version, text=text,
                    created_at=now,
                )
            )  # fmt: skip
    for code, days, (words, who), (german, german_who) in PURPOSES:
        session.add(
            RecordingPurpose(
                clinic_id=clinic_id, code=code, words=words, who_may_watch=who, kept_days=days, created_at=now,
                is_record=code == "care", is_teaching=code == "teaching",
            )
        )  # fmt: skip
        await session.flush()
        session.add(PurposeWords(clinic_id=clinic_id, code=code, language="de", words=german, who_may_watch=german_who))
    await session.flush()
    await _finish_fulfilled(session, clinic_id)


async def _finish_fulfilled(session: AsyncSession, clinic_id: str) -> None:
    """The visit of an appointment that the demo calls fulfilled has taken place."""
    query = (
        select(Encounter, Appointment)
        .join(
            Appointment,
            (Appointment.clinic_id == Encounter.clinic_id) & (Appointment.id == Encounter.appointment_id),
        )
        .where(Encounter.clinic_id == clinic_id, Appointment.status == "fulfilled", Encounter.status == "planned")
    )
    for encounter, appointment in list(await session.execute(query)):
        encounter.status, encounter.outcome = "finished", Outcome.SEEN.value
        encounter.started_at = appointment.starts_at + timedelta(minutes=2)
        encounter.ended_at = appointment.ends_at
        for person in await visits.load_participants(session, encounter):
            person.state, person.reason, person.left_at = "left", "visit_ended", encounter.ended_at
            person.admitted_at = encounter.started_at
            if person.role == Role.PATIENT:
                person.waiting_since = appointment.starts_at - timedelta(minutes=3)
                session.add(_card(encounter, person.id, appointment.starts_at - timedelta(minutes=4)))
    await session.flush()


def _card(encounter: Encounter, participant_id: str, at: datetime) -> VisitCard:
    return VisitCard(
        clinic_id=encounter.clinic_id,
        id=new_id(),
        encounter_id=encounter.id,
        participant_id=participant_id,
        identity="self",
        place="Lindenallee 4, Berlin",
        others="nobody",
        at=at,
    )
