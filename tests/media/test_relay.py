"""Foreign clients and a node: what one publishes the other decodes, only once both are admitted, whatever is lost."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest

from media.api import (
    CaptureGrant,
    CapturePhase,
    DownRequest,
    NodeEvent,
    NodeEventKind,
    SealingKey,
    Source,
)
from media.feedback import MS
from tests.media.peers import ColourTrack, Peer, RunningNode, tone
from tests.media.spy import spy_on, until

KEY = SealingKey(key="A" * 43 + "=", wrapped="d3JhcHBlZA==")


async def test_what_one_publishes_the_other_decodes(running: RunningNode, peers: dict[str, Peer]) -> None:
    a, b = peers["a"], peers["b"]
    await a.publish(ColourTrack(200), tone())
    await b.subscribe()
    async with asyncio.timeout(15):
        frame = await b.picture()
        sound = await b.sound()
    assert frame.width == 320
    assert abs(int(frame.to_ndarray(format="rgb24").mean()) - 200) < 12
    assert sound.sample_rate == 48000
    assert set(b.sections.values()) == {("a", Source.MICROPHONE), ("a", Source.CAMERA)}
    stats = await until(running, lambda stats: stats.rtcp_out > 2)
    assert min(stats.rtp_in, stats.rtp_out, stats.stun_in, stats.stun_out, stats.dtls_in, stats.dtls_out) > 0
    state = (await running.client.state()).rooms["r"].participants["a"]
    assert (state.up, state.sources) == (a.up_id, [Source.MICROPHONE, Source.CAMERA])
    begun = await running.event_of(NodeEventKind.KEY_FRAME, "a")
    assert begun.source is Source.CAMERA


async def test_a_waiting_person_gets_and_gives_nothing_until_admitted_and_nothing_once_revoked(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    a, b, c = peers["a"], peers["b"], peers["c"]
    await a.publish(ColourTrack(60), tone())
    await c.publish(ColourTrack(220), tone())
    offer = await c.subscribe()
    assert {section.participant_id for section in offer.sections} == {None}
    await b.subscribe()
    assert {participant for participant, _ in b.sections.values()} == {"a"}
    into_c = [await spy_on(c.up), await spy_on(c.down)]
    async with asyncio.timeout(15):
        await b.picture()
    await until(running, lambda stats: stats.rtp_in > 200 and stats.rtcp_out > 10)
    assert [(spy.rtp, spy.rtcp) for spy in into_c] == [([], []), ([], [])]

    await running.client.admit("r", "c", admitted=True)
    seen = await running.event(
        lambda event: event.kind is NodeEventKind.DOWN_OFFER and event.participant_id == "c" and event.offer is not None
    )
    assert seen.offer is not None
    await c.answer_down(seen.offer)
    async with asyncio.timeout(10):
        while not into_c[1].rtp:
            await asyncio.sleep(0.02)

    await running.client.admit("r", "c", admitted=False)
    revoked = await running.client.stats("r")
    await until(running, lambda stats: stats.rtp_in > revoked.rtp_in + 20)  # what was on its way has come by then
    counts = [(len(spy.rtp), len(spy.rtcp)) for spy in into_c]
    before = await running.client.stats("r")
    await until(running, lambda stats: stats.rtp_in > before.rtp_in + 100)
    assert [(len(spy.rtp), len(spy.rtcp)) for spy in into_c] == counts
    assert all(not track.forwards for track in running.node.rooms["r"].participants["c"].up.tracks.values())  # type: ignore[union-attr]


async def test_a_certificate_that_was_not_announced_gets_no_media(running: RunningNode, peers: dict[str, Peer]) -> None:
    a = peers["a"]
    a.change_sdp = lambda sdp: re.sub(r"(a=fingerprint:\S+) (..)(.*)(..)\r\n", r"\1 \4\3\2\r\n", sdp)
    await a.publish(audio=tone())
    closed = await running.event_of(NodeEventKind.CONNECTION_CLOSED, "a")
    assert closed.reason == "dtls_failed"
    assert (await running.client.stats("r")).rtp_in == 0
    assert not [event for event in running.events if event.kind is NodeEventKind.CONNECTED]


@pytest.mark.parametrize("algorithm", ["sha-384", "sha-512"])
async def test_a_stronger_fingerprint_alone_connects(
    running: RunningNode, peers: dict[str, Peer], algorithm: str
) -> None:
    a = peers["a"]
    a.change_sdp = lambda sdp: "".join(
        line + "\r\n"
        for line in sdp.splitlines()
        if not line.startswith("a=fingerprint:") or line.startswith(f"a=fingerprint:{algorithm} ")
    )
    await a.publish(audio=tone())
    await running.event_of(NodeEventKind.CONNECTED, "a")


async def test_the_node_shakes_hands_as_client_where_the_other_side_insists(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    a = peers["a"]
    a.change_sdp = lambda sdp: sdp.replace("a=setup:actpass", "a=setup:passive")
    await a.publish(audio=tone())
    await running.event_of(NodeEventKind.CONNECTED, "a")
    await until(running, lambda stats: stats.rtp_in > 10)


async def test_a_publisher_who_reloads_keeps_its_place_at_the_receivers(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    a, b = peers["a"], peers["b"]
    await a.publish(ColourTrack(60), tone())
    await b.subscribe()
    spy = await spy_on(b.down)
    async with asyncio.timeout(15):
        await b.picture()
    again = Peer(running, "r", "a")
    await again.publish(ColourTrack(220), tone())
    await again.subscribe()
    async with asyncio.timeout(15):
        while int((await b.picture()).to_ndarray(format="gray").mean()) < 150:
            pass
    assert not [event for event in running.events if event.kind is NodeEventKind.DOWN_OFFER]
    assert len({ssrc for ssrc, _ in spy.ciphertexts()}) == 2
    assert max(len(ciphertexts) for ciphertexts in spy.ciphertexts().values()) == 1
    await again.close()


async def test_c40_somebody_without_camera_and_microphone_joins_sees_and_hears(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    a, b = peers["a"], peers["b"]
    await a.publish(ColourTrack(60), tone())
    b.up.addTransceiver("audio", direction="recvonly")
    b.up.addTransceiver("video", direction="recvonly")
    await b.offer_up()
    await b.subscribe()
    async with asyncio.timeout(15):
        await b.picture()
        await b.sound()
    state = (await running.client.state()).rooms["r"].participants["b"]
    assert (state.up, state.sources) == (b.up_id, [])
    assert not a.sections


async def test_a_name_that_cannot_be_resolved_harms_nothing(running: RunningNode, peers: dict[str, Peer]) -> None:
    a = peers["a"]
    local = "a=candidate:11 1 udp 2122260223 3f2b1c9e-7a10-4a55-9d2e-5b0c3f9a1d77.local 40200 typ host\r\n"
    a.change_sdp = lambda sdp: sdp + local
    await a.publish(audio=tone())
    await running.event_of(NodeEventKind.CONNECTED, "a")


async def test_a_goodbye_is_noticed_at_once_and_leaves_nothing_behind(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    a, b = peers["a"], peers["b"]
    await a.publish(ColourTrack(60), tone())
    await b.subscribe()
    async with asyncio.timeout(15):
        await b.picture()
    await a.up.close()
    away = await running.event_of(NodeEventKind.AWAY, "a")
    assert away.reason == "closed_by_peer"
    offer = await running.event_of(NodeEventKind.DOWN_OFFER, "b")
    assert offer.offer is not None
    assert {section.participant_id for section in offer.offer.sections} == {None}
    assert (await running.client.state()).rooms["r"].participants["a"].away
    await running.client.close_room("r")
    async with asyncio.timeout(5):
        while len(running.node.tasks):
            await asyncio.sleep(0.02)
    assert running.node.endpoint._connections == {}
    assert all(not local.routes for local in running.node.endpoint._locals)


async def test_silence_makes_away_and_a_packet_brings_back(running: RunningNode, peers: dict[str, Peer]) -> None:
    a = peers["a"]
    await a.publish(audio=tone())
    await until(running, lambda stats: stats.rtp_in > 10)
    room = running.node.rooms["r"]
    room.tick(time.monotonic_ns() + 4_000 * MS)
    assert not room.participants["a"].away_since_ns
    room.tick(time.monotonic_ns() + 6_000 * MS)
    away = await running.event_of(NodeEventKind.AWAY, "a")
    assert away.reason == "silent"
    room._watched_ns = 0
    room.participants["a"].away_since_ns = time.monotonic_ns()
    await running.event_of(NodeEventKind.BACK, "a")
    room._watched_ns = 0
    room.tick(time.monotonic_ns() + 31_000 * MS)
    closed = await running.event_of(NodeEventKind.CONNECTION_CLOSED, "a")
    assert closed.reason == "silent"


async def test_an_offer_without_an_answer_ends_its_connection(running: RunningNode, peers: dict[str, Peer]) -> None:
    await running.client.down("r", "a", DownRequest(connection_id="d"))
    running.node.rooms["r"].tick(time.monotonic_ns() + 11_000 * MS)
    closed = await running.event_of(NodeEventKind.CONNECTION_CLOSED, "a")
    assert (closed.reason, closed.connection_id) == ("no_answer", "d")


async def test_changes_while_an_offer_is_out_are_merged_into_the_next(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    a, b, c = peers["a"], peers["b"], peers["c"]
    offer = await running.client.down("r", "b", DownRequest(connection_id=b.down_id))
    await a.publish(ColourTrack(60), tone())
    await c.publish(ColourTrack(60), tone())
    await running.client.admit("r", "c", admitted=True)
    assert not [event for event in running.events if event.kind is NodeEventKind.DOWN_OFFER]
    await b.answer_down(offer)
    merged = await running.event_of(NodeEventKind.DOWN_OFFER, "b")
    assert merged.offer is not None
    assert merged.offer.revision == 2
    assert {section.participant_id for section in merged.offer.sections} == {"a", "c"}
    assert [section.mid for section in merged.offer.sections] == ["0", "1", "2", "3"]
    await running.client.remove("r", "a", "left")
    await b.answer_down(merged.offer)

    def is_third(event: NodeEvent) -> bool:
        return event.kind is NodeEventKind.DOWN_OFFER and event.offer is not None and event.offer.revision == 3

    freed = (await running.event(is_third)).offer
    assert freed is not None
    assert [section.mid for section in freed.sections] == ["0", "1", "2", "3"]
    assert [section.participant_id for section in freed.sections].count(None) == 2


async def test_capture_begins_with_the_grant_stops_with_the_call_and_leaves_a_log(
    running: RunningNode, peers: dict[str, Peer], tmp_path: Path
) -> None:
    a, c = peers["a"], peers["c"]
    await a.publish(ColourTrack(60), tone())
    await c.publish(ColourTrack(60), tone())
    assert (await until(running, lambda stats: stats.rtp_in > 100)).captured == 0
    grant = CaptureGrant(recording_id="rec", segment=1, running=True, keys={"a": KEY, "b": KEY})
    assert (await running.client.grant("r", grant)).phase is CapturePhase.RUNNING
    await until(running, lambda stats: stats.captured > 50)

    await running.client.admit("r", "c", admitted=True)
    paused = await running.client.stats("r")
    await until(running, lambda stats: stats.rtp_in > paused.rtp_in + 50)
    assert (await running.client.stats("r")).captured == paused.captured
    keys = {"a": KEY, "b": KEY, "c": KEY}
    await running.client.grant("r", grant.model_copy(update={"keys": keys}))
    await until(running, lambda stats: stats.captured > paused.captured + 50)

    state = await running.client.stop_capture("r", "rec", "withdrawn")
    assert (state.phase, state.reason) == (CapturePhase.STOPPED, "withdrawn")
    stopped = await running.client.stats("r")
    stored = (await running.event_of(NodeEventKind.LOG_STORED)).log
    assert stored is not None
    assert (stored.recording_id, stored.segment, stored.complete) == ("rec", 1, True)
    assert stored.packets == stopped.captured
    assert (tmp_path / "recordings" / stored.path).stat().st_size == stored.bytes
    await until(running, lambda stats: stats.rtp_in > stopped.rtp_in + 50)
    assert (await running.client.stats("r")).captured == stopped.captured
    phases = [event.capture.phase for event in running.events if event.capture is not None]
    assert phases[0] is CapturePhase.RUNNING
    assert CapturePhase.PAUSED in phases
    assert phases[-1] is CapturePhase.STOPPED


async def test_an_event_stream_tells_everything_once_and_resumes_where_it_left(
    running: RunningNode, peers: dict[str, Peer]
) -> None:
    await peers["a"].publish(audio=tone())
    await running.event_of(NodeEventKind.CONNECTED, "a")
    numbers = [event.n for event in running.events[1:]]
    assert numbers == list(range(1, len(numbers) + 1))
    async for event in running.client.events(numbers[-1] - 1):
        if event.kind is not NodeEventKind.HELLO:
            assert event == running.events[-1]
            break
