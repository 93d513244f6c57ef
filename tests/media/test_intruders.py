"""Strangers and turncoats at a node with a call on it: what they send moves, opens and counts for nothing."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, cast

import pytest
from aioice import stun

from media.api import DownAnswer, DownRequest, NodeEventKind
from media.dtls import Certificate, DtlsSession
from media.node import HANDSHAKES_AT_ONCE
from tests.bench.relay import describe
from tests.media.light import House
from tests.media.peers import RunningNode


async def until(test: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not test():
            await asyncio.sleep(0.01)


@pytest.fixture
async def house(running: RunningNode) -> AsyncIterator[House]:
    """`a` and `b` in a call."""
    await running.client.create_room("r")
    made = House(running, "r")
    for name in ("a", "b"):
        await running.client.admit("r", name, admitted=True)
        await made.person(name).come()
    await until(lambda: all(len(person.heard) == 2 for person in made.people.values()))
    yield made
    await made.close()


@pytest.fixture
def stranger(running: RunningNode) -> Iterator[socket.socket]:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.connect(("127.0.0.1", running.node.endpoint.port))
    made.setblocking(False)
    yield made
    made.close()


def got_nothing(stranger: socket.socket) -> bool:
    try:
        stranger.recv(2048)
    except BlockingIOError:
        return True
    return False


async def test_only_a_check_that_authenticates_moves_a_call_to_another_address(
    running: RunningNode, house: House, stranger: socket.socket
) -> None:
    """The stranger knows both names and the way checks look, but not the password."""
    down = running.node.rooms["r"].participants["b"].down
    assert down is not None
    path, ufrag = down.connection.path, down.connection.local().ufrag
    routes = len(running.node.endpoint._locals[0].routes)
    dropped = running.node.endpoint.dropped
    for password in ("x" * 24, ""):
        check = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        check.attributes["USERNAME"] = f"{ufrag}:{house.people['b'].down.ufrag}"
        check.attributes["ICE-CONTROLLING"] = 1
        check.attributes["USE-CANDIDATE"] = None
        if password:
            check.add_message_integrity(password.encode())
        stranger.send(bytes(check))
    await until(lambda: running.node.endpoint.dropped >= dropped + 2)
    assert down.connection.path is path
    assert len(running.node.endpoint._locals[0].routes) == routes
    house.people["b"].forget()
    await until(lambda: len(house.people["b"].heard) == 2)
    assert got_nothing(stranger)


async def test_what_was_overheard_and_is_sent_again_counts_once_and_reaches_nobody(
    running: RunningNode, house: House, stranger: socket.socket
) -> None:
    """From the same address and from another."""
    up = house.people["a"].up
    overheard = []
    send = up._sendto

    def listen(datagram: bytes, to: tuple[str, int]) -> int:
        overheard.append(datagram)
        return send(datagram, to)

    cast(Any, up)._sendto = listen
    await until(lambda: sum(127 < one[0] < 192 for one in overheard) >= 20)
    up._sendto = send
    house._work[0].cancel()  # nobody sends anything new from here on
    await asyncio.gather(house._work[0], return_exceptions=True)
    again = [one for one in overheard if 127 < one[0] < 192]
    at_node = ("127.0.0.1", running.node.endpoint.port)
    await settled(running)
    before, dropped = await running.client.stats("r"), running.node.endpoint.dropped
    for datagram in again:
        send(datagram, at_node)
        stranger.send(datagram)
    await until(lambda: running.node.endpoint.dropped >= dropped + 2 * len(again))
    after = await running.client.stats("r")
    assert (after.rtp_in, after.rtp_out) == (before.rtp_in, before.rtp_out)


async def settled(running: RunningNode) -> None:
    """Until no packet has come for a while."""
    seen, since = -1, time.monotonic()
    while time.monotonic() - since < 0.2:
        now = running.node.rooms["r"].counts.rtp_in
        if now != seen:
            seen, since = now, time.monotonic()
        await asyncio.sleep(0.02)


async def test_a_receiver_whose_certificate_is_not_the_announced_one_gets_nothing(
    running: RunningNode, house: House
) -> None:
    await running.client.admit("r", "c", admitted=True)
    impostor = house.person("c")
    offer = await running.client.down("r", "c", DownRequest(connection_id=impostor.down_id))
    sdp = describe.answer(impostor.down, offer.sdp)
    other = Certificate().fingerprint
    sdp = re.sub(r"a=fingerprint:sha-256 \S+", f"a=fingerprint:sha-256 {other}", sdp)
    given = DownAnswer(connection_id=offer.connection_id, revision=offer.revision, sdp=sdp)
    await running.client.down_answer("r", "c", given)
    impostor.down.connect(offer.sdp)
    closed = await running.event_of(NodeEventKind.CONNECTION_CLOSED, "c")
    assert closed.reason == "dtls_failed"
    assert not impostor.arrived
    assert running.node.rooms["r"].participants["c"].down is None


async def test_a_call_that_is_over_leaves_no_keys_and_its_packets_open_nothing(
    running: RunningNode, house: House
) -> None:
    person = running.node.rooms["r"].participants["a"]
    assert person.up is not None
    assert person.down is not None
    connections = [person.up.connection, person.down.connection]
    assert all(one._inbound is not None and one._outbound is not None for one in connections)
    await running.client.remove("r", "a", "left")
    for one in connections:
        assert one._inbound is None
        assert one._outbound is None
    await until(lambda: all(one._dtls.inbound is None and one._dtls.outbound is None for one in connections))
    assert all(one._dtls._transport._rx_srtp is None and one._dtls._transport._tx_srtp is None for one in connections)
    before = running.node.rooms["r"].counts.rtp_in
    house.people["a"].send()
    dropped = running.node.endpoint.dropped
    await until(lambda: running.node.endpoint.dropped > dropped)
    assert running.node.rooms["r"].counts.rtp_in - before < 100  # b's own, which go on


Handshake = Callable[..., Any]


def counted(shake_hands: Handshake, go_on: asyncio.Event, counts: list[int]) -> Handshake:
    """The node's handshakes wait for `go_on`; `counts` are how many are at it now, and were at most."""

    async def handshake(session: DtlsSession, fingerprint: tuple[str, str], *, is_client: bool) -> bool:
        if is_client:  # the other end's, in this same process
            return bool(await shake_hands(session, fingerprint, is_client=is_client))
        counts[0] += 1
        counts[1] = max(counts)
        await go_on.wait()
        done = await shake_hands(session, fingerprint, is_client=is_client)
        counts[0] -= 1
        return bool(done)

    return handshake


async def test_no_more_than_so_many_shake_hands_at_a_time(
    running: RunningNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, counts = asyncio.Event(), [0, 0]
    monkeypatch.setattr(DtlsSession, "handshake", counted(DtlsSession.handshake, go_on, counts))
    await running.client.create_room("r")
    house = House(running, "r")
    coming = []
    for name in (f"p{number}" for number in range(HANDSHAKES_AT_ONCE // 2 + 2)):
        await running.client.admit("r", name, admitted=True)
        coming.append(asyncio.create_task(house.person(name).come()))
    await until(lambda: counts[0] == HANDSHAKES_AT_ONCE)
    waiting = running.node._shared.handshakes
    await until(lambda: waiting.locked() and len(waiting._waiters or ()) == 4)
    assert counts == [HANDSHAKES_AT_ONCE, HANDSHAKES_AT_ONCE]
    go_on.set()
    await asyncio.gather(*coming)
    assert counts == [0, HANDSHAKES_AT_ONCE]
    await house.close()
