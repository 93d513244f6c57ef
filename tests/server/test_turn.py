"""TURN credentials: as coturn computes them, each participant's own, for ten minutes."""

from __future__ import annotations

from datetime import UTC, datetime

from server.config import load_settings
from server.turn import Turn, credential
from signaling.words import ParticipantId

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
