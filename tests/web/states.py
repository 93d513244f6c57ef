"""Snapshots of a room as the server would tell them, for each thing the visit's page can show."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.async_api import Page

LONG_NAME = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh de la Cruz y Mendoza de Villanueva"


async def settled(page: Page) -> None:
    """Until the page has drawn what it was told and every transition has come to its end."""
    await page.evaluate(
        """async () => {
          const frame = () => new Promise((done) => requestAnimationFrame(done));
          await frame();
          await frame();
          const ends = (one) => one.effect.getComputedTiming().iterations !== Infinity;
          await Promise.allSettled(document.getAnimations().filter(ends).map((one) => one.finished));
        }"""
    )


def at(seconds: float = 0) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def person(who: str, name: str, role: str, **more: Any) -> dict[str, Any]:
    return {
        "participant_id": who, "name": name, "role": role, "state": "admitted", "away": False, "reason": None,
        "microphone": "on", "camera": "on", "screen": False, "waiting_since": None,
        "picture_held": False, "hears_only": False,
    } | more  # fmt: skip


DOCTOR = person("doctor", "Dr Amara Okafor", "doctor")
PATIENT = person("patient", "Zoë Ångström", "patient")
GUEST = person("interpreter-1", "ليلى حداد", "interpreter", microphone="muted")
RIGHTS = {
    "doctor": ["take_part", "admit", "remove", "ask_recording", "emergency", "carry_on_by_phone", "end_visit"],
    "patient": ["take_part"],
}


def room(who: dict[str, Any], people: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """The snapshot of `who` in an open visit of these people."""
    you = {key: who[key] for key in ("participant_id", "name", "role", "state", "reason", "waiting_since")}
    you |= {"rights": RIGHTS.get(who["role"], ["take_part"]), "second_device": False, "device": "d1"}
    return {
        "v": 1, "revision": 0, "sent_at": at(), "phase": "open", "you": you, "doctor_name": DOCTOR["name"],
        "people": people, "waiting": [], "devices": [], "guests": [], "cards": [], "blocked": [],
        "mode": "direct", "attempt": 0,
        "relay_only": False, "direct": None, "relay_up": False, "relay_room": None, "node_down": False,
        "simulcast": False, "ice_servers": [], "recording": recording(), "by_phone": False,
        "chat_count": 0, "chat_from": 0,
        "started_at": at(-125), "outcome": None, "undo_until": None,
    } | more  # fmt: skip


def bare(who: dict[str, Any], **you: Any) -> dict[str, Any]:
    """What somebody outside is told: themselves, the doctor's name, the phase."""
    told = room(who, [], started_at=None)
    return told | {"you": told["you"] | {"state": "waiting", "waiting_since": at(-240)} | you}


def recording(**more: Any) -> dict[str, Any]:
    return {
        "recording_id": None, "phase": "off", "question": 0, "purpose": None, "who_may_watch": None, "kept": None,
        "consent_text": None, "asked_by": None, "answer_by": None, "answers": {}, "code": None,
        "may_ask_again": False, "paused_by": None, "may_resume": False,
    } | more  # fmt: skip


def asked(phase: str = "asking", answers: dict[str, str] | None = None, **more: Any) -> dict[str, Any]:
    return recording(
        recording_id="r1", phase=phase, question=1, purpose="Part of your care",
        who_may_watch="You, Dr Okafor and the doctors who treat you here", kept="With your record, 8 years",
        consent_text="The clinic records sound and picture of this visit and keeps them sealed.",
        asked_by=DOCTOR["name"], answer_by=at(58), answers=answers or {"doctor": "asked", "patient": "asked"}, **more,
    )  # fmt: skip


def waiting(who: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "participant_id": who["participant_id"], "name": who["name"], "role": who["role"],
        "birth_date": "1984-02-29", "opened_by": "the patient", "waiting_since": at(-260), "late": False,
        "away": False, "identity": "self", "agreement": "not_needed",
    } | more  # fmt: skip
