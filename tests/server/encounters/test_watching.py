"""Watching a film: who may, by which ranges, and how far one that is being made has come."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from server import jobs as jobtable
from server.audit import AuditAction, AuditEntry
from server.encounters import films, keeping, rules, visits
from server.encounters.ranges import Span, Unsatisfiable, parse_range
from signaling.words import Outcome
from tests.server.encounters.recorded import Recorded


async def test_only_the_visits_doctor_and_a_granted_patient_watch(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.stop()
    await recorded.with_film(tmp_path)
    house, play = recorded.house, await recorded.url("play")
    for who in ("patient", "other patient", "colleague", "scheduler", "administrator"):
        browser = await house.browser_of(who)
        for path in ("play", "state"):
            assert (await browser.get(await recorded.url(path))).status == 404, (who, path)
        assert (await browser.post(await recorded.url("grant"))).status == 404
        assert (await browser.post(await recorded.url("retry"))).status == 404
    assert (await house.browser().get(play)).status == 401
    doctor = await house.browser_of("doctor")
    assert (await doctor.post(await recorded.url("grant"))).status == 303
    assert (await doctor.post(await recorded.url("grant"))).status == 303
    assert (await (await house.browser_of("patient")).get(play)).status == 200
    assert (await (await house.browser_of("other patient")).get(play)).status == 404
    home = await (await house.at_page(house.cast.patient)).get(f"/c/north/patients/{house.cast.patient}/home")
    for page in (await home.text(), await (await doctor.get(await recorded.url("state"))).text()):
        [player] = re.findall("<video[^>]*>", page)
        assert 'preload="none"' in player, "no frame of a visit is ever a preview"
        assert "poster" not in page
    async with house.cast.database.reading() as session:
        actions = [entry.action for entry in await session.scalars(select(AuditEntry))]
    assert actions.count(AuditAction.RECORDING_WATCHED) == 1
    assert actions.count(AuditAction.RECORDING_GRANTED) == 1


@pytest.mark.parametrize("way", ["cut_off", "ended_and_undone"])
async def test_what_was_recorded_of_somebody_else_is_nobodys_to_watch(
    recorded: Recorded, tmp_path: Path, way: str
) -> None:
    """Neither shown nor granted, also when it was granted before and when its hold is lifted; undone, as before."""
    cast, house = recorded.house.cast, recorded.house
    await recorded.seal()
    await recorded.stop()
    await recorded.with_film(tmp_path)
    async with cast.database.writing() as session:
        film = await films.get_film(session, cast.clinic.id, (await recorded.film()).id)
        patient_id = (await visits.get_encounter(session, cast.room)).patient_id
        await films.grant(session, film, patient_id, cast.doctor, cast.clock())
    doctor, officer = await house.browser_of("doctor"), await house.browser_of("administrator")
    if way == "cut_off":
        await cast.port.wrong_person(cast.room, recorded.patient, recorded.doctor)
    else:
        await cast.port.ended(cast.room, recorded.doctor, Outcome.WRONG_PERSON)
    if way == "ended_and_undone":
        await cast.port.reopened(cast.room, recorded.doctor)
    is_shown = way == "ended_and_undone"
    page = await (await officer.get(f"/c/{cast.clinic.slug}/recordings")).text()
    assert ("Somebody else was in this visit" in page) is not is_shown
    assert ("Lift the hold" in page) is not is_shown
    if not is_shown:
        async with cast.database.writing() as session:
            recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
            await keeping.lift_hold(session, recording, by=cast.doctor, now=cast.clock())
    async with cast.database.reading() as session:
        granted = await films.load_granted_films(session, cast.clinic.id, patient_id)
        encounter = await visits.get_encounter(session, cast.room)
        shown = await films.load_films(session, encounter)
    assert [len(granted), len(shown)] == [is_shown, is_shown]
    for rest in ("play", "state"):
        assert (await doctor.get(await recorded.url(rest))).status == (200 if is_shown else 404)
    for rest in ("grant", "tracks", "again"):
        status = (await doctor.post(await recorded.url(rest), data={})).status
        assert (status == 404) is not is_shown, rest


async def test_progress_is_shown_while_it_is_made(recorded: Recorded) -> None:
    await recorded.stop()
    browser = await recorded.house.browser_of("doctor")
    page = await (await browser.get(recorded.house.visit_url("/summary"))).text()
    assert 'hx-trigger="every 2s"' in page
    async with recorded.house.cast.database.writing() as session:
        job = await jobtable.load_job(session, films.JOB, recorded.recording)
        assert job is not None
        job.progress = 0.42
        film = await films.get_film(session, job.clinic_id or "", (await recorded.film()).id)
        film.composing_since = recorded.house.cast.clock()
    recorded.house.cast.clock.forward(minutes=3)
    told = await (await browser.get(await recorded.url("state"), headers={"Accept": "application/json"})).json()
    assert (told["state"], told["progress"]) == ("queued", 0.42)
    piece = await (await browser.get(await recorded.url("state"))).text()
    assert '<progress class="bs-progress" max="100" value="42"' in piece
    assert "42 %, about 4 minutes left" in piece
    assert "Stop putting it together" in piece


async def test_ranges_as_players_ask_for_them(recorded: Recorded, tmp_path: Path) -> None:
    content = os.urandom(3 * 64 * 1024 + 777)
    await recorded.stop()
    await recorded.with_film(tmp_path, content=content)
    browser, play = await recorded.house.browser_of("doctor"), await recorded.url("play")
    whole = await (await browser.get(play)).read()
    assert whole == content
    size = len(whole)
    for header, start, end in (
        ("bytes=0-1", 0, 2),
        ("bytes=0-", 0, size),
        (f"bytes=0-{size + 99}", 0, size),
        ("bytes=-7", size - 7, size),
        (f"bytes={size - 1}-", size - 1, size),
        ("bytes=100-299", 100, 300),
        ("bytes=65535-131072", 65535, 131073),
    ):
        answer = await browser.get(play, headers={"Range": header})
        assert answer.status == 206, header
        assert answer.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
        assert await answer.read() == whole[start:end]
    several = await browser.get(play, headers={"Range": "bytes=0-1,10-12"})
    assert several.headers["Content-Type"].startswith("multipart/byteranges; boundary=")
    body = await several.read()
    assert int(several.headers["Content-Length"]) == len(body)
    assert f"Content-Range: bytes 10-12/{size}\r\n\r\n".encode() + whole[10:13] in body
    beyond = await browser.get(play, headers={"Range": f"bytes={size}-"})
    assert (beyond.status, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    head = await browser.request("HEAD", play)
    assert (head.status, int(head.headers["Content-Length"])) == (200, size)
    etag = head.headers["ETag"]
    assert (await browser.get(play, headers={"Range": "bytes=0-1", "If-Range": etag})).status == 206
    assert (await browser.get(play, headers={"Range": "bytes=0-1", "If-Range": '"older"'})).status == 200


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("bytes=", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=5-2", None),
        ("bytes=a-b", None),
        ("bytes=0-1,,2", None),
        ("bytes=" + ",".join(["0-1"] * 9), None),
        ("bytes=" + "9" * 30 + "-", None),
        ("bytes=0-0", [Span(0, 1)]),
        ("bytes=-500", [Span(0, 100)]),
        ("bytes=0-1, 200-", [Span(0, 2)]),
        (" Bytes = 1-2 , -1", [Span(1, 3), Span(99, 100)]),
    ],
)
def test_a_range_header_is_read_as_the_rfc_says(header: str | None, expected: list[Span] | None) -> None:
    assert parse_range(header, 100) == expected


@pytest.mark.parametrize("header", ["bytes=100-", "bytes=-0", "bytes=200-300,400-"])
def test_a_range_beyond_the_end_is_unsatisfiable(header: str) -> None:
    with pytest.raises(Unsatisfiable):
        parse_range(header, 100)


@pytest.mark.parametrize(
    ("progress", "after_s", "left"), [(0.0, 30, None), (0.5, 30, 30), (0.25, 20, 60), (1.0, 90, 0), (0.01, 5, None)]
)
def test_how_long_it_takes_is_said_once_it_can_be_told(progress: float, after_s: int, left: int | None) -> None:
    since = datetime(2031, 5, 27, tzinfo=UTC)
    assert rules.seconds_left(since, progress, since + timedelta(seconds=after_s)) == left
    assert rules.seconds_left(None, progress, since) is None
