"""From the room's grant to a film in the browser: composed by the job out of a real log, sealed, made anew, stopped."""

from __future__ import annotations

import json
import re
from pathlib import Path

import av
import pytest

from media.compose import reader, timeline, verdict
from server import jobs as jobtable
from server.encounters import films, filmwords, jobs
from tests.server.encounters.recorded import APART_S, SECONDS, Recorded, context_of


async def test_a_stopped_recording_becomes_a_film_that_plays(recorded: Recorded, tmp_path: Path) -> None:
    """Its log is late in the store: it is waited for, and the film is made once, sealed, and plays."""
    stored = await recorded.store_log(tmp_path)
    await recorded.stop()
    log = recorded.store / stored.path
    log.rename(tmp_path / "away")
    assert await recorded.run_jobs() == 1
    assert ((await recorded.film()).state, (await recorded.film()).code) == ("failed", "log_missing")
    (tmp_path / "away").rename(log)
    recorded.house.cast.clock.forward(seconds=5)
    assert await recorded.run_jobs() == 1
    film = await recorded.film()
    assert (film.state, film.code, film.parts, film.parts_key) == ("ready", None, None, None)
    assert film.duration_s == pytest.approx(SECONDS, abs=0.5)
    assert json.loads(film.report or "{}")["passed"]
    sealed = (recorded.store / (film.path or "")).read_bytes()
    assert b"ftyp" not in sealed
    assert b"moov" not in sealed
    assert [one.name for one in (recorded.store / "films").rglob("*") if one.is_file()] == [Path(film.path or "").name]
    assert not list((recorded.house.settings.var / "run").glob("film-*")), "nothing is left in the clear"
    browser = await recorded.house.browser_of("doctor")
    answer = await browser.get(await recorded.url("play"))
    whole = await answer.read()
    assert (answer.status, len(whole)) == (200, film.size_bytes)
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Content-Type"] == "video/mp4"
    (tmp_path / "got.mp4").write_bytes(whole)
    with av.open(str(tmp_path / "got.mp4")) as opened:
        assert {stream.type for stream in opened.streams} == {"video", "audio"}
    await recorded.house.cast.port.log_stored(stored)
    assert await recorded.run_jobs() == 0
    assert (await recorded.film()).path == film.path


async def test_a_log_that_comes_later_makes_the_film_anew(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.store_log(tmp_path)
    second = await recorded.store_log(tmp_path, 2, tell=False)
    await recorded.stop()
    await recorded.with_film(tmp_path)
    assert await recorded.run_jobs() == 0, "the second one is expected"
    recorded.house.cast.clock.forward(seconds=120)
    assert await recorded.run_jobs() == 1
    first = await recorded.film()
    assert first.size_bytes == 4000, "made of this very log already"
    await recorded.house.cast.port.log_stored(second)
    await recorded.run_jobs()
    film = await recorded.film()
    assert film.path != first.path
    assert not (recorded.store / (first.path or "")).exists()
    assert json.loads(film.composed_from)[-1] == second.path
    assert (film.duration_s or 0) > APART_S, "the time between the segments keeps its length"


async def test_c48_a_recording_without_a_first_frame_ends_empty(recorded: Recorded) -> None:
    await recorded.stop()
    assert (await recorded.film()).state == "queued"
    assert await recorded.run_jobs() == 0, "the node may still be storing its log"
    recorded.house.cast.clock.forward(seconds=3)
    assert await recorded.run_jobs() == 1
    film = await recorded.film()
    assert (film.state, film.path) == ("empty", None)
    assert not list((recorded.store).rglob("*.film"))
    browser = await recorded.house.browser_of("doctor")
    assert (await browser.get(await recorded.url("play"))).status == 404
    assert "Nothing was recorded" in await (await browser.get(await recorded.url("state"))).text()
    assert "Nothing was recorded" in await (await browser.get(recorded.house.visit_url("/summary"))).text()
    cast = recorded.house.cast
    assert (await cast.port.ask_recording(cast.room, recorded.doctor, "teaching")).recording_id != recorded.recording


async def test_a_damaged_log_is_said_in_words_and_may_be_tried_again(recorded: Recorded, tmp_path: Path) -> None:
    log = await recorded.stopped(tmp_path)
    log.write_bytes(b"no log at all")
    await recorded.run_jobs()
    assert ((await recorded.film()).state, (await recorded.film()).code) == ("failed", "log_damaged")
    browser = await recorded.house.browser_of("doctor")
    page = await (await browser.get(await recorded.url("state"))).text()
    assert "could not be put together" in page
    assert "technicians" in page
    assert (await browser.post(await recorded.url("retry"))).status == 303
    assert (await recorded.film()).state == "queued"
    async with recorded.house.cast.database.reading() as session:
        job = await jobtable.load_job(session, films.JOB, recorded.recording)
    assert job is not None
    assert job.finished_at is None


async def test_stopped_in_the_middle_it_leaves_nothing_in_the_clear(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.stopped(tmp_path)
    await jobs.make_film(context_of(recorded, cancelled=True))
    assert not list((recorded.house.settings.var / "run").glob("film-*"))
    film = await recorded.film()
    assert (film.path, film.state) == (None, "composing")
    assert json.loads(film.parts or "")["kept"] == []


async def test_a_film_in_the_making_is_stopped_tried_again_and_made_otherwise(
    recorded: Recorded, tmp_path: Path
) -> None:
    await recorded.stopped(tmp_path)
    doctor = await recorded.house.browser_of("doctor")
    assert (await doctor.post(await recorded.url("cancel"))).status == 303
    assert ((await recorded.film()).state, (await recorded.film()).code) == ("failed", films.CANCELLED)
    assert await recorded.run_jobs() == 0
    assert "stopped by somebody" in await (await doctor.get(await recorded.url("state"))).text()
    assert (await doctor.post(await recorded.url("again"), {"clock": "yes"})).status == 409, "there is none yet"
    assert (await doctor.post(await recorded.url("retry"))).status == 303
    assert (await recorded.film()).state == "queued"
    await recorded.with_film(tmp_path)
    assert (await doctor.post(await recorded.url("again"), {"clock": "yes"})).status == 303
    film = await recorded.film()
    assert (film.state, film.with_names, film.with_clock) == ("queued", False, True)
    assert (await doctor.post(await recorded.url("cancel"))).status == 303
    assert (await recorded.film()).state == "ready"
    assert (await doctor.get(await recorded.url("play"))).status == 200, "the one from before plays on"
    patient = await recorded.house.browser_of("patient")
    for act in ("cancel", "again"):
        assert (await patient.post(await recorded.url(act))).status == 404


async def test_the_originals_are_copied_on_request_and_go_with_the_log(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.stopped(tmp_path)
    await recorded.with_film(tmp_path)
    cast = recorded.house.cast
    tracks = await recorded.url("tracks")
    doctor, patient = await recorded.house.browser_of("doctor"), await recorded.house.browser_of("patient")
    assert (await patient.post(tracks)).status == 404
    assert (await doctor.get(tracks)).status == 404
    assert (await doctor.post(tracks)).status == 303
    async with cast.database.writing() as session:
        await jobtable.cancel(session, films.JOB, recorded.recording, cast.clock())
    await recorded.run_jobs()
    answer = await doctor.get(tracks)
    copied = await answer.read()
    assert (answer.status, answer.content_type) == (200, "video/x-matroska")
    assert "attachment" in answer.headers["Content-Disposition"]
    (tmp_path / "tracks.mkv").write_bytes(copied)
    with av.open(str(tmp_path / "tracks.mkv")) as container:
        assert sorted(stream.type for stream in container.streams) == ["audio", "audio", "video", "video"]
    assert (await patient.get(tracks)).status == 404
    store = recorded.store
    assert len(list(store.rglob("*.tracks"))) == 1
    await recorded.withdraw(recorded.patient)
    await recorded.choose(recorded.patient, "delete_mine")
    assert (await doctor.get(tracks)).status == 404
    await recorded.erase()
    assert list(store.rglob("*.tracks")) == []


def test_every_code_of_the_self_check_has_its_words() -> None:
    code = "".join(Path(one.__file__).read_text("utf-8") for one in (verdict, reader, timeline))
    codes = {*re.findall(r'^        "([a-z_]+)": ', code, re.M), *re.findall(r'problems\.add\("([a-z_]+)"\)', code)}
    assert len(codes) >= 12
    assert codes - {"frames", "layout", "tracks"} == set(filmwords.PROBLEMS) - {filmwords.SEGMENT_MISSING}
