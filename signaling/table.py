"""The table from event name to type and function; an event that is not here does not exist.

Tests walk it: every event has its row, its right and its stranger.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from signaling import acts_media, acts_pause, acts_people, acts_visit
from signaling import messages as m
from signaling.scene import Scene

Act = Callable[[Scene, Any], Awaitable[m.Ok]]


@dataclass(frozen=True, slots=True)
class Row:
    """`again` events are harmless by themselves, so their answers need no keeping; `second` may a second device."""

    event: type[m.Event]
    act: Act
    again: bool = False
    second: bool = False
    after_end: bool = False


_ROWS = (
    Row(m.Sync, acts_people.sync, again=True, second=True, after_end=True),
    Row(m.Devices, acts_people.devices, again=True, second=True),
    Row(m.Leave, acts_people.leave, second=True, after_end=True),
    Row(m.Describe, acts_media.describe),
    Row(m.Candidate, acts_media.candidate),
    Row(m.UpOfferEvent, acts_media.up_offer, again=True),
    Row(m.DownRequestEvent, acts_media.down_request, again=True),
    Row(m.DownAnswerEvent, acts_media.down_answer, again=True),
    Row(m.Link, acts_media.link, again=True),
    Row(m.Chat, acts_visit.chat),
    Row(m.ChatHistory, acts_visit.chat_history, again=True, after_end=True),
    Row(m.AdmitEvent, acts_people.admit),
    Row(m.WrongPerson, acts_people.wrong_person),
    Row(m.BackToWaiting, acts_people.back_to_waiting),
    Row(m.Remove, acts_people.remove),
    Row(m.Unblock, acts_people.unblock),
    Row(m.AgreeGuest, acts_people.agree_guest),
    Row(m.AllowDevice, acts_people.allow_device, second=True),
    Row(m.AskRecording, acts_visit.ask_recording),
    Row(m.AnswerRecording, acts_visit.answer_recording),
    Row(m.StopRecording, acts_visit.stop_recording),
    Row(m.PauseRecording, acts_pause.pause_recording),
    Row(m.ResumeRecording, acts_pause.resume_recording),
    Row(m.ChooseWithdrawn, acts_pause.choose_withdrawn, after_end=True),
    Row(m.Emergency, acts_visit.emergency),
    Row(m.CarryOnByPhone, acts_visit.carry_on_by_phone),
    Row(m.EndVisit, acts_visit.end_visit, after_end=True),
    Row(m.UndoEnd, acts_visit.undo_end, after_end=True),
)

TABLE: Mapping[str, Row] = MappingProxyType({row.event.NAME: row for row in _ROWS})
