"""Watching a film: how far it is, playing it by ranges, letting the patient watch, trying again.

Only a doctor of the visit, and a patient it was granted to, learn that a film exists; everybody else gets the same 404
as for one that doesn't.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from aiohttp import web
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, context, jobs
from server.accounts.service import get_clinic
from server.audit import AuditAction
from server.encounters import films, filmwords, keeping, redacting, rules, visits
from server.encounters.events import FilmGranted
from server.encounters.filmstore import FilmDamagedError, SealedFilm, open_recordings, read_film
from server.encounters.forms import AgainForm
from server.encounters.models import Encounter
from server.encounters.ranges import Span, Unsatisfiable, parse_range
from server.encounters.recording_models import Film, Recording, RecordingPurpose
from server.encounters.visits import Visit
from server.error_pages import wants_json
from server.errors import DomainError, not_found
from server.forms import parse_form
from server.pages import render
from server.permissions import holds_visit, is_somebody, may_watch_film
from server.routing import Route, see_other
from server.scheduling.wording import when
from signaling.words import Code

SEALED_HEADERS = {"Cache-Control": "private, no-store", "Accept-Ranges": "bytes", "Content-Disposition": "inline"}


async def play(request: web.Request) -> web.StreamResponse:
    """The film, whole or by ranges, opened block by block; each request of a play is in the audit."""
    async with context.database(request).writing() as session:
        sealed = await _load_redacted(request, session) or await _load_whole(request, session)
    etag = f'"{sealed.path.rsplit("/", 1)[-1]}"'
    try:
        spans = None if _is_outdated(request, etag) else parse_range(request.headers.get("Range"), sealed.size)
    except Unsatisfiable:
        headers = {**SEALED_HEADERS, "Content-Range": f"bytes */{sealed.size}"}
        return web.Response(status=416, headers=headers)
    return await _send(request, sealed, spans, {**SEALED_HEADERS, "ETag": etag})


async def _load_whole(request: web.Request, session: AsyncSession) -> SealedFilm:
    film, _ = await _get_film(request, session)
    if film.state != "ready" or film.path is None or film.wrapped_key is None or film.size_bytes is None:
        raise DomainError(Code.NOTHING_RECORDED)
    await _enter(request, session, film, AuditAction.RECORDING_WATCHED)
    key = context.vault(request).clinic(film.clinic_id).unwrap_key(films.key_name(film.path), film.wrapped_key)
    return SealedFilm(film.path, film.size_bytes, key)


async def _load_redacted(request: web.Request, session: AsyncSession) -> SealedFilm | None:
    """What a patient watches who may not watch the whole; None for everybody else."""
    film = await films.get_shown_film(session, context.clinic(request).id, request.match_info["film_id"])
    row = await redacting.load(session, film.clinic_id, film.id)
    if row is None or row.patient_id not in context.actor(request).patients:
        return None
    sealed = redacting.opened(context.vault(request).clinic(film.clinic_id), row)
    if sealed is None or row.patient_id in await films.load_granted(session, film):
        return None
    await _enter(request, session, film, AuditAction.RECORDING_WATCHED)
    return sealed


async def want_tracks(request: web.Request) -> web.Response:
    """The originals are to be copied into one file, for whoever needs more than the film."""
    async with context.database(request).writing() as session:
        film, visit = await _get_film(request, session)
        if not _holds(request, visit):
            raise not_found()
        recording = await keeping.get_recording(session, film.clinic_id, film.recording_id)
        if film.state != "ready" or recording.logs_deleted_at is not None:
            raise DomainError(Code.WRONG_PHASE)
        if film.tracks_path is None:
            await jobs.enqueue(
                session, films.TRACKS_JOB, film.recording_id, context.now(request), clinic_id=film.clinic_id
            )
    return see_other(f"/c/{context.clinic(request).slug}/visits/{film.encounter_id}/summary")


async def send_tracks(request: web.Request) -> web.StreamResponse:
    """The copied originals, whole, as a download."""
    async with context.database(request).writing() as session:
        film, visit = await _get_film(request, session)
        if not _holds(request, visit) or film.tracks_path is None or film.tracks_key is None:
            raise not_found()
        await _enter(request, session, film, AuditAction.RECORDING_EXPORTED)
    key = context.vault(request).clinic(film.clinic_id).unwrap_key(films.key_name(film.tracks_path), film.tracks_key)
    sealed = SealedFilm(film.tracks_path, film.tracks_bytes or 0, key)
    headers = {"Cache-Control": "private, no-store", "Content-Disposition": 'attachment; filename="recording.mkv"'}
    return await _send(request, sealed, None, headers, kind="video/x-matroska")


async def _send(
    request: web.Request,
    film: SealedFilm,
    spans: Sequence[Span] | None,
    headers: dict[str, str],
    *,
    kind: str = "video/mp4",
) -> web.StreamResponse:
    boundary = secrets.token_hex(16)
    parts = spans or [Span(0, film.size)]
    heads = [_part_head(boundary, span, film.size) for span in parts] if len(parts) > 1 else [b""]
    tail = f"\r\n--{boundary}--\r\n".encode() if len(parts) > 1 else b""
    response = web.StreamResponse(status=206 if spans else 200, headers=headers)
    response.content_type = f"multipart/byteranges; boundary={boundary}" if len(parts) > 1 else kind
    if spans and len(spans) == 1:
        response.headers["Content-Range"] = spans[0].content_range(film.size)
    response.content_length = sum(span.end - span.start for span in parts) + sum(map(len, heads)) + len(tail)
    await response.prepare(request)
    if request.method == "HEAD":
        return response
    store = open_recordings(context.settings(request))
    try:
        for head, span in zip(heads, parts, strict=True):
            await response.write(head)
            async for piece in read_film(store, film, span.start, span.end):
                await response.write(piece)
    except FilmDamagedError:
        # The head is sent: the connection breaks off, so that no player takes this for the film's end.
        response.force_close()
        if request.transport is not None:
            request.transport.close()
        raise
    await response.write(tail)
    await response.write_eof()
    return response


def _part_head(boundary: str, span: Span, size: int) -> bytes:
    lines = (f"\r\n--{boundary}", "Content-Type: video/mp4", f"Content-Range: {span.content_range(size)}", "", "")
    return "\r\n".join(lines).encode()


def _is_outdated(request: web.Request, etag: str) -> bool:
    """A player that has pieces of another version gets the whole of this one (RFC 9110 §13.1.5)."""
    wanted = request.headers.get("If-Range")
    return wanted is not None and wanted != etag


async def show_state(request: web.Request) -> web.Response:
    """How far the film is: a piece of the visit's page that asks again while it is being made."""
    async with context.database(request).reading() as session:
        film, visit = await _get_film(request, session)
        slug, now = context.clinic(request).slug, context.now(request)
        shown = await film_values(session, film, slug, may_grant=_holds(request, visit), now=now)
    if wants_json(request):
        return web.json_response(shown, headers={"Cache-Control": "no-store"})
    return render(request, "encounters/film_state.html", {"film": shown})


async def grant(request: web.Request) -> web.Response:
    """The patient may watch it, on their own page, from now on."""
    now = context.now(request)
    async with context.database(request).writing() as session:
        film, visit = await _get_film(request, session)
        by = context.actor(request).person_id
        if not _holds(request, visit) or by is None:
            raise not_found()
        if film.state != "ready":
            raise DomainError(Code.WRONG_PHASE)
        if await films.grant(session, film, visit.encounter.patient_id, by, now):
            await _enter(request, session, film, AuditAction.RECORDING_GRANTED)
            told = FilmGranted(film.clinic_id, visit.encounter.patient_id, visit.encounter.id, film.id, now)
            await context.events(request).raise_event(session, told)
    return see_other(f"/c/{context.clinic(request).slug}/visits/{film.encounter_id}/summary")


async def try_again(request: web.Request) -> web.Response:
    """A film that could not be made is asked for once more."""
    async with context.database(request).writing() as session:
        film, visit = await _get_film(request, session)
        if not _holds(request, visit):
            raise not_found()
        recording = await session.get(Recording, (film.clinic_id, film.recording_id))
        if recording is not None and film.state == "failed":
            await films.expect(session, recording, context.now(request))
    return see_other(f"/c/{context.clinic(request).slug}/visits/{film.encounter_id}/summary")


async def cancel(request: web.Request) -> web.Response:
    """Stops the making; what was recorded stays, and it may be asked for again."""
    now = context.now(request)
    async with context.database(request).writing() as session:
        film, visit = await _get_film(request, session)
        if not _holds(request, visit):
            raise not_found()
        if film.state in ("queued", "composing"):
            await jobs.cancel(session, films.JOB, film.recording_id, now)
            films.say_failed(film, films.CANCELLED)
    return see_other(f"/c/{context.clinic(request).slug}/visits/{film.encounter_id}/summary")


async def make_again(request: web.Request) -> web.Response:
    """The same film with or without names and the time of day in the picture."""
    # Whose film it is comes first: for a stranger no form is good or bad.
    async with context.database(request).reading() as session:
        _, visit = await _get_film(request, session)
    if not _holds(request, visit):
        raise not_found()
    form = await parse_form(request, AgainForm)
    async with context.database(request).writing() as session:
        film, visit = await _get_film(request, session)
        if not _holds(request, visit):
            raise not_found()
        recording = await keeping.get_recording(session, film.clinic_id, film.recording_id)
        if film.state != "ready" or recording.logs_deleted_at is not None:
            raise DomainError(Code.WRONG_PHASE)
        film.with_names, film.with_clock = form.names == "yes", form.clock == "yes"
        film.state, film.progress = "queued", 0.0
        await films.expect(session, recording, context.now(request))
    return see_other(f"/c/{context.clinic(request).slug}/visits/{film.encounter_id}/summary")


async def film_values(
    session: AsyncSession, film: Film, slug: str, *, may_grant: bool, now: datetime
) -> dict[str, Any]:
    """A film as its piece of a page shows it."""
    job = await jobs.load_job(session, films.JOB, film.recording_id)
    is_running = film.state in ("queued", "composing") and job is not None
    report = json.loads(film.report) if film.report else {}
    base = f"/c/{slug}/films/{film.id}"
    progress = job.progress if is_running and job is not None else film.progress
    return {
        "id": film.id,
        "state": film.state,
        "progress": progress,
        "seconds_left": rules.seconds_left(film.composing_since, progress, now) if is_running else None,
        "code": film.code,
        "is_deleted": film.code == films.DELETED,
        "failure": filmwords.failure(film.code) if film.state == "failed" else None,
        "check": _check(report) if report and not report.get("empty") else None,
        "kept": await _kept(session, film),
        "is_awaited": film.state == "empty" and await _is_awaited(session, film),
        "with_names": film.with_names,
        "with_clock": film.with_clock,
        "is_retried": film.state == "failed" and job is not None and job.finished_at is None,
        "duration_s": film.duration_s,
        "passed": report.get("passed"),
        "problems": report.get("problems", []),
        "is_granted": bool(await films.load_granted(session, film)),
        "may_grant": may_grant,
        "state_url": f"{base}/state",
        "play_url": f"{base}/play",
        "grant_url": f"{base}/grant",
        "retry_url": f"{base}/retry",
        "cancel_url": f"{base}/cancel",
        "again_url": f"{base}/again",
        "tracks_url": f"{base}/tracks",
        "has_tracks": film.tracks_path is not None,
        "wants_tracks": film.tracks_path is None and await _is_copying(session, film),
    }


def _check(report: dict[str, Any]) -> dict[str, Any]:
    """The figures of the self-check as a person reads them."""
    return {
        "passed": report["passed"],
        "problems": [filmwords.PROBLEMS.get(code, code) for code in report["problems"]],
        "duration_s": report["duration_s"],
        "off_ms": round(abs(report["duration_s"] - report["wall_clock_s"]) * 1000),
        "within_ms": round(report["placement_within_s"] * 1000),
        "between_ms": round(report["placement_between_s"] * 1000),
        **{
            kind: {
                "count": len(report[kind]),
                "seconds": round(sum(one["end_s"] - one["start_s"] for one in report[kind])),
            }
            for kind in ("gaps", "silent", "black")
        },
        "removed": len(report["removed"]),
        "incomplete": report["incomplete"],
        "missing": report.get("missing_segments", []),
        "sha256": report["sha256"],
    }


async def _is_awaited(session: AsyncSession, film: Film) -> bool:
    """A node was let record, and has brought nothing so far."""
    return bool(
        await films.load_missing(session, await keeping.get_recording(session, film.clinic_id, film.recording_id))
    )


async def _is_copying(session: AsyncSession, film: Film) -> bool:
    job = await jobs.load_job(session, films.TRACKS_JOB, film.recording_id)
    return job is not None and job.finished_at is None


async def _kept(session: AsyncSession, film: Film) -> dict[str, Any]:
    """For what it was made, until when it is kept, and what stands in the way of its date."""
    recording = await keeping.get_recording(session, film.clinic_id, film.recording_id)
    purpose = await session.get(RecordingPurpose, (film.clinic_id, recording.purpose))
    encounter = await session.get(Encounter, (film.clinic_id, film.encounter_id))
    clinic = await get_clinic(session, film.clinic_id)
    zone = encounter.zone if encounter is not None else clinic.zone
    return {
        "purpose": purpose.words if purpose is not None else recording.purpose,
        "until": when(recording.delete_at, zone, clinic.language),
        "held": await keeping.load_hold(session, recording) is not None,
        "asked": any(one.state == "asked" for one in await keeping.load_wishes(session, recording)),
        "has_log": recording.logs_deleted_at is None and bool(await films.load_logs(session, recording)),
        "deleted": when(recording.deleted_at, zone, clinic.language) if recording.deleted_at else None,
    }


async def _get_film(request: web.Request, session: AsyncSession) -> tuple[Film, Visit]:
    """Raises not_found for whoever may not know of it."""
    film = await films.get_shown_film(session, context.clinic(request).id, request.match_info["film_id"])
    encounter = await session.get(Encounter, (film.clinic_id, film.encounter_id))
    if encounter is None:
        raise not_found()
    visit = await visits.visit_of(session, encounter)
    if not may_watch_film(context.actor(request), visit.facts, await films.load_granted(session, film)):
        raise not_found()
    return film, visit


def _holds(request: web.Request, visit: Visit) -> bool:
    return holds_visit(context.actor(request), visit.facts)


async def _enter(request: web.Request, session: AsyncSession, film: Film, action: AuditAction) -> None:
    actor = context.actor(request)
    by_patient = actor.person_id is None
    await audit.enter(
        session,
        clinic_id=film.clinic_id,
        actor_person_id=actor.person_id,
        action=action,
        subject=("film", film.id),
        detail={"by_patient": by_patient},
        now=context.now(request),
    )


ROUTES = [
    Route("GET", "/c/{clinic}/films/{film_id}/play", play, is_somebody, "film_play"),
    Route("GET", "/c/{clinic}/films/{film_id}/state", show_state, is_somebody, "film_state"),
    Route("POST", "/c/{clinic}/films/{film_id}/grant", grant, is_somebody, "film_grant"),
    Route("POST", "/c/{clinic}/films/{film_id}/retry", try_again, is_somebody, "film_retry"),
    Route("POST", "/c/{clinic}/films/{film_id}/cancel", cancel, is_somebody, "film_cancel"),
    Route("POST", "/c/{clinic}/films/{film_id}/tracks", want_tracks, is_somebody, "film_tracks.want"),
    Route("GET", "/c/{clinic}/films/{film_id}/tracks", send_tracks, is_somebody, "film_tracks"),
    Route("POST", "/c/{clinic}/films/{film_id}/again", make_again, is_somebody, "film_again"),
]
