"""Node API v1 over the wire: who may call, what a bad call gets, that every call may be repeated."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
import pytest

from media import api
from media.api import (
    STATUS,
    CaptureGrant,
    CapturePhase,
    DownAnswer,
    DownRequest,
    NodeEventKind,
    NodeRefusal,
    SealingKey,
    Source,
    UpOffer,
)
from media.client import NodeClient, NodeRefused, NodeUnreachable
from media.control import make_app
from tests.media.descriptions import audio, offer, video
from tests.media.peers import RunningNode, running_node, settings_for

UP = UpOffer(
    connection_id="up1",
    revision=0,
    sdp=offer(audio(), video()),
    sources={"0": Source.MICROPHONE, "1": Source.CAMERA},
)


def grant(*people: str, running: bool = True, segment: int = 1, key: str = "A" * 43 + "=") -> CaptureGrant:
    keys = {person: SealingKey(key=key, wrapped="d3JhcHBlZA==") for person in people}
    return CaptureGrant(recording_id="rec", segment=segment, running=running, keys=keys)


def routes(running: RunningNode) -> list[tuple[str, str]]:
    return [
        (route.method, route.resource.canonical)
        for route in make_app(running.node).router.routes()
        if route.resource is not None and route.method != "HEAD"
    ]


async def ask(running: RunningNode, method: str, path: str, **given: object) -> tuple[int, str]:
    """(status, error code)."""
    headers = {"Authorization": f"Bearer {running.node.secret}", **given.pop("headers", {})}  # type: ignore[dict-item]
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, running.client.base_url + path, headers=headers, **given) as response,  # type: ignore[arg-type]
    ):
        answer = await response.json() if "json" in response.headers["Content-Type"] else {}
        return response.status, answer.get("error", "")


async def refused(call: object) -> NodeRefusal:
    with pytest.raises(NodeRefused) as caught:
        await call  # type: ignore[misc]
    return caught.value.code


async def test_every_call_of_the_contract_is_served_and_nothing_else(running: RunningNode) -> None:
    told = set(re.findall(r"`(GET|PUT|POST|DELETE) (\S+?)[?`]", api.__doc__ or ""))
    told = {(method, path.replace("…", "/v1/rooms/{room_id}/participants")) for method, path in told}
    told |= {("GET", "/readyz"), ("GET", "/metrics")}
    assert set(routes(running)) == told


async def test_a_stranger_is_refused_everywhere_but_at_the_open_paths(running: RunningNode) -> None:
    for method, path in routes(running):
        if path in ("/livez", "/readyz", "/metrics"):
            continue
        for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": "\u00e9"}, {"Authorization": ""}):
            at = path.replace("{room_id}", "r").replace("{participant_id}", "p")
            assert await ask(running, method, at, headers=headers) == (401, "not_authorised"), (method, path)


async def test_the_open_paths_tell_nothing_of_anybody(running: RunningNode) -> None:
    await running.client.create_room("room-of-somebody")
    await running.client.admit("room-of-somebody", "somebody", admitted=True)
    async with aiohttp.ClientSession() as session:
        for path in ("/livez", "/readyz", "/metrics"):
            async with session.get(running.client.base_url + path) as response:
                assert response.status == 200
                assert "somebody" not in await response.text()
        async with session.get(running.client.base_url + "/metrics") as response:
            text = await response.text()
    assert "bedside_media_rooms 1.0" in text
    assert 'bedside_media_total{kind="rtp_in"} 0.0' in text
    assert "bedside_media_participants 1.0" in text
    for kind in ("rtp_out", "nack_in", "nack_out", "pli_in", "pli_out", "rtx_in", "rtx_out", "lost_in"):
        assert f'bedside_media_total{{kind="{kind}"}} 0.0' in text
    assert 'bedside_media_loop_lag_ms{quantile="max"}' in text
    assert "bedside_media_log_lines_dropped_total 0.0" in text
    for name in ("tracks", "round_trip_seconds_max", "loss_ratio_max", "capture_lag_ms"):
        assert f"bedside_media_{name} 0.0" in text


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("PUT", "/v1/rooms/r", "{", "malformed"),
        ("PUT", "/v1/rooms/r", "[]", "malformed"),
        ("PUT", "/v1/rooms/r", '{"v": 2}', "reload_needed"),
        ("PUT", "/v1/rooms/r", '{"v": 1, "name": "x"}', "malformed"),
        ("PUT", "/v1/rooms/r%20r", '{"v": 1}', "malformed"),
        ("PUT", "/v1/rooms/" + "r" * 65, '{"v": 1}', "malformed"),
        ("PUT", "/v1/rooms/r/participants/p", '{"v": 1}', "malformed"),
        ("PUT", "/v1/rooms/none/participants/p", '{"v": 1, "admitted": true}', "not_found"),
        ("POST", "/v1/rooms/r/participants/p/down", "", "malformed"),
        ("POST", "/v1/rooms/r/participants/p/up", '{"connection_id": "c", "revision": -1, "sdp": "v=0"}', "malformed"),
        ("GET", "/v1/events?after=-1", None, "malformed"),
        ("GET", "/v1/events?after=٣", None, "malformed"),
        ("GET", "/v1/nothing", None, "not_found"),
        ("POST", "/v1/rooms", None, "not_found"),
        ("DELETE", "/v1/rooms/r/capture", None, "malformed"),
    ],
)  # fmt: skip
async def test_a_bad_call_gets_its_coded_refusal(
    running: RunningNode, method: str, path: str, body: str | None, code: str
) -> None:
    await running.client.create_room("r")
    assert await ask(running, method, path, data=body) == (STATUS[NodeRefusal(code)], code)


async def test_a_long_description_is_too_long_and_so_is_a_long_body(running: RunningNode) -> None:
    await running.client.create_room("r")
    await running.client.admit("r", "p", admitted=True)
    path = "/v1/rooms/r/participants/p/up"
    for size in (65 * 1024, 1024 * 1024):
        body = {"v": 1, "connection_id": "c", "revision": 0, "sdp": "v=0\n" + "a" * size}
        assert await ask(running, "POST", path, json=body) == (413, "too_long")


async def test_a_description_the_node_cannot_use_is_refused_and_the_next_one_taken(running: RunningNode) -> None:
    await running.client.create_room("r")
    await running.client.admit("r", "p", admitted=True)
    for sdp in ("hello", offer(audio()).replace("sha-256", "sha-1"), offer(audio()).replace("a=ice-pwd", "a=ice-x")):
        bad = UP.model_copy(update={"sdp": sdp})
        assert await refused(running.client.up("r", "p", bad)) is NodeRefusal.UNSUPPORTED_SDP
    answer = await running.client.up("r", "p", UP)
    assert all(section.accepted for section in answer.sections)


async def test_every_call_may_be_repeated(running: RunningNode) -> None:
    client = running.client
    first = await client.create_room("r")
    assert await client.create_room("r") == first
    assert first.ice_servers == [f"stun:127.0.0.1:{running.node.endpoint.port}"]
    for _ in range(2):
        await client.admit("r", "p", admitted=True, picture_first=True)
    assert await client.up("r", "p", UP) == await client.up("r", "p", UP)
    request = DownRequest(connection_id="down1")
    assert await client.down("r", "p", request) == await client.down("r", "p", request)
    for _ in range(2):
        await client.remove("r", "p", "left")
    for _ in range(2):
        await client.close_room("r")
    assert (await client.state()).rooms == {}


async def test_a_participant_who_was_not_announced_gets_no_connection(running: RunningNode) -> None:
    await running.client.create_room("r")
    assert await refused(running.client.up("r", "p", UP)) is NodeRefusal.NOT_ADMITTED
    assert await refused(running.client.down("r", "p", DownRequest(connection_id="d"))) is NodeRefusal.NOT_ADMITTED


async def test_old_revisions_are_stale(running: RunningNode) -> None:
    client = running.client
    await client.create_room("r")
    await client.admit("r", "p", admitted=True)
    await client.up("r", "p", UP.model_copy(update={"revision": 3}))
    old = UP.model_copy(update={"revision": 2})
    assert await refused(client.up("r", "p", old)) is NodeRefusal.STALE_REVISION
    down = await client.down("r", "p", DownRequest(connection_id="down1"))
    again = await client.down("r", "p", DownRequest(connection_id="down1", restart=True))
    assert again.revision == down.revision + 1
    text = offer(audio(direction="inactive"), video(direction="inactive")).replace("actpass", "active")
    late = DownAnswer(connection_id="down1", revision=down.revision, sdp=text)
    assert await refused(client.down_answer("r", "p", late)) is NodeRefusal.STALE_REVISION
    right = DownAnswer(connection_id="down1", revision=again.revision, sdp=text)
    for _ in range(2):
        await client.down_answer("r", "p", right)


async def test_a_connection_that_was_replaced_cannot_be_resumed(running: RunningNode) -> None:
    client = running.client
    await client.create_room("r")
    await client.admit("r", "p", admitted=True)
    await client.up("r", "p", UP)
    await client.down("r", "p", DownRequest(connection_id="down1"))
    await client.up("r", "p", UP.model_copy(update={"connection_id": "up2"}))
    await client.down("r", "p", DownRequest(connection_id="down2"))
    assert await refused(client.up("r", "p", UP.model_copy(update={"revision": 9}))) is NodeRefusal.NOT_FOUND
    assert await refused(client.down("r", "p", DownRequest(connection_id="down1"))) is NodeRefusal.NOT_FOUND
    restart = DownRequest(connection_id="down9", restart=True)
    assert await refused(client.down("r", "p", restart)) is NodeRefusal.NOT_FOUND


async def test_a_down_offer_has_a_place_for_sound_and_picture_before_anybody_is_there(running: RunningNode) -> None:
    client = running.client
    await client.create_room("r")
    await client.admit("r", "p", admitted=True)
    down = await client.down("r", "p", DownRequest(connection_id="down1"))
    assert [(one.mid, one.kind, one.participant_id) for one in down.sections] == [
        ("0", "audio", None),
        ("1", "video", None),
    ]
    assert down.sdp.count("a=inactive") == 2


async def test_a_room_has_as_much_room_as_its_node_is_told(tmp_path: Path) -> None:
    async with running_node(settings_for(tmp_path, max_participants=2)) as node:
        await node.client.create_room("r")
        for name in ("p0", "p1", "p0"):
            await node.client.admit("r", name, admitted=False)
        assert await refused(node.client.admit("r", "p2", admitted=False)) is NodeRefusal.AT_CAPACITY
        await node.client.remove("r", "p0", "left")
        await node.client.admit("r", "p2", admitted=False)


async def test_c125_below_the_floor_of_its_disk_it_records_nothing_and_says_so_everywhere(tmp_path: Path) -> None:
    async with running_node(settings_for(tmp_path, min_free_bytes=2**62)) as running:
        await running.client.create_room("r")
        await running.client.admit("r", "a", admitted=True)
        assert await refused(running.client.grant("r", grant("a"))) is NodeRefusal.STORAGE_FULL
        assert STATUS[NodeRefusal.STORAGE_FULL] == 507
        figures = (await running.event_of(NodeEventKind.DISK)).figures
        assert figures is not None
        assert (figures["low"], figures["floor_bytes"]) == (1.0, float(2**62))
        assert b"bedside_media_disk_low 1.0" in running.node.metrics()
        assert (await running.client.state()).rooms["r"].capture.phase is CapturePhase.OFF


async def test_a_room_has_room_for_sixteen(running: RunningNode) -> None:
    await running.client.create_room("r")
    for number in range(16):
        await running.client.admit("r", f"p{number}", admitted=False)
    assert await refused(running.client.admit("r", "p16", admitted=False)) is NodeRefusal.AT_CAPACITY


async def test_a_grant_must_name_everybody_admitted(running: RunningNode) -> None:
    client = running.client
    await client.create_room("r")
    await client.admit("r", "a", admitted=True)
    await client.admit("r", "b", admitted=True)
    await client.admit("r", "waiting", admitted=False)
    assert await refused(client.grant("r", grant("a"))) is NodeRefusal.GRANT_INCOMPLETE
    assert (await client.state()).rooms["r"].capture.phase is CapturePhase.OFF
    assert (await client.grant("r", grant("a", "b"))).phase is CapturePhase.RUNNING
    assert (await client.grant("r", grant("a", "b", running=False))).phase is CapturePhase.PAUSED


async def test_somebody_admitted_without_having_agreed_pauses_capture_by_itself(running: RunningNode) -> None:
    client = running.client
    await client.create_room("r")
    await client.admit("r", "a", admitted=True)
    await client.grant("r", grant("a"))
    await client.admit("r", "newcomer", admitted=True)
    state = (await client.state()).rooms["r"].capture
    assert (state.phase, state.reason) == (CapturePhase.PAUSED, "not_everybody_granted")
    assert (await client.grant("r", grant("a", "newcomer"))).phase is CapturePhase.RUNNING


async def test_a_key_that_is_none_is_malformed_and_leaves_nothing_running(running: RunningNode) -> None:
    client = running.client
    await client.create_room("r")
    await client.admit("r", "a", admitted=True)
    assert await refused(client.grant("r", grant("a", key="AAAA"))) is NodeRefusal.MALFORMED
    assert (await client.state()).rooms["r"].capture.phase is CapturePhase.OFF
    assert (await client.grant("r", grant("a"))).phase is CapturePhase.RUNNING


async def test_a_stopped_segment_says_why_and_is_never_opened_again(running: RunningNode) -> None:
    client = running.client
    await client.create_room("r")
    await client.admit("r", "a", admitted=True)
    await client.grant("r", grant("a"))
    await client.stop_capture("r", "rec", "withdrawn")
    state = (await client.state()).rooms["r"].capture
    assert (state.recording_id, state.segment, state.phase, state.reason) == (
        "rec",
        1,
        CapturePhase.STOPPED,
        "withdrawn",
    )
    assert await refused(client.grant("r", grant("a"))) is NodeRefusal.STALE_REVISION
    assert (await client.grant("r", grant("a", segment=2))).phase is CapturePhase.RUNNING


async def test_stopping_what_does_not_run_is_fine(running: RunningNode) -> None:
    await running.client.create_room("r")
    state = await running.client.stop_capture("r", "rec", "withdrawn")
    assert (state.phase, state.reason) == (CapturePhase.STOPPED, "withdrawn")


async def test_a_draining_node_keeps_its_rooms_and_takes_no_new_one(running: RunningNode) -> None:
    await running.client.create_room("r")
    running.node.drain()
    assert (await ask(running, "GET", "/readyz"))[0] == 503
    await running.client.create_room("r")
    assert await refused(running.client.create_room("other")) is NodeRefusal.DRAINING
    assert (await running.client.state()).draining


async def test_a_node_that_is_not_there_is_unreachable() -> None:
    async with NodeClient("http://127.0.0.1:9", "x" * 20) as client:
        with pytest.raises(NodeUnreachable):
            await client.state()
        with pytest.raises(NodeUnreachable):
            async for _ in client.events(0):
                pass


async def test_a_wrong_secret_is_a_refusal_also_of_the_event_stream(running: RunningNode) -> None:
    async with NodeClient(running.client.base_url, "wrong") as client:
        assert await refused(client.state()) is NodeRefusal.NOT_AUTHORISED
        with pytest.raises(NodeRefused):
            async for _ in client.events(0):
                pass
