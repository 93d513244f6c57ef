"""Binding requests: whose they are, what is answered, and that nothing else is."""

from __future__ import annotations

import pytest
from aioice import stun
from hypothesis import given, settings
from hypothesis import strategies as st

from media import ice
from media.ice import Check, Credentials, RateLimit, Reply

SOURCE = ("192.0.2.9", 5000)
OURS = Credentials("ours1234", "p" * 24)


def find(ufrag: str) -> str | None:
    return OURS.password if ufrag == OURS.ufrag else None


def request(
    username: str | None = f"{OURS.ufrag}:theirs",
    key: str | None = OURS.password,
    extra: dict[str, object] | None = None,
) -> bytes:
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
    if username is not None:
        message.attributes["USERNAME"] = username
    message.attributes.update(extra or {"ICE-CONTROLLING": 5})
    if key is not None:
        message.add_message_integrity(key.encode())
    return bytes(message)


def test_a_valid_check_is_answered_with_the_address_it_came_from() -> None:
    data = request()
    assert ice.is_binding_request(data)
    check = ice.answer(data, SOURCE, find)
    assert isinstance(check, Check)
    assert (check.ufrag, check.nominated) == (OURS.ufrag, False)
    reply = stun.parse_message(check.reply)
    assert reply.attributes["XOR-MAPPED-ADDRESS"] == SOURCE
    assert reply.check_message_integrity(OURS.password.encode())
    assert reply.transaction_id == stun.parse_message(data).transaction_id


def test_a_nomination_is_seen() -> None:
    check = ice.answer(request(extra={"ICE-CONTROLLING": 5, "USE-CANDIDATE": None}), SOURCE, find)
    assert isinstance(check, Check)
    assert check.nominated


def test_a_check_without_fingerprint_is_answered() -> None:
    data = request()
    without = stun.set_body_length(data[:-8], len(data) - 28)
    assert isinstance(ice.answer(without, SOURCE, find), Check)


def test_the_wrong_role_gets_487() -> None:
    reply = ice.answer(request(extra={"ICE-CONTROLLED": 5}), SOURCE, find)
    assert isinstance(reply, Reply)
    assert stun.parse_message(reply.reply).attributes["ERROR-CODE"][0] == 487


@pytest.mark.parametrize(
    "data",
    [
        request(key="wrong" * 5),
        request(key=None),
        request(username="other:theirs"),
        request(username=""),
        request(username="ours123"),
    ],
    ids=["wrong key", "no integrity", "unknown name", "empty name", "part of a name"],
)
def test_what_does_not_authenticate_gets_no_answer(data: bytes) -> None:
    assert ice.answer(data, SOURCE, find) is None


@pytest.mark.parametrize("source", [SOURCE, ("2001:db8::9", 5000)])
def test_a_plain_request_is_answered_like_any_stun_server(source: tuple[str, int]) -> None:
    reply = ice.answer(request(username=None, key=None), source, find)
    assert isinstance(reply, Reply)
    assert stun.parse_message(reply.reply).attributes["XOR-MAPPED-ADDRESS"] == source
    assert len(reply.reply) <= 20 + 24 + 8


@pytest.mark.parametrize(
    "data",
    [
        b"",
        request()[:19],
        request() + b"x",
        b"\x00\x11" + request()[2:],
        b"\x01\x01" + request()[2:],
        request()[:4] + b"\0\0\0\0" + request()[8:],
        b"\x00\x01" + (1300 - 20).to_bytes(2, "big") + request()[4:8] + bytes(1292),
    ],
    ids=["nothing", "cut short", "a byte too many", "indication", "success", "wrong cookie", "too long"],
)
def test_what_is_no_binding_request_never_reaches_the_parser(data: bytes) -> None:
    assert not ice.is_binding_request(data)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120))
def test_any_body_behind_a_sound_header_is_answered_or_dropped(body: bytes) -> None:
    data = b"\x00\x01" + len(body).to_bytes(2, "big") + b"\x21\x12\xa4\x42" + bytes(12) + body
    assert ice.is_binding_request(data)
    assert not isinstance(ice.answer(data, SOURCE, find), Check)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_check_with_one_byte_changed_never_passes(place: int, change: int) -> None:
    data = bytearray(request())
    covered = len(data) - 8
    data[20 + place % (covered - 20)] ^= change
    assert not isinstance(ice.answer(bytes(data), SOURCE, find), Check)


def test_credentials_are_long_and_never_the_same() -> None:
    made = [Credentials.new() for _ in range(50)]
    assert len({one.ufrag for one in made}) == 50
    assert all(len(one.ufrag) == 8 and len(one.password) == 24 for one in made)


def test_plain_answers_are_limited_per_address_and_second() -> None:
    limit = RateLimit(per_second=3, remembered=2)
    assert [limit.may_answer("a", 1.0) for _ in range(5)] == [True] * 3 + [False] * 2
    assert limit.may_answer("b", 1.0)
    assert limit.may_answer("a", 2.0)
    for name in ("c", "d", "e"):
        assert limit.may_answer(name, 2.0)
    assert len(limit._seen) == 2
