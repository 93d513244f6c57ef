"""The test networks, tried by themselves: a NAT is a NAT, a loss is a loss, and coturn answers."""

from __future__ import annotations

import socket
import subprocess
import sys
import time

import pytest

from tests.support.coturn import turn_server
from tests.support.network import Host, may_make_networks, network
from tests.support.udplink import UdpLink, Weather

needs_root = pytest.mark.skipif(not may_make_networks(), reason="namespaces need root")

ECHO = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind((sys.argv[1], int(sys.argv[2]))); s.settimeout(5)
print("listening", flush=True)
while True:
    data, who = s.recvfrom(100); s.sendto(f"{who[0]} {who[1]}".encode(), who)
"""
ASK = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("0.0.0.0", 5555)); s.settimeout(2)
for port in sys.argv[2:]:
    s.sendto(b"?", (sys.argv[1], int(port))); print(s.recv(100).decode())
"""


def seen_from_outside(home: Host, server: Host) -> list[str]:
    """The address and port under which two listeners of the server see one socket of the home."""
    listeners = []
    try:
        for port in ("7001", "7002"):
            command = [*server.inside, sys.executable, "-c", ECHO, server.address, port]
            listener = subprocess.Popen(command, stdout=subprocess.PIPE)
            listeners.append(listener)
            assert listener.stdout is not None
            listener.stdout.readline()
        return home.run(sys.executable, "-c", ASK, server.address, "7001", "7002").splitlines()
    finally:
        for listener in listeners:
            listener.kill()
            listener.communicate()


@needs_root
@pytest.mark.database
def test_one_kind_of_nat_keeps_the_port_and_the_other_draws_one_for_each_peer() -> None:
    with network("t") as net:
        server = net.host("s")
        plain = seen_from_outside(net.home("a"), server)
        strict = seen_from_outside(net.home("b", "endpoint-dependent"), server)
    assert plain[0] == plain[1]
    assert plain[0].endswith(" 5555")
    assert strict[0] != strict[1]


def test_a_link_loses_what_it_logs_and_delays_the_rest() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as target,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        target.bind(("127.0.0.1", 0))
        target.settimeout(2)
        client.settimeout(2)
        weather = Weather(delay_s=0.05, drop=lambda packet, out: packet == b"lost")
        with UdpLink(target.getsockname(), weather) as link:
            sent = time.monotonic()
            client.sendto(b"lost", link.address)
            client.sendto(b"kept", link.address)
            packet, back = target.recvfrom(100)
            assert packet == b"kept"
            assert time.monotonic() - sent >= 0.05
            target.sendto(b"answer", back)
            assert client.recv(100) == b"answer"
        assert [loss.head for loss in link.losses] == [b"lost"]


@pytest.mark.database
def test_coturn_answers_a_binding_request() -> None:
    with turn_server() as turn:
        host, port = turn.url.removeprefix("turn:").split(":")
        request = bytes.fromhex("0001000021 12a442".replace(" ", "")) + b"0123456789ab"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(3)
            client.sendto(request, (host, int(port)))
            assert client.recv(200)[:2] == b"\x01\x01"
