"""Session descriptions for tests: the corpus of real offers, those of the cases, and small ones made up."""

from __future__ import annotations

from pathlib import Path

from media.api import Source

FOLDER = Path(__file__).parent / "offers"
FINGERPRINT = ":".join(["AB"] * 32)
UFRAG, PASSWORD = "bEdS", "bedsideBedsideBedside01"

_TRANSPORT = f"""a=ice-ufrag:{UFRAG}
a=ice-pwd:{PASSWORD}
a=fingerprint:sha-256 {FINGERPRINT}
a=setup:actpass
"""


def corpus() -> list[tuple[str, str]]:
    """(name, offer) of every recorded one."""
    return [(path.stem, path.read_text()) for path in sorted(FOLDER.glob("*.sdp"))]


def sources_of(text: str) -> dict[str, Source]:
    """A source for each section with a mid: microphone, then camera, then screen."""
    left = {"audio": [Source.MICROPHONE], "video": [Source.CAMERA, Source.SCREEN]}
    sources, kind = {}, ""
    for line in text.splitlines():
        if line.startswith("m="):
            kind = line[2:].split()[0]
        elif line.startswith("a=mid:") and left.get(kind):
            sources[line[6:].strip()] = left[kind].pop(0)
    return sources


def offer(*sections: str, bundle: str = "0 1", session: str = "") -> str:
    return f"v=0\no=- 1 2 IN IP4 127.0.0.1\ns=-\nt=0 0\na=group:BUNDLE {bundle}\n{session}" + "".join(sections)


def audio(mid: str = "0", *, transport: str = _TRANSPORT, direction: str = "sendonly", extra: str = "") -> str:
    return (
        f"m=audio 9 UDP/TLS/RTP/SAVPF 111\nc=IN IP4 0.0.0.0\n{transport}a=mid:{mid}\na={direction}\na=rtcp-mux\n"
        f"a=rtpmap:111 opus/48000/2\na=fmtp:111 minptime=10;useinbandfec=1\n{extra}"
    )


def video(mid: str = "1", codec: str = "VP8", *, fmtp: str = "", direction: str = "sendonly", extra: str = "") -> str:
    settings = f"a=fmtp:98 {fmtp}\n" if fmtp else ""
    return (
        f"m=video 9 UDP/TLS/RTP/SAVPF 98\nc=IN IP4 0.0.0.0\n{_TRANSPORT}a=mid:{mid}\na={direction}\na=rtcp-mux\n"
        f"a=rtpmap:98 {codec}/90000\n{settings}{extra}"
    )


def data_channel(mid: str = "2") -> str:
    head = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\nc=IN IP4 0.0.0.0\n"
    return f"{head}{_TRANSPORT}a=mid:{mid}\na=sctp-port:5000\n"
