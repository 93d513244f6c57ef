"""What is accepted of an offer: one bad section never sinks the others, and the answer keeps the offer's order."""

from __future__ import annotations

import pytest

from media.api import Source
from media.negotiate import plan_down, plan_up, read_remote
from media.sdp import Description, SdpError, read
from media.sdpwrite import DownSection, Local, candidates, write_answer, write_offer
from tests.media.descriptions import FINGERPRINT, audio, corpus, data_channel, offer, sources_of, video

LOCAL = Local("localufg", "l" * 24, FINGERPRINT, candidates(["127.0.0.1", "192.0.2.7", "2001:db8::7"], 8702, 8702))
MICROPHONE_AND_CAMERA = {"0": Source.MICROPHONE, "1": Source.CAMERA}


def answered(text: str, sources: dict[str, Source]) -> tuple[Description, dict[str, str | None]]:
    """(the answer, read back; mid → why it was rejected)."""
    plan = plan_up(read(text), sources)
    answer = read(write_answer(plan, LOCAL, 1, 1))
    return answer, {section.mid: section.code for section in plan.answered}


@pytest.mark.parametrize(("name", "text"), corpus(), ids=[name for name, _ in corpus()])
def test_a_real_offer_is_answered_section_by_section(name: str, text: str) -> None:
    description = read(text)
    answer, codes = answered(text, sources_of(text))
    assert [(section.kind, section.mid) for section in answer.sections] == [
        (section.kind, section.mid) for section in description.sections
    ]
    accepted = [section for section in answer.sections if section.port]
    assert answer.bundle == [section.mid for section in accepted]
    for section in accepted:
        assert section.transport.setup == "passive"
        assert section.transport.ufrag == LOCAL.ufrag
        assert {codec.name for codec in section.codecs.values()} <= {"opus", "vp8", "rtx"}
        assert codes[str(section.mid)] is None
        assert section.direction == ("inactive" if "recvonly" in name else "recvonly")


def test_what_an_answer_takes_over_keeps_the_offer_s_numbers() -> None:
    text = dict(corpus())["chromium-156-simulcast"]
    offered = read(text).sections[1]
    answer, _ = answered(text, sources_of(text))
    taken = answer.sections[1]
    assert list(taken.codecs) == [96, 97]
    assert taken.codecs[97].fmtp == {"apt": "96"}
    assert {"transport-cc", "nack", "nack pli", "goog-remb"} <= taken.codecs[96].feedback
    assert all(offered.extensions[uri] == identifier for uri, identifier in taken.extensions.items())
    assert "a=rid:l recv\r\na=rid:h recv\r\na=simulcast:recv l;h" in write_answer(
        plan_up(read(text), sources_of(text)), LOCAL, 1, 1
    )


@pytest.mark.parametrize(("name", "text"), corpus(), ids=[name for name, _ in corpus()])
def test_c58_rotation_is_never_negotiated(name: str, text: str) -> None:
    text = text.replace("urn:ietf:params:rtp-hdrext:toffset", "urn:3gpp:video-orientation")
    assert "video-orientation" not in write_answer(plan_up(read(text), sources_of(text)), LOCAL, 1, 1)


@pytest.mark.parametrize(
    ("codec", "fmtp"),
    [
        ("H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640c1f"),
        ("H264", "packetization-mode=0;profile-level-id=42e01f"),
        ("H264", "packetization-mode=1;profile-level-id=42e0\x01f"),
        ("H265", ""),
    ],
)
def test_a_video_codec_the_node_lacks_leaves_the_sound(codec: str, fmtp: str) -> None:
    answer, codes = answered(offer(audio(), video(codec=codec, fmtp=fmtp)), MICROPHONE_AND_CAMERA)
    assert [bool(section.port) for section in answer.sections] == [True, False]
    assert answer.sections[0].codecs[111].name == "opus"
    assert answer.bundle == ["0"]
    assert codes == {"0": None, "1": "video_codec_unsupported"}


def test_constrained_baseline_is_taken_when_there_is_no_vp8() -> None:
    fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
    answer, _ = answered(offer(audio(), video(codec="H264", fmtp=fmtp)), MICROPHONE_AND_CAMERA)
    assert answer.sections[1].codecs[98].name == "h264"
    assert answer.sections[1].codecs[98].fmtp["profile-level-id"] == "42e01f"


def test_a_dead_first_section_stays_dead_and_the_rest_is_accepted() -> None:
    dead = "m=audio 0 UDP/TLS/RTP/SAVPF 0\nc=IN IP4 0.0.0.0\na=inactive\na=rtpmap:0 PCMU/8000\n"
    answer, _ = answered(offer(dead, video("1"), data_channel("2"), bundle="1 2"), {"1": Source.CAMERA})
    assert [bool(section.port) for section in answer.sections] == [False, True, False]
    assert answer.bundle == ["1"]


def test_a_data_channel_is_rejected_and_breaks_nothing() -> None:
    old = data_channel("0").replace("UDP/DTLS/SCTP", "DTLS/SCTP")
    answer, codes = answered(offer(old, bundle="0"), {})
    assert answer.sections[0].port == 0
    assert codes == {"0": "no_data_channels"}


@pytest.mark.parametrize(
    ("sources", "codes"),
    [
        ({}, {"0": "no_source", "1": "no_source"}),
        ({"0": Source.CAMERA, "1": Source.SCREEN}, {"0": "source_kind_mismatch", "1": None}),
        ({"0": Source.MICROPHONE, "1": Source.SCREEN}, {"0": None, "1": None}),
        ({"7": Source.CAMERA, "0": Source.MICROPHONE}, {"0": None, "1": "no_source"}),
    ],
)
def test_a_sending_section_needs_a_source_of_its_kind(sources: dict[str, Source], codes: dict[str, str | None]) -> None:
    assert answered(offer(audio(), video()), sources)[1] == codes


def test_two_sections_cannot_carry_the_same_source() -> None:
    _, codes = answered(offer(video("0"), video("1")), {"0": Source.CAMERA, "1": Source.CAMERA})
    assert codes == {"0": None, "1": "source_taken"}


def test_somebody_who_sends_nothing_still_gets_a_connection() -> None:
    answer, codes = answered(offer(audio(direction="recvonly"), video(direction="recvonly")), {})
    assert codes == {"0": None, "1": None}
    assert [section.direction for section in answer.sections] == ["inactive", "inactive"]


def test_a_section_outside_the_bundle_is_rejected() -> None:
    _, codes = answered(offer(audio(), video(), bundle="0"), MICROPHONE_AND_CAMERA)
    assert codes == {"0": None, "1": "not_bundled"}


@pytest.mark.parametrize("algorithm", ["sha-384", "sha-512"])
def test_a_stronger_fingerprint_alone_is_enough(algorithm: str) -> None:
    text = offer(audio(), bundle="0").replace("sha-256", algorithm)
    plan = plan_up(read(text), {"0": Source.MICROPHONE})
    assert plan.remote is not None
    assert plan.remote.fingerprint[0] == algorithm


def test_of_several_fingerprints_the_strongest_counts() -> None:
    extra = f"a=fingerprint:sha-1 {':'.join(['01'] * 20)}\na=fingerprint:sha-512 {':'.join(['02'] * 64)}\n"
    plan = plan_up(read(offer(audio(extra=extra), bundle="0")), {"0": Source.MICROPHONE})
    assert plan.remote is not None
    assert plan.remote.fingerprint[0] == "sha-512"


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("a=fingerprint:sha-256", "a=fingerprint:sha-1"),
        (f"a=fingerprint:sha-256 {FINGERPRINT}\n", ""),
        ("a=ice-ufrag:bEdS\n", ""),
        ("a=ice-pwd:bedsideBedsideBedside01\n", ""),
    ],
)
def test_without_identity_or_credentials_there_is_no_answer(line: str, instead: str) -> None:
    with pytest.raises(SdpError):
        plan_up(read(offer(audio(), bundle="0").replace(line, instead)), {"0": Source.MICROPHONE})


def test_an_offer_without_a_role_counts_as_actpass_and_such_an_answer_is_refused() -> None:
    text = offer(audio(direction="recvonly"), bundle="0").replace("a=setup:actpass\n", "")
    plan = plan_up(read(text), {})
    assert plan.remote is not None
    assert plan.remote.setup == "actpass"
    with pytest.raises(SdpError):
        plan_down(read(text))


def test_the_node_is_active_only_where_the_offer_insists() -> None:
    text = offer(audio(), bundle="0").replace("a=setup:actpass", "a=setup:passive")
    assert answered(text, {"0": Source.MICROPHONE})[0].sections[0].transport.setup == "active"


def test_a_down_answer_tells_which_sections_receive_what() -> None:
    text = offer(audio(direction="recvonly"), video(direction="inactive")).replace("actpass", "active")
    plan = plan_down(read(text))
    assert plan.remote.setup == "active"
    assert plan.sections["0"].receives
    assert plan.sections["0"].payload_types == {111}
    assert not plan.sections["1"].receives


@pytest.mark.parametrize("text", [offer(audio()), offer(audio().replace("m=audio 9", "m=audio 0")), "v=0\n"])
def test_an_answer_that_chooses_no_role_or_nothing_is_refused(text: str) -> None:
    with pytest.raises(SdpError):
        plan_down(read(text))


def test_a_down_offer_reads_back_as_what_it_says() -> None:
    sections = [
        DownSection("0", "audio", 11, None, "name", "p-person", "p-microphone"),
        DownSection("1", "video", 21, 22, "name", "p-person", "p-camera"),
        DownSection("2", "video"),
    ]
    text = write_offer(sections, LOCAL, 5, 3)
    description = read(text)
    assert description.bundle == ["0", "1", "2"]
    assert [section.direction for section in description.sections] == ["sendonly", "sendonly", "inactive"]
    assert description.sections[1].repairs == {21: 22}
    assert description.sections[1].ssrcs == {21: "name", 22: "name"}
    assert description.sections[2].ssrcs == {}
    assert text.count("a=candidate:") == 6
    assert read_remote(description.sections[0].transport, default_setup=None).setup == "actpass"
    uris = [section.extensions for section in description.sections]
    assert uris[1] == uris[2]
    assert uris[1].items() <= uris[0].items()
    assert not any("sdes" in uri for found in uris for uri in found)


def test_loopback_is_offered_last_and_tcp_after_udp() -> None:
    lines = candidates(["127.0.0.1", "192.0.2.7"], 1000, 1001)
    priorities = {line.split()[4] + line.split()[2]: int(line.split()[3]) for line in lines}
    assert priorities["192.0.2.7udp"] > priorities["127.0.0.1udp"] > priorities["192.0.2.7tcp"]
    assert [line for line in candidates(["192.0.2.7"], 1000, None) if " tcp " in line] == []


def test_nothing_of_an_offer_but_checked_tokens_reaches_the_answer() -> None:
    hostile = (
        "a=fmtp:111 x=\u2028injected\na=ssrc:5 cname:injected\na=extmap:3 urn:injected\na=msid:injected injected\n"
    )
    plan = plan_up(read(offer(audio(extra=hostile), bundle="0")), {"0": Source.MICROPHONE})
    assert "injected" not in write_answer(plan, LOCAL, 1, 1)


def test_the_corpus_holds_recorded_offers_and_some_written_from_their_documented_shape() -> None:
    names = [name for name, _ in corpus()]
    assert len([name for name in names if not name.endswith("-documented")]) >= 14
    assert {name.split("-")[0] for name in names} >= {"chromium", "firefox", "safari", "edge", "chrome"}
