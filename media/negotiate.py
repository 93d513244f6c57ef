"""What the node accepts of an up offer, and what it makes of a down answer.

Pure decisions over descriptions already read; the texts are written in `sdpwrite`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from media.api import AnsweredSection, Source
from media.sdp import Codec, Description, SdpError, Section, Transport, number

KIND = {
    Source.MICROPHONE: "audio",
    Source.SCREEN_AUDIO: "audio",
    Source.CAMERA: "video",
    Source.SCREEN: "video",
}
AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
ABS_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
TRANSPORT_CC = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
MID = "urn:ietf:params:rtp-hdrext:sdes:mid"
RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"
REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
# Never video-orientation: browsers then rotate the pixels themselves.
UP_EXTENSIONS = {"audio": (AUDIO_LEVEL, TRANSPORT_CC, MID), "video": (TRANSPORT_CC, MID, RID, REPAIRED_RID)}
UP_FEEDBACK = {
    "audio": ("transport-cc",),
    "video": ("transport-cc", "goog-remb", "ccm fir", "nack", "nack pli"),
}
# Strongest first: the first one given is the one the certificate must match.
FINGERPRINTS = ("sha-512", "sha-384", "sha-256")
# profile_idc 66 with constraint_set1.
_CONSTRAINED_BASELINE = re.compile(r"42[4-7c-f][0-9a-f]{3}", re.IGNORECASE)


@dataclass(frozen=True)
class Remote:
    """The other side's ICE name and DTLS identity."""

    ufrag: str
    fingerprint: tuple[str, str]
    setup: str


@dataclass
class UpSection:
    """An accepted section of an up offer, ready to receive on."""

    mid: str
    kind: str
    source: Source | None
    sends: bool
    codec: Codec
    repair_type: int | None
    extensions: dict[str, int]
    feedback: list[str]
    rids: list[str]
    ssrcs: set[int]
    repairs: dict[int, int]
    rcvr_rtt: bool = False


@dataclass
class UpPlan:
    offer: Description
    remote: Remote | None
    cname: str | None
    accepted: dict[str, UpSection] = field(default_factory=dict)
    answered: list[AnsweredSection] = field(default_factory=list)
    # Aligned with the offer's sections; None is rejected.
    by_position: list[UpSection | None] = field(default_factory=list)


def plan_up(offer: Description, sources: Mapping[str, Source]) -> UpPlan:
    """Decide section by section; raises SdpError when what is left has no usable ICE or DTLS lines."""
    plan = UpPlan(offer, None, _cname(offer))
    taken: set[Source] = set()
    tagged: Section | None = None
    for section in offer.sections:
        mid = section.mid if section.mid is not None else ""
        source = sources.get(mid) if mid else None
        code = _refusal(offer, section, source, taken)
        accepted = _accept(section, mid, source) if code is None else None
        if accepted is None and code is None:
            code = f"{section.kind}_codec_unsupported"
        plan.by_position.append(accepted)
        if mid:
            plan.answered.append(_report(section, mid, source, code))
        if accepted is not None:
            tagged = tagged or section
            plan.accepted[mid] = accepted
            if source is not None:
                taken.add(source)
    if tagged is not None:
        plan.remote = read_remote(tagged.transport, default_setup="actpass")
    return plan


def read_remote(transport: Transport, *, default_setup: str | None) -> Remote:
    """Raises SdpError when ICE credentials, a usable fingerprint or (without a default) the role is missing."""
    if transport.ufrag is None or transport.password is None:
        raise SdpError("ice-ufrag or ice-pwd is missing")
    setup = transport.setup or default_setup
    if setup is None:
        raise SdpError("a=setup is missing")
    for algorithm in FINGERPRINTS:
        if algorithm in transport.fingerprints:
            return Remote(transport.ufrag, (algorithm, transport.fingerprints[algorithm]), setup)
    raise SdpError("no fingerprint with sha-256, sha-384 or sha-512")


def _refusal(offer: Description, section: Section, source: Source | None, taken: set[Source]) -> str | None:
    if section.is_rejected:
        return "rejected_by_offer"
    if section.kind == "application":
        return "no_data_channels"
    if section.mid is None or (section.mid not in offer.bundle and len(offer.sections) > 1):
        return "not_bundled"
    if not section.rtcp_mux and section.profile != "UDP/TLS/RTP/SAVPF":
        return "not_multiplexed"
    return _source_refusal(section, source, taken)


def _source_refusal(section: Section, source: Source | None, taken: set[Source]) -> str | None:
    """A section that sends nothing needs no source: it is kept, inactive, to be used later."""
    if source is None:
        return "no_source" if section.direction in ("sendonly", "sendrecv") else None
    if KIND[source] != section.kind:
        return "source_kind_mismatch"
    return "source_taken" if source in taken else None


def _accept(section: Section, mid: str, source: Source | None) -> UpSection | None:
    codec = _choose(section)
    if codec is None:
        return None
    offered = section.extensions
    return UpSection(
        mid=mid,
        kind=section.kind,
        source=source,
        sends=source is not None and section.direction in ("sendonly", "sendrecv"),
        codec=codec,
        repair_type=_repair_type(section, codec.payload_type),
        extensions={uri: offered[uri] for uri in UP_EXTENSIONS[section.kind] if 0 < offered.get(uri, 0) <= 14},
        feedback=[name for name in UP_FEEDBACK[section.kind] if name in codec.feedback],
        rids=[rid for rid in section.simulcast if rid in section.rids][:3],
        ssrcs=set(section.ssrcs),
        repairs=section.repairs,
        rcvr_rtt=section.rcvr_rtt,
    )


def _choose(section: Section) -> Codec | None:
    codecs = list(section.codecs.values())
    if section.kind == "audio":
        return next((codec for codec in codecs if codec.name == "opus" and codec.clock_rate == 48000), None)
    vp8 = next((codec for codec in codecs if codec.name == "vp8" and codec.clock_rate == 90000), None)
    return vp8 or next((codec for codec in codecs if is_constrained_baseline(codec)), None)


def is_constrained_baseline(codec: Codec) -> bool:
    """H.264 that everybody decodes (RFC 6184 §8.1), in packetization mode 1."""
    profile = codec.fmtp.get("profile-level-id", "")
    is_h264 = codec.name == "h264" and codec.fmtp.get("packetization-mode") == "1"
    return is_h264 and _CONSTRAINED_BASELINE.fullmatch(profile) is not None


def _repair_type(section: Section, payload_type: int) -> int | None:
    for codec in section.codecs.values():
        if codec.name == "rtx" and number(codec.fmtp.get("apt", ""), 127) == payload_type:
            return codec.payload_type
    return None


def _cname(offer: Description) -> str | None:
    names = (name for section in offer.sections for name in section.ssrcs.values())
    return next((name for name in names if name and len(name) <= 64), None)


def _report(section: Section, mid: str, source: Source | None, code: str | None) -> AnsweredSection:
    kind = section.kind
    return AnsweredSection.model_validate(
        {"mid": mid, "kind": kind, "source": source, "accepted": code is None, "code": code}
    )


@dataclass(frozen=True)
class DownSectionAnswer:
    receives: bool
    payload_types: frozenset[int]


@dataclass(frozen=True)
class DownPlan:
    remote: Remote
    sections: dict[str, DownSectionAnswer]


def plan_down(answer: Description) -> DownPlan:
    """Raises SdpError when the answer has no section left or lacks ICE, DTLS or the role."""
    live = [section for section in answer.sections if section.mid is not None and section.port != 0]
    if not live:
        raise SdpError("every section was rejected")
    remote = read_remote(live[0].transport, default_setup=None)
    if remote.setup == "actpass":
        raise SdpError("an answer chooses active or passive")
    sections = {
        str(section.mid): DownSectionAnswer(
            section.direction in ("recvonly", "sendrecv"),
            frozenset(one.payload_type for one in section.codecs.values() if one.name),
        )
        for section in live
    }
    return DownPlan(remote, sections)
