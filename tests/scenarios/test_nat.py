"""Two people in two homes: behind ordinary NATs they reach each other directly, behind strict ones through the node."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios import room
from tests.scenarios.clinic import book_and_get_link, come_by_link, open_visit, sign_in
from tests.support.bedside import AllInOne
from tests.support.certificates import issue, tls_front
from tests.support.network import Host, Nat, Network, may_make_networks, network
from tests.support.people import CHROMIUM, Cast, Person, cast_of

NAME = "visits.test"
PORT = 8443

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(not may_make_networks(), reason="namespaces need root"),
]


# Each 50 ms, how many of the other's pictures the relay's connection has decoded: the longest time without a new one,
# and how many have come since a time like that.
WATCH = """() => {
  const noted = (window.__noted = { longest: 0, since: 0, at: performance.now(), decoded: 0 });
  setInterval(async () => {
    const reports = (await window.__bedside.down?.getStats()) ?? new Map();
    let decoded = 0;
    for (const one of reports.values()) if (one.type === "inbound-rtp") decoded += one.framesDecoded ?? 0;
    const waited = performance.now() - noted.at;
    noted.longest = Math.max(noted.longest, waited);
    if (decoded === noted.decoded) return;
    noted.since = waited > 400 ? 0 : noted.since + Math.abs(decoded - noted.decoded);
    Object.assign(noted, { decoded, at: performance.now() });
  }, 50);
}"""
NOTED = "() => window.__noted"


class Town:
    """A clinic with an address of its own, and homes around it."""

    def __init__(self, net: Network, folder: Path) -> None:
        self.net = net
        self.folder = folder
        self.server = net.host("s")
        self.url = f"https://{NAME}:{PORT}"
        settings = {"BEDSIDE_PUBLIC_URL": self.url, "BEDSIDE_MEDIA_ADDRESSES": self.server.address}
        self.bedside = AllInOne(folder / "clinic", settings, inside=self.server.inside)
        self.bedside.url = self.url
        self.bedside.start()
        certificate = issue(folder / "tls", NAME)
        target = ("127.0.0.1", self.bedside.ports.server)
        log = folder / "tls.log"
        self.front = tls_front(certificate, (self.server.address, PORT), target, log, self.server.inside)

    def person(self, cast: Cast, name: str, home: Host) -> Person:
        browser = home.executable(self.folder / f"chromium-{home.namespace}", CHROMIUM)
        return cast.person(name, inside=browser, flags=[f"--host-resolver-rules=MAP {NAME} {self.server.address}"])

    def close(self) -> None:
        self.front.stop()
        self.bedside.stop()


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with network("n") as net:
        made = Town(net, tmp_path_factory.mktemp("town"))
        yield made
        made.close()


@pytest.mark.parametrize(
    ("nat", "way", "patient"),
    [("masquerade", "direct", "Thomas Baker"), ("endpoint-dependent", "relay", "Lily Baker")],
)
def test_two_homes_meet(town: Town, nat: Nat, way: str, patient: str) -> None:
    with cast_of(town.url, "anna", "doctor") as cast:
        home = town.net.home(f"a{way[0]}", nat)
        doctor = town.person(cast, "doctor", town.net.home(f"d{way[0]}", nat))
        anna = town.person(cast, "anna", home)
        sign_in(doctor, "Mina Park")
        appointment, link = book_and_get_link(doctor, patient, "Ada Okafor")
        sign_in(doctor, "Ada Okafor")
        come_by_link(anna, link)
        open_visit(doctor, appointment)
        room.admit(doctor, patient)
        room.wait_inside(anna)

        room.both_see_and_hear(doctor, anna, 25)
        room.wait_way([doctor, anna], way)

        stats = town.bedside.node.stats(room.room_id(doctor))
        assert stats.stun_in > 0
        if way == "direct":
            remote = room.selected_remote_candidate(doctor, "direct")
            assert remote["type"] in {"srflx", "prflx"}
            assert remote["address"] not in {town.server.address, ""}
            assert (stats.rtp_in, stats.rtp_out) == (0, 0)
        else:
            assert room.selected_remote_candidate(doctor, "down")["address"] == town.server.address
            assert stats.rtp_in > 0
            assert stats.rtp_out > 0
            moves_to_another_network(town, doctor, anna, home)


def moves_to_another_network(town: Town, doctor: Person, anna: Person, home: Host) -> None:
    """From Wi-Fi to mobile data, say (C32): pictures are back soon, by an ICE restart on the same connections."""
    room_id = room.room_id(doctor)
    stats, before = town.bedside.node.stats(room_id), connections(town, room_id)
    for person in (doctor, anna):
        person.page.evaluate(WATCH)
    other = town.net.another_way(home)
    names = {one: ice_name(anna, one) for one in ("up", "down")}
    town.net.swap(home, other)
    gaps = {person.name: gap_s(person) for person in (doctor, anna)}
    print(f"without pictures: {gaps}")
    assert max(gaps.values()) <= room.RESUME_S
    room.both_see_and_hear(doctor, anna)
    for one, name in names.items():
        assert room.selected_candidate(anna, one, "local")["address"] == other.address
        assert ice_name(anna, one) != name
    assert connections(town, room_id) == before
    assert town.bedside.node.stats(room_id).dtls_in == stats.dtls_in


def gap_s(person: Person) -> float:
    """The time without pictures, once they have gone on for a while."""

    def has_passed() -> bool:
        noted = person.page.evaluate(NOTED)
        return bool(noted["longest"] > 400 and noted["since"] > 30)

    room.wait_for(person, has_passed, "pictures go on", 20)
    return float(person.page.evaluate(NOTED)["longest"] / 1000)


def ice_name(person: Person, connection: str) -> str:
    """The node's own, as this page was told last; a restart gives another."""
    sdp = str(person.page.evaluate("(name) => window.__bedside[name].remoteDescription.sdp", connection))
    return next(line for line in sdp.splitlines() if line.startswith("a=ice-ufrag:"))


def connections(town: Town, room_id: str) -> set[tuple[str | None, str | None]]:
    people = town.bedside.node.state().rooms[room_id].participants
    return {(person.up, person.down) for person in people.values()}
