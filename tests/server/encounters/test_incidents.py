"""An incident says which visit it is about: an administrator can look into it."""

from __future__ import annotations

from signaling.words import Role
from tests.server.visits import House


async def test_the_administrator_reads_whose_visit_the_wrong_person_was_in(house: House) -> None:
    cast = house.cast
    await cast.port.wrong_person(cast.room, await cast.place(Role.PATIENT), await cast.place(Role.DOCTOR))
    browser = await house.browser_of("administrator")
    text = await (await browser.get(f"/c/{cast.clinic.slug}/incidents")).text()
    assert "Wrong person" in text
    assert "Anna Müller, 2031-05-27 10:30" in text
    refused = await (await house.browser_of("scheduler")).get(f"/c/{cast.clinic.slug}/incidents")
    assert (refused.status, "Anna" in await refused.text()) == (403, False)
