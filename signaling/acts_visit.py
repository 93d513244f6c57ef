"""Events about the visit itself: chat, recording, emergency, the phone, the end.

Each stores through the clinic before the room changes; what takes consent back stops capture at the node first.
"""

from __future__ import annotations

from signaling import changes as c
from signaling import messages as m
from signaling.messages import RecordingAnswer, RecordingPhase
from signaling.ports import ConsentGiven, StoredChat
from signaling.recording import is_active, may_ask
from signaling.scene import Scene
from signaling.state import LIVE, Recording
from signaling.view import rfc3339
from signaling.words import Code, Refused


async def chat(scene: Scene, event: m.Chat) -> m.Ok:
    if len(event.text) > m.CHAT_LIMIT_CHARACTERS:
        raise Refused(Code.TOO_LONG, limit=m.CHAT_LIMIT_CHARACTERS)
    stored = await scene.clinic.store_chat(scene.room_id, scene.me.participant_id, event.id, event.text)
    after = await scene.apply(c.ChatStored(stored.n))
    await scene.send_to(after.admitted(), "chat", _line(stored))
    return m.ChatStored(n=stored.n, at=rfc3339(stored.at))


async def chat_history(scene: Scene, event: m.ChatHistory) -> m.Ok:
    stored = await scene.clinic.load_chat(scene.room_id, scene.me.participant_id, event.after)
    return m.ChatLines(lines=[_line(one) for one in stored])


def _line(stored: StoredChat) -> m.ChatLine:
    return m.ChatLine(
        n=stored.n,
        at=rfc3339(stored.at),
        participant_id=stored.participant_id,
        name=stored.name.reveal(),
        role=stored.role,
        text=stored.text.reveal(),
    )


async def ask_recording(scene: Scene, event: m.AskRecording) -> m.Ok:
    if scene.state.node_down:
        raise Refused(Code.NODE_DOWN, "Recording is not possible just now. Nobody was asked; the visit goes on.")
    if not may_ask(scene.state):
        raise Refused(Code.WRONG_PHASE, "Nobody can be asked for a recording just now. Nobody was; the visit goes on.")
    await scene.apply(c.Asked(await scene.clinic.ask_recording(scene.room_id, scene.me.participant_id, event.purpose)))
    return m.Ok()


async def answer_recording(scene: Scene, event: m.AnswerRecording) -> m.Ok:
    recording = _recording(scene, event.recording_id)
    yes = event.answer == "yes"
    if _is_answered(scene, recording, event, yes):
        return m.Ok()
    if yes and event.others_present and not event.others_agree:
        raise Refused(Code.CONSENT_MISSING, "Everybody in the room must agree. Nothing is recorded.")
    if not yes:
        await scene.stop_capture("withdrawn")
    await _store(scene, recording, event, yes)
    await scene.apply(c.Answered(scene.me.participant_id, recording.recording_id, event.question, yes))
    return m.Ok()


def _is_answered(scene: Scene, recording: Recording, event: m.AnswerRecording, yes: bool) -> bool:
    """True when this very answer stands already. Raises wrong_phase, stale_revision, already_answered."""
    given = recording.answers.get(scene.me.participant_id)
    if given is None or event.question != given.question:
        raise Refused(Code.STALE_REVISION)
    if given.answer != RecordingAnswer.ASKED:
        if given.answer == (RecordingAnswer.YES if yes else RecordingAnswer.NO):
            return True
        raise Refused(Code.ALREADY_ANSWERED)
    if not is_active(recording):
        raise Refused(Code.WRONG_PHASE)
    return False


async def _store(scene: Scene, recording: Recording, event: m.AnswerRecording, yes: bool) -> None:
    given = ConsentGiven(
        recording_id=recording.recording_id,
        participant_id=scene.me.participant_id,
        question=event.question,
        yes=yes,
        others_present=event.others_present,
        others_agree=event.others_agree,
        given_for=event.given_for.value,
        language=recording.language_for(scene.me.participant_id),
    )
    await scene.clinic.record_consent(scene.room_id, given)


async def stop_recording(scene: Scene, event: m.StopRecording) -> m.Ok:
    """By anybody, always: at the node, then stored, then in the room. A word the clinic hasn't heard is stored even
    when capture is off already: a server may have died between the two."""
    recording = _recording(scene, event.recording_id)
    if not is_active(recording) and recording.answer_of(scene.me.participant_id) != RecordingAnswer.YES:
        return m.Ok()
    if recording.phase in LIVE:
        await scene.stop_capture("withdrawn")
    given = recording.answers.get(scene.me.participant_id)
    await scene.clinic.record_consent(
        scene.room_id,
        ConsentGiven(
            recording_id=recording.recording_id,
            participant_id=scene.me.participant_id,
            question=given.question if given else recording.question,
            yes=False,
            language=recording.language_for(scene.me.participant_id),
        ),
    )
    code = "declined" if recording.phase == RecordingPhase.ASKING else "withdrawn"
    await scene.apply(c.RecordingStopped(recording.recording_id, code, scene.me.participant_id))
    return m.Ok()


def _recording(scene: Scene, recording_id: str) -> Recording:
    recording = scene.state.recording
    if recording is None or recording.recording_id != recording_id:
        raise Refused(Code.NOT_FOUND)
    return recording


async def emergency(scene: Scene, event: m.Emergency) -> m.Ok:
    contact = await scene.clinic.emergency(scene.room_id, scene.me.participant_id)
    also = contact.also
    return m.EmergencyFacts(
        place=contact.place,
        phone=contact.phones.given,
        phone_on_file=contact.phones.on_file,
        number=contact.number,
        country=contact.country,
        country_from=contact.country_from,
        also=also and m.AlsoNumber(number=also.number, country=also.country, country_from=also.country_from),
        pressed_at=rfc3339(contact.pressed_at),
    )


async def carry_on_by_phone(scene: Scene, event: m.CarryOnByPhone) -> m.Ok:
    await scene.stop_capture("by_phone")
    phones = await scene.clinic.by_phone(scene.room_id, scene.me.participant_id)
    await scene.apply(c.ByPhone())
    return m.PhoneFacts(phone=phones.given, phone_on_file=phones.on_file)


async def end_visit(scene: Scene, event: m.EndVisit) -> m.Ok:
    if scene.state.phase == m.Phase.ENDED:
        return m.Ok()
    await scene.stop_capture("visit_ended")
    await scene.clinic.ended(scene.room_id, scene.me.participant_id, event.outcome)
    await scene.apply(c.Ended(event.outcome))
    return m.Ok()


async def undo_end(scene: Scene, event: m.UndoEnd) -> m.Ok:
    until = scene.state.undo_until
    if until is None or scene.tools.conductor.clock() >= until:
        raise Refused(Code.WRONG_PHASE)
    await scene.clinic.reopened(scene.room_id, scene.me.participant_id)
    await scene.apply(c.Reopened())
    await scene.tools.conductor.refresh(scene.room_id)  # a link that the end had closed is open again
    return m.Ok()
