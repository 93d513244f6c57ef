"""Around every handler: headers, plain refusals, no cross-site acts, nothing personal in the log."""

from __future__ import annotations

import json
from typing import Any

import pytest
from aiohttp import web
from structlog.testing import capture_logs

from server import context
from server.middleware import client_address
from tests.server.cast import Browser, Site

HOSTILE = "<img src=x onerror=alert(1)>"


async def test_every_answer_carries_the_policy_and_its_own_nonce(site: Site) -> None:
    answers = [await site.browser().get(path) for path in ("/", "/", "/nowhere", "/livez", "/c/north/incidents")]
    policies = [answer.headers["Content-Security-Policy"] for answer in answers]
    for answer, policy in zip(answers, policies, strict=True):
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "trusted-types default" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Permissions-Policy"].startswith("camera=(), microphone=()")
    assert len(set(policies)) == len(policies)


async def test_the_page_uses_the_nonce_of_its_policy(site: Site) -> None:
    answer = await site.browser().get("/")
    nonce = answer.headers["Content-Security-Policy"].split("'nonce-")[1].split("'")[0]
    text = await answer.text()
    assert text.count("<script") == text.count(f'nonce="{nonce}"')


async def test_hsts_comes_from_the_public_address_alone(site: Site) -> None:
    answer = await site.browser().get("/", headers={"X-Forwarded-Proto": "https"})
    assert "Strict-Transport-Security" not in answer.headers


async def test_built_files_are_kept_for_good_and_pages_not_at_all(site: Site) -> None:
    page = await site.browser().get("/")
    assert page.headers["Cache-Control"] == "no-store"
    asset = (await page.text()).split('href="/static/')[1].split('"')[0]
    assert "immutable" in (await site.browser().get(f"/static/{asset}")).headers["Cache-Control"]


@pytest.mark.parametrize("name", ["..%2fmanifest.json", "manifest.json", "%2e%2e/server/app.py", "x" * 3000, "%00"])
async def test_only_files_of_the_manifest_are_served(site: Site, name: str) -> None:
    assert (await site.browser().get(f"/static/{name}")).status == 404


@pytest.mark.parametrize(
    ("headers", "accepted"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Origin": "http://127.0.0.1:8700"}, False),
        ({"Origin": "http://127.0.0.1:8700"}, True),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "null"}, False),
        ({}, False),
    ],
)
async def test_an_act_comes_from_a_page_of_ours(site: Site, headers: dict[str, str], *, accepted: bool) -> None:
    browser = await site.signed_in(site.cast.doctor)
    cookie = {"Cookie": "; ".join(f"{name}={value}" for name, value in browser.cookies.items())}
    answer = await site.client.post("/c/north/sign-out", headers={**cookie, **headers}, allow_redirects=False)
    assert (answer.status == 303) is accepted
    still_in = (await browser.get("/c/north/clinic")).status == 200
    assert still_in is not accepted


async def test_scripts_get_a_code_and_people_a_page(site: Site) -> None:
    page = await site.browser().get("/c/north/incidents")
    assert page.content_type == "text/html"
    coded = await site.browser().get("/c/north/incidents", headers={"Accept": "application/json"})
    assert (page.status, coded.status) == (401, 401)
    assert (await coded.json())["error"] == "not_signed_in"


async def test_a_wrong_path_or_method_is_a_plain_page(site: Site) -> None:
    lost = await site.browser().get(f"/{HOSTILE}")
    assert lost.status == 404
    assert HOSTILE not in await lost.text()
    wrong = await site.browser().post("/demo/nothing")
    assert wrong.status == 404
    assert (await site.browser().request("DELETE", "/livez")).status == 405


async def test_an_unforeseen_error_says_nothing_of_itself(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(_: web.Request) -> Any:
        raise RuntimeError("Anna Müller, 030 23125101")

    monkeypatch.setitem(site.app._state, context.IDENTIFY, fail)
    with capture_logs() as lines:
        answer = await site.browser().get("/c/north/incidents")
    assert answer.status == 500
    assert "Anna" not in await answer.text()
    assert "Anna" not in json.dumps(lines)
    assert [line["error"] for line in lines if line["event"] == "request_failed"] == ["RuntimeError"]


async def test_the_access_line_names_the_route_and_never_the_address(site: Site) -> None:
    with capture_logs() as lines:
        await site.browser().get("/p/a-secret-token-of-32-characters00?sent")
    (line,) = [line for line in lines if line["event"] == "request"]
    assert line["route"] == "page_link.show"
    assert "a-secret-token" not in json.dumps(lines)


async def test_a_server_that_ends_sends_new_requests_away(site: Site) -> None:
    assert (await site.browser().get("/")).status == 200
    site.app[context.STOPPING].set()
    answer = await site.browser().get("/")
    assert (answer.status, answer.headers["Retry-After"]) == (503, "5")
    assert (await site.browser().get("/livez")).status == 200
    ready = await site.browser().get("/readyz")
    assert ready.status == 503
    assert "stopping" in await ready.text()


async def test_a_form_too_large_is_refused(site: Site) -> None:
    answer = await site.browser().post("/c/north/sign-in", {"email": "a@b.example", "password": "x" * 100_000})
    assert answer.status == 413


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"a=1&" * 400, b"--x\r\nbroken", b"%ZZ=%", b"email=\x00"])
async def test_a_broken_form_is_no_error_of_ours(site: Site, body: bytes) -> None:
    for kind in (
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "x/y; charset=zz",
    ):
        answer = await site.browser().request("POST", "/c/north/sign-in", data=body, headers={"Content-Type": kind})
        assert 400 <= answer.status < 500, kind


async def test_cookies_that_were_never_ours_are_nobody(site: Site) -> None:
    for value in ("", "x" * 9000, "ü", "' OR 1=1", "null"):
        browser = Browser(site.client, {"__Host-staff": value, "__Host-visits": value, "__Host-page": value})
        answer = await browser.get("/c/north/incidents")
        assert answer.status in (400, 401)


def test_forwarded_addresses_count_from_trusted_proxies_alone() -> None:
    def asked(peer: str, forwarded: str, trusted: tuple[str, ...]) -> str:
        return client_address(_Asked(peer, forwarded, trusted))  # type: ignore[arg-type]

    assert asked("203.0.113.9", "198.51.100.1", ()) == "203.0.113.9"
    assert asked("10.0.0.1", "6.6.6.6, 198.51.100.1", ("10.0.0.0/8",)) == "198.51.100.1"
    assert asked("10.0.0.1", "198.51.100.1, 10.0.0.2", ("10.0.0.0/8",)) == "198.51.100.1"
    assert asked("10.0.0.1", "", ("10.0.0.0/8",)) == "10.0.0.1"


class _Asked:
    """A request's address and headers, as `client_address` reads them."""

    def __init__(self, peer: str, forwarded: str, trusted: tuple[str, ...]) -> None:
        self.remote = peer
        self.headers = {"X-Forwarded-For": forwarded}
        self.app = {context.SETTINGS: type("S", (), {"trusted_proxies": trusted})()}
