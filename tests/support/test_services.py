"""The services that other tests stand on, tried by themselves."""

from __future__ import annotations

import asyncpg
import pytest

from tests.support.postgres import PostgresCluster
from tests.support.redis import RedisServer, redis_server


@pytest.mark.database
async def test_a_copy_of_a_template_has_its_rows_and_goes_its_own_way(postgres: PostgresCluster) -> None:
    postgres.create("pattern")
    postgres.run("CREATE TABLE thing (n int); INSERT INTO thing VALUES (7)", "pattern")
    url = postgres.create("copy", template="pattern").replace("+asyncpg", "")

    connection = await asyncpg.connect(url)
    await connection.execute("DELETE FROM thing")
    assert await connection.fetchval("SELECT count(*) FROM thing") == 0
    await connection.close()

    assert postgres.run("SELECT n FROM thing", "pattern") == "7"
    postgres.drop("copy")
    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(url)


@pytest.mark.database
def test_redis_comes_back_on_its_port_with_nothing_kept(redis: RedisServer) -> None:
    with redis_server() as mine:
        assert mine.port != redis.port
        mine.say("SET place here")
        mine.stop()
        assert mine.say("PING") == ""
        mine.start()
        assert mine.say("GET place") == "$-1"
