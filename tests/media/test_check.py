"""The port check: a node answers over UDP and TCP, nothing else does, and nonsense is no answer."""

from __future__ import annotations

import asyncio
import socket

from media.check import Found, check
from tests.media.peers import RunningNode


async def test_a_node_answers_on_both_ways(running: RunningNode) -> None:
    endpoint = running.node.endpoint
    found = await check("127.0.0.1", endpoint.port, endpoint.tcp_port or 0)
    assert [one.transport for one in found] == ["UDP", "TCP"]
    assert all(one.seen_as is not None and one.seen_as.startswith("127.0.0.1:") for one in found)
    assert "answered" in found[0].words


async def test_what_is_no_node_is_told_as_no_answer() -> None:
    def babble(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\0\4what")
        writer.close()

    server = await asyncio.start_server(babble, "127.0.0.1", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        udp_port = closed.getsockname()[1]
    found = await check("127.0.0.1", udp_port, server.sockets[0].getsockname()[1])
    assert found == [Found("UDP", None), Found("TCP", None)]
    server.close()
