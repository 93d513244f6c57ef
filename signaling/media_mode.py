"""Direct, switching, relay, pure: which way media goes between the people who are let in.

Called by `rooms.step`. Never from relay back to direct: only a switch that did not happen stays where it was.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from signaling import changes as c
from signaling.messages import LinkState, MediaMode, Phase, RecordingPhase
from signaling.recording import failed
from signaling.state import Person, RoomState

DIRECT_S = 2.5
"""From the exchange of descriptions to pictures, or the relay starts."""
EXCHANGE_S = 10.0
"""For both pages, being there, to exchange descriptions at all."""
SWITCH_S = 5.0

Outcome = tuple[RoomState, list[c.Effect]]


def handle_linked(state: RoomState, change: c.Linked, now: datetime) -> Outcome:
    person = state.people.get(change.participant_id)
    if person is None or not person.is_admitted:
        return state, []
    match change.state:
        case LinkState.DIRECT_CONNECTED | LinkState.DIRECT_FAILED:
            if change.attempt != state.attempt or change.participant_id not in state.pair:
                return state, []
            way = "connected" if change.state == LinkState.DIRECT_CONNECTED else "failed"
            person = replace(person, direct="connected" if way == "connected" else "failed")
        case LinkState.RELAY_PREPARED:
            person = replace(person, relay_prepared=True)
        case LinkState.RELAY_READY:
            is_of_this_switch = state.mode == MediaMode.SWITCHING and change.attempt == state.attempt
            person = replace(person, relay_prepared=True, relay_ready=is_of_this_switch)
        case LinkState.RELAY_FAILED:
            person = replace(person, relay_prepared=False, relay_ready=False)
    return state.with_person(person), []


def handle_described(state: RoomState, change: c.Described, now: datetime) -> Outcome:
    if change.attempt != state.attempt or state.mode != MediaMode.DIRECT or state.direct_by is None:
        return state, []
    return replace(state, direct_by=min(state.direct_by, now + timedelta(seconds=DIRECT_S))), []


def settle_mode(state: RoomState, now: datetime) -> RoomState:
    """One step of what follows by itself; called until nothing changes."""
    if state.phase != Phase.OPEN:
        return replace(state, direct_by=None, switch_by=None, pair=())
    if state.mode == MediaMode.RELAY:
        return replace(state, direct_by=None, switch_by=None, pair=())
    if state.always_relay:
        return _to_relay(state)
    state = _settle_pair(state)
    if state.mode == MediaMode.SWITCHING:
        return _settle_switching(state, now)
    return _settle_direct(state, now)


def _settle_pair(state: RoomState) -> RoomState:
    """A pair newly together, or one with a reloaded page, begins a new attempt."""
    together = tuple(sorted(person.participant_id for person in state.admitted()))
    if len(together) > 2 or together == state.pair:
        return state
    if len(together) < 2 or (state.relay is None and not state.node_down):
        # Before a node answered, or is known to be down, browsers would gather without the STUN server it is.
        return replace(state, pair=(), direct_by=None)
    people = {
        one: replace(person, direct="none") if one in together else person for one, person in state.people.items()
    }
    begun = replace(state, pair=together, attempt=state.attempt + 1, direct_by=None, people=people)
    return _to_relay(begun) if state.mode == MediaMode.SWITCHING else begun


def _settle_direct(state: RoomState, now: datetime) -> RoomState:
    pair = _pair(state)
    connected = len(pair) == 2 and all(person.direct == "connected" for person in pair)
    recording = state.recording
    if len(state.admitted()) > 2 or (recording is not None and recording.phase == RecordingPhase.STARTING):
        return _begin_switch(state, now) if connected else _to_relay(state)
    if any(person.direct == "failed" for person in pair) or (state.direct_by is not None and now >= state.direct_by):
        return _to_relay(state)
    if connected or len(pair) < 2 or any(person.place is None for person in pair):
        return replace(state, direct_by=None)
    return replace(state, direct_by=state.direct_by or now + timedelta(seconds=EXCHANGE_S))


def _settle_switching(state: RoomState, now: datetime) -> RoomState:
    must = len(state.admitted()) > 2 or any(person.direct == "failed" for person in _pair(state))
    if all(person.relay_ready for person in state.admitted()):
        return _to_relay(state)
    if state.switch_by is None:
        return replace(state, switch_by=now + timedelta(seconds=SWITCH_S))
    if now < state.switch_by:
        return state
    if must:
        return _to_relay(state)
    code = "node_down" if state.relay is None else "relay_not_ready"
    stayed = replace(state, mode=MediaMode.DIRECT, attempt=state.attempt + 1, switch_by=None)
    return failed(stayed, code)


def _begin_switch(state: RoomState, now: datetime) -> RoomState:
    people = {one: replace(person, relay_ready=False) for one, person in state.people.items()}
    until = now + timedelta(seconds=SWITCH_S)
    return replace(
        state,
        mode=MediaMode.SWITCHING,
        attempt=state.attempt + 1,
        switch_by=until,
        direct_by=None,
        people=people,
    )


def _to_relay(state: RoomState) -> RoomState:
    return replace(state, mode=MediaMode.RELAY, attempt=state.attempt + 1, pair=(), direct_by=None, switch_by=None)


def _pair(state: RoomState) -> list[Person]:
    return [state.people[one] for one in state.pair if one in state.people and state.people[one].is_admitted]
