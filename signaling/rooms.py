"""The room, pure: `step(state, change, now)` gives the next state and the effects; `born` makes one from the clinic.

Who may do what was decided before a change comes here, and storing, sending and calling nodes happen after it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from signaling import changes as c
from signaling.desired import desired
from signaling.media_mode import handle_described, handle_linked, settle_mode
from signaling.messages import MediaMode, Phase, RecordingPhase
from signaling.people import (
    handle_admitted,
    handle_blocked,
    handle_connected,
    handle_departed,
    handle_devices,
    handle_disconnected,
    handle_guest_agreed,
    handle_media_away,
    handle_pictures_held,
    handle_sent_back,
    handle_servers_alive,
    handle_took_over,
    person_of,
)
from signaling.ports import RoomFacts
from signaling.recording import (
    handle_answered,
    handle_asked,
    handle_asked_again,
    handle_capture_refused,
    handle_capture_reported,
    handle_paused,
    handle_phase_stored,
    handle_resumed,
    handle_segment_closed,
    handle_segment_opened,
    handle_stopped,
    recording_of,
    settle_recording,
    stopped,
    store_phase,
)
from signaling.state import LIVE, Device, Person, Place, Relay, RoomState
from signaling.words import Departure

UNDO_S = 10.0

Handler = Callable[[RoomState, Any, datetime], tuple[RoomState, list[c.Effect]]]


def born(facts: RoomFacts, now: datetime) -> RoomState:
    """A room from the database: at its birth, or again after its state was lost. Nobody is connected yet.

    Revision and attempt start at the time, so that they are above every one that browsers still have.
    """
    state = RoomState(
        room_id=facts.room_id,
        clinic_id=facts.clinic_id,
        revision=int(now.timestamp() * 1000),
        phase=Phase(facts.phase),
        doctor_ids=facts.doctor_ids,
        doctor_name=facts.doctor_name.reveal(),
        starts_at=facts.starts_at,
        late_at=facts.late_at,
        always_relay=facts.always_relay,
        people={one.participant_id: person_of(one) for one in facts.participants},
        mode=MediaMode.RELAY if facts.always_relay else MediaMode.DIRECT,
        attempt=0 if facts.phase == "waiting" else int(now.timestamp()),
        by_phone=facts.by_phone,
        chat_count=facts.chat_count,
        chat_from=facts.chat_from,
        started_at=facts.started_at,
        outcome=facts.outcome,
        ended_at=facts.ended_at,
        undo_until=_undo_until(facts, now),
    )
    if facts.recording is not None:
        state = replace(state, recording=recording_of(facts.recording))
        if facts.recording.phase in ("starting", "running", "paused"):
            state = replace(state, mode=MediaMode.RELAY)
    return _settle(state, now)


def step(state: RoomState, change: c.Change, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    """The next state and what follows from it; the same object back when nothing changed."""
    handled, effects = _HANDLERS[type(change)](state, change, now)
    settled = _settle(handled, now)
    if settled == state:
        return state, effects
    return replace(settled, revision=state.revision + 1), [*effects, *_following(state, settled)]


def _settle(state: RoomState, now: datetime) -> RoomState:
    """Applies what follows by itself (media mode, recording, deadlines) until nothing more follows."""
    for _ in range(8):
        settled = settle_recording(settle_mode(_settle_end(state, now), now), now)
        if settled == state:
            return state
        state = settled
    raise AssertionError("a room that never settles")


def _settle_end(state: RoomState, now: datetime) -> RoomState:
    """After the ten seconds of undo everybody has left."""
    if state.phase != Phase.ENDED or state.undo_until is None or now < state.undo_until:
        return state
    for person in state.people.values():
        if person.standing in ("admitted", "waiting"):
            state = state.with_person(replace(person, standing="left", reason=Departure.VISIT_ENDED))
    return replace(state, undo_until=None)


def _following(before: RoomState, after: RoomState) -> list[c.Effect]:
    effects: list[c.Effect] = []
    recording = after.recording
    if recording is not None and not recording.is_told:
        effects.append(store_phase(recording))
    if desired(before) != desired(after) or (before.relay is not None and after.relay is None):
        effects.append(c.SyncNode())
    return effects


def _undo_until(facts: RoomFacts, now: datetime) -> datetime | None:
    if facts.phase != "ended" or facts.ended_at is None:
        return None
    until = facts.ended_at + timedelta(seconds=UNDO_S)
    return until if until > now else None


def _handle_ended(state: RoomState, change: c.Ended, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    if state.phase == Phase.ENDED:
        return state, []
    state = replace(
        stopped(state, "visit_ended"),
        phase=Phase.ENDED,
        outcome=change.outcome,
        ended_at=now,
        undo_until=now + timedelta(seconds=UNDO_S),
    )
    return state, []


def _handle_reopened(state: RoomState, _: c.Reopened, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    if state.phase != Phase.ENDED or state.undo_until is None:
        return state, []
    phase = Phase.OPEN if state.started_at is not None else Phase.WAITING
    return replace(state, phase=phase, outcome=None, ended_at=None, undo_until=None, pair=()), []


def _handle_by_phone(state: RoomState, _: c.ByPhone, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    return replace(stopped(state, "by_phone"), by_phone=True), []


def _handle_chat_stored(state: RoomState, change: c.ChatStored, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    return replace(state, chat_count=max(state.chat_count, change.n)), []


def _handle_relay_made(state: RoomState, change: c.RelayMade, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    """The first one counts: a server that lost the race closes what it made."""
    if state.relay is not None:
        return state, []
    return replace(state, relay=Relay(change.node, change.epoch, change.ice_urls), node_down=False), [c.SyncNode()]


def _handle_relay_lost(state: RoomState, change: c.RelayLost, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    """A capture that ran there goes on as a new segment; media must be connected anew."""
    relay = state.relay
    if relay is None or (relay.node, relay.epoch) != (change.node, change.epoch):
        return state, []
    people = {
        one: replace(person, relay_prepared=False, relay_ready=False, media_away=False)
        for one, person in state.people.items()
    }
    state = replace(state, relay=None, node_down=True, people=people)
    recording = state.recording
    if recording is not None and recording.phase in LIVE:
        phase = recording.phase if recording.phase == RecordingPhase.STARTING else RecordingPhase.PAUSED
        lost = replace(recording, segment=recording.segment + 1, phase=phase, code="node_down")
        state = replace(state, recording=lost)
    return state, []


def _handle_no_node(state: RoomState, _: c.NoNode, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    return (replace(state, node_down=True) if state.relay is None else state), []


def _handle_relay_closed(state: RoomState, _: c.RelayClosed, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    return replace(state, relay=None, node_down=False), []


def _handle_tick(state: RoomState, _: c.Tick, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    return state, []


def _handle_refreshed(state: RoomState, change: c.Refreshed, now: datetime) -> tuple[RoomState, list[c.Effect]]:
    """Names, rights, new guests, closed links and a cancelled visit; who is admitted stays the room's own matter."""
    facts = change.facts
    effects: list[c.Effect] = []
    for one in facts.participants:
        held = state.people.get(one.participant_id)
        fresh = person_of(one)
        if held is None or _is_let_back(held, fresh):
            state = state.with_person(fresh)
            continue
        kept = replace(
            held,
            role=fresh.role,
            name=fresh.name,
            rights=fresh.rights,
            person_id=fresh.person_id,
            birth_date=fresh.birth_date,
            opened_by=fresh.opened_by,
            identity=fresh.identity,
            card=fresh.card,
            picture_first=fresh.picture_first,
            agreed=fresh.agreed,
            blocked=fresh.blocked,
            link_closed=fresh.link_closed,
        )
        state = state.with_person(kept)
        if fresh.link_closed and not held.link_closed:
            is_wrong = fresh.reason is Departure.WRONG_PERSON and facts.phase != "ended"
            why = Departure.WRONG_PERSON if is_wrong else Departure.LINK_CLOSED
            state, out = handle_departed(state, c.Departed(one.participant_id, why), now)
            effects += out
    state = replace(
        state,
        doctor_ids=facts.doctor_ids,
        doctor_name=facts.doctor_name.reveal(),
        starts_at=facts.starts_at,
        late_at=facts.late_at,
        always_relay=facts.always_relay,
        started_at=facts.started_at,
    )
    if facts.phase == "ended" and state.phase != Phase.ENDED:
        ended = replace(stopped(state, "visit_ended"), phase=Phase.ENDED, outcome=facts.outcome, ended_at=now)
        return replace(ended, undo_until=now), effects
    if facts.phase != "ended" and state.phase == Phase.ENDED:
        return _open_again(state, facts, effects) if change.was_ended else (state, effects)
    if facts.phase == "waiting" and all(person.is_host for person in state.admitted()):
        state = replace(state, phase=Phase.WAITING)  # otherwise these facts are older than an admission
    return state, effects


def _is_let_back(held: Person, fresh: Person) -> bool:
    """Their link was closed and the closing undone; whatever sockets they had were sent away."""
    return held.link_closed and held.place is None and not fresh.link_closed and not fresh.is_host


def _open_again(state: RoomState, facts: RoomFacts, effects: list[c.Effect]) -> tuple[RoomState, list[c.Effect]]:
    """A no-show undone, an appointment put back: whoever the end had put out comes in as the clinic knows them."""
    for one in facts.participants:
        held = state.people[one.participant_id]
        if held.reason != Departure.VISIT_ENDED:
            continue
        sockets: list[Place | Device] = [*held.devices, *([held.place] if held.place else [])]
        effects += [c.Evict(there.sid, there.server, Departure.VISIT_ENDED, silent=True) for there in sockets]
        state = state.with_person(person_of(one))
    again = replace(state, phase=Phase(facts.phase), outcome=None, ended_at=None, undo_until=None, pair=())
    return replace(again, by_phone=facts.by_phone), effects


_HANDLERS: dict[type, Handler] = {
    c.Connected: handle_connected,
    c.Disconnected: handle_disconnected,
    c.ServersAlive: handle_servers_alive,
    c.Admitted: handle_admitted,
    c.Departed: handle_departed,
    c.SentBack: handle_sent_back,
    c.Blocked: handle_blocked,
    c.GuestAgreed: handle_guest_agreed,
    c.TookOver: handle_took_over,
    c.DevicesChanged: handle_devices,
    c.Linked: handle_linked,
    c.Described: handle_described,
    c.MediaAway: handle_media_away,
    c.PicturesHeld: handle_pictures_held,
    c.Asked: handle_asked,
    c.Answered: handle_answered,
    c.RecordingStopped: handle_stopped,
    c.RecordingPaused: handle_paused,
    c.RecordingResumed: handle_resumed,
    c.AskedAgain: handle_asked_again,
    c.CaptureReported: handle_capture_reported,
    c.CaptureRefused: handle_capture_refused,
    c.SegmentOpened: handle_segment_opened,
    c.SegmentClosed: handle_segment_closed,
    c.PhaseStored: handle_phase_stored,
    c.RelayMade: _handle_relay_made,
    c.RelayLost: _handle_relay_lost,
    c.NoNode: _handle_no_node,
    c.RelayClosed: _handle_relay_closed,
    c.ByPhone: _handle_by_phone,
    c.Ended: _handle_ended,
    c.Reopened: _handle_reopened,
    c.ChatStored: _handle_chat_stored,
    c.Refreshed: _handle_refreshed,
    c.Tick: _handle_tick,
}
