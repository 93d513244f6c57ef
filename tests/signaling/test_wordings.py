"""Each person reads a recording's question in their own words, and what they agreed to is told by those."""

from __future__ import annotations

from signaling import changes as c
from signaling.ports import Wording
from signaling.state import from_json, to_json
from signaling.words import ParticipantId
from tests.signaling.play import DOCTOR, GUEST, PATIENT, Play, question


def said(language: str, words: str) -> Wording:
    return Wording(f"why {words}", f"who {words}", f"kept {words}", words, language)


GERMAN, FRENCH, ENGLISH = said("de", "Ja?"), said("fr", "Oui ?"), said("en", "Yes?")


def shown(play: Play, who: ParticipantId) -> tuple[str | None, str | None, str | None, str | None]:
    recording = play.sees(who).recording
    return recording.purpose, recording.who_may_watch, recording.kept, recording.consent_text


def asked(**wordings: Wording) -> Play:
    play = Play()
    play.meet()
    facts = question(1, play.now, wordings={ParticipantId(who): one for who, one in wordings.items()})
    play.do(c.Asked(facts))
    return play


def test_each_reads_their_own_and_whoever_has_none_the_clinics() -> None:
    play = asked(**{PATIENT: GERMAN})
    assert shown(play, PATIENT) == ("why Ja?", "who Ja?", "kept Ja?", "Ja?")
    assert shown(play, DOCTOR)[3] == "Nothing changes if you say no."
    recording = from_json(to_json(play.state)).recording
    assert recording is not None
    assert [recording.language_for(one) for one in (PATIENT, DOCTOR)] == ["de", ""]


def test_a_newcomer_brings_their_words_and_changes_nobody_elses() -> None:
    play = asked(**{PATIENT: GERMAN, DOCTOR: ENGLISH})
    later = question(1, play.now, wordings={GUEST: FRENCH, PATIENT: FRENCH, DOCTOR: FRENCH})
    play.do(c.AskedAgain(GUEST, later))
    recording = play.state.recording
    assert recording is not None
    assert [recording.language_for(one) for one in (GUEST, PATIENT, DOCTOR)] == ["fr", "de", "en"]
    play.do(c.AskedAgain(PATIENT, later))
    assert shown(play, PATIENT)[3] == "Oui ?", "asked anew, in the words of now"
