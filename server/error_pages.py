"""Turns a refusal into what the asker can use: a plain page for people, a coded object for scripts.

Codes, statuses and their sentences are `signaling.words`; a form's own sentences are shown beside its fields by views.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web
from jinja2 import TemplateError

from server import context
from server.errors import FormError
from server.pages import render, translate
from server.permissions import is_patient
from server.routing import route_of
from signaling.words import N_, STATUS, TEXT, Code, Refused

TITLES = {
    Code.NOT_FOUND: N_("We couldn't find that"),
    Code.LINK_CLOSED: N_("This link is closed"),
    Code.VISIT_OVER: N_("This visit is over"),
    Code.NOT_SIGNED_IN: N_("Please sign in"),
    Code.NOT_ALLOWED: N_("That isn't open to you"),
    Code.CROSS_SITE: N_("That came from another site"),
    Code.INTERNAL: N_("Something went wrong on our side"),
    Code.UNAVAILABLE: N_("Not available just now"),
    Code.TOO_MANY: N_("Please wait a moment"),
}
BENEATH = {
    Code.LINK_CLOSED: N_("It opens nothing any more. Please ring the clinic."),
    Code.VISIT_OVER: N_("If you still need help, please ring the clinic."),
}
"""What stands under a heading that has said the rest."""
FOR_STAFF = {
    Code.NOT_FOUND: N_("It may be gone, or the address is not right. Nothing was changed."),
    Code.LINK_CLOSED: N_("It opens nothing any more."),
    Code.VISIT_OVER: N_("Nothing was changed."),
    Code.REMOVED: N_("This person was taken out of the visit."),
}
"""Where a patient is told to ring the clinic: whoever works there needn't."""
RETRY_AFTER_S = {Code.UNAVAILABLE: 5, Code.NODE_DOWN: 5, Code.TOO_MANY: 60}
CODES = {401: Code.NOT_SIGNED_IN, 403: Code.NOT_ALLOWED, 404: Code.NOT_FOUND, 413: Code.TOO_LONG, 503: Code.UNAVAILABLE}


def code_of_status(status: int) -> Code:
    """The code that says the same as a bare HTTP status."""
    if status in CODES:
        return CODES[status]
    return Code.INTERNAL if status >= 500 else Code.MALFORMED


def wants_json(request: web.Request) -> bool:
    """Scripts of ours ask under /api/ or with Accept: application/json; everybody else is a person."""
    accepted = request.headers.get("Accept", "")
    return request.path.startswith("/api/") or "application/json" in accepted


def answer_to(request: web.Request, refused: Refused, *, status: int | None = None) -> web.Response:
    """The answer to a refused request."""
    code = status or STATUS[refused.code]
    headers = {"Cache-Control": "no-store"}
    if refused.code in RETRY_AFTER_S:
        headers["Retry-After"] = str(RETRY_AFTER_S[refused.code])
    fields = refused.fields if isinstance(refused, FormError) else {}
    words = translate(request, refused.message or TEXT[refused.code])
    fields = {name: translate(request, said) for name, said in fields.items()}
    if wants_json(request):
        body = {"error": refused.code.value, "message": words, "fields": fields, "limit": refused.limit}
        return web.json_response({key: value for key, value in body.items() if value}, status=code, headers=headers)
    if not refused.message:
        words = translate(request, _beneath(request, refused.code))
    values = {"code": refused.code.value, "words": words, "sentences": list(fields.values())}
    return _page(request, refused.code, values, status=code, headers=headers)


def _beneath(request: web.Request, code: Code) -> str:
    mine = FOR_STAFF if context.VIEWER in request else BENEATH
    return mine.get(code) or TEXT[code]


def _page(
    request: web.Request, code: Code, values: dict[str, Any], *, status: int, headers: dict[str, str]
) -> web.Response:
    """The page; plain text where even its frame can't be made (nothing was built)."""
    values |= {"heading": TITLES.get(code, N_("That didn't work")), "sign_in_url": _sign_in_url(request, code)}
    try:
        return render(request, "errors/error.html", values, status=status, headers=headers)
    except (TemplateError, KeyError):
        return web.Response(text=values["words"], status=status, headers=headers)


def _sign_in_url(request: web.Request, code: Code) -> str | None:
    scope = request.get(context.CLINIC)
    if code is not Code.NOT_SIGNED_IN or scope is None:
        return None
    route = route_of(request)
    is_for_patients = route is not None and route.may is is_patient
    return f"/c/{scope.slug}/{'my/' if is_for_patients else ''}sign-in"
