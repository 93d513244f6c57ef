"""The reader: everything browsers write is read, everything else is refused with its one error, in linear time."""

from __future__ import annotations

import contextlib
import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.sdp import LINES_PER_SECTION_MAX, LONGEST_DESCRIPTION, SECTIONS_MAX, SdpError, read
from tests.media.descriptions import FINGERPRINT, audio, corpus, data_channel, offer, video


@pytest.mark.parametrize(("name", "text"), corpus(), ids=[name for name, _ in corpus()])
def test_a_real_offer_is_read_whole(name: str, text: str) -> None:
    description = read(text)
    assert len(description.sections) == text.count("\nm=")
    live = [section for section in description.sections if not section.is_rejected]
    assert [section.mid for section in live] == description.bundle
    for section in live:
        assert section.transport.ufrag
        assert section.transport.password
        assert list(section.transport.fingerprints) == ["sha-256"]
        assert section.transport.setup == "actpass"
        if section.kind != "application":
            assert section.rtcp_mux
            assert {codec.name for codec in section.codecs.values()} & {"opus", "vp8"}
            assert all(codec.clock_rate for codec in section.codecs.values() if codec.payload_type >= 96)
    if "simulcast" in name or "macos" in name or "edge" in name:
        assert live[1].simulcast == live[1].rids == ["l", "h"]


def test_sources_and_their_repairs_are_read_with_the_sender_s_name() -> None:
    text = dict(corpus())["firefox-153-plain"]
    video_section = read(text).sections[1]
    assert video_section.repairs == {2351243514: 1272510244}
    assert set(video_section.ssrcs) == {2351243514, 1272510244}
    assert len(set(video_section.ssrcs.values())) == 1


def test_session_lines_stand_in_for_a_section_s_own() -> None:
    session = f"a=ice-ufrag:abcd\na=ice-pwd:{'p' * 22}\na=fingerprint:sha-384 {':'.join(['0A'] * 48)}\na=setup:active\n"
    section = read(offer(audio(transport=""), bundle="0", session=session)).sections[0]
    assert (section.transport.ufrag, section.transport.setup) == ("abcd", "active")
    assert list(section.transport.fingerprints) == ["sha-384"]
    own = read(offer(audio(transport="a=setup:passive\n"), bundle="0", session=session)).sections[0]
    assert own.transport.setup == "passive"


def test_an_extension_only_for_receiving_is_left_out() -> None:
    section = read(
        offer(audio(extra="a=extmap:2/recvonly urn:x\na=extmap:3/sendonly urn:y\na=extmap:15 urn:z\n"))
    ).sections[0]
    assert section.extensions == {"urn:y": 3}


def test_a_data_channel_in_the_old_style_is_read() -> None:
    text = offer(data_channel("0"), bundle="0").replace("UDP/DTLS/SCTP", "DTLS/SCTP")
    assert read(text).sections[0].kind == "application"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=1\n",
        "v=0\nnonsense\n",
        "v=0\nm=audio\n",
        "v=0\nm=audio x UDP/TLS/RTP/SAVPF 111\n",
        "v=0\nm=audio 70000 UDP/TLS/RTP/SAVPF 111\n",
        "v=0\nm=audio ١ UDP/TLS/RTP/SAVPF 111\n",
        "v=0\nm=image 9 UDP/TLS/RTP/SAVPF 111\n",
        offer(audio("0"), video("0")),
        offer(audio("a b")),
        offer(audio("x" * 33)),
        offer(audio()).replace("a=ice-ufrag:bEdS", "a=ice-ufrag:a"),
        offer(audio()).replace("a=ice-pwd:bedside", "a=ice-pwd:bed side"),
        offer(audio()).replace(FINGERPRINT, "AB:CD"),
        offer(audio()).replace("a=setup:actpass", "a=setup:holdconn"),
        offer(*(audio(str(place)) for place in range(SECTIONS_MAX + 1))),
        offer(audio(extra="a=x:y\n" * LINES_PER_SECTION_MAX)),
        "v=0\n" + "a=x:" + "y" * LONGEST_DESCRIPTION,
    ],
)
def test_what_is_no_description_is_refused_with_the_one_error(text: str) -> None:
    with pytest.raises(SdpError):
        read(text)


@pytest.mark.parametrize(
    "line",
    [
        "a=rtpmap:",
        "a=rtpmap:111",
        "a=rtpmap:111 opus",
        "a=rtpmap:111 opus/",
        "a=rtpmap:999 opus/48000",
        "a=rtpmap:-1 opus/48000",
        "a=fmtp:",
        "a=fmtp:98",
        "a=fmtp:98 ;;=;",
        "a=rtcp-fb:",
        "a=rtcp-fb:x nack",
        "a=extmap:",
        "a=extmap:x urn:y",
        "a=extmap:99999999999999999999 urn:y",
        "a=rid:",
        "a=rid:l",
        "a=rid:\x00 send",
        "a=simulcast:",
        "a=simulcast:send",
        "a=simulcast:recv l",
        "a=ssrc:",
        "a=ssrc:x cname:y",
        "a=ssrc:4294967296 cname:y",
        "a=ssrc-group:FID 1",
        "a=ssrc-group:FID x y",
        "a=candidate:11 1 udp 2122260223 3f2b1c9e-7a10-4a55-9d2e-5b0c3f9a1d77.local 40200 typ host",
        "a=candidate:nonsense",
        "a=group:BUNDLE",
        "a=",
        "b=AS:x",
    ],
)
def test_an_odd_line_harms_nothing_else(line: str) -> None:
    description = read(offer(audio(extra=line + "\n"), video(extra=line + "\n")))
    assert [section.mid for section in description.sections] == ["0", "1"]
    assert description.sections[0].codecs[111].name == "opus"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(SdpError):
        read("v=0\n" + text)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([text for _, text in corpus()]), st.integers(0, 2**32))
def test_a_damaged_real_offer_is_read_or_refused(text: str, seed: int) -> None:
    dice = random.Random(seed)
    lines = text.split("\r\n" if "\r\n" in text else "\n")
    for _ in range(dice.randint(1, 6)):
        place = dice.randrange(len(lines))
        action = dice.randrange(4)
        if action == 0:
            del lines[place]
        elif action == 1:
            lines.insert(place, lines[dice.randrange(len(lines))])
        elif action == 2:
            lines[place] = lines[place][: dice.randint(0, len(lines[place]))]
        else:
            cut = dice.randint(0, len(lines[place]))
            lines[place] = lines[place][:cut] + dice.choice("\0 :;/=٣é𝟙-") + lines[place][cut:]
        if not lines:
            break
    with contextlib.suppress(SdpError):
        read("\n".join(lines))


def test_the_longest_offer_takes_time_in_proportion_to_its_length() -> None:
    def taken_s(lines: int) -> float:
        sections = [audio(str(place), extra="a=ssrc:1 cname:x\n" * lines) for place in range(6)]
        text = offer(*sections, bundle=" ".join(map(str, range(6))))
        assert len(text) <= LONGEST_DESCRIPTION
        best = 1.0
        for _ in range(5):
            began = time.process_time()
            read(text)
            best = min(best, time.process_time() - began)
        return best

    assert taken_s(450) < 20 * taken_s(45)
    assert taken_s(450) < 0.1
