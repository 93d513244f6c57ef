"""From the room's grant to a film in the browser: composed by the job out of a real log, sealed, played by ranges."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import multiprocessing
from pathlib import Path

import av
import pytest
from sqlalchemy import select

from server import jobs as jobtable
from server.audit import AuditAction, AuditEntry
from server.encounters import films, jobs, keeping, visits
from server.encounters.ranges import Span, Unsatisfiable, parse_range
from server.encounters.recording_models import SegmentKey
from server.jobs import JobFailed
from signaling.words import Outcome
from tests.server.encounters.recorded import SECONDS, Recorded, context_of


async def test_a_stopped_recording_becomes_a_film_that_plays(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.store_log(tmp_path)
    await recorded.stop()
    assert await recorded.run_jobs() == 1
    film = await recorded.film()
    assert (film.state, film.code) == ("ready", None)
    assert film.duration_s == pytest.approx(SECONDS, abs=0.5)
    assert json.loads(film.report or "{}")["passed"]
    browser = await recorded.house.browser_of("doctor")
    answer = await browser.get(await recorded.url("play"))
    whole = await answer.read()
    assert (answer.status, len(whole)) == (200, film.size_bytes)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Content-Type"] == "video/mp4"
    (tmp_path / "got.mp4").write_bytes(whole)
    with av.open(str(tmp_path / "got.mp4")) as opened:
        assert {stream.type for stream in opened.streams} == {"video", "audio"}
    assert not list((recorded.house.settings.var / "run").glob("film-*")), "nothing is left in the clear"


async def test_the_film_lies_sealed_and_is_made_once(recorded: Recorded, tmp_path: Path) -> None:
    stored = await recorded.store_log(tmp_path)
    await recorded.stop()
    await recorded.run_jobs()
    film = await recorded.film()
    store = recorded.house.settings.var / "recordings"
    sealed = (store / (film.path or "")).read_bytes()
    assert b"ftyp" not in sealed
    assert b"moov" not in sealed
    await recorded.house.cast.port.log_stored(stored)
    assert await recorded.run_jobs() == 0
    assert (await recorded.film()).path == film.path


async def test_a_log_that_comes_later_makes_the_film_anew(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.store_log(tmp_path)
    second = await recorded.store_log(tmp_path, 2, tell=False)
    await recorded.stop()
    await recorded.run_jobs()
    first = await recorded.film()
    await recorded.house.cast.port.log_stored(second)
    await recorded.run_jobs()
    film = await recorded.film()
    assert film.path != first.path
    assert not (recorded.house.settings.var / "recordings" / (first.path or "")).exists()
    assert json.loads(film.composed_from)[-1] == second.path
    assert (film.duration_s or 0) > SECONDS + 5, "the time between the segments keeps its length"


async def test_a_recording_without_a_first_frame_ends_empty(recorded: Recorded) -> None:
    await recorded.stop()
    assert (await recorded.film()).state == "queued"
    assert await recorded.run_jobs() == 0, "the node may still be storing its log"
    recorded.house.cast.clock.forward(seconds=3)
    assert await recorded.run_jobs() == 1
    film = await recorded.film()
    assert (film.state, film.path) == ("empty", None)
    assert not list((recorded.house.settings.var / "recordings").rglob("*.film"))
    browser = await recorded.house.browser_of("doctor")
    assert (await browser.get(await recorded.url("play"))).status == 404
    assert "Nothing was recorded" in await (await browser.get(await recorded.url("state"))).text()
    assert "Nothing was recorded" in await (await browser.get(recorded.house.visit_url("/summary"))).text()
    cast = recorded.house.cast
    assert (await cast.port.ask_recording(cast.room, recorded.doctor, "teaching")).recording_id != recorded.recording


async def test_a_log_that_is_not_there_yet_is_waited_for(recorded: Recorded, tmp_path: Path) -> None:
    log = await recorded.store_log(tmp_path)
    await recorded.stop()
    (recorded.house.settings.var / "recordings" / log.path).rename(tmp_path / "away")
    with pytest.raises(JobFailed):
        await jobs.make_film(context_of(recorded))
    assert (await recorded.film()).code == "log_missing"
    (tmp_path / "away").rename(recorded.house.settings.var / "recordings" / log.path)
    await recorded.run_jobs()
    assert (await recorded.film()).state == "ready"


async def test_a_damaged_log_is_said_in_words_and_may_be_tried_again(recorded: Recorded, tmp_path: Path) -> None:
    log = await recorded.store_log(tmp_path)
    path = recorded.house.settings.var / "recordings" / log.path
    whole = path.read_bytes()
    path.write_bytes(b"no log at all")
    await recorded.stop()
    await recorded.run_jobs()
    assert (await recorded.film()).state == "failed"
    browser = await recorded.house.browser_of("doctor")
    page = await (await browser.get(recorded.house.visit_url("/summary"))).text()
    assert "could not be put together" in page
    path.write_bytes(whole)
    assert (await browser.post(await recorded.url("retry"))).status == 303
    await recorded.run_jobs()
    assert (await recorded.film()).state == "ready"


async def test_stopped_in_the_middle_it_leaves_nothing_and_begins_again(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.store_log(tmp_path)
    await recorded.stop()
    await jobs.make_film(context_of(recorded, cancelled=True))
    assert not list((recorded.house.settings.var / "run").glob("film-*"))
    assert (await recorded.film()).path is None
    await recorded.run_jobs()
    assert (await recorded.film()).state == "ready"


def label(wrapped: bytes) -> bytes:
    return hashlib.sha256(wrapped).digest()


async def test_composing_ends_when_its_process_is_killed(recorded: Recorded, tmp_path: Path) -> None:
    """The pipe breaks as it does when the process at its other end dies."""
    await recorded.store_log(tmp_path)
    log = tmp_path / "1.bedlog"
    async with recorded.house.cast.database.reading() as session:
        wraps = [row.wrapped for row in await session.scalars(select(SegmentKey))]
    keys = await recorded.house.cast.port.sealing_keys(
        recorded.house.cast.room, recorded.recording, 1, [recorded.doctor, recorded.patient]
    )
    opened = {
        hashlib.sha256(base64.b64decode(key.wrapped)).digest(): base64.b64decode(key.key) for key in keys.values()
    }
    assert {hashlib.sha256(one).digest() for one in wraps} == set(opened)
    work = jobs.Work((log,), tmp_path / "film.mp4", opened, {})
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe(duplex=False)
    process = spawning.Process(target=jobs.compose_in_process, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()
    ours.close()
    await asyncio.to_thread(process.join, 60)
    assert process.exitcode == 0
    assert list(tmp_path.glob("film.mp4*")) == []


# ── Who may ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_only_the_visits_doctor_and_a_granted_patient_watch(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.store_log(tmp_path)
    await recorded.stop()
    await recorded.run_jobs()
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
    await recorded.store_log(tmp_path)
    await recorded.stop()
    await recorded.run_jobs()
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


async def test_progress_is_shown_while_it_is_made(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.store_log(tmp_path)
    await recorded.stop()
    browser = await recorded.house.browser_of("doctor")
    page = await (await browser.get(recorded.house.visit_url("/summary"))).text()
    assert 'hx-trigger="every 2s"' in page
    async with recorded.house.cast.database.writing() as session:
        job = await jobtable.load_job(session, films.JOB, recorded.recording)
        assert job is not None
        job.progress = 0.42
    told = await (await browser.get(await recorded.url("state"), headers={"Accept": "application/json"})).json()
    assert (told["state"], told["progress"]) == ("queued", 0.42)


# ── Ranges ───────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_ranges_as_players_ask_for_them(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.store_log(tmp_path)
    await recorded.stop()
    await recorded.run_jobs()
    browser, play = await recorded.house.browser_of("doctor"), await recorded.url("play")
    whole = await (await browser.get(play)).read()
    size = len(whole)
    for header, start, end in (
        ("bytes=0-1", 0, 2),
        ("bytes=0-", 0, size),
        (f"bytes=0-{size + 99}", 0, size),
        ("bytes=-7", size - 7, size),
        (f"bytes={size - 1}-", size - 1, size),
        ("bytes=100-299", 100, 300),
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
