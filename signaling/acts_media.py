"""Events about media: descriptions between two browsers, the two relay connections, and how each link stands.

Nothing of a description is read here; who may send one to whom is the room's state, never the sender's word.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from media.api import DownAnswer, DownRequest, NodeRefusal, UpOffer
from media.client import NodeRefused, NodeUnreachable
from signaling import changes as c
from signaling import messages as m
from signaling.nodes import refusal_of
from signaling.scene import Scene
from signaling.state import Person
from signaling.view import offerer_of
from signaling.words import Code, Refused

Answer = TypeVar("Answer")


async def describe(scene: Scene, event: m.Describe) -> m.Ok:
    peer = _peer(scene, event.to, event.attempt)
    is_offerer = offerer_of(scene.state) == scene.me.participant_id
    if is_offerer != (event.type == "offer"):
        raise Refused(Code.NOT_ALLOWED)
    if event.type != "restart_please" and not event.sdp:
        raise Refused(Code.MALFORMED)
    if event.type == "answer":
        await scene.apply(c.Described(event.attempt))
    signal = m.Signal(sender=scene.me.participant_id, attempt=event.attempt, type=event.type, sdp=event.sdp)
    await scene.send_to([peer], "signal", signal)
    return m.Ok()


async def candidate(scene: Scene, event: m.Candidate) -> m.Ok:
    peer = _peer(scene, event.to, event.attempt)
    signal = m.Signal(
        sender=scene.me.participant_id,
        attempt=event.attempt,
        type="candidate",
        candidate=event.candidate,
        mid=event.mid,
        line=event.line,
    )
    await scene.send_to([peer], "signal", signal)
    return m.Ok()


def _peer(scene: Scene, to: str, attempt: int) -> Person:
    """The other one of the direct pair. Raises not_admitted, wrong_phase, stale_revision."""
    person = scene.person(to)
    if not person.is_admitted:
        raise Refused(Code.NOT_ADMITTED, "They are not in the visit. Nothing was sent.")
    state = scene.state
    is_pair = {person.participant_id, scene.me.participant_id} == set(state.pair)
    if state.mode == m.MediaMode.RELAY or not is_pair:
        raise Refused(Code.WRONG_PHASE)
    if attempt != state.attempt:
        raise Refused(Code.STALE_REVISION)
    if person.place is None:
        raise Refused(Code.UNAVAILABLE)
    return person


async def link(scene: Scene, event: m.Link) -> m.Ok:
    await scene.apply(c.Linked(scene.me.participant_id, event.attempt, event.state))
    return m.Ok()


async def up_offer(scene: Scene, event: m.UpOfferEvent) -> m.Ok:
    offer = UpOffer(connection_id=event.connection_id, revision=event.revision, sdp=event.sdp, sources=event.sources)
    answer = await _ask(scene, lambda: scene.node().up(scene.room_id, scene.me.participant_id, offer))
    return m.UpAccepted(
        connection_id=answer.connection_id, revision=answer.revision, sdp=answer.sdp, sections=answer.sections
    )


async def down_request(scene: Scene, event: m.DownRequestEvent) -> m.Ok:
    request = DownRequest(connection_id=event.connection_id, restart=event.restart)
    offer = await _ask(scene, lambda: scene.node().down(scene.room_id, scene.me.participant_id, request))
    return m.DownOffered(
        connection_id=offer.connection_id, revision=offer.revision, sdp=offer.sdp, sections=offer.sections
    )


async def down_answer(scene: Scene, event: m.DownAnswerEvent) -> m.Ok:
    answer = DownAnswer(connection_id=event.connection_id, revision=event.revision, sdp=event.sdp)
    await _ask(scene, lambda: scene.node().down_answer(scene.room_id, scene.me.participant_id, answer))
    return m.Ok()


async def _ask(scene: Scene, call: Callable[[], Awaitable[Answer]]) -> Answer:
    """Calls the node; once more after reconciling when it has not heard of this person yet."""
    try:
        return await call()
    except NodeRefused as error:
        if error.code not in (NodeRefusal.NOT_ADMITTED, NodeRefusal.NOT_FOUND):
            raise refusal_of(error) from error
    except NodeUnreachable as error:
        raise refusal_of(error) from error
    await scene.tools.reconciler.sync(scene.room_id)
    try:
        return await call()
    except (NodeRefused, NodeUnreachable) as error:
        raise refusal_of(error) from error
