"""The demo's outbox: every message that was sent, with its link and its calendar file.

`app.py` registers these routes only where the demo may run.
"""

from __future__ import annotations

import re

from aiohttp import web
from sqlalchemy import select

from server import context
from server.accounts.models import Clinic, Patient
from server.errors import not_found
from server.pages import render
from server.permissions import anybody
from server.routing import Route
from server.scheduling.models import Message
from server.scheduling.wording import when

SHOWN_MAX = 100
_LINK = re.compile(r"https?://\S+")


async def show_outbox(request: web.Request) -> web.Response:
    """The newest first; a message of nobody's clinic but the demo's."""
    query = (
        select(Message, Clinic.zone, Clinic.language, Patient.name)
        .join(Clinic, Clinic.id == Message.clinic_id)
        .join(Patient, (Patient.clinic_id == Message.clinic_id) & (Patient.id == Message.patient_id))
        .where(Clinic.is_demo, Message.text.is_not(None))
        .order_by(Message.sent_at.desc(), Message.id)
        .limit(SHOWN_MAX)
    )
    async with context.database(request).reading() as session:
        rows = (await session.execute(query)).all()
    shown = []
    for message, zone, language, name in rows:
        at = when(message.sent_at or message.created_at, zone, language)
        text = message.text or ""
        link = _LINK.search(text)
        shown.append(
            {
                "message": message,
                "name": name,
                "at": f"{at['date']}, {at['clock']}",
                "link": link.group(0) if link else None,
                "before": text[: link.start()] if link else text,
                "after": text[link.end() :] if link else "",
            }
        )
    return render(request, "desk/outbox.html", {"rows": shown})


async def download_calendar(request: web.Request) -> web.Response:
    query = (
        select(Message)
        .join(Clinic, Clinic.id == Message.clinic_id)
        .where(Clinic.is_demo, Message.id == request.match_info["message"])
    )
    async with context.database(request).reading() as session:
        message = (await session.scalars(query)).first()
    if message is None or message.ics is None:
        raise not_found()
    return web.Response(
        body=message.ics,
        headers={
            "Content-Type": f"text/calendar; charset=utf-8; method={message.ics_method}",
            "Content-Disposition": 'attachment; filename="appointment.ics"',
            "Cache-Control": "no-store",
        },
    )


ROUTES = [
    Route("GET", "/demo/outbox", show_outbox, anybody, "demo.outbox"),
    Route("GET", "/demo/outbox/{message}/appointment.ics", download_calendar, anybody, "demo.calendar"),
]
