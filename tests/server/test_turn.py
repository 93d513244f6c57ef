"""TURN credentials: as coturn computes them, each participant's own, for ten minutes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aioice import stun, turn

from server.config import load_settings
from server.turn import Turn, credential
from signaling.words import ParticipantId
from tests.support.processes import Program, free_port

NOW = datetime(2026, 5, 28, 20, 16, 40, tzinfo=UTC)
URLS = "turn:turn.example.org:3478,turns:turn.example.org:443"
SECRET = "bedside-test-secret"
ENVIRON = {"BEDSIDE_ENV": "development", "BEDSIDE_TURN_URLS": URLS, "BEDSIDE_TURN_SECRET": SECRET}


def test_the_password_is_the_servers_own() -> None:
    """C30's vector."""
    assert credential(SECRET, "1780000600:p1") == "chU4PGOjdj1k3ukUbsgrmieSmPs="


def test_every_address_is_told_with_credentials_of_this_person_and_time() -> None:
    told = Turn(load_settings(ENVIRON), lambda: NOW).ice_servers(ParticipantId("p1"))
    assert [one["urls"] for one in told] == URLS.split(",")
    expires = int(NOW.timestamp()) + 600
    assert {one["username"] for one in told} == {f"{expires}:p1"}
    assert {one["credential"] for one in told} == {credential(SECRET, f"{expires}:p1")}
    assert SECRET not in str(told)


def test_without_a_turn_server_nothing_is_told() -> None:
    assert Turn(load_settings({"BEDSIDE_ENV": "development"}), lambda: NOW).ice_servers(ParticipantId("p1")) == []


@pytest.fixture
def coturn(tmp_path: Path) -> Iterator[int]:
    """The port of a coturn that shares our secret."""
    port = free_port()
    options = [
        *("-n", "--no-cli", "--no-tls", "--no-dtls", "--use-auth-secret", "--static-auth-secret", SECRET),
        *("--realm", "bedside.test", "--listening-ip", "127.0.0.1", "--relay-ip", "127.0.0.1"),
        *("--listening-port", str(port), "--log-file", "stdout", "--simple-log", "--pidfile", f"{tmp_path}/pid"),
        *("--userdb", f"{tmp_path}/turn.db"),
    ]
    program = Program(["turnserver", *options], log=tmp_path / "turn.log", cwd=tmp_path)
    program.wait_ready(lambda: "Total General servers" in program.output())
    yield port
    program.stop(timeout_s=5)


async def allocate(port: int, told: dict[str, str]) -> None:
    """A relay at the server, as a browser asks for one. Raises TransactionFailed."""
    transport, _ = await turn.create_turn_endpoint(
        asyncio.DatagramProtocol,
        server_addr=("127.0.0.1", port),
        username=told["username"],
        password=told["credential"],
    )
    transport.close()


async def test_a_turn_server_takes_them_until_they_run_out(coturn: int) -> None:
    settings = load_settings(ENVIRON)
    now = datetime.now(UTC)
    await allocate(coturn, Turn(settings, lambda: now).ice_servers(ParticipantId("p1"))[0])
    long_ago = Turn(settings, lambda: now - timedelta(minutes=11)).ice_servers(ParticipantId("p1"))[0]
    with pytest.raises(stun.TransactionFailed):
        await allocate(coturn, long_ago)
