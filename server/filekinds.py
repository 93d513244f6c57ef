"""What an uploaded file is, by its content alone, and what it may be called. Storing and serving it is `uploads.py`."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote

NAME_MAX = 100
TEXT_LOOKED_AT = 64 * 1024


@dataclass(frozen=True, slots=True)
class FileKind:
    """A media type we take, and the ending its files get."""

    media_type: str
    ending: str


PDF = FileKind("application/pdf", ".pdf")
TEXT = FileKind("text/plain", ".txt")
MAGIC = (
    (0, b"%PDF-", PDF),
    (0, b"\x89PNG\r\n\x1a\n", FileKind("image/png", ".png")),
    (0, b"\xff\xd8\xff", FileKind("image/jpeg", ".jpg")),
    (0, b"GIF87a", FileKind("image/gif", ".gif")),
    (0, b"GIF89a", FileKind("image/gif", ".gif")),
    (8, b"WEBP", FileKind("image/webp", ".webp")),
    (4, b"ftypheic", FileKind("image/heic", ".heic")),
    (4, b"ftypmif1", FileKind("image/heic", ".heic")),
)
MARKUP = re.compile(rb"<\s*(!doctype|html|svg|script|\?xml|body|iframe|math)", re.IGNORECASE)


def kind_of(content: bytes) -> FileKind | None:
    """The kind, or None for what we don't take; text that is really markup counts as nothing."""
    for offset, magic, kind in MAGIC:
        if content[offset : offset + len(magic)] == magic and (kind.ending != ".webp" or content[:4] == b"RIFF"):
            return kind
    return TEXT if _is_text(content) else None


def _is_text(content: bytes) -> bool:
    if MARKUP.search(content[:TEXT_LOOKED_AT]):
        return False
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return not any(unicodedata.category(one) == "Cc" and one not in "\t\n\r\x0c" for one in text)


def shown_name(name: str, kind: FileKind) -> str:
    """The name as others see it: no path, nothing invisible or reversing, the ending of its kind, a length to read."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    kept = "".join(one for one in last if one == " " or unicodedata.category(one)[0] not in "CZ" or one == "\u200d")
    kept = " ".join(re.sub(r'[<>:"|?*]', " ", kept).split()).strip(". ")
    stem, dot, ending = kept.rpartition(".")
    if not dot or not re.fullmatch(r"[A-Za-z0-9]{1,8}", ending):
        stem = kept
    stem = stem.strip(". ")[: NAME_MAX - len(kind.ending)] or "file"
    return stem + kind.ending


def disposition(name: str) -> str:
    """RFC 6266: saved under this name; what isn't plain ASCII goes into `filename*` alone."""
    plain = re.sub(r"[^A-Za-z0-9 ._-]", "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
