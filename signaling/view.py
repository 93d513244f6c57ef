"""What one person is told: `view(state, viewer, now)` makes their own small snapshot and nothing more.

Whoever waits gets themselves, the doctor's name and the phase; there is no other way from a room to a browser.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from signaling.messages import (
    BlockedView,
    CardView,
    DeviceView,
    DirectView,
    GuestView,
    MediaMode,
    PersonState,
    PersonView,
    Phase,
    RecordingAnswer,
    RecordingPhase,
    RecordingView,
    Snapshot,
    WaitingView,
    YouView,
)
from signaling.people import needs_agreement
from signaling.recording import ASKS_MAX, is_active
from signaling.state import Card, Person, RoomState
from signaling.wire import CameraState
from signaling.words import Departure, ParticipantId, Right, Role


@dataclass(frozen=True, slots=True)
class Viewer:
    """One socket's standing in the room. `replaced` is the last thing an evicted page hears."""

    participant_id: ParticipantId
    device: str
    second: bool = False
    replaced: Departure | None = None


def rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def viewer_of(person: Person, sid: str, device: str) -> Viewer:
    """How this socket stands: the place's own, a second device, or one that another page replaced."""
    if person.place is not None and person.place.sid == sid:
        return Viewer(person.participant_id, device)
    if any(one.sid == sid for one in person.devices):
        return Viewer(person.participant_id, device, second=True)
    gone = person.reason if person.standing == "left" and person.reason else Departure.REPLACED
    return Viewer(person.participant_id, device, replaced=gone)


def view(state: RoomState, viewer: Viewer, now: datetime, ice_servers: Sequence[dict[str, str]] = ()) -> Snapshot:
    """The snapshot of this viewer. Raises KeyError for somebody who is not of this room."""
    person = state.people[viewer.participant_id]
    bare = Snapshot(
        revision=state.revision,
        sent_at=rfc3339(now),
        phase=state.phase,
        you=_you(person, viewer),
        doctor_name=state.doctor_name,
    )
    inside = person.is_admitted and not viewer.second and viewer.replaced is None
    if not inside:
        return bare.model_copy(update=_outcome(state, person)) if state.phase == Phase.ENDED else bare
    if state.phase == Phase.ENDED:
        return bare.model_copy(update=_ended(state, person))
    return bare.model_copy(update=_room(state, person, ice_servers) | _host(state, person) | _patient(state, person))


def _ended(state: RoomState, person: Person) -> dict[str, object]:
    update: dict[str, object] = {
        "started_at": rfc3339(state.started_at) if state.started_at else None,
        "chat_count": state.chat_count,
        "chat_from": state.chat_from,
        "recording": _recording(state, person),
        "mode": state.mode,
    }
    return update | _outcome(state, person)


def _outcome(state: RoomState, person: Person) -> dict[str, object]:
    """How it ended, for whom the end put out as well; none of it where the appointment was cancelled."""
    if Right.END_VISIT not in person.rights:
        return {}
    return {"outcome": state.outcome, "undo_until": rfc3339(state.undo_until) if state.undo_until else None}


def _room(state: RoomState, person: Person, ice_servers: Sequence[dict[str, str]]) -> dict[str, object]:
    stun = [{"urls": url} for url in state.relay.ice_urls] if state.relay else []
    return {
        "people": [_person(state, one, person) for one in state.people.values() if one.is_admitted or _has_gone(one)],
        "mode": state.mode,
        "attempt": state.attempt,
        "relay_only": state.always_relay,
        "direct": _direct(state, person),
        "relay_up": state.relay is not None,
        "relay_room": state.relay.epoch if state.relay else None,
        "simulcast": len(state.admitted()) > 2,
        "ice_servers": [*stun, *ice_servers],
        "recording": _recording(state, person),
        "by_phone": state.by_phone,
        "chat_count": state.chat_count,
        "chat_from": state.chat_from,
        "started_at": rfc3339(state.started_at) if state.started_at else None,
        "devices": [
            _device(one, device.device, device.since)
            for one in state.people.values()
            for device in one.devices
            if person.is_host or one.participant_id == person.participant_id
        ],
    }


def _host(state: RoomState, person: Person) -> dict[str, object]:
    if not person.is_host:
        return {}
    return {
        "waiting": [_waiting(state, one) for one in state.people.values() if one.standing == "waiting"],
        "cards": [
            _card(one.participant_id, one.card or Card())
            for one in state.people.values()
            if one.role in ("patient", "proxy") and one.standing in ("waiting", "admitted")
        ],
        "blocked": [
            BlockedView(participant_id=one.participant_id, name=one.name)
            for one in state.people.values()
            if one.blocked
        ],
        "node_down": state.node_down,
    }


def _patient(state: RoomState, person: Person) -> dict[str, object]:
    if person.role not in ("patient", "proxy"):
        return {}
    asking = [
        one
        for one in state.people.values()
        if one.standing == "waiting" and one.agreed is None and needs_agreement(one)
    ]
    return {"guests": [GuestView(participant_id=one.participant_id, name=one.name, role=one.role) for one in asking]}


def _you(person: Person, viewer: Viewer) -> YouView:
    standing = "waiting" if viewer.second else "left" if viewer.replaced else person.standing
    return YouView(
        participant_id=person.participant_id,
        name=person.name,
        role=person.role,
        state=PersonState("waiting" if standing == "invited" else standing),
        reason=viewer.replaced or (person.reason if standing == "left" else None),
        rights=sorted(person.rights),
        second_device=viewer.second,
        device=viewer.device,
        waiting_since=rfc3339(person.waiting_since) if person.waiting_since else None,
        may_speak_for_patient=_may_speak_for_patient(person),
    )


def _may_speak_for_patient(person: Person) -> bool:
    """A proxy within their scope alone; whoever said at the door that they help, and a guest, are asked for whom."""
    if person.role == "proxy":
        return person.may_consent_for_patient
    return person.role == "guest" or person.identity == "helping"


def _has_gone(person: Person) -> bool:
    return person.standing == "left" and person.was_admitted


def _person(state: RoomState, person: Person, viewer: Person) -> PersonView:
    is_away = person.place is None or (state.mode == MediaMode.RELAY and person.media_away)
    return PersonView(
        participant_id=person.participant_id,
        name=person.name,
        role=person.role,
        state=PersonState(person.standing),
        away=is_away and person.is_admitted,
        reason=person.reason if person.standing == "left" else None,
        microphone=person.microphone,
        camera=person.camera,
        screen=person.screen,
        waiting_since=None,
        picture_held=state.mode == MediaMode.RELAY and person.participant_id in viewer.held_back,
        hears_only=_hears_only(state, person),
    )


def _hears_only(state: RoomState, person: Person) -> bool:
    """Of everybody else who shows something, the node holds every picture back from them."""
    if state.mode != MediaMode.RELAY or not person.held_back:
        return False
    others = [one for one in state.admitted() if one.participant_id != person.participant_id]
    shown = {one.participant_id for one in others if one.camera == CameraState.ON or one.screen}
    return bool(shown) and shown <= set(person.held_back)


def _waiting(state: RoomState, person: Person) -> WaitingView:
    since = person.waiting_since or state.starts_at
    return WaitingView(
        participant_id=person.participant_id,
        name=person.name,
        role=person.role,
        birth_date=person.birth_date,
        opened_by=person.opened_by,
        waiting_since=rfc3339(since),
        late=since > state.late_at,
        away=person.place is None,
        identity=person.identity,
        agreement=_agreement(person),
    )


def _card(participant_id: str, card: Card) -> CardView:
    return CardView(
        participant_id=participant_id, place=card.place, phone=card.phone, others=card.others, agrees=card.agrees
    )


def _agreement(person: Person) -> Literal["not_needed", "asked", "yes", "no"]:
    if person.agreed is not None:
        return "yes" if person.agreed else "no"
    return "asked" if needs_agreement(person) else "not_needed"


def _device(person: Person, device: str, since: datetime) -> DeviceView:
    return DeviceView(participant_id=person.participant_id, device=device, name=person.name, since=rfc3339(since))


def offerer_of(state: RoomState) -> ParticipantId | None:
    """Who makes the offers of the direct connection: the host, so that offers never cross."""
    if len(state.pair) != 2:
        return None
    hosts = [one for one in state.pair if state.people[one].is_host]
    return hosts[0] if hosts else state.pair[0]


def _direct(state: RoomState, person: Person) -> DirectView | None:
    offerer = offerer_of(state)
    if offerer is None or person.participant_id not in state.pair or state.mode == MediaMode.RELAY:
        return None
    peer = next(one for one in state.pair if one != person.participant_id)
    return DirectView(peer=peer, offerer=offerer)


def may_resume(person: Person) -> bool:
    """A pause for an examination is between the doctor and the patient's side."""
    return person.role in (Role.DOCTOR, Role.PATIENT, Role.PROXY)


def _name_of(state: RoomState, participant_id: ParticipantId | None) -> str | None:
    person = state.people.get(participant_id) if participant_id is not None else None
    return person.name if person is not None else None


def _recording(state: RoomState, person: Person) -> RecordingView:
    recording = state.recording
    if recording is None:
        return RecordingView()
    answers = {
        person.participant_id: recording.answer_of(person.participant_id) or RecordingAnswer.ASKED
        for person in state.admitted()
    }
    asker = state.people.get(recording.asked_by)
    own = recording.answers.get(person.participant_id)
    said = recording.wordings.get(person.participant_id, recording)
    return RecordingView(
        recording_id=recording.recording_id,
        phase=recording.phase,
        question=own.question if own else recording.question,
        purpose=said.purpose,
        who_may_watch=said.who_may_watch,
        kept=said.kept,
        consent_text=said.consent_text,
        asked_by=asker.name if asker else None,
        answer_by=rfc3339(recording.answer_by) if recording.answer_by and is_active(recording) else None,
        answers=answers,
        code=recording.code,
        paused_by=_name_of(state, recording.paused_by),
        may_resume=recording.paused_for is not None and may_resume(person),
        may_ask_again=recording.phase == RecordingPhase.DECLINED and recording.asks < ASKS_MAX,
    )
