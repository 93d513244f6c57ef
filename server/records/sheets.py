"""Gathers what is printed of one version; setting it is `printing.py`, who may have it is asked before.

Only signed text comes here, and nothing that was entered in error.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import context
from server.accounts.models import Patient
from server.accounts.trust_models import ClinicPolicy
from server.context import ClinicScope
from server.errors import not_found
from server.pages import language_of, translate
from server.records import printing
from server.records.printing import PDF, Sheet
from server.records.reading import Version
from server.records.rules import Kind
from server.scheduling.wording import when
from signaling.words import N_

TITLES = {
    Kind.SIGNED: N_("Note of a visit"),
    Kind.ADDENDUM: N_("Addendum to the note of a visit"),
    Kind.LATE_ENTRY: N_("Late entry to the note of a visit"),
    Kind.CORRECTION: N_("Correction of the note of a visit"),
}
DISCLAIMER = N_("This is a note of a visit. It is not a prescription, not a referral and not an order.")
Translate = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Occasion:
    """The visit a version belongs to."""

    starts_at: datetime
    zone: str
    patient: Patient


async def answer(
    request: web.Request, session: AsyncSession, occasion: Occasion, versions: list[Version], n: str
) -> web.Response:
    """The file of version `n` of those this asker may read. Raises not_found for any other, or an erased one."""
    version = next((one for one in versions if str(one.n) == n and one.text is not None), None)
    if version is None:
        raise not_found()
    policy = await session.get(ClinicPolicy, context.clinic(request).id)
    made = sheet(
        context.clinic(request),
        occasion,
        version,
        letterhead=policy.letterhead if policy else "",
        language=language_of(request),
        said=lambda words: translate(request, words),
    )
    content, kind = await asyncio.to_thread(printing.print_sheet, made, int(version.signed_at.timestamp()))
    name = f"note-{version.n}.{'pdf' if kind == PDF else 'txt'}"
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Content-Security-Policy": "sandbox",
        "X-Content-Type-Options": "nosniff",
        "Cache-Control": "private, no-store",
    }
    charset = None if kind == PDF else "utf-8"
    return web.Response(body=content, content_type=kind, charset=charset, headers=headers)


def sheet(
    clinic: ClinicScope, occasion: Occasion, version: Version, *, letterhead: str, language: str, said: Translate
) -> Sheet:
    """What is printed of this version, in that language."""
    at = when(occasion.starts_at, occasion.zone, language)
    signed = when(version.signed_at, occasion.zone, language)
    facts = [
        (said(N_("Patient")), occasion.patient.name),
        (said(N_("Born")), occasion.patient.birth_date.isoformat()),
        (said(N_("Visit")), f"{at['date']}, {at['clock']} ({at['zone']})"),
        (said(N_("Signed by")), f"{version.author_name}, {signed['date']}, {signed['clock']}"),
    ]
    if version.reason:
        facts.append((said(N_("Reason")), version.reason))
    sections = [(said(N_("Note")), version.text or "")]
    if version.summary:
        sections.insert(0, (said(N_("In plain words")), version.summary))
    return Sheet(
        title=said(TITLES[version.kind]),
        author=version.author_name,
        language=language,
        clinic=clinic.name,
        letterhead=letterhead,
        facts=facts,
        sections=sections,
        fingerprint=f"{said(N_('Version'))} {version.n} · {version.hash.hex()}",
        disclaimer=said(DISCLAIMER),
    )
