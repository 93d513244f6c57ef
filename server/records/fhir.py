"""A record as a FHIR R4 Bundle (https://hl7.org/fhir/R4/bundle.html), of type collection. Pure.

Patient, Practitioner, Appointment, Encounter, Composition, DocumentReference, Consent, Provenance; each holds no more
than the printed form does. What an asker may see is `export_facts.py`.
"""

from __future__ import annotations

import base64
import uuid
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from xml.sax.saxutils import escape

from server.encounters.models import Encounter
from server.records.attachments import Attached
from server.records.export_facts import Consented, Record
from server.records.reading import ReleasedNote, Version
from server.records.rules import Kind
from server.scheduling.models import Appointment

Resource = dict[str, Any]
LOINC = "http://loinc.org"
NOTE_TYPE = {"coding": [{"system": LOINC, "code": "11488-4", "display": "Consult note"}], "text": "Note of a visit"}
VIRTUAL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "VR", "display": "virtual"}
SCOPES = {
    "video": {"code": "treatment", "display": "Treatment"},
    "recording": {"code": "patient-privacy", "display": "Privacy Consent"},
}
CONSENT_SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
HASHES = "urn:bedside:note-version"
"""Names a version's hash in its clinic's chain; the printed form bears the same."""
TITLES = {
    Kind.SIGNED: "Note of a visit",
    Kind.ADDENDUM: "Addendum to the note of a visit",
    Kind.LATE_ENTRY: "Late entry to the note of a visit",
    Kind.CORRECTION: "Correction of the note of a visit",
}


def bundle(record: Record, file_paths: Mapping[str, str], hashes: Mapping[str, bytes]) -> Resource:
    """`file_paths` are where each attachment lies beside it, `hashes` their SHA-1 as FHIR wants it."""
    resources = [
        _patient(record),
        *(_practitioner(person, name) for person, name in sorted(record.doctors.items())),
        *(_appointment(record, one) for one in record.appointments),
        *(_encounter(record, one) for one in record.encounters),
    ]
    known = {one["id"] for one in resources}
    for note in record.notes:
        resources += _of_note(record, note, has_visit=note.encounter_id in known)
    for attached in record.files:
        content = {
            "contentType": attached.upload.kind,
            "url": file_paths[attached.upload.id],
            "size": attached.upload.size,
            "hash": base64.b64encode(hashes[attached.upload.id]).decode(),
            "title": attached.name,
        }
        resources.append(_document(record, attached, content, is_known=attached.encounter_id in known))
    for film in record.films:
        resources.append(
            {
                "resourceType": "DocumentReference",
                "id": film.id,
                "status": "current",
                "type": {"text": "Recording of a visit"},
                "subject": _ref("Patient", record.patient.id),
                "date": instant(film.created_at),
                "content": [{"attachment": {"contentType": "video/mp4", "title": "Recording, on your own page"}}],
                **_context(film.encounter_id, is_known=film.encounter_id in known),
            }
        )
    resources += [_consent(record, one) for one in record.consents]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "timestamp": instant(record.made_at),
        "entry": [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources],
    }


def instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds")


def _patient(record: Record) -> Resource:
    patient = record.patient
    found: Resource = {
        "resourceType": "Patient",
        "id": patient.id,
        "name": [{"use": "official", "text": patient.name}],
        "birthDate": patient.birth_date.isoformat(),
    }
    if record.is_own:
        contacts = (("phone", patient.phone), ("email", patient.email))
        telecom = [{"system": system, "value": value} for system, value in contacts if value]
        found |= {"telecom": telecom} if telecom else {}
        found["communication"] = [{"language": {"text": patient.language}, "preferred": True}]
    return found


def _practitioner(person_id: str, name: str) -> Resource:
    return {"resourceType": "Practitioner", "id": person_id, "name": [{"text": name}]}


def _appointment(record: Record, one: Appointment) -> Resource:
    who = [_ref("Patient", record.patient.id)]
    who += [_ref("Practitioner", person) for person in record.doctors_of.get(one.id, [])]
    return {
        "resourceType": "Appointment",
        "id": one.id,
        "status": one.status,
        "start": instant(one.starts_at),
        "end": instant(one.ends_at),
        "participant": [{"actor": actor, "status": "accepted"} for actor in who],
    }


def _encounter(record: Record, one: Encounter) -> Resource:
    period = {"start": one.started_at, "end": one.ended_at}
    found: Resource = {
        "resourceType": "Encounter",
        "id": one.id,
        "status": one.status,
        "class": VIRTUAL,
        "subject": _ref("Patient", record.patient.id),
        "participant": [
            {"individual": _ref("Practitioner", person)} for person in record.doctors_of.get(one.appointment_id, [])
        ],
        "period": {name: instant(moment) for name, moment in period.items() if moment is not None},
    }
    if any(each.id == one.appointment_id for each in record.appointments):
        found["appointment"] = [_ref("Appointment", one.appointment_id)]
    return {name: value for name, value in found.items() if value}


def _of_note(record: Record, note: ReleasedNote, *, has_visit: bool) -> list[Resource]:
    """Each version is a document of its own; what was added says to what. What was withdrawn or erased has no words."""
    found: list[Resource] = []
    for version in note.versions:
        if version.text is None:
            continue
        document = _composition(record, note, version)
        if has_visit:
            document["encounter"] = _ref("Encounter", note.encounter_id)
        if version.n > 1 and note.versions[0].n == 1:
            first = _ref("Composition", version_id(note.note_id, 1))
            document["relatesTo"] = [{"code": "appends", "targetReference": first}]
        found += [document, _provenance(note, version)]
    return found


def _composition(record: Record, note: ReleasedNote, version: Version) -> Resource:
    sections = [("In plain words", version.summary), ("Note", version.text), ("Reason", version.reason)]
    if version is note.versions[0]:
        for asked in record.asked:
            if asked.note_id == note.note_id:
                sections += [("The patient says: this is wrong", asked.text), ("Answer to that", asked.answer)]
    return {
        "resourceType": "Composition",
        "id": version_id(note.note_id, version.n),
        "status": "final",
        "type": NOTE_TYPE,
        "subject": _ref("Patient", record.patient.id),
        "date": instant(version.signed_at),
        "author": [{"display": version.author_name}],
        "title": TITLES[version.kind],
        "section": [{"title": title, "text": _narrative(words)} for title, words in sections if words],
    }


def _provenance(note: ReleasedNote, version: Version) -> Resource:
    """Who signed it and when; the source names the version's place in the chain."""
    name = version_id(note.note_id, version.n)
    return {
        "resourceType": "Provenance",
        "id": str(uuid.uuid5(uuid.UUID(name), "provenance")),
        "target": [_ref("Composition", name)],
        "recorded": instant(version.signed_at),
        "agent": [{"type": {"text": "author"}, "who": {"display": version.author_name}}],
        "entity": [
            {"role": "source", "what": {"identifier": {"system": HASHES, "value": version.hash.hex()}}},
        ],
    }


def _document(record: Record, attached: Attached, content: Resource, *, is_known: bool) -> Resource:
    return {
        "resourceType": "DocumentReference",
        "id": attached.upload.id,
        "status": "current",
        "type": {"text": "Attached to the note of a visit"},
        "subject": _ref("Patient", record.patient.id),
        "date": instant(attached.upload.at),
        "content": [{"attachment": content}],
        **_context(attached.encounter_id, is_known=is_known),
    }


def _context(encounter_id: str, *, is_known: bool) -> Resource:
    return {"context": {"encounter": [_ref("Encounter", encounter_id)]}} if is_known else {}


def _consent(record: Record, one: Consented) -> Resource:
    version = f", version {one.text_version}" if one.text_version else ""
    return {
        "resourceType": "Consent",
        "id": one.id,
        "status": "active" if one.is_given else "rejected",
        "scope": {"coding": [{"system": CONSENT_SCOPE, **SCOPES[one.about]}]},
        "category": [{"coding": [{"system": LOINC, "code": "59284-0", "display": "Consent Document"}]}],
        "patient": _ref("Patient", record.patient.id),
        "dateTime": instant(one.at),
        "policyRule": {"text": f"The clinic's words on {one.about}{version}"},
    }


def version_id(note_id: str, n: int) -> str:
    """The same id each time for the same version."""
    return str(uuid.uuid5(uuid.UUID(note_id), f"version {n}"))


def _narrative(words: str) -> Resource:
    lines = "<br/>".join(escape(line) for line in words.split("\n"))
    return {"status": "additional", "div": f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{lines}</p></div>'}


def _ref(kind: str, resource_id: str) -> dict[str, str]:
    """Everything referred to lies in the same bundle, under its urn (bundle.html#references)."""
    return {"reference": f"urn:uuid:{resource_id}", "type": kind}


def kinds(made: Resource) -> Sequence[str]:
    """What is in a bundle, in its order."""
    return [entry["resource"]["resourceType"] for entry in made["entry"]]
