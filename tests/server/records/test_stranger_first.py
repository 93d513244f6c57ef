"""Whoever may not know of a visit is told so before anything they sent is judged: 404, whatever the form holds."""

from __future__ import annotations

import pytest

from server.encounters import views as encounters
from server.records import views as records
from server.routing import Route
from tests.server.visits import House

ACTS = [route for route in [*records.ROUTES, *encounters.ROUTES] if route.method != "GET" and "{clinic}" in route.path]
NONSENSE = {"revision": "many", "kind": "poem", "role": "surgeon"}


@pytest.mark.parametrize("route", ACTS, ids=lambda route: route.name)
@pytest.mark.parametrize("who", ["colleague", "patient", "stranger"])
async def test_a_stranger_is_refused_before_the_form_is_read(house: House, route: Route, who: str) -> None:
    browser = await house.browser_of(who)
    path = route.path.replace("{clinic}", house.cast.clinic.slug).replace("{encounter_id}", house.cast.encounter_id)
    path = path.replace("{film_id}", "none").replace("{n}", "1")
    allowed = {404} if who == "colleague" or route.name not in ("guest_invite", "visit_hand_over") else {403, 404}
    for sent in ({"data": NONSENSE}, {"data": b"\xff", "headers": {"Content-Type": "application/json"}}):
        headers = {"If-Match": "nonsense", **sent.get("headers", {})}  # type: ignore[dict-item]
        answer = await browser.request(route.method, path, data=sent["data"], headers=headers)
        assert answer.status in allowed, (route.name, await answer.text())


async def test_the_doctor_hears_what_is_wrong_with_the_same_forms(house: House) -> None:
    browser = await house.browser_of("doctor")
    answers = [
        (await browser.post(house.visit_url(rest), NONSENSE)).status
        for rest in ("/note/sign", "/note/addenda", "/guests")
    ]
    assert all(status in (400, 422) for status in answers), answers
