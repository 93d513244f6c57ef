"""Writing session descriptions: the answer to an up offer, and down offers.

Nothing of the other side's text is copied except tokens that the reader has checked.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from media.negotiate import ABS_SEND_TIME, AUDIO_LEVEL, UpPlan, UpSection
from media.rtp import ABS_SEND_TIME_ID, AUDIO_LEVEL_ID
from media.sdp import Codec, Section

OPUS, VP8, VP8_RTX, H264, H264_RTX = 111, 96, 97, 102, 103
# Node-wide payload types of down offers, by codec name.
DOWN_TYPES = {"opus": (OPUS, None), "vp8": (VP8, VP8_RTX), "h264": (H264, H264_RTX)}
_DOWN_AUDIO = (
    f"a=rtpmap:{OPUS} opus/48000/2",
    f"a=fmtp:{OPUS} minptime=10;useinbandfec=1",
)
_DOWN_VIDEO = tuple(
    line
    for name, main, repair, settings in (
        ("VP8", VP8, VP8_RTX, None),
        ("H264", H264, H264_RTX, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
    )
    for line in (
        f"a=rtpmap:{main} {name}/90000",
        *(f"a=rtcp-fb:{main} {feedback}" for feedback in ("goog-remb", "ccm fir", "nack", "nack pli")),
        *((f"a=fmtp:{main} {settings}",) if settings else ()),
        f"a=rtpmap:{repair} rtx/90000",
        f"a=fmtp:{repair} apt={main}",
    )
)


@dataclass(frozen=True)
class Local:
    """The node's side of one connection's transport."""

    ufrag: str
    password: str
    fingerprint: str
    candidates: Sequence[str]


@dataclass(frozen=True)
class DownSection:
    """One section of a down offer; without `ssrc` it carries nothing."""

    mid: str
    kind: str
    ssrc: int | None = None
    repair_ssrc: int | None = None
    cname: str = ""
    stream: str = ""
    track: str = ""


def candidates(addresses: Iterable[str], udp_port: int, tcp_port: int | None) -> list[str]:
    """Host candidates, loopback last, UDP before passive TCP (RFC 6544 §4.2)."""
    lines = []
    ordered = sorted(addresses, key=lambda address: ipaddress.ip_address(address).is_loopback)
    for place, address in enumerate(ordered):
        local = 65535 - 256 * place
        lines.append(f"{2 * place + 1} 1 udp {126 << 24 | local << 8 | 255} {address} {udp_port} typ host")
        if tcp_port is not None:
            priority = 90 << 24 | local << 8 | 255
            lines.append(f"{2 * place + 2} 1 tcp {priority} {address} {tcp_port} typ host tcptype passive")
    return lines


def write_answer(plan: UpPlan, local: Local, session_id: int, version: int) -> str:
    offer = plan.offer
    setup = "active" if plan.remote is not None and plan.remote.setup == "passive" else "passive"
    lines = _session(session_id, version, [mid for mid in plan.accepted if mid in offer.bundle])
    tagged = True
    for section, accepted in zip(offer.sections, plan.by_position, strict=True):
        if accepted is None:
            lines += _rejected(section)
            continue
        lines += _head(section.kind, [accepted.codec.payload_type, accepted.repair_type], accepted.mid)
        lines += _transport(local, setup, tagged)
        lines += _accepted(section, accepted)
        tagged = False
    return _join(lines)


def write_offer(sections: Sequence[DownSection], local: Local, session_id: int, version: int) -> str:
    lines = _session(session_id, version, [section.mid for section in sections])
    for place, section in enumerate(sections):
        types = [OPUS] if section.kind == "audio" else [VP8, VP8_RTX, H264, H264_RTX]
        lines += _head(section.kind, types, section.mid)
        lines += _transport(local, "actpass", place == 0)
        if section.kind == "audio":
            lines.append(f"a=extmap:{AUDIO_LEVEL_ID} {AUDIO_LEVEL}")
        lines.append(f"a=extmap:{ABS_SEND_TIME_ID} {ABS_SEND_TIME}")
        lines += ["a=rtcp-mux", "a=rtcp-rsize"]
        lines += _DOWN_AUDIO if section.kind == "audio" else _DOWN_VIDEO
        lines += _sources(section)
    return _join(lines)


def _session(session_id: int, version: int, bundled: list[str]) -> list[str]:
    lines = ["v=0", f"o=- {session_id} {version} IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    if bundled:
        lines.append("a=group:BUNDLE " + " ".join(bundled))
    return [*lines, "a=msid-semantic: WMS *"]


def _head(kind: str, types: Sequence[int | None], mid: str) -> list[str]:
    formats = " ".join(str(item) for item in types if item is not None)
    return [f"m={kind} 9 UDP/TLS/RTP/SAVPF {formats}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}"]


def _rejected(section: Section) -> list[str]:
    formats = " ".join(str(item) for item in section.codecs) or "0"
    if section.kind == "application":
        formats = "webrtc-datachannel"
    profile = "UDP/DTLS/SCTP" if section.kind == "application" else "UDP/TLS/RTP/SAVPF"
    lines = [f"m={section.kind} 0 {profile} {formats}", "c=IN IP4 0.0.0.0", "a=inactive"]
    return [*lines, f"a=mid:{section.mid}"] if section.mid is not None else lines


def _transport(local: Local, setup: str, tagged: bool) -> list[str]:
    lines = [
        f"a=ice-ufrag:{local.ufrag}",
        f"a=ice-pwd:{local.password}",
        f"a=fingerprint:sha-256 {local.fingerprint}",
        f"a=setup:{setup}",
    ]
    if tagged:
        lines += [f"a=candidate:{line}" for line in local.candidates] + ["a=end-of-candidates"]
    return lines


def _accepted(section: Section, accepted: UpSection) -> list[str]:
    lines = [f"a=extmap:{identifier} {uri}" for uri, identifier in accepted.extensions.items()]
    lines += ["a=recvonly" if accepted.sends else "a=inactive", "a=rtcp-mux"]
    if section.rtcp_rsize:
        lines.append("a=rtcp-rsize")
    if accepted.rcvr_rtt:
        lines.append("a=rtcp-xr:rcvr-rtt=all")
    codec = accepted.codec
    lines.append(f"a=rtpmap:{codec.payload_type} {_name(codec)}")
    lines += [f"a=rtcp-fb:{codec.payload_type} {feedback}" for feedback in accepted.feedback]
    if codec.name == "opus":
        lines.append(f"a=fmtp:{codec.payload_type} minptime=10;useinbandfec=1")
    elif codec.name == "h264":
        profile = codec.fmtp["profile-level-id"]
        lines.append(
            f"a=fmtp:{codec.payload_type} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id={profile}"
        )
    if accepted.repair_type is not None:
        lines.append(f"a=rtpmap:{accepted.repair_type} rtx/90000")
        lines.append(f"a=fmtp:{accepted.repair_type} apt={codec.payload_type}")
    if accepted.rids:
        lines += [f"a=rid:{rid} recv" for rid in accepted.rids]
        lines.append("a=simulcast:recv " + ";".join(accepted.rids))
    return lines


def _name(codec: Codec) -> str:
    return {"opus": "opus/48000/2", "vp8": "VP8/90000", "h264": "H264/90000"}[codec.name]


def _sources(section: DownSection) -> list[str]:
    if section.ssrc is None:
        return ["a=inactive"]
    lines = ["a=sendonly", f"a=msid:{section.stream} {section.track}"]
    ssrcs = [section.ssrc]
    if section.repair_ssrc is not None:
        lines.append(f"a=ssrc-group:FID {section.ssrc} {section.repair_ssrc}")
        ssrcs.append(section.repair_ssrc)
    for ssrc in ssrcs:
        lines.append(f"a=ssrc:{ssrc} cname:{section.cname}")
        lines.append(f"a=ssrc:{ssrc} msid:{section.stream} {section.track}")
    return lines


def _join(lines: list[str]) -> str:
    return "\r\n".join(lines) + "\r\n"
