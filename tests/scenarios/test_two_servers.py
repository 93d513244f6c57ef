"""Two `bedside server` processes serve one visit over PostgreSQL and Redis, each person on another one of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.scenarios import room
from tests.scenarios.clinic import book_and_get_link, come_by_link, open_visit, sign_in
from tests.support.bedside import Spread
from tests.support.certificates import Certificate, issue, tls_front
from tests.support.people import Cast, Person, cast_of
from tests.support.postgres import PostgresCluster
from tests.support.processes import Program, free_port
from tests.support.redis import RedisServer

NAME = "visits.test"

pytestmark = pytest.mark.timeout(240)


@dataclass
class Spreaded:
    spread: Spread
    cast: Cast
    front: int
    certificate: Certificate
    fronts: list[Program] = field(default_factory=list)

    def lead(self, place: int, server: int) -> None:
        """Who finds the clinic's name at this place is led to this server from now on, as a balancer does."""
        if place < len(self.fronts):
            self.fronts[place].stop()
        hosts = self.spread.hosts
        log = self.spread.folder / f"tls{place}{server}.log"
        made = tls_front(self.certificate, (hosts[place], self.front), (hosts[server], self.spread.port), log)
        self.fronts[place : place + 1] = [made]

    def person(self, name: str, server: int) -> Person:
        """Somebody whose browser finds the clinic's name at this server."""
        rule = f"--host-resolver-rules=MAP {NAME} {self.spread.hosts[server]}"
        return self.cast.person(name, flags=[rule])


@pytest.fixture(scope="module")
def two(postgres: PostgresCluster, redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spreaded]:
    folder = tmp_path_factory.mktemp("two")
    front = free_port()
    url = f"https://{NAME}:{front}"
    spread = Spread(folder, postgres.create("two_servers"), redis.url, public_url=url, port=free_port())
    with cast_of(url, "anna", "doctor") as cast:
        made = Spreaded(spread, cast, front, issue(folder / "tls", NAME))
        try:
            spread.start()
            for number in range(len(spread.hosts)):
                made.lead(number, number)
            yield made
        finally:
            for program in made.fronts:
                program.stop()
            spread.stop()


def established(pid: int, port: int) -> int:
    """How many connections to its own `port` this very process holds open."""
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[3] == "01" and row[9] in inodes and int(row[1].split(":")[1], 16) == port for row in rows)


def test_a_visit_spans_two_servers(two: Spreaded) -> None:
    doctor, anna = two.person("doctor", 0), two.person("anna", 1)
    sign_in(doctor, "Mina Park")
    appointment, link = book_and_get_link(doctor, "Thomas Baker", "Ada Okafor")
    sign_in(doctor, "Ada Okafor")
    come_by_link(anna, link)
    open_visit(doctor, appointment)

    first, second = two.spread.servers
    assert first.pid != second.pid
    assert established(first.pid, two.spread.port) > 0
    assert established(second.pid, two.spread.port) > 0

    room.admit(doctor, "Thomas Baker")
    room.wait_inside(anna)
    room.both_see_and_hear(doctor, anna)
    room.say(anna, "across two servers")
    room.wait_reads(doctor, "across two servers")

    # With one server gone, its person comes back through the other one to the same place.
    tiles = room.tiles(doctor)
    second.kill()
    assert not second.is_running
    two.lead(1, 0)
    room.say(doctor, "are you still there?")
    room.wait_reads(anna, "are you still there?")
    room.say(anna, "through the other one")
    room.wait_reads(doctor, "through the other one")
    assert room.tiles(doctor) == tiles
    room.both_see_and_hear(doctor, anna)
