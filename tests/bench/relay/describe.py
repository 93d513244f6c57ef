"""The load's session descriptions: an offer as a browser writes one, and an answer that takes all it is offered."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from tests.bench.relay.leg import Leg

AUDIO, VIDEO, REPAIR = 109, 120, 124
LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
WIDE = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
OFFERED = {LEVEL: 14, SEND_TIME: 2, WIDE: 3, MID: 4}
_FEEDBACK = ("goog-remb", "transport-cc", "ccm fir", "nack", "nack pli")
_KEPT = ("a=mid:", "a=extmap:", "a=rtpmap:", "a=fmtp:", "a=rtcp-fb:", "a=rtcp-mux", "a=rtcp-rsize", "c=")


@dataclass(frozen=True)
class Ssrcs:
    audio: int
    video: int
    repair: int


@dataclass
class Answered:
    """What the other side agreed to: header extension ids by URI, video payload types seen as repairs."""

    extensions: dict[str, int] = field(default_factory=dict)
    repair_types: set[int] = field(default_factory=set)
    video_types: set[int] = field(default_factory=set)


def agreed(sdp: str) -> Answered:
    found = Answered()
    for number, uri in re.findall(r"a=extmap:(\d+)(?:/\w+)? (\S+)", sdp):
        found.extensions[uri] = int(number)
    found.repair_types = {int(one) for one in re.findall(r"a=rtpmap:(\d+) rtx/90000", sdp)}
    found.video_types = {int(one) for one in re.findall(r"a=rtpmap:(\d+) (?:VP8|H264)/90000", sdp)}
    return found


def offer(leg: Leg, direction: str, ssrcs: Ssrcs | None = None) -> str:
    lines = ["v=0", "o=- 4611731400430051336 2 IN IP4 127.0.0.1", "s=-", "t=0 0", "a=group:BUNDLE 0 1"]
    lines += ["a=extmap-allow-mixed", "a=msid-semantic: WMS stream"]
    lines += [f"m=audio 9 UDP/TLS/RTP/SAVPF {AUDIO}", *_transport(leg, "actpass", "0"), f"a={direction}"]
    lines += [f"a=extmap:{OFFERED[uri]} {uri}" for uri in (LEVEL, SEND_TIME, WIDE, MID)]
    lines += [f"a=rtpmap:{AUDIO} opus/48000/2", f"a=rtcp-fb:{AUDIO} transport-cc"]
    lines += [f"a=fmtp:{AUDIO} minptime=10;useinbandfec=1"]
    lines += _sources(ssrcs.audio, None, "sound") if ssrcs else []
    lines += [f"m=video 9 UDP/TLS/RTP/SAVPF {VIDEO} {REPAIR}", *_transport(leg, "actpass", "1"), f"a={direction}"]
    lines += [f"a=extmap:{OFFERED[uri]} {uri}" for uri in (SEND_TIME, WIDE, MID)]
    lines += ["a=rtcp-rsize", f"a=rtpmap:{VIDEO} VP8/90000", *(f"a=rtcp-fb:{VIDEO} {name}" for name in _FEEDBACK)]
    lines += [f"a=rtpmap:{REPAIR} rtx/90000", f"a=fmtp:{REPAIR} apt={VIDEO}"]
    lines += _sources(ssrcs.video, ssrcs.repair, "picture") if ssrcs else []
    return "\r\n".join(lines) + "\r\n"


def answer(leg: Leg, sdp: str) -> str:
    """Every section that carries something is received with all that it offers."""
    head, *sections = re.split(r"(?m)^(?=m=)", sdp.replace("\r", ""))
    bundle = re.search(r"a=group:BUNDLE.*", head)
    lines = ["v=0", "o=- 4611731400430051337 2 IN IP4 127.0.0.1", "s=-", "t=0 0"]
    lines += [bundle.group(0)] if bundle else []
    for section in sections:
        given = section.splitlines()
        inactive = "a=inactive" in given
        lines += [given[0], *(line for line in given[1:] if line.startswith(_KEPT))]
        lines += ["a=inactive" if inactive else "a=recvonly", *_transport(leg, "active", None)]
    return "\r\n".join(lines) + "\r\n"


def _transport(leg: Leg, setup: str, mid: str | None) -> list[str]:
    lines = [f"a=mid:{mid}", "c=IN IP4 0.0.0.0", "a=rtcp-mux"] if mid is not None else []
    return [
        *lines,
        f"a=candidate:1 1 udp 2122260223 {leg.host} {leg.port} typ host",
        f"a=ice-ufrag:{leg.ufrag}",
        f"a=ice-pwd:{leg.password}",
        f"a=fingerprint:sha-256 {leg.certificate.fingerprint}",
        f"a=setup:{setup}",
    ]


def _sources(main: int, repair: int | None, track: str) -> list[str]:
    both = [main] if repair is None else [main, repair]
    lines = [f"a=msid:stream {track}"]
    lines += [f"a=ssrc-group:FID {main} {repair}"] if repair is not None else []
    return lines + [f"a=ssrc:{one} cname:load" for one in both]
