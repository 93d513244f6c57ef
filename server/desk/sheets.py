"""A day on paper and as a table for a spreadsheet, in which no cell can become a formula.

The live board is `views.py`.
"""

from __future__ import annotations

import csv
import io
from datetime import date
from zoneinfo import ZoneInfo

from aiohttp import web

from server import context
from server.desk import day
from server.desk.day import Line
from server.errors import DomainError
from server.pages import render
from server.permissions import is_scheduler
from server.routing import Route
from server.scheduling import picker
from server.scheduling.slots import local_instant
from server.scheduling.wording import when
from signaling.words import Code

HEAD = ("date", "time", "zone", "doctor", "patient", "birth_date", "phone", "visit_type", "kind", "state")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")


async def show_print(request: web.Request) -> web.Response:
    shown, lines = await _load(request)
    clinic = context.clinic(request)
    noon = local_instant(shown, 720, ZoneInfo(clinic.zone))
    words = when(noon, clinic.zone, clinic.language)["date"]
    values = {"day": shown, "day_words": words, "zone": clinic.zone, "lines": lines}
    return render(request, "desk/print.html", values)


async def download(request: web.Request) -> web.Response:
    shown, lines = await _load(request)
    clinic = context.clinic(request)
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="appointments-{shown.isoformat()}.csv"',
        "Cache-Control": "no-store",
    }
    return web.Response(body=as_csv(lines, shown, clinic.zone).encode("utf-8-sig"), headers=headers)


def as_csv(lines: list[Line], shown: date, zone: str) -> str:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    writer.writerow(HEAD)
    for line in lines:
        patient, appointment = line.patient, line.appointment
        cells = (
            shown.isoformat(),
            line.clock,
            zone,
            line.doctor_names,
            patient.name,
            patient.birth_date.isoformat(),
            patient.phone or "",
            line.visit_type,
            appointment.kind,
            line.standing.value,
        )
        writer.writerow([plain_cell(cell) for cell in cells])
    return out.getvalue()


def plain_cell(text: str) -> str:
    """Text that a spreadsheet takes for text: what could begin a formula gets an apostrophe before it."""
    is_risky = text.lstrip(" \u00a0\ufeff").startswith(FORMULA)
    return f"'{text}" if is_risky else text


ROUTES = [
    Route("GET", "/c/{clinic}/board/print", show_print, is_scheduler, "board.print"),
    Route("GET", "/c/{clinic}/board/appointments.csv", download, is_scheduler, "board.csv"),
]


async def _load(request: web.Request) -> tuple[date, list[Line]]:
    if request.get(context.NAMES_HIDDEN, False):
        raise DomainError(Code.NOT_ALLOWED, "Names are hidden while a screen is shared.")
    clinic, now = context.clinic(request), context.now(request)
    today = now.astimezone(ZoneInfo(clinic.zone)).date()
    shown = picker.read_day(request.query.get("day", ""), today) or today
    async with context.database(request).reading() as session:
        return shown, await day.load_day(session, clinic, shown, now)
