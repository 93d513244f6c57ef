"""PostgreSQL or Redis goes away under a running server: it says it isn't ready, and serves again when they are back."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import pytest

from tests.support.bedside import Spread, is_ready
from tests.support.postgres import PostgresCluster, postgres_cluster
from tests.support.processes import free_port, wait_until
from tests.support.redis import RedisServer, redis_server


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[PostgresCluster]:
    with postgres_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="module")
def own_redis() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture(scope="module")
def url(
    own_postgres: PostgresCluster, own_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("gone")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    spread = Spread(folder, own_postgres.create("gone"), own_redis.url, public_url=address, servers=1, port=port)
    try:
        spread.start()
        yield address
    finally:
        spread.stop()


def opens(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/demo", timeout=5) as page:
        return bool(page.status == 200)


def test_redis_gone_is_not_ready_and_back_is_ready(url: str, own_redis: RedisServer) -> None:
    assert is_ready(url)
    own_redis.stop()
    wait_until(lambda: not is_ready(url), 10, "not ready while unsubscribed")
    own_redis.start()
    wait_until(lambda: is_ready(url), 20, "ready again")


def test_a_database_that_restarts_costs_no_server(url: str, own_postgres: PostgresCluster) -> None:
    assert opens(url)
    own_postgres.stop()
    wait_until(lambda: not is_ready(url), 10, "not ready without its database")
    own_postgres.start()
    wait_until(lambda: is_ready(url), 20, "ready again")
    assert opens(url)
