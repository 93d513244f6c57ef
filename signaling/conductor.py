"""Applies changes to rooms: load or rebuild, step, compare-and-set, tell every server, then the effects.

It knows neither sockets nor nodes; who asks for a change has checked it and stored what must survive.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Literal

from signaling import changes as c
from signaling.bus import Message
from signaling.logs import Happening, log_error, log_info
from signaling.messages import Phase, RecordingPhase
from signaling.ports import Clinic, ConsentGiven
from signaling.recording import is_active, unanswered
from signaling.rooms import born, step
from signaling.state import RoomState
from signaling.store import RoomStore, is_untaken
from signaling.words import Clock, Code, Refused, RoomId

TRIES = 40

StoredPhase = Literal["starting", "running", "paused", "stopped", "declined", "failed"]
_STORED: dict[RecordingPhase, StoredPhase] = {
    RecordingPhase.STARTING: "starting",
    RecordingPhase.RUNNING: "running",
    RecordingPhase.PAUSED: "paused",
    RecordingPhase.STOPPED: "stopped",
    RecordingPhase.DECLINED: "declined",
    RecordingPhase.FAILED: "failed",
}


class Conductor:
    """`on_sync` is called with a room whose node has something to do, `on_evict` with a socket to close."""

    def __init__(self, clinic: Clinic, store: RoomStore, clock: Clock) -> None:
        self.clinic = clinic
        self.store = store
        self.clock = clock
        self.on_sync: Callable[[RoomId], None] = _nobody
        self.on_message: Callable[[Message], Awaitable[None]] = _nobody_async

    async def get(self, room_id: RoomId) -> RoomState:
        """The room now, rebuilt from the clinic when its state was lost. Raises not_found."""
        for _ in range(TRIES):
            state = await self.store.load(room_id)
            if state is not None:
                return state
            built = born(await self.clinic.load_room(room_id), self.clock())
            if await self.store.save(built, over=None):
                log_info(Happening.ROOM_REBUILT, room_id=room_id)
                self.on_sync(room_id)
                return built
        raise Refused(Code.UNAVAILABLE)

    async def apply(self, room_id: RoomId, change: c.Change) -> RoomState:
        """Takes effect exactly once; answers the state after it."""
        for attempt in range(TRIES):
            state = await self.get(room_id)
            after, effects = step(state, change, self.clock())
            if after is state:
                await self._perform(after, effects)
                return after
            if await self.store.save(after, over=state.revision):
                self._log(state, after)
                await self.announce(after, state)
                await self._perform(after, effects)
                return after
            await asyncio.sleep(random.uniform(0, 0.004) * attempt)  # noqa: S311 — spreads servers, no secret
        log_error(Happening.ROOM_CONTENDED, room_id=room_id)
        raise Refused(Code.UNAVAILABLE)

    async def refresh(self, room_id: RoomId) -> RoomState:
        """Brings in the clinic's facts as they are now. Raises not_found."""
        was_ended = (await self.get(room_id)).phase == Phase.ENDED
        return await self.apply(room_id, c.Refreshed(await self.clinic.load_room(room_id), was_ended))

    async def announce(self, state: RoomState, before: RoomState | None = None) -> None:
        """Every server looks at this room again and tells its own sockets what changed for them.

        Who held it until now is told as well, and all doctors of the clinic while nobody holds it.
        """
        sides = (state, before or state)
        doctors = sorted({one for side in sides for one in side.doctor_ids})
        clinic = state.clinic_id if any(map(is_untaken, sides)) else None
        await self.publish({"topic": "room", "room": state.room_id, "doctors": doctors, "clinic": clinic})

    async def publish(self, message: Message) -> None:
        """To every server; to this one directly while its subscription is down."""
        await self.store.bus.publish(message)
        if not self.store.bus.is_subscribed():
            await self.on_message(message)

    async def tick(self, room_id: RoomId) -> None:
        """A deadline of this room passed: silence is stored as No, then the room moves on."""
        state = await self.get(room_id)
        recording = state.recording
        if recording is not None and is_active(recording):
            for participant_id in unanswered(state, self.clock()):
                given = recording.answers.get(participant_id)
                await self.clinic.record_consent(
                    room_id,
                    ConsentGiven(
                        recording_id=recording.recording_id,
                        participant_id=participant_id,
                        question=given.question if given else recording.question,
                        yes=False,
                        unanswered=True,
                        language=recording.language_for(participant_id),
                    ),
                )
        await self.apply(room_id, c.Tick())

    async def _perform(self, state: RoomState, effects: list[c.Effect]) -> None:
        for effect in effects:
            match effect:
                case c.StorePhase():
                    await self.store_phase(state.room_id, effect)
                case c.SyncNode():
                    self.on_sync(state.room_id)
                case c.Evict():
                    await self.publish(
                        {
                            "topic": "evict",
                            "room": state.room_id,
                            "server": effect.server,
                            "sid": effect.sid,
                            "silent": effect.silent,
                        }
                    )

    async def store_phase(self, room_id: RoomId, effect: c.StorePhase) -> None:
        """Tells the database; the reconciler repeats it until it was heard."""
        phase = _STORED.get(effect.phase)
        if phase is None:
            return
        try:
            await self.clinic.recording_phase(room_id, effect.recording_id, phase, effect.segment, effect.code)
        except Exception as error:  # the room goes on; the reconciler tells it again
            log_error(Happening.STORE_FAILED, room_id=room_id, code=type(error).__name__)
            return
        await self.apply(room_id, c.PhaseStored(effect.recording_id, effect.phase, effect.segment, effect.code))

    def _log(self, before: RoomState, after: RoomState) -> None:
        if before.mode != after.mode:
            log_info(Happening.MEDIA_MODE, room_id=after.room_id, mode=after.mode.value)
        was = before.recording.phase if before.recording else None
        now = after.recording.phase if after.recording else None
        if was != now and after.recording is not None:
            log_info(
                Happening.RECORDING,
                room_id=after.room_id,
                recording_id=after.recording.recording_id,
                phase=after.recording.phase.value,
                code=after.recording.code,
            )


def _nobody(_: RoomId) -> None: ...


async def _nobody_async(_: Message) -> None: ...
