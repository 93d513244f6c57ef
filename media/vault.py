"""Seals a participant's chunks under that participant's own key, opens them again, and takes one person out of a log.

Wrapping the data keys under the clinic's keyset is the server's business; here they are 32 bytes that come and go.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from media.logformat import (
    MAGIC,
    ChunkHead,
    Frame,
    FrameKind,
    LogHeader,
    MarkRecord,
    frame,
    json_frame,
    pack_chunk_head,
    parse_key,
    read_frames,
    split_chunk,
)

KEY_BYTES = 32


class SealBrokenError(Exception):
    """A chunk was altered, moved, cut short, or is not of this log, participant or key."""


def decode_key(encoded: str) -> bytes:
    """The 256-bit data key from its base64 form; raises ValueError."""
    try:
        key = base64.b64decode(encoded, validate=True)
    except binascii.Error as error:
        raise ValueError("a data key is not base64") from error
    if len(key) != KEY_BYTES:
        raise ValueError("a data key has 256 bits")
    return key


class _Cipher:
    """AES-256-GCM with the chunk's index as nonce, under a key of this log and stream alone.

    The data key goes through HKDF with the log's random id, so that a grant applied a second time, in another log
    whose counters start at nought again, never meets the same (key, nonce) pair.
    """

    def __init__(self, data_key: bytes, *, log_id: str, stream: int) -> None:
        if len(data_key) != KEY_BYTES:
            raise ValueError("a data key has 256 bits")
        info = b"bedside packet log v1, stream %d" % stream
        derived = HKDF(SHA256(), length=KEY_BYTES, salt=bytes.fromhex(log_id), info=info).derive(data_key)
        self._aead = AESGCM(derived)

    def seal(self, head: ChunkHead, plain: bytes | bytearray) -> bytes:
        associated = pack_chunk_head(head)
        return associated + self._aead.encrypt(_nonce(head.index), plain, associated)

    def open(self, head: ChunkHead, associated: bytes, sealed: bytes) -> bytes:
        try:
            return self._aead.decrypt(_nonce(head.index), sealed, associated)
        except (InvalidTag, ValueError) as error:
            raise SealBrokenError(f"chunk {head.index} does not open") from error


class ChunkSealer:
    """Seals one participant's chunks in order; each index is used once."""

    def __init__(self, data_key: bytes, *, header: LogHeader, participant_id: str, stream: int) -> None:
        self._cipher = _Cipher(data_key, log_id=header.log_id, stream=stream)
        self._header = header
        self._participant_id = participant_id
        self._stream = stream
        self._next_index = 0

    def seal(self, plain: bytes | bytearray, *, utc_ns: int, mono_ns: int, final: bool) -> bytes:
        """A whole chunk frame, ready to be written."""
        head = ChunkHead(
            recording_id=self._header.recording_id,
            node_id=self._header.node_id,
            participant_id=self._participant_id,
            segment=self._header.segment,
            stream=self._stream,
            index=self._next_index,
            final=final,
            utc_ns=utc_ns,
            mono_ns=mono_ns,
        )
        self._next_index += 1
        return frame(FrameKind.CHUNK, self._cipher.seal(head, plain))


class ChunkOpener:
    """Opens the chunks of one stream in order; raises SealBrokenError on any that does not belong where it stands.

    A `lenient` one goes on behind chunks that are missing or were refused, and counts them in `missing`.
    """

    def __init__(
        self, data_key: bytes, *, header: LogHeader, participant_id: str, stream: int, lenient: bool = False
    ) -> None:
        self._cipher = _Cipher(data_key, log_id=header.log_id, stream=stream)
        self._expected = (header.recording_id, header.segment, participant_id, stream)
        self._lenient = lenient
        self._next_index = 0
        self.finished = False
        self.missing = 0

    def open(self, body: bytes) -> bytes:
        head, associated, sealed = split_chunk(body)
        if (head.recording_id, head.segment, head.participant_id, head.stream) != self._expected:
            raise SealBrokenError("a chunk of another log or participant")
        ahead = head.index - self._next_index
        if self.finished or ahead < 0 or (ahead > 0 and not self._lenient):
            raise SealBrokenError(f"chunk {head.index} stands where {self._next_index} belongs")
        plain = self._cipher.open(head, associated, sealed)
        self.missing += ahead
        self._next_index = head.index + 1
        self.finished = head.final
        return plain


def delete_participant(source: Path, target: Path, participant_id: str, *, at_ns: int = 0, utc_s: int = 0) -> int:
    """Write to `target` a copy of the log without this person's keys and chunks; how many chunks went.

    The copy names the removal in a mark, with its day (`utc_s`), so that a film made from it can say so. The caller
    replaces the log by it.
    """
    removed, said = 0, False
    with source.open("rb") as log, target.open("xb") as copy:
        copy.write(MAGIC)
        for part in read_frames(log):
            if _belongs_to(part, participant_id):
                removed += part.kind == FrameKind.CHUNK
                continue
            if part.kind == FrameKind.END:
                copy.write(_removal(participant_id, at_ns, utc_s))
                said = True
            copy.write(frame(part.kind, part.body))
        if not said:
            copy.write(_removal(participant_id, at_ns, utc_s))
        copy.flush()
        os.fsync(copy.fileno())
    return removed


def participants_of(log: Path) -> Iterator[str]:
    """Whose chunks a log may hold, by its key records; no key is needed to ask."""
    with log.open("rb") as file:
        for part in read_frames(file):
            if part.kind == FrameKind.KEY:
                yield parse_key(part.body).participant_id


def _belongs_to(part: Frame, participant_id: str) -> bool:
    if part.kind == FrameKind.KEY:
        return parse_key(part.body).participant_id == participant_id
    if part.kind == FrameKind.CHUNK:
        return split_chunk(part.body)[0].participant_id == participant_id
    return False


def _removal(participant_id: str, at_ns: int, utc_s: int) -> bytes:
    detail = {"utc_s": utc_s} if utc_s else {}
    mark = MarkRecord(at_ns=at_ns, kind="removed", participant_id=participant_id, detail=detail)
    return json_frame(FrameKind.MARK, mark)


def _nonce(index: int) -> bytes:
    return index.to_bytes(12, "big")
