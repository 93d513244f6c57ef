"""A doctor's answers to a patient: about what they call wrong in a note, and what they ask to see of what is withheld.

What follows from an answer is `corrections.py` and `requests.py`. An answer that can't be taken comes back as typed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from aiohttp import web
from pydantic import BaseModel, Field

from server import context
from server.errors import DomainError, FormError, status_of
from server.forms import limit_for, parse_form
from server.pages import translate
from server.permissions import is_somebody
from server.records import corrections, page_views, requests
from server.records.after_views import back
from server.records.corrections import Answer
from server.records.requests import Decision
from server.records.rules import NOTE_LIMIT_CHARACTERS
from server.routing import Route
from signaling.words import TEXT, Code

ANSWER_LIMIT_CHARACTERS = 5000
FORM_GONE = (Code.NOT_FOUND, Code.ALREADY_ANSWERED)


class DecisionForm(BaseModel):
    outcome: Literal["released", "redacted", "refused"]
    reason: Annotated[str | None, Field(max_length=24, title="the reason")] = None
    text: Annotated[str | None, Field(max_length=NOTE_LIMIT_CHARACTERS, title="what the patient reads")] = None
    stretches: Annotated[str | None, Field(max_length=2000, title="what is taken out")] = None


class AnswerForm(BaseModel):
    outcome: Literal["corrected", "stands"]
    answer: Annotated[str, Field(min_length=1, max_length=ANSWER_LIMIT_CHARACTERS, title="your answer")]


async def answer(request: web.Request) -> web.Response:
    """To "this is wrong"; the patient reads it on their page."""
    writing = await page_views.own_writing(request)
    try:
        form = await parse_form(request, AnswerForm, limit_bytes=limit_for(ANSWER_LIMIT_CHARACTERS))
        said = Answer(request.match_info["request"], form.outcome, form.answer)
        async with context.database(request).writing() as session:
            await corrections.answer(session, writing, writing.vault, page_views.encounter_id_of(request), said)
    except DomainError as error:
        return await _give_back(request, error)
    return back(request)


async def decide(request: web.Request) -> web.Response:
    """About something withheld that the patient asked to see."""
    writing = await page_views.own_writing(request)
    try:
        form = await parse_form(request, DecisionForm, limit_bytes=limit_for(NOTE_LIMIT_CHARACTERS))
        said = Decision(request.match_info["request"], form.outcome, form.reason, form.text, form.stretches)
        async with context.database(request).writing() as session:
            await requests.decide(session, writing, page_views.encounter_id_of(request), said)
    except DomainError as error:
        return await _give_back(request, error)
    return back(request)


async def _give_back(request: web.Request, error: DomainError) -> web.Response:
    """The visit's page with the answer as it was typed. Raises the error where its form is gone."""
    if error.code in FORM_GONE:
        raise error
    wrong = (
        error.fields if isinstance(error, FormError) else {"": translate(request, error.message or TEXT[error.code])}
    )
    typed = await page_views.typed_in(request)
    return await page_views.show(request, wrong, typed, status_of(error), of=request.match_info["request"])


_NOTE = "/c/{clinic}/visits/{encounter_id}/note"
ROUTES = [
    Route("POST", _NOTE + "/corrections/{request}", answer, is_somebody, "note_correction"),
    Route("POST", _NOTE + "/requests/{request}", decide, is_somebody, "note_request"),
]
