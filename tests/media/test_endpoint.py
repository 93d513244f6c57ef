"""Sockets: plain STUN for anybody, everything else only for its own connection; UDP and framed TCP alike."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator

import pytest
from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st

from media.api import Leg
from media.connection import LEFT_AFTER_NS, PATHS_MAX, UDP_PREFERRED_FOR_NS, Connection, Shared
from media.counts import Counts
from media.dtls import Certificate
from media.endpoint import TCP_PER_HOST_MAX, CannotListen, Endpoint, local_addresses
from media.paths import TcpPath
from media.tasks import Tasks


class Person:
    """Stands where a publisher is: hears what its connection tells."""

    def __init__(self) -> None:
        self.closed: list[str] = []

    def handle_rtp(self, packet: bytes, now_ns: int) -> None: ...
    def handle_rtcp(self, packet: bytes, now_ns: int) -> None: ...
    def handle_connected(self, connection: Connection) -> None: ...
    def handle_closed(self, connection: Connection, reason: str) -> None:
        self.closed.append(reason)


class Bench:
    """An endpoint on loopback, and connections made by hand."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.failures: list[BaseException] = []
        self.tasks = Tasks(self.failures.append)
        self.shared = Shared(endpoint, Certificate(), self.tasks, asyncio.Semaphore(8))
        self.counts = Counts()

    def connection(self) -> Connection:
        return Connection(Leg.UP, "c", self.counts, self.shared, Person())


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    endpoint = Endpoint()
    await endpoint.open(["127.0.0.1"], 0)
    made = Bench(endpoint)
    yield made
    await made.tasks.close()
    await endpoint.close()
    assert made.failures == []


class Client:
    """A UDP socket that sends and receives whole datagrams."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.connect(("127.0.0.1", port))

    async def ask(self, data: bytes, timeout_s: float = 1.0) -> bytes | None:
        self.socket.send(data)
        try:
            async with asyncio.timeout(timeout_s):
                return await asyncio.get_running_loop().sock_recv(self.socket, 2048)
        except TimeoutError:
            return None


@pytest.fixture
def client(bench: Bench) -> Iterator[Client]:
    made = Client(bench.endpoint.port)
    yield made
    made.socket.close()


def check(connection: Connection, *, nominate: bool = False, password: str | None = None) -> bytes:
    local = connection.local()
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    message.attributes["USERNAME"] = f"{local.ufrag}:theirs"
    message.attributes["ICE-CONTROLLING"] = 1
    if nominate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity((password or local.password).encode())
    return bytes(message)


def plain() -> bytes:
    return bytes(stun.Message(stun.Method.BINDING, stun.Class.REQUEST))


async def test_anybody_learns_their_own_address(bench: Bench, client: Client) -> None:
    reply = await client.ask(plain())
    assert reply is not None
    assert stun.parse_message(reply).attributes["XOR-MAPPED-ADDRESS"] == client.socket.getsockname()
    assert bench.endpoint.plain_bindings == 1


async def test_plain_answers_to_one_address_are_limited(bench: Bench, client: Client) -> None:
    for _ in range(60):
        client.socket.send(plain())
    async with asyncio.timeout(2):
        while bench.endpoint.plain_bindings + bench.endpoint.dropped < 60:
            await asyncio.sleep(0.01)
    assert bench.endpoint.plain_bindings <= 20


async def test_a_check_makes_a_way_and_a_nomination_chooses_it(bench: Bench, client: Client) -> None:
    connection = bench.connection()
    assert await client.ask(check(connection)) is not None
    first = connection.path
    other = Client(bench.endpoint.port)
    assert await other.ask(check(connection)) is not None
    assert connection.path is first
    assert await other.ask(check(connection, nominate=True)) is not None
    assert connection.path is not first
    assert (bench.counts.stun_in, bench.counts.stun_out) == (3, 3)
    other.socket.close()
    connection.close()


async def test_whoever_moves_without_nominating_is_followed_once_the_old_way_is_silent(
    bench: Bench, client: Client
) -> None:
    """As Firefox and aiortc do, behind a NAT that gives them another address in mid-call."""
    connection = bench.connection()
    await client.ask(check(connection, nominate=True))
    moved = Client(bench.endpoint.port)
    await moved.ask(check(connection))
    first = connection.path
    assert first is not None
    assert first.key == bench.endpoint._locals[0].reader.key(client.socket.getsockname())
    first.heard_ns -= LEFT_AFTER_NS + 1
    connection.tend_paths(first.heard_ns + LEFT_AFTER_NS)
    assert connection.path is first
    await moved.ask(check(connection))
    assert connection.path is not first
    assert connection.path is not None
    assert connection.path.key == bench.endpoint._locals[0].reader.key(moved.socket.getsockname())
    moved.socket.close()
    connection.close()


async def test_a_check_that_does_not_authenticate_makes_no_way(bench: Bench, client: Client) -> None:
    connection = bench.connection()
    assert await client.ask(check(connection, password="x" * 24), 0.1) is None
    assert connection.path is None
    assert bench.counts.stun_in == 0
    connection.close()


async def test_an_address_belongs_to_the_last_valid_check_and_the_loser_stops_sending_there(
    bench: Bench, client: Client
) -> None:
    first, second = bench.connection(), bench.connection()
    await client.ask(check(first, nominate=True))
    await client.ask(check(second, nominate=True))
    assert first.path is None
    assert second.path is not None
    assert second.path.connection is second
    first.close()
    second.close()


async def test_addresses_of_a_connection_are_bounded(bench: Bench) -> None:
    connection = bench.connection()
    clients = [Client(bench.endpoint.port) for _ in range(PATHS_MAX + 4)]
    for one in clients:
        assert await one.ask(check(connection)) is not None
    assert len(connection._paths) == PATHS_MAX
    assert len(bench.endpoint._locals[0].routes) == PATHS_MAX
    connection.tend_paths(10**18)
    assert len(connection._paths) == 1
    for one in clients:
        one.socket.close()
    connection.close()


async def test_after_a_restart_the_old_name_holds_until_the_new_one_is_nominated(bench: Bench, client: Client) -> None:
    connection = bench.connection()
    old = check(connection, nominate=True)
    assert await client.ask(old) is not None
    connection.restart()
    assert await client.ask(old) is not None
    assert await client.ask(check(connection)) is not None
    assert await client.ask(old) is not None
    assert await client.ask(check(connection, nominate=True)) is not None
    assert await client.ask(old, 0.1) is None
    connection.close()


async def test_after_closing_nothing_of_a_connection_is_known(bench: Bench, client: Client) -> None:
    connection = bench.connection()
    await client.ask(check(connection, nominate=True))
    await client.ask(b"\x16dtls greeting", 0.05)
    data = check(connection)
    connection.close()
    await bench.tasks.settle(2)
    assert await client.ask(data, 0.1) is None
    assert bench.endpoint._connections == {}
    assert bench.endpoint._locals[0].routes == {}


@pytest.mark.parametrize(
    "data", [b"\x80media from nowhere", b"\x16dtls from nowhere", b"", b"\xff" * 1600, b"\x00" * 30]
)
async def test_what_belongs_to_nobody_is_dropped_and_counted(bench: Bench, client: Client, data: bytes) -> None:
    assert await client.ask(data, 0.1) is None
    assert bench.endpoint.dropped == 1


@settings(max_examples=40, deadline=None)
@given(data=st.binary(max_size=200), first=st.integers(0, 255))
def test_no_datagram_stops_the_reading(data: bytes, first: int) -> None:
    async def run() -> None:
        endpoint = Endpoint()
        await endpoint.open(["127.0.0.1"], 0, with_tcp=False)
        bench = Bench(endpoint)
        connection = bench.connection()
        client = Client(endpoint.port)
        await client.ask(check(connection, nominate=True))
        client.socket.send(bytes((first,)) + data)
        assert await client.ask(check(connection)) is not None
        client.socket.close()
        connection.close()
        await bench.tasks.close()
        await endpoint.close()

    asyncio.run(run())


async def tcp(bench: Bench) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert bench.endpoint.tcp_port is not None
    return await asyncio.open_connection("127.0.0.1", bench.endpoint.tcp_port)


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(2, "big") + data


async def test_a_check_over_tcp_is_answered_in_a_frame_of_its_own(bench: Bench) -> None:
    connection = bench.connection()
    reader, writer = await tcp(bench)
    data = framed(check(connection, nominate=True))
    for byte in data:
        writer.write(bytes((byte,)))
        await asyncio.sleep(0)
    length = int.from_bytes(await reader.readexactly(2), "big")
    reply = stun.parse_message(await reader.readexactly(length))
    assert reply.message_class == stun.Class.RESPONSE
    assert connection.path is not None
    assert connection.path.is_tcp
    connection.close()
    await bench.tasks.settle(2)
    assert await reader.read() == b""
    writer.close()


async def test_the_kernel_hoards_little_of_what_a_slow_reader_does_not_take(bench: Bench) -> None:
    """Else seconds of pictures would lie where sound can't overtake them; the reader is slow from the start."""
    connection = bench.connection()
    slow = socket.socket()
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    slow.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(slow, ("127.0.0.1", bench.endpoint.tcp_port))
    await loop.sock_sendall(slow, framed(check(connection, nominate=True)))
    async with asyncio.timeout(2):
        while connection.path is None:
            await asyncio.sleep(0.01)
    path, sent = connection.path, 0
    assert isinstance(path, TcpPath)
    while len(path._waiting) == 0:
        path.send(b"\x90\x60" + bytes(1200))
        sent += 1200
        await asyncio.sleep(0)
    assert sent < 200_000  # by itself it would take some megabytes
    connection.close()
    slow.close()


async def test_tcp_takes_over_only_once_udp_has_been_silent(bench: Bench, client: Client) -> None:
    connection = bench.connection()
    await client.ask(check(connection, nominate=True))
    reader, writer = await tcp(bench)
    assert connection.path is not None
    connection._udp_heard_ns = connection.path.heard_ns
    writer.write(framed(check(connection, nominate=True)))
    await reader.readexactly(2)
    assert not connection.path.is_tcp
    connection._udp_heard_ns -= UDP_PREFERRED_FOR_NS
    writer.write(framed(check(connection, nominate=True)))
    async with asyncio.timeout(2):
        while not connection.path.is_tcp:
            await asyncio.sleep(0.01)
    connection.close()
    writer.close()


async def test_a_frame_that_is_too_long_ends_the_connection(bench: Bench) -> None:
    reader, writer = await tcp(bench)
    writer.write((1501).to_bytes(2, "big") + b"x")
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()


async def test_tcp_without_a_valid_check_is_closed_in_time(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.paths.CHECK_WITHIN_S", 0.05)
    reader, writer = await tcp(bench)
    writer.write(framed(b"\x16 something that is no check"))
    assert await asyncio.wait_for(reader.read(), 2) == b""
    writer.close()


async def test_one_host_gets_a_bounded_number_of_tcp_connections(bench: Bench) -> None:
    opened = [await tcp(bench) for _ in range(TCP_PER_HOST_MAX + 1)]
    assert await asyncio.wait_for(opened[-1][0].read(), 2) == b""
    assert len(bench.endpoint._tcp) == TCP_PER_HOST_MAX
    for _, writer in opened:
        writer.close()
    async with asyncio.timeout(2):
        while bench.endpoint._tcp:
            await asyncio.sleep(0.01)
    assert bench.endpoint._tcp_hosts == {}


async def test_all_hosts_together_get_a_bounded_number_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.endpoint.TCP_MAX", 3)
    opened = [await tcp(bench) for _ in range(4)]
    assert await asyncio.wait_for(opened[-1][0].read(), 2) == b""
    assert len(bench.endpoint._tcp) == 3
    for _, writer in opened:
        writer.close()


async def test_a_taken_port_is_said_and_leaves_nothing_open(bench: Bench) -> None:
    other = Endpoint()
    with pytest.raises(CannotListen, match=rf"127\.0\.0\.1:{bench.endpoint.port}"):
        await other.open(["127.0.0.1"], bench.endpoint.port)
    assert other._locals == []


async def test_candidates_say_what_is_advertised() -> None:
    endpoint = Endpoint()
    await endpoint.open(["127.0.0.1"], 0, advertised=["198.51.100.7", "2001:db8::7"], with_tcp=False)
    assert [line.split()[4] for line in endpoint.candidates] == ["198.51.100.7", "2001:db8::7"]
    assert endpoint.ice_servers == [
        f"stun:198.51.100.7:{endpoint.port}",
        f"stun:[2001:db8::7]:{endpoint.port}",
    ]
    await endpoint.close()


def test_loopback_is_used_when_asked_for_or_alone() -> None:
    assert local_addresses(True)[-1] == "127.0.0.1"
    assert local_addresses(False) != []
    assert all(not address.startswith("fe80") for address in local_addresses(True))
