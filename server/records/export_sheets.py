"""A record as one printed document: the same facts as the bundle, set as a note's PDF is. Pure.

What may stand in it is `export_facts.py`; setting it is `printing.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from server.records import requests
from server.records.export_facts import Record
from server.records.printing import Sheet
from server.records.reading import ReleasedNote
from server.records.rules import Kind
from server.scheduling.wording import when
from signaling.words import N_

Translate = Callable[[str], str]
STATUS = {
    "booked": N_("booked"),
    "arrived": N_("booked"),
    "fulfilled": N_("took place"),
    "cancelled": N_("cancelled"),
    "noshow": N_("you did not come"),
}
KINDS = {
    Kind.SIGNED: N_("Note"),
    Kind.ADDENDUM: N_("Added"),
    Kind.LATE_ENTRY: N_("Added later"),
    Kind.CORRECTION: N_("Corrected"),
}
STATES = {
    "asked": N_("A doctor decides by %s."),
    "released": N_("It was released to you."),
    "redacted": N_("You read a shortened text:"),
    "refused": N_("It was refused:"),
    "erased": N_("It was erased."),
}
WITHDRAWN = N_("An entry was withdrawn: it was entered here in error.")
ABOUT = {"video": N_("A video visit"), "recording": N_("Recording the visit")}


def sheet(record: Record, language: str, said: Translate) -> Sheet:
    """Every sentence in the asker's language; what somebody wrote stays as it was written."""

    def at(moment: object, zone: str) -> str:
        words = when(moment, zone, language)  # type: ignore[arg-type]
        return f"{words['date']}, {words['clock']} ({words['zone']})"

    zone = record.clinic.zone
    facts = [(said(N_("Patient")), record.patient.name), (said(N_("Born")), record.patient.birth_date.isoformat())]
    if record.is_own:
        contacts = ((N_("Phone"), record.patient.phone), (N_("E-mail"), record.patient.email))
        facts += [(said(label), value) for label, value in contacts if value]
    facts.append((said(N_("Prepared")), at(record.made_at, zone)))
    sections: list[tuple[str, str]] = []
    if record.appointments:
        sections.append((said(N_("Appointments")), _appointments(record, said, at)))
    sections += [_note(record, note, said, at) for note in record.notes]
    if record.films:
        lines = [at(film.created_at, zone) for film in record.films]
        words = said(N_("Recordings are on your own page, where you can watch them:"))
        sections.append((said(N_("Recordings")), "\n".join([words, *lines])))
    if record.consents:
        lines = [
            f"{at(one.at, zone)}: {said(ABOUT[one.about])}, {said(N_('yes') if one.is_given else N_('no'))}"
            for one in record.consents
        ]
        sections.append((said(N_("What you agreed to")), "\n".join(lines)))
    if record.requests:
        sections.append(
            (said(N_("What you asked for")), "\n\n".join(_request(one, said, at) for one in record.requests))
        )
    return Sheet(
        title=said(N_("A copy of your record")) if record.is_own else said(N_("A copy of what you may see")),
        author=record.clinic.name,
        language=language,
        clinic=record.clinic.name,
        letterhead=record.letterhead,
        facts=facts,
        sections=sections,
        fingerprint=at(record.made_at, zone),
        disclaimer=said(N_("This is a copy. It is not a prescription, not a referral and not an order.")),
    )


def _appointments(record: Record, said: Translate, at: Callable[[object, str], str]) -> str:
    """A line for each: when, with whom, what became of it."""
    lines = []
    for one in record.appointments:
        doctors = [record.doctors[person] for person in record.doctors_of.get(one.id, [])]
        lines.append(", ".join([at(one.starts_at, one.zone), *doctors, said(STATUS[one.status])]))
    return "\n".join(lines)


def _note(record: Record, note: ReleasedNote, said: Translate, at: Callable[[object, str], str]) -> tuple[str, str]:
    heading = f"{said(N_('Visit'))}: {at(note.starts_at, note.zone)}, {note.doctor_name}"
    parts = [said(WITHDRAWN)] if note.is_withdrawn else []
    for one in note.versions:
        signed = f"{said(KINDS[one.kind])}, {one.author_name}, {at(one.signed_at, note.zone)}"
        if one.text is None:
            parts.append(f"{signed}\n{said(N_('This text was erased.'))}")
            continue
        plain = f"{said(N_('In plain words'))}: {one.summary}\n\n" if one.summary else ""
        reason = f"\n{said(N_('Reason'))}: {one.reason}" if one.reason else ""
        fingerprint = f"{said(N_('Version'))} {one.n} · {one.hash.hex()}"
        parts.append(f"{signed}{reason}\n\n{plain}{one.text}\n\n{fingerprint}")
    for asked in record.asked:
        if asked.note_id == note.note_id:
            answer = asked.answer or said(N_("Your doctor has not answered yet."))
            parts.append(f"{said(N_('You said something is wrong:'))} {asked.text}\n{answer}")
    names = [attached.name for attached in record.files if attached.note_id == note.note_id]
    if names:
        parts.append(f"{said(N_('Attached'))}: {', '.join(names)}")
    return heading, "\n\n".join(parts)


def _request(one: requests.Asked, said: Translate, at: Callable[[object, str], str]) -> str:
    what = {
        ("see", "note"): N_("To read a note that is kept back"),
        ("see", "film"): N_("To watch a recording with other people in it"),
        ("erase", "note"): N_("To have a note erased"),
    }[one.row.kind, one.row.subject_kind]
    if one.is_withdrawn:
        return f"{said(what)}: {at(one.starts_at, one.zone)}\n{said(WITHDRAWN)}"
    state = said(STATES[one.row.state])
    if (one.row.state, one.row.subject_kind) == ("redacted", "film"):
        state = said(N_("You can watch it on your own page, with parts taken out."))
    if one.row.state == "asked":
        state = state.replace("%s", one.row.due_on.isoformat())
    parts = [f"{said(what)}: {at(one.starts_at, one.zone)}", state]
    if one.row.reason:
        parts.append(said(requests.WHY[one.row.reason]))
    if one.text:
        parts.append(one.text)
    return "\n".join(parts)
