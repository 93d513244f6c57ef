"""Two people, two browsers, nothing recorded: they see and hear each other directly, and the node carries no media."""

from __future__ import annotations

import pytest

from tests.scenarios import room
from tests.scenarios.clinic import book_and_get_link, come_by_link, open_visit, sign_in
from tests.support.bedside import AllInOne
from tests.support.people import Cast

pytestmark = pytest.mark.timeout(180)


def test_a_direct_visit(bedside: AllInOne, cast: Cast) -> None:
    doctor, anna, scheduler = cast.person("doctor"), cast.person("anna"), cast.person("scheduler")
    sign_in(scheduler, "Mina Park")
    appointment, link = book_and_get_link(scheduler, "Thomas Baker", "Ada Okafor")
    sign_in(doctor, "Ada Okafor")
    come_by_link(anna, link)
    open_visit(doctor, appointment)
    assert room.sees_nobody_of(anna, [doctor.mark])
    assert room.sees_nobody_of(doctor, [anna.mark])

    room.admit(doctor, "Thomas Baker")
    room.wait_inside(anna)
    room.both_see_and_hear(doctor, anna)

    room.wait_way([doctor, anna], "direct")
    stats = bedside.node.stats(bedside.node.only_room())
    assert (stats.rtp_in, stats.rtp_out) == (0, 0)
    for person in (doctor, anna):
        assert person.is_moving((anna if person is doctor else doctor).mark)
        person.assert_untroubled()
