"""Bad input is normal input: wrong links, devices, descriptions and events get plain words, and nothing is lost."""

from __future__ import annotations

import os
import secrets
import signal
from dataclasses import dataclass

import pytest

from tests.scenarios import clinic, room
from tests.scenarios.story import DOCTOR, PATIENT
from tests.support.bedside import AllInOne
from tests.support.people import Cast, Person
from tests.support.rawsocket import say_raw

pytestmark = pytest.mark.timeout(240)

GOOD_AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"
HEAD = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
CODES = frozenset({"malformed", "too_long", "not_allowed", "unsupported_sdp", "not_found"})
SECRET_WORDS = "nobody may read this in a log"


@dataclass
class Visit:
    doctor: Person
    anna: Person
    appointment: str
    link: str


@pytest.fixture(scope="module")
def visit(bedside: AllInOne, cast: Cast) -> Visit:
    """Two people in a direct visit."""
    doctor, anna = cast.person("doctor"), cast.person("anna")
    clinic.sign_in(doctor, "Mina Park")
    appointment, link = clinic.book_and_get_link(doctor, PATIENT, DOCTOR)
    clinic.sign_in(doctor, DOCTOR)
    clinic.come_by_link(anna, link)
    clinic.open_visit(doctor, appointment)
    room.admit(doctor, PATIENT)
    room.wait_inside(anna)
    room.both_see_and_hear(doctor, anna)
    return Visit(doctor, anna, appointment, link)


@pytest.fixture(scope="module")
def stranger(cast: Cast) -> Person:
    return cast.person("stranger")


def test_a_wrong_link_gets_a_plain_page(stranger: Person) -> None:
    for path in ("/v/not-a-link", "/v/" + "A" * 43, "/v/%00"):
        answer = stranger.page.goto(path)
        assert answer is not None
        assert answer.status in {404, 410}
        assert stranger.page.locator("h1").count() == 1
        for name in (PATIENT, DOCTOR, "Traceback", "Internal"):
            assert name not in stranger.page.inner_text("body")
    stranger.keep("wrong-link", "bad_input")


def test_a_device_that_fails_gets_help_and_shuts_nobody_out(stranger: Person, visit: Visit) -> None:
    for failure in ("NotAllowedError", "NotFoundError", "NotReadableError"):
        stranger.begin_anew(failure)
        stranger.open(visit.link)
        clinic.go_in(stranger)
        stranger.press("#open-devices")
        room.wait_shown(stranger, "#device-help [data-failure]")
        help_words = room.text(stranger, "#device-help").lower()
        assert failure != "NotAllowedError" or "allow" in help_words
        assert len(help_words) > 40, failure
        stranger.press("#enter")
        room.wait_shown(stranger, "#door[data-state=waiting]")
    stranger.close()


def _up(sdp: object, **more: object) -> tuple[str, dict[str, object]]:
    return "up_offer", {
        "id": secrets.token_hex(8),
        "connection_id": secrets.token_hex(4),
        "revision": 1,
        "sdp": sdp,
        "sources": {"0": "microphone"},
        **more,
    }


def _wrong_events(participation: str) -> list[tuple[str, object]]:
    unknown_codecs = HEAD + GOOD_AUDIO.replace("opus/48000/2", "speex/8000")
    return [
        ("chat", {"id": secrets.token_hex(8)}),
        ("chat", {"id": secrets.token_hex(8), "text": SECRET_WORDS, "extra": 1}),
        ("chat", {"id": secrets.token_hex(8), "text": "x" * 20_000}),
        ("chat", {"id": "", "text": SECRET_WORDS}),
        ("chat", None),
        ("chat", [SECRET_WORDS]),
        ("no_such_event", {"id": secrets.token_hex(8)}),
        ("admit", {"id": secrets.token_hex(8), "participant_id": participation}),
        ("end_visit", {"id": secrets.token_hex(8), "outcome": "seen"}),
        _up(HEAD + "m=video 9 UDP/TLS/RTP/SAVPF 96\r\na=mid:0\r\na=rtpmap:96 VP8/90000\r\n"),
        _up(unknown_codecs),
        _up("nonsense"),
        _up("v=0\r\n" * 12_000),
        _up(17),
        _up(HEAD + GOOD_AUDIO, extra=True),
    ]


def test_hostile_events_get_coded_answers_and_the_visit_goes_on(bedside: AllInOne, visit: Visit) -> None:
    anna = visit.anna
    participation = anna.page.url.rstrip("/").rsplit("/", 1)[-1]
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in anna.context.cookies())
    auth = {"v": 1, "participation": participation, "tab": secrets.token_hex(8)}

    wrong = _wrong_events(participation)
    said = say_raw(bedside.url, cookie, auth, wrong)

    for (name, _), answer in zip(wrong, said.answers, strict=True):
        assert isinstance(answer, dict), (name, said)
        assert SECRET_WORDS not in str(answer)
        if answer.get("ok"):
            # Media that can't be carried is refused section by section, so that the rest of an offer still works.
            assert [(part["accepted"], bool(part["code"])) for part in answer["sections"]] == [(False, True)], answer
        else:
            assert answer["error"] in CODES, (name, answer)
    assert said.connected_after
    assert SECRET_WORDS not in bedside.log()

    huge = say_raw(bedside.url, cookie, {**auth, "tab": secrets.token_hex(8)}, [_up("a" * 1_000_000)])
    assert huge.answers[0] is None or huge.answers[0]["error"] == "too_long"
    # The raw socket was a newer tab of hers and took her place over: she takes it back.
    anna.reload()
    room.check_devices_and_enter(anna)
    room.wait_inside(anna)
    room.both_see_and_hear(visit.doctor, anna, 25)


def test_a_node_that_is_down_is_told_to_the_doctor_and_direct_goes_on(bedside: AllInOne, visit: Visit) -> None:
    doctor, anna = visit.doctor, visit.anna
    node = bedside.children()["media"]
    os.kill(node, signal.SIGSTOP)
    try:
        room.wait_shown(doctor, "#banner-node", 20)
        doctor.keep("node-down", "bad_input")
        room.both_see_and_hear(doctor, anna)
        room.wait_way([doctor, anna], "direct")
        assert doctor.is_moving(anna.mark)
    finally:
        os.kill(node, signal.SIGCONT)
    room.wait_for(doctor, lambda: not room.is_shown(doctor, "#banner-node"), "the node is back", 25)


def test_a_visit_that_is_over_has_a_closing_page(visit: Visit) -> None:
    doctor, anna = visit.doctor, visit.anna
    room.end_visit(doctor, "left")
    anna.page.wait_for_url("**/closing", timeout=25_000)
    anna.open(visit.link)
    assert anna.page.locator("#i-am").count() == 0
    assert "ended" in room.text(anna, "h1")
    anna.assert_untroubled(allowed=("Failed to load resource", "WebSocket"))
