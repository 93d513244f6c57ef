"""SRTP through libsrtp directly gives what pylibsrtp's own session gives, for every packet, and refuses alike."""

from __future__ import annotations

import os
import random

import pylibsrtp
import pytest

from media.srtp import LONGEST, Scratch, Srtp, SrtpError

GCM = pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM
INBOUND, OUTBOUND = pylibsrtp.Policy.SSRC_ANY_INBOUND, pylibsrtp.Policy.SSRC_ANY_OUTBOUND


def session(key: bytes, direction: int) -> pylibsrtp.Session:
    return pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=direction, srtp_profile=GCM))


def rtp(number: int, size: int) -> bytes:
    return b"\x80\x60" + (number & 0xFFFF).to_bytes(2, "big") + bytes(4) + b"\0\0\0\1" + os.urandom(size)


def rtcp(size_words: int) -> bytes:
    return b"\x80\xc9" + (1 + size_words).to_bytes(2, "big") + b"\0\0\0\1" + os.urandom(4 * size_words)


def test_every_packet_is_what_the_reference_makes_of_it_both_ways_and_over_a_wrap() -> None:
    key, scratch, dice = os.urandom(44), Scratch(), random.Random(3)
    reference_out, reference_in = session(key, OUTBOUND), session(key, INBOUND)
    out, back = Srtp(session(key, OUTBOUND), scratch), Srtp(session(key, INBOUND), scratch)
    for number in range(65400, 65700):
        packet = rtp(number, dice.randrange(0, 1329))
        protected = out.protect(packet)
        assert protected == reference_out.protect(packet)
        assert back.unprotect(protected) == packet == reference_in.unprotect(protected)
        if number % 10 == 0:
            report = rtcp(dice.randrange(0, 200))
            sealed = out.protect_rtcp(report)
            assert sealed == reference_out.protect_rtcp(report)
            assert back.unprotect_rtcp(sealed) == report


def test_what_is_forged_replayed_or_too_long_is_refused() -> None:
    key, scratch = os.urandom(44), Scratch()
    out, back = Srtp(session(key, OUTBOUND), scratch), Srtp(session(key, INBOUND), scratch)
    protected = out.protect(rtp(1, 100))
    for forged in (protected[:-1] + bytes((protected[-1] ^ 1,)), protected[:20], b"\x80", b""):
        with pytest.raises(SrtpError):
            back.unprotect(forged)
    assert back.unprotect(protected)
    with pytest.raises(SrtpError):
        back.unprotect(protected)
    report = out.protect_rtcp(rtcp(3))
    assert back.unprotect_rtcp(report)
    with pytest.raises(SrtpError):
        back.unprotect_rtcp(report)
    for call in (out.protect, out.protect_rtcp, back.unprotect, back.unprotect_rtcp):
        with pytest.raises(ValueError, match="too long"):
            call(bytes(LONGEST + 1))
