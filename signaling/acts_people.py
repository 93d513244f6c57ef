"""Events about people: let in, sent back, put out, agreed to, taken over, and what each shows of themselves.

Rights, admission and the phase were checked by `namespace.py`; here is what is particular to each.
"""

from __future__ import annotations

from signaling import changes as c
from signaling import messages as m
from signaling.people import interpreters_waiting, needs_agreement
from signaling.ports import RecordingFacts
from signaling.recording import is_active
from signaling.scene import Scene
from signaling.state import Person
from signaling.words import Code, Departure, Refused, SessionId


async def sync(scene: Scene, event: m.Sync) -> m.Ok:
    scene.socket.sent = None
    await scene.tools.conductor.announce(scene.state)
    return m.Ok()


async def devices(scene: Scene, event: m.Devices) -> m.Ok:
    if not scene.is_second:
        await scene.apply(c.DevicesChanged(scene.me.participant_id, event.microphone, event.camera, event.screen))
    return m.Ok()


async def leave(scene: Scene, event: m.Leave) -> m.Ok:
    if scene.is_second:
        await scene.apply(c.Disconnected(scene.me.participant_id, scene.socket.sid, "left"))
    elif scene.me.standing != "left":
        await scene.clinic.departed(scene.room_id, scene.me.participant_id, Departure.LEFT)
        await scene.apply(c.Departed(scene.me.participant_id, Departure.LEFT))
    return m.Ok()


async def admit(scene: Scene, event: m.AdmitEvent) -> m.Ok:
    person = scene.person(event.participant_id)
    if person.is_admitted:
        return m.Ok()
    if person.link_closed or person.blocked:
        raise Refused(Code.LINK_CLOSED if person.link_closed else Code.REMOVED)
    if person.standing != "waiting":
        raise Refused(Code.WRONG_PHASE)
    if needs_agreement(person) and not person.agreed:
        raise Refused(Code.CONSENT_MISSING, "The patient has not agreed to this guest yet. Nobody was let in.")
    await _let_in(scene, person)
    if person.role == "patient":
        for other in interpreters_waiting(scene.state):
            await _let_in(scene, other)
    return m.Ok()


async def _let_in(scene: Scene, person: Person) -> None:
    at = await scene.clinic.admitted(scene.room_id, person.participant_id, scene.me.participant_id)
    await scene.apply(c.Admitted(person.participant_id, at, await _question(scene)))


async def _question(scene: Scene) -> RecordingFacts | None:
    """Whoever comes in while a recording is asked for or made gets the question too."""
    recording = scene.state.recording
    if recording is None or not is_active(recording):
        return None
    return await scene.clinic.ask_newcomer(scene.room_id, recording.recording_id)


async def agree_guest(scene: Scene, event: m.AgreeGuest) -> m.Ok:
    if scene.me.role not in ("patient", "proxy"):
        raise Refused(Code.NOT_ALLOWED)
    guest = scene.person(event.participant_id)
    if guest.standing != "waiting" or guest.role not in ("guest", "interpreter"):
        raise Refused(Code.WRONG_PHASE)
    await scene.clinic.guest_agreed(scene.room_id, guest.participant_id, scene.me.participant_id, event.agree)
    await scene.apply(c.GuestAgreed(guest.participant_id, event.agree))
    return m.Ok()


async def wrong_person(scene: Scene, event: m.WrongPerson) -> m.Ok:
    person = _somebody_else(scene, event.participant_id)
    if person.is_admitted:
        await scene.stop_capture("wrong_person")
    await scene.clinic.wrong_person(scene.room_id, person.participant_id, scene.me.participant_id)
    recording = scene.state.recording
    if person.is_admitted and recording is not None:
        await scene.apply(c.RecordingStopped(recording.recording_id, "wrong_person"))
    await scene.apply(c.Departed(person.participant_id, Departure.WRONG_PERSON))
    await scene.tools.conductor.refresh(scene.room_id)
    return m.Ok()


async def back_to_waiting(scene: Scene, event: m.BackToWaiting) -> m.Ok:
    person = _somebody_else(scene, event.participant_id)
    if person.standing == "waiting":
        return m.Ok()
    if not person.is_admitted:
        raise Refused(Code.WRONG_PHASE)
    await scene.clinic.back_to_waiting(scene.room_id, person.participant_id, scene.me.participant_id)
    await scene.apply(c.SentBack(person.participant_id))
    return m.Ok()


async def remove(scene: Scene, event: m.Remove) -> m.Ok:
    person = _somebody_else(scene, event.participant_id)
    if event.block:
        await scene.clinic.block(scene.room_id, person.participant_id, scene.me.participant_id, True)
        await scene.apply(c.Blocked(person.participant_id, True))
    await scene.clinic.departed(scene.room_id, person.participant_id, Departure.REMOVED)
    await scene.apply(c.Departed(person.participant_id, Departure.REMOVED))
    return m.Ok()


async def unblock(scene: Scene, event: m.Unblock) -> m.Ok:
    person = scene.person(event.participant_id)
    await scene.clinic.block(scene.room_id, person.participant_id, scene.me.participant_id, False)
    await scene.apply(c.Blocked(person.participant_id, False))
    return m.Ok()


def _somebody_else(scene: Scene, participant_id: str) -> Person:
    person = scene.person(participant_id)
    if person.is_host:
        raise Refused(Code.NOT_ALLOWED)
    return person


async def allow_device(scene: Scene, event: m.AllowDevice) -> m.Ok:
    """Capture pauses at the node before the first device loses its place: consent is asked again."""
    person = scene.person(event.participant_id)
    if not _may_allow(scene, person, event.device):
        raise Refused(Code.NOT_ALLOWED)
    device = next((one for one in person.devices if one.device == event.device), None)
    if device is None:
        raise Refused(Code.NOT_FOUND)
    if person.is_admitted:
        await scene.pause_for(person.participant_id)
    await scene.clinic.took_over(scene.room_id, person.participant_id, SessionId(device.session))
    question = await _question(scene) if person.is_admitted else None
    await scene.apply(c.TookOver(person.participant_id, event.device, question))
    await scene.tools.conductor.refresh(scene.room_id)  # this browser's own card says who opened the link
    return m.Ok()


def _may_allow(scene: Scene, person: Person, device: str) -> bool:
    """The doctor or the first device; a doctor whose first device is gone may go on with the second."""
    is_own = person.participant_id == scene.me.participant_id
    if scene.is_second:
        return is_own and scene.me.is_host and scene.me.place is None and device == scene.socket.device
    return scene.me.is_admitted and (is_own or scene.me.is_host)
