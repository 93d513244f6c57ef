"""The people of the scenarios, at a page of this test's own: what they can tell, and what they must not claim."""

from __future__ import annotations

import http.server
import random
import threading
from collections.abc import Iterator

import pytest

from tests.support.firefox import firefox
from tests.support.marks import draw_marks
from tests.support.people import Cast, Person, axe_findings, cast_of

pytestmark = pytest.mark.browser

PAGE = b"""<!doctype html><html lang="en"><head><title>Call</title><link rel="icon" href="data:,"></head>
<body><main><h1>Call</h1><video id="mine" autoplay playsinline muted width="300" height="200"></video>
<video id="theirs" autoplay playsinline width="300" height="200"></video></main></body></html>"""
BEGIN = """async () => {
  window.link = new RTCPeerConnection();
  window.stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
  mine.srcObject = stream;
  window.senders = stream.getTracks().map((track) => link.addTrack(track, stream));
  link.ontrack = (event) => { theirs.srcObject = event.streams[0]; };
}"""
DESCRIBE = """async (remote) => {
  if (remote) await link.setRemoteDescription(remote);
  await link.setLocalDescription();
  while (link.iceGatheringState !== "complete") await new Promise((done) => setTimeout(done, 20));
  return link.localDescription.toJSON();
}"""
CHANGE = """async () => {
  const next = await navigator.mediaDevices.getUserMedia({ video: { deviceId: { exact: "camera-1" } } });
  await senders.find((sender) => sender.track.kind === "video").replaceTrack(next.getVideoTracks()[0]);
}"""


class OnePage(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def cast() -> Iterator[Cast]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OnePage)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    with cast_of(f"http://127.0.0.1:{server.server_port}", "anna", "doctor") as people:
        yield people
    server.shutdown()
    thread.join()
    server.server_close()


def call(one: Person, other: Person) -> None:
    for person in (one, other):
        person.open("/")
        person.page.evaluate(BEGIN)
    offer = one.page.evaluate(DESCRIBE, None)
    answer = other.page.evaluate(DESCRIBE, offer)
    one.page.evaluate("(answer) => link.setRemoteDescription(answer)", answer)


@pytest.mark.soak  # each story stands on it in every run
def test_two_people_are_told_apart_by_what_arrives_decoded_on_the_other_side(cast: Cast) -> None:
    anna, doctor = cast.person("anna"), cast.person("doctor")
    call(anna, doctor)

    doctor.wait_sees(anna.mark)
    doctor.wait_hears(anna.mark)
    anna.wait_sees(doctor.mark)
    assert doctor.hears(anna.mark, doctor.mark, anna.other) == [True, False, False]
    assert not doctor.sees(anna.other)
    doctor.wait_sees(anna.mark)
    seen = {video.id for _ in range(8) for video in doctor.tiles(anna.mark)}
    assert seen == {"theirs"}
    assert doctor.is_moving(anna.mark)

    anna.page.evaluate(CHANGE)
    doctor.wait_sees(anna.other)
    doctor.wait_not_sees(anna.mark)

    anna.page.evaluate("() => stream.getAudioTracks()[0].enabled = false")
    doctor.wait_not_hears(anna.mark)
    anna.page.evaluate("() => link.close()")
    doctor.wait_still(anna.other)

    anna.note_flashes()
    assert anna.flashes
    assert all(0 <= flash["late_ms"] < 160 for flash in anna.flashes)
    anna.assert_untroubled()
    assert axe_findings(anna.page) == []


def test_a_camera_in_use_is_refused_as_a_browser_refuses_it(cast: Cast) -> None:
    anna = cast.person("anna", failing="NotReadableError")
    anna.open("/")
    said = anna.page.evaluate("() => navigator.mediaDevices.getUserMedia({ video: true }).catch((error) => error.name)")
    assert said == "NotReadableError"


def test_a_request_to_another_host_and_a_script_error_are_noticed(cast: Cast) -> None:
    anna = cast.person("anna")
    anna.open("/")
    anna.page.evaluate(
        "() => { setTimeout(() => { throw new Error('odd'); }); fetch('http://127.0.0.2:9/').catch(() => {}); }"
    )
    anna._wait(lambda: anna.foreign and any("odd" in trouble for trouble in anna.troubles), 10, "both are noticed")
    with pytest.raises(AssertionError, match="odd"):
        anna.assert_untroubled()


@pytest.mark.soak
def test_a_person_at_firefox_has_a_camera_and_eyes_too(cast: Cast) -> None:
    marks = list(draw_marks(["one", "two", "screen"], random.Random()).values())
    with firefox("felix", marks) as felix:
        felix.open(cast.base_url)
        felix.evaluate(f"({BEGIN})()")
        felix.wait(lambda: felix.sees(felix.mark), "sees their own picture")
        assert not felix.sees(marks[1])
        felix.assert_untroubled()
