"""Bad input is normal input: every payload of every event, at connect and on the bus."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from socketio.exceptions import ConnectionError as SocketError

from signaling.acks import parse, refusal
from signaling.messages import CHAT_LIMIT_CHARACTERS, EVENT_LIMIT_BYTES, VISIT_EVENTS, Chat
from signaling.sockets import BURST, RATE_PER_S, RateLimit
from signaling.state import from_json
from signaling.table import TABLE
from signaling.words import STATUS, TEXT, Code, Refused
from tests.signaling.house import House
from tests.signaling.test_visit import met
from tests.signaling.test_waiting import ANYTHING

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
ID = {"id": "12345678"}


@given(st.sampled_from(VISIT_EVENTS), st.lists(JSON, max_size=3))
def test_a_payload_made_by_chance_is_a_coded_refusal(kind: Any, payload: list[object]) -> None:
    with pytest.raises(Refused) as refused:
        parse(kind, tuple(payload))
    assert refused.value.code in (Code.MALFORMED, Code.TOO_LONG)


@pytest.mark.parametrize("name", sorted(TABLE))
def test_missing_extra_and_oversized_payloads_are_refused(name: str) -> None:
    kind, body = TABLE[name].event, {**ID, **ANYTHING[name]}
    assert parse(kind, (body,)).id == ID["id"]
    oversized = {**body, "pad": "x" * kind.LIMIT_BYTES}
    for payload, code in (
        ((), Code.MALFORMED),
        ((body, body), Code.MALFORMED),
        (("text",), Code.MALFORMED),
        ((None,), Code.MALFORMED),
        (({key: value for key, value in body.items() if key != "id"},), Code.MALFORMED),
        (({**body, "id": "short"},), Code.MALFORMED),
        (({**body, "extra": 1},), Code.MALFORMED),
        ((oversized,), Code.TOO_LONG),
    ):
        with pytest.raises(Refused) as refused:
            parse(kind, payload)
        assert refused.value.code == code


def test_a_long_chat_says_how_long_it_may_be() -> None:
    with pytest.raises(Refused) as refused:
        parse(Chat, ({**ID, "text": "é" * EVENT_LIMIT_BYTES},))
    assert refused.value.limit == CHAT_LIMIT_CHARACTERS


def test_every_code_has_words_and_a_status() -> None:
    assert set(TEXT) == set(STATUS) == set(Code)
    for code in Code:
        said = refusal(Refused(code))
        assert said.message.endswith(".")


def test_an_unforeseen_error_says_nothing_of_itself() -> None:
    said = refusal(RuntimeError("Anna Marker, 12 Hill Road"))
    assert said.error == "internal"
    assert "Anna" not in said.model_dump_json()


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_a_stored_room_that_cannot_be_read_is_refused_by_its_own_parser(data: bytes | str) -> None:
    with pytest.raises(ValueError):
        from_json(data)


def test_the_rate_limit_gives_a_burst_then_a_steady_rate() -> None:
    limit = RateLimit(0.0)
    assert sum(limit.take(0.0) for _ in range(500)) == BURST
    assert sum(limit.take(1.0) for _ in range(500)) == RATE_PER_S


async def test_too_many_events_are_refused_and_the_socket_lives(house: House) -> None:
    doctor, _ = await met(house)
    answers = await asyncio.gather(*(doctor.send("sync") for _ in range(160)))
    assert "too_many" in {answer.get("error") for answer in answers}
    limit = next(iter(house.servers[0].signaling._sockets.visit.values())).limit
    assert not limit.take(0.0)


@pytest.mark.parametrize(
    "payload",
    [None, "text", 7, [], {}, {"id": "12345678"}, {"id": "12345678", "text": 5}, {"id": "12345678", "text": "   "}],
)
async def test_a_malformed_event_is_acknowledged_and_changes_nothing(house: House, payload: object) -> None:
    doctor, _ = await met(house)
    answer = await doctor.send_raw("chat", payload)
    assert answer["error"] == "malformed"
    assert not house.clinic.rooms["room1"].chat  # type: ignore[index]
    await doctor.ok("chat", text="fine")


@pytest.mark.parametrize("event", ["no_such_event", "snapshot", "__class__", "Admit"])
async def test_an_unknown_event_is_malformed(house: House, event: str) -> None:
    doctor, _ = await met(house)
    assert await doctor.no(event) == "malformed"


@pytest.mark.parametrize(
    "auth",
    [
        None,
        {},
        {"v": 1},
        {"v": "1", "participation": "patient", "tab": "tab"},
        {"v": 1, "participation": ["patient"], "tab": "tab"},
        {"v": 1, "participation": "patient", "tab": "tab", "role": "doctor"},
        {"v": 1, "participation": "x" * 65, "tab": "tab"},
    ],
)
async def test_a_malformed_connection_is_refused_with_its_code(house: House, auth: Any) -> None:
    page = house.new_page("session-patient")
    with pytest.raises(SocketError):
        await page.open("/visit", auth)
    assert page.refused is not None
    assert page.refused["data"]["error"] == "malformed"


async def test_an_old_page_is_told_to_reload_and_let_go(house: House) -> None:
    page = await house.page("patient", v=0)
    await page.until(lambda: page.all("reload_needed"))
    await page.is_over.wait()
    assert not page.all("snapshot")


async def test_a_description_the_node_cannot_use_is_told_so(house: House) -> None:
    _, patient = await met(house)
    await patient.sees(lambda s: s["relay_up"])
    offer = {"connection_id": "c1", "revision": 0, "sources": {}}
    assert await patient.no("up_offer", sdp="v=0 only video", **offer) == "unsupported_sdp"
    answer = await patient.send("up_offer", sdp="x" * 1_000_000, **offer)
    assert (answer["error"], answer["limit"]) == ("too_long", 64 * 1024 + 4096)
    assert await patient.no("down_answer", connection_id="c1", revision=7, sdp="x") == "stale_revision"
    await patient.ok("up_offer", sdp="audio", **offer)


async def test_nonsense_on_the_bus_hurts_nobody(house: House) -> None:
    doctor, _ = await met(house)
    bus = house.servers[0].store.bus
    for message in ({}, {"topic": "room"}, {"topic": "room", "room": "none", "doctors": 7}, {"topic": "evict"}):
        await bus.publish(message)
    await doctor.ok("chat", text="fine")


@pytest.mark.parametrize("name", ["connect", "disconnect", "*", "__proto__", 7, None, ["disconnect"], {}])
async def test_a_name_that_is_no_event_is_malformed_and_changes_nothing(
    house: House, name: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """The library's own names too: a client's `disconnect` once took the seat of a socket that stayed."""
    doctor, patient = await met(house)
    capsys.readouterr()
    for _ in range(3):
        assert await patient.no(name, text="Anna has cancer") == "malformed"
    assert (await patient.ok("sync"))["ok"]
    assert not any(person["away"] for person in (await doctor.sees(lambda s: s["people"]))["people"])
    said = capsys.readouterr().out
    assert "cancer" not in said
    assert "error" not in said


async def test_names_that_are_no_events_count_against_the_limit_like_others(house: House) -> None:
    _, patient = await met(house)
    codes = await asyncio.gather(*(patient.no("connect") for _ in range(int(BURST) * 3)))
    assert set(codes) == {"malformed", "too_many"}
