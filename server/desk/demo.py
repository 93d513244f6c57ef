"""The demo's outbox: every message that was sent, with its link and its calendar file.

`app.py` registers these routes only where the demo may run.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from aiohttp import web
from sqlalchemy import select

from server import context
from server.accounts.models import Clinic, Patient, Person
from server.accounts.trust_models import StaffNotice
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
    to_patients = (
        select(Message, Clinic.zone, Patient.name, Message.recipient)
        .join(Clinic, Clinic.id == Message.clinic_id)
        .join(Patient, (Patient.clinic_id == Message.clinic_id) & (Patient.id == Message.patient_id))
        .where(Clinic.is_demo, Message.text.is_not(None))
        .order_by(Message.sent_at.desc(), Message.id)
        .limit(SHOWN_MAX)
    )
    to_staff = (
        select(StaffNotice, Clinic.zone, Person.name, Person.email)
        .join(Clinic, Clinic.id == StaffNotice.clinic_id)
        .join(Person, Person.id == StaffNotice.person_id)
        .where(Clinic.is_demo, StaffNotice.text.is_not(None))
        .order_by(StaffNotice.sent_at.desc(), StaffNotice.id)
        .limit(SHOWN_MAX)
    )
    async with context.database(request).reading() as session:
        rows: list[tuple[Message | StaffNotice, str, str, str | None]] = [
            (message, zone, name, to) for message, zone, name, to in await session.execute(to_patients)
        ]
        rows += [(notice, zone, name, to) for notice, zone, name, to in await session.execute(to_staff)]
    newest = sorted(rows, key=lambda row: _sent_at(row[0]), reverse=True)[:SHOWN_MAX]
    return render(request, "desk/outbox.html", {"rows": [_shown(*row) for row in newest]})


def _sent_at(message: Message | StaffNotice) -> datetime:
    return message.sent_at or datetime.min.replace(tzinfo=UTC)


def _shown(message: Message | StaffNotice, zone: str, name: str, recipient: str | None) -> dict[str, Any]:
    """A message with its link told apart from the words around it."""
    at, text = when(message.sent_at or datetime.min.replace(tzinfo=UTC), zone, "en"), message.text or ""
    link = _LINK.search(text)
    return {
        "id": message.id,
        "subject": message.subject,
        "channel": message.channel if isinstance(message, Message) else "mail",
        "recipient": recipient or "",
        "ics_method": message.ics_method if isinstance(message, Message) and message.ics else None,
        "name": name,
        "at": f"{at['date']}, {at['clock']}",
        "link": link.group(0) if link else None,
        "before": text[: link.start()] if link else text,
        "after": text[link.end() :] if link else "",
    }


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
