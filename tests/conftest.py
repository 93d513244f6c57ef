"""Fixtures that every folder may use: the real services, started once per test process and only when asked for.

A folder's own fixtures live in its own conftest; what the services are asked for is in `tests/support/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.postgres import PostgresCluster, postgres_cluster
from tests.support.redis import RedisServer, redis_server

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresCluster]:
    """One PostgreSQL cluster for the whole test process."""
    with postgres_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def redis() -> Iterator[RedisServer]:
    """One Redis for the whole test process; `redis.flush()` empties it. Stop only one of your own (redis_server)."""
    with redis_server() as server:
        yield server
