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
        doctor = town.person(cast, "doctor", town.net.home(f"d{way[0]}", nat))
        anna = town.person(cast, "anna", town.net.home(f"a{way[0]}", nat))
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
