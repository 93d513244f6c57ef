"""Fixtures of the room's tests: a house with a clinic, a cast and a server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from signaling.words import Role
from tests.signaling.house import House
from tests.support.certificates import Certificate, issue
from tests.support.redis import RedisServer


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    folder: Path = tmp_path_factory.mktemp("tls")
    return issue(folder, "127.0.0.1")


def cast(house: House) -> None:
    """Doctor, patient, guest, interpreter; a stranger has a session and no participation here."""
    clinic = house.clinic
    clinic.add_room("room1")
    clinic.invite("doctor", Role.DOCTOR, name="Dr Adeyemi", person="doctor1")
    clinic.invite("patient", Role.PATIENT, name="Anna Marker", birth_date="1970-01-02")
    clinic.invite("guest", Role.GUEST, name="Gus Marker")
    clinic.add_room("room2", doctor="doctor2")
    clinic.invite("stranger", Role.PATIENT, room="room2")
    clinic.sign_in("staff-doctor1", "doctor1")
    clinic.sign_in("staff-doctor2", "doctor2")


@pytest.fixture
async def house(certificate: Certificate) -> AsyncIterator[House]:
    """One server with its state in memory."""
    built = House(certificate)
    cast(built)
    await built.serve()
    yield built
    await built.close()


@pytest.fixture
def own_redis(redis: RedisServer) -> RedisServer:
    redis.flush()
    return redis


@pytest.fixture
async def two_servers(certificate: Certificate, own_redis: RedisServer) -> AsyncIterator[House]:
    """Two servers that share one Redis."""
    built = House(certificate, redis_url=own_redis.url)
    cast(built)
    await built.serve()
    await built.serve()
    yield built
    await built.close()
