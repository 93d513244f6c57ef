"""The room's people, pure: who comes, waits, is let in, goes, and which of their browsers speaks for them.

Called by `rooms.step`; what their coming and going does to media and recording is settled there.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Literal

from signaling import changes as c
from signaling.messages import CameraState, MediaMode, MicrophoneState, Phase
from signaling.ports import CardFacts, ParticipantFacts
from signaling.recording import ask_person
from signaling.state import Card, Device, Person, Place, RoomState
from signaling.words import Departure, Right, Role

Outcome = tuple[RoomState, list[c.Effect]]

OLD_TABS = 8
_PUT_OUT = (Departure.REMOVED, Departure.WRONG_PERSON, Departure.LINK_CLOSED)


def person_of(facts: ParticipantFacts) -> Person:
    """One participation from the database; hosts who were here before need no letting in."""
    known_host = Right.ADMIT in facts.rights and facts.session_id is not None and facts.state != "left"
    standing = "admitted" if known_host else facts.state
    return Person(
        participant_id=facts.participant_id,
        role=facts.role,
        name=facts.name.reveal(),
        rights=facts.rights,
        standing=standing,
        reason=facts.reason,
        person_id=facts.person_id,
        birth_date=facts.birth_date.reveal() if facts.birth_date else None,
        opened_by=facts.opened_by,
        identity=facts.identity,
        card=_card_of(facts.card) if facts.card else None,
        waiting_since=facts.waiting_since,
        was_admitted=standing == "admitted",
        blocked=facts.blocked,
        link_closed=facts.link_closed,
        picture_first=facts.picture_first,
        agreed=facts.agreed,
        may_consent_for_patient=facts.may_consent_for_patient,
        session=facts.session_id,
        away_reason="not_connected" if standing in ("admitted", "waiting") else None,
    )


def _card_of(facts: CardFacts) -> Card:
    place, phone, others = (part.reveal() if part else None for part in (facts.place, facts.phone, facts.others))
    return Card(place, phone, others, facts.agrees)


def placement(person: Person, session: str) -> Literal["place", "second"]:
    """Whether a page of this session speaks for the person, or waits as a second device."""
    if person.session is None or person.session == session or person.standing in ("invited", "left"):
        return "place"
    return "place" if person.standing == "waiting" and person.place is None else "second"


def needs_agreement(person: Person) -> bool:
    """A guest is let in once the patient has agreed; one who comes first waits until the patient is there to say it."""
    return person.role in ("guest", "interpreter") and not person.is_host


Trouble = Literal["dropped", "camera_refused"]


def patients_trouble(state: RoomState) -> Trouble | None:
    """Why a patient who waits or is in the visit may need help: their connection is gone, or no camera is allowed."""
    for one in state.people.values():
        if one.role == "patient" and one.standing in ("waiting", "admitted"):
            if one.place is None or (state.mode == MediaMode.RELAY and one.media_away):
                return "dropped"
            if one.camera == CameraState.DENIED:
                return "camera_refused"
    return None


def interpreters_waiting(state: RoomState) -> list[Person]:
    """Whom the patient has agreed to and can't do without: one press lets them in together with the patient."""
    return [
        one
        for one in state.people.values()
        if one.role == "interpreter"
        and one.standing == "waiting"
        and one.agreed
        and not (one.blocked or one.link_closed)
    ]


def handle_connected(state: RoomState, change: c.Connected, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    if person is None or person.blocked or person.link_closed:
        return state, []
    if placement(person, change.session) == "second":
        return _add_device(state, person, change, now)
    place = Place(sid=change.sid, server=change.server, session=change.session, tab=change.tab)
    effects = _evictions(person, change)
    is_new_page = person.tab != change.tab
    person = replace(
        _retire_tab(person) if is_new_page else person,
        place=place,
        session=change.session,
        tab=change.tab,
        away_reason=None,
        devices=tuple(one for one in person.devices if one.session != change.session),
    )
    if is_new_page:
        person, state = _without_media(person), _without_pair(state, person)
    return state.with_person(_arrive(state, person, change.waiting_since)), effects


def _retire_tab(person: Person) -> Person:
    if person.tab is None:
        return person
    return replace(person, old_tabs=(*person.old_tabs, person.tab)[-OLD_TABS:])


def _arrive(state: RoomState, person: Person, since: datetime) -> Person:
    if state.phase == Phase.ENDED or person.standing in ("admitted", "waiting"):
        return person
    if person.is_host:
        return replace(person, standing="admitted", reason=None, was_admitted=True)
    return replace(person, standing="waiting", reason=None, waiting_since=since)


def _add_device(state: RoomState, person: Person, change: c.Connected, now: datetime) -> Outcome:
    older = [one for one in person.devices if one.session == change.session]
    device = Device(
        device=change.device,
        sid=change.sid,
        server=change.server,
        session=change.session,
        tab=change.tab,
        since=older[0].since if older else now,
    )
    others = tuple(one for one in person.devices if one.session != change.session)
    effects: list[c.Effect] = [
        c.Evict(one.sid, one.server, Departure.REPLACED, silent=one.tab == change.tab)
        for one in older
        if one.sid != change.sid
    ]
    return state.with_person(replace(person, devices=(*others, device))), effects


def _evictions(person: Person, change: c.Connected) -> list[c.Effect]:
    held: list[Place | Device] = [one for one in person.devices if one.session == change.session]
    if person.place is not None:
        held.append(person.place)
    return [
        c.Evict(one.sid, one.server, Departure.REPLACED, silent=one.tab == change.tab)
        for one in held
        if one.sid != change.sid
    ]


def _without_media(person: Person) -> Person:
    """A new page has no connections yet and shares no screen."""
    return replace(
        person, direct="none", relay_prepared=False, relay_ready=False, screen=False, media_away=False, held_back=()
    )


def _without_pair(state: RoomState, person: Person) -> RoomState:
    """Makes the direct connection be built anew when it was theirs."""
    return replace(state, pair=()) if person.participant_id in state.pair else state


def handle_disconnected(state: RoomState, change: c.Disconnected, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    if person is None:
        return state, []
    devices = tuple(one for one in person.devices if one.sid != change.sid)
    person = replace(person, devices=devices)
    if person.place is not None and person.place.sid == change.sid:
        person = replace(person, place=None, away_reason=change.reason)
    return state.with_person(person), []


def handle_servers_alive(state: RoomState, change: c.ServersAlive, now: datetime) -> Outcome:
    for person in state.people.values():
        if person.place is not None and person.place.server not in change.servers:
            state = state.with_person(replace(person, place=None, away_reason="server_gone"))
    for person in state.people.values():
        devices = tuple(one for one in person.devices if one.server in change.servers)
        if devices != person.devices:
            state = state.with_person(replace(person, devices=devices))
    return state, []


def handle_admitted(state: RoomState, change: c.Admitted, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    if person is None or person.standing != "waiting" or person.link_closed or person.blocked:
        return state, []
    person = replace(person, standing="admitted", reason=None, was_admitted=True)
    state = ask_person(state.with_person(person), person.participant_id, change.question)
    if state.phase == Phase.WAITING and not person.is_host:
        state = replace(state, phase=Phase.OPEN, started_at=state.started_at or change.at)
    return state, []


def handle_departed(state: RoomState, change: c.Departed, now: datetime) -> Outcome:
    """Whoever left by their own button keeps the socket, to see the closing page; others are put out."""
    person = state.people.get(change.participant_id)
    if person is None:
        return state, []
    gone = _without_media(
        replace(
            person,
            standing="left",
            reason=change.reason,
            away_reason=None,
            microphone=MicrophoneState.NONE,
            link_closed=person.link_closed or change.reason in (Departure.WRONG_PERSON, Departure.LINK_CLOSED),
        )
    )
    effects: list[c.Effect] = []
    if change.reason in _PUT_OUT:
        held: list[Place | Device] = list(person.devices)
        held += [person.place] if person.place is not None else []
        effects = [c.Evict(one.sid, one.server, change.reason) for one in held]
        gone = replace(gone, place=None, devices=())
    after = _forget_answer(state, gone)
    if change.reason is Departure.WRONG_PERSON and person.role is Role.PATIENT and not person.link_closed:
        # None of it is the patient's.
        after = replace(after, recording=None, by_phone=False, chat_from=after.chat_count)
    return after, effects


def handle_sent_back(state: RoomState, change: c.SentBack, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    if person is None or not person.is_admitted or person.is_host:
        return state, []
    waiting = _without_media(replace(person, standing="waiting", waiting_since=now))
    return _forget_answer(state, waiting), []


def _forget_answer(state: RoomState, person: Person) -> RoomState:
    """Whoever comes in again is asked again."""
    state = _without_pair(state.with_person(person), person)
    if state.recording is None:
        return state
    answers = {one: given for one, given in state.recording.answers.items() if one != person.participant_id}
    return replace(state, recording=replace(state.recording, answers=answers))


def handle_blocked(state: RoomState, change: c.Blocked, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    return (state.with_person(replace(person, blocked=change.blocked)) if person else state), []


def handle_guest_agreed(state: RoomState, change: c.GuestAgreed, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    return (state.with_person(replace(person, agreed=change.agreed)) if person else state), []


def handle_took_over(state: RoomState, change: c.TookOver, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    device = next((one for one in person.devices if one.device == change.device), None) if person else None
    if person is None or device is None:
        return state, []
    effects: list[c.Effect] = []
    if person.place is not None:
        effects.append(c.Evict(person.place.sid, person.place.server, Departure.REPLACED))
    person = _without_media(
        replace(
            _retire_tab(person),
            place=Place(sid=device.sid, server=device.server, session=device.session, tab=device.tab),
            session=device.session,
            tab=device.tab,
            away_reason=None,
            devices=tuple(one for one in person.devices if one.device != change.device),
        )
    )
    state = _without_pair(state.with_person(person), person)
    if person.is_admitted:
        state = ask_person(state, person.participant_id, change.question)
    return state, effects


def handle_devices(state: RoomState, change: c.DevicesChanged, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    if person is None or person.standing not in ("waiting", "admitted"):
        return state, []
    person = replace(person, microphone=change.microphone, camera=change.camera, screen=change.screen)
    return state.with_person(person), []


def handle_media_away(state: RoomState, change: c.MediaAway, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    if person is None or not person.is_admitted:
        return state, []
    return state.with_person(replace(person, media_away=change.away)), []


def handle_pictures_held(state: RoomState, change: c.PicturesHeld, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    if person is None or not person.is_admitted:
        return state, []
    return state.with_person(replace(person, held_back=change.of)), []
