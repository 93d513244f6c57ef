"""What stands beside Sign about who reads, and what becomes of a request once the note is let go or taken back."""

from __future__ import annotations

import html
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import update

from server.accounts import proxies
from server.accounts.models import Clinic
from server.accounts.proxies import NewProxy
from server.accounts.service import get_patient
from server.accounts.trust_models import Proxy
from server.permissions import ProxyScope
from server.records import reading
from tests.server.records.rights import sign
from tests.server.visits import House


async def act_for(house: House, *scopes: ProxyScope, name: str = "Maria", until: datetime | None = None) -> Proxy:
    cast, now = house.cast, house.clock()
    async with cast.database.writing() as session:
        patient = await get_patient(session, cast.clinic.id, cast.patient)
        ends_on = (until or now + timedelta(days=90)).date()
        new = NewProxy(name, "mother", "power_of_attorney", frozenset(scopes), None, ends_on)
        return await proxies.add(session, cast.clinic, patient, new, by=cast.scheduler, now=now)


async def beside_sign(house: House) -> list[Any]:
    page = await (await (await house.browser_of("doctor")).get(house.visit_url("/summary"))).text()
    found = re.search(r'data-note="([^"]*)"', page)
    assert found is not None
    told: list[Any] = json.loads(html.unescape(found[1]))["release"]["proxies"]
    return told


async def test_beside_sign_nobody_is_named_as_reading_a_visit_that_the_patient_keeps_alone(house: House) -> None:
    await act_for(house, ProxyScope.READ_NOTES)
    assert await beside_sign(house) == [{"name": "Maria", "reads": True}]
    patient = await house.browser_of("patient")
    alone = f"/c/{house.cast.clinic.slug}/patients/{house.cast.patient}/home/alone/{house.cast.appointment_id}"
    assert (await patient.post(alone)).status == 303
    assert await beside_sign(house) == [{"name": "Maria", "reads": False}]


async def test_a_proxy_ends_on_the_clinics_own_day(house: House) -> None:
    """An hour past midnight there, still the day before in UTC."""
    house.clock.forward(seconds=int((datetime(2031, 6, 10, 22, 30, tzinfo=UTC) - house.clock()).total_seconds()))
    async with house.database.writing() as session:
        await session.execute(update(Clinic).values(zone="Europe/Berlin"))
    await act_for(house, ProxyScope.READ_NOTES, until=datetime(2031, 6, 11, tzinfo=UTC))
    assert await beside_sign(house) == []


async def test_the_mark_holds_for_every_visit_of_its_appointment(house: House) -> None:
    """After somebody else was shut out, the appointment has a second visit, which nobody marked."""
    cast = house.cast
    await act_for(house, ProxyScope.READ_NOTES)
    async with house.database.writing() as session:
        patient = await get_patient(session, cast.clinic.id, cast.patient)
        mark = ("appointment", cast.appointment_id)
        await proxies.mark_patient_only(session, patient, mark, by=None, now=house.clock())
    assert await beside_sign(house) == [{"name": "Maria", "reads": False}]
    await sign(house, "Cough.")
    async with house.database.reading() as session:
        asked = (session, cast.sealer, cast.clinic, cast.patient)
        assert len(await reading.load_released_notes(*asked)) == 1
        assert await reading.load_released_notes(*asked, for_proxy=True) == []
