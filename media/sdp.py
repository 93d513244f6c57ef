"""Reading session descriptions (RFC 8866, RFC 8829): bounded, in linear time, with one error type.

It reads what browsers write and ignores what it doesn't know; what to accept is decided in `negotiate`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

LONGEST_DESCRIPTION = 64 * 1024
SECTIONS_MAX = 32
LINES_PER_SECTION_MAX = 512

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,32}")
_RID = re.compile(r"[A-Za-z0-9_-]{1,16}")
_UFRAG = re.compile(r"[A-Za-z0-9+/]{4,256}")
_PASSWORD = re.compile(r"[A-Za-z0-9+/]{22,256}")
_FINGERPRINT = re.compile(r"(?:[0-9A-F]{2}:){15,63}[0-9A-F]{2}")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_KINDS = ("audio", "video", "application")


class SdpError(Exception):
    """The description cannot be used; the text names what is wrong and repeats nothing of it."""


@dataclass
class Codec:
    payload_type: int
    name: str = ""
    clock_rate: int = 0
    channels: int = 1
    fmtp: dict[str, str] = field(default_factory=dict)
    feedback: set[str] = field(default_factory=set)


@dataclass
class Transport:
    """ICE and DTLS lines, given for the session or for a section."""

    ufrag: str | None = None
    password: str | None = None
    fingerprints: dict[str, str] = field(default_factory=dict)
    setup: str | None = None


@dataclass
class Section:
    kind: str
    port: int
    profile: str
    formats: tuple[str, ...]
    direction: str
    transport: Transport
    mid: str | None = None
    codecs: dict[int, Codec] = field(default_factory=dict)
    extensions: dict[str, int] = field(default_factory=dict)
    bundle_only: bool = False
    rtcp_mux: bool = False
    rtcp_rsize: bool = False
    rcvr_rtt: bool = False
    rids: list[str] = field(default_factory=list)
    simulcast: list[str] = field(default_factory=list)
    ssrcs: dict[int, str | None] = field(default_factory=dict)
    repairs: dict[int, int] = field(default_factory=dict)

    @property
    def is_rejected(self) -> bool:
        """Port 0, unless it only says that the section lives in the bundle (RFC 8843 §6)."""
        return self.port == 0 and not self.bundle_only


@dataclass
class Description:
    sections: list[Section] = field(default_factory=list)
    bundle: list[str] = field(default_factory=list)


def read(text: str) -> Description:
    """Raises SdpError, and nothing else, on anything that is no usable description."""
    if len(text) > LONGEST_DESCRIPTION:
        raise SdpError("longer than 64 KB")
    lines = text.replace("\r", "").rstrip("\n").split("\n")
    if lines[0] != "v=0":
        raise SdpError("does not begin with v=0")
    blocks = _blocks(lines)
    description = Description()
    session, direction = Transport(), "sendrecv"
    for line in blocks[0]:
        name, value = _attribute(line)
        if name == "group" and value.startswith("BUNDLE") and not description.bundle:
            description.bundle = value.split()[1:]
        elif name in _DIRECTIONS:
            direction = name
        elif name in _TRANSPORT:
            _TRANSPORT[name](session, value)
    for block in blocks[1:]:
        description.sections.append(_section(block, session, direction))
    _check_mids(description)
    return description


def _blocks(lines: list[str]) -> list[list[str]]:
    blocks: list[list[str]] = [[]]
    for line in lines:
        if len(line) < 2 or line[1] != "=":
            raise SdpError("a line is not of the form x=…")
        if line.startswith("m="):
            if len(blocks) > SECTIONS_MAX:
                raise SdpError("more than 32 sections")
            blocks.append([])
        elif len(blocks[-1]) >= LINES_PER_SECTION_MAX:
            raise SdpError("more than 512 lines in a section")
        blocks[-1].append(line)
    return blocks


def _attribute(line: str) -> tuple[str, str]:
    if not line.startswith("a="):
        return "", ""
    name, _, value = line[2:].partition(":")
    return name, value


def _section(block: list[str], session: Transport, direction: str) -> Section:
    words = block[0][2:].split()
    port = number(words[1].partition("/")[0], 65535) if len(words) >= 4 else None
    if port is None or words[0] not in _KINDS:
        raise SdpError("an m= line cannot be read")
    own = Transport()
    section = Section(words[0], port, words[2], tuple(words[3:]), direction, own)
    for text in section.formats:
        payload_type = number(text, 127)
        if payload_type is not None and section.kind != "application":
            section.codecs[payload_type] = _static(payload_type)
    for line in block[1:]:
        name, value = _attribute(line)
        if name in _DIRECTIONS:
            section.direction = name
        elif name in _TRANSPORT:
            _TRANSPORT[name](own, value)
        elif name in _SECTION:
            _SECTION[name](section, value)
    own.ufrag = own.ufrag or session.ufrag
    own.password = own.password or session.password
    own.fingerprints = own.fingerprints or session.fingerprints
    own.setup = own.setup or session.setup
    return section


def _check_mids(description: Description) -> None:
    mids = [section.mid for section in description.sections if section.mid is not None]
    if len(set(mids)) != len(mids):
        raise SdpError("a mid is used twice")


def number(text: str, most: int) -> int | None:
    """A plain decimal from 0 to `most`; None for everything else that int() would take."""
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        return None
    value = int(text)
    return value if value <= most else None


def _static(payload_type: int) -> Codec:
    name = {0: "pcmu", 8: "pcma", 9: "g722"}.get(payload_type, "")
    return Codec(payload_type, name, 8000 if name else 0)


def _split(value: str) -> tuple[int | None, str]:
    head, _, rest = value.partition(" ")
    return number(head, 127), rest.strip()


def _set_ufrag(transport: Transport, value: str) -> None:
    if not _UFRAG.fullmatch(value):
        raise SdpError("ice-ufrag is malformed")
    transport.ufrag = value


def _set_password(transport: Transport, value: str) -> None:
    if not _PASSWORD.fullmatch(value):
        raise SdpError("ice-pwd is malformed")
    transport.password = value


def _set_fingerprint(transport: Transport, value: str) -> None:
    algorithm, _, digest = value.partition(" ")
    digest = digest.strip().upper()
    if not _FINGERPRINT.fullmatch(digest):
        raise SdpError("a fingerprint is malformed")
    transport.fingerprints[algorithm.lower()] = digest


def _set_setup(transport: Transport, value: str) -> None:
    if value not in ("actpass", "active", "passive"):
        raise SdpError("a=setup has an unknown role")
    transport.setup = value


def _set_mid(section: Section, value: str) -> None:
    if not _TOKEN.fullmatch(value):
        raise SdpError("a mid is malformed")
    section.mid = value


def _set_rtpmap(section: Section, value: str) -> None:
    payload_type, rest = _split(value)
    codec = section.codecs.get(payload_type) if payload_type is not None else None
    pieces = rest.split("/")
    rate = number(pieces[1], 1_000_000) if len(pieces) > 1 else None
    if codec is None or rate is None:
        return
    codec.name, codec.clock_rate = pieces[0].lower(), rate
    codec.channels = (number(pieces[2], 255) or 1) if len(pieces) > 2 else 1


def _set_fmtp(section: Section, value: str) -> None:
    payload_type, rest = _split(value)
    codec = section.codecs.get(payload_type) if payload_type is not None else None
    if codec is None:
        return
    for item in rest.split(";"):
        key, _, setting = item.strip().partition("=")
        if key:
            codec.fmtp[key.lower()] = setting


def _set_feedback(section: Section, value: str) -> None:
    head, _, rest = value.partition(" ")
    feedback = " ".join(rest.split())
    if head == "*":
        for codec in section.codecs.values():
            codec.feedback.add(feedback)
        return
    payload_type = number(head, 127)
    if payload_type is not None and payload_type in section.codecs:
        section.codecs[payload_type].feedback.add(feedback)


def _set_extension(section: Section, value: str) -> None:
    head, _, rest = value.partition(" ")
    name, _, direction = head.partition("/")
    identifier = number(name, 255)
    if identifier is None or identifier in (0, 15) or direction in ("recvonly", "inactive"):
        return
    section.extensions[rest.partition(" ")[0]] = identifier


def _set_rid(section: Section, value: str) -> None:
    words = value.split()
    if len(words) >= 2 and words[1] == "send" and _RID.fullmatch(words[0]):
        section.rids.append(words[0])


def _set_simulcast(section: Section, value: str) -> None:
    words = value.split()
    for kind, layers in zip(words[::2], words[1::2], strict=False):
        if kind == "send":
            section.simulcast = [layer.partition(",")[0].lstrip("~") for layer in layers.split(";")]


def _set_ssrc(section: Section, value: str) -> None:
    head, _, rest = value.partition(" ")
    ssrc = number(head, 0xFFFFFFFF)
    if ssrc is None:
        return
    section.ssrcs.setdefault(ssrc, None)
    if rest.startswith("cname:"):
        section.ssrcs[ssrc] = rest[6:]


def _set_ssrc_group(section: Section, value: str) -> None:
    words = value.split()
    if len(words) != 3 or words[0] != "FID":
        return
    first, repair = number(words[1], 0xFFFFFFFF), number(words[2], 0xFFFFFFFF)
    if first is not None and repair is not None:
        section.repairs[first] = repair


def _set_rtcp_xr(section: Section, value: str) -> None:
    section.rcvr_rtt = section.rcvr_rtt or "rcvr-rtt" in value


def _set_flag(name: str) -> Callable[[Section, str], None]:
    return lambda section, _: setattr(section, name, True)


_TRANSPORT: dict[str, Callable[[Transport, str], None]] = {
    "ice-ufrag": _set_ufrag,
    "ice-pwd": _set_password,
    "fingerprint": _set_fingerprint,
    "setup": _set_setup,
}
_SECTION: dict[str, Callable[[Section, str], None]] = {
    "mid": _set_mid,
    "rtpmap": _set_rtpmap,
    "fmtp": _set_fmtp,
    "rtcp-fb": _set_feedback,
    "extmap": _set_extension,
    "rid": _set_rid,
    "simulcast": _set_simulcast,
    "ssrc": _set_ssrc,
    "ssrc-group": _set_ssrc_group,
    "rtcp-xr": _set_rtcp_xr,
    "bundle-only": _set_flag("bundle_only"),
    "rtcp-mux": _set_flag("rtcp_mux"),
    "rtcp-rsize": _set_flag("rtcp_rsize"),
}
