"""Logs that come late, are told again or not at all, and stores that are away: nothing is lost, nothing comes back."""

from __future__ import annotations

import errno
import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, update

from server.audit import Incident
from server.config import Settings
from server.encounters import alarms, films, filmwords, finding, jobs, keeping
from server.encounters.recording_models import Film
from server.jobs import JobFailed, claim
from server.jobs.models import Job
from tests.server.encounters.recorded import Recorded, context_of, make_recorded
from tests.server.visits import House, VisitCast


async def let_go(recorded: Recorded) -> int:
    """How many orders the standing job gives once the note is signed."""
    await recorded.sign()
    async with recorded.house.cast.database.writing() as session:
        return await keeping.order_due(session, recorded.house.cast.clock())


async def test_a_log_told_again_after_it_was_let_go_leaves_its_film_and_its_proof_alone(
    recorded: Recorded, tmp_path: Path
) -> None:
    """Also when its bytes are put there once more: they go, and the film plays on."""
    log = await recorded.store_log(tmp_path)
    await recorded.stop()
    film = await recorded.with_film(tmp_path)
    content = (recorded.store / log.path).read_bytes()
    assert await let_go(recorded) == 1
    await recorded.run_jobs()
    [done] = await recorded.deletions()
    recorded.house.cast.clock.forward(hours=1)
    for brought in (False, True):
        if brought:
            (recorded.store / log.path).parent.mkdir(parents=True, exist_ok=True)
            (recorded.store / log.path).write_bytes(content)
        await recorded.house.cast.port.log_stored(log)
        await recorded.run_jobs()
        assert ((await recorded.film()).state, film.exists()) == ("ready", True)
        assert not (recorded.store / log.path).exists()
        [again] = await recorded.deletions()
        assert (again.done_at, again.proof) == (done.done_at, done.proof), "what was proved stays proved"
    doctor = await recorded.house.browser_of("doctor")
    assert await (await doctor.get(await recorded.url("play"))).read() == b"film" * 1000


async def test_a_log_told_again_after_all_was_deleted_keeps_the_proof(recorded: Recorded, tmp_path: Path) -> None:
    log = await recorded.store_log(tmp_path)
    await recorded.stop()
    await recorded.with_film(tmp_path)
    await recorded.withdraw(recorded.patient)
    await recorded.choose(recorded.patient, "delete_all")
    await recorded.run_jobs()
    [done] = await recorded.deletions()
    assert json.loads(done.proof or "")["logs"]["deleted"] == [log.path]
    recorded.house.cast.clock.forward(hours=1)
    await recorded.house.cast.port.log_stored(log)
    await recorded.run_jobs()
    [again] = await recorded.deletions()
    assert (again.done_at, again.proof) == (done.done_at, done.proof)


async def test_a_film_that_is_there_is_never_replaced_by_nothing(recorded: Recorded, tmp_path: Path) -> None:
    """Whatever a job finds: no log any more, or none that opens. Somebody must look."""
    await recorded.stopped(tmp_path)
    film = await recorded.with_film(tmp_path)
    job, found = context_of(recorded), await recorded.film()
    for _ in range(2):
        with pytest.raises(JobFailed, match=jobs.NOTHING_OPENS):
            await jobs._finish_empty(job, found.id, frozenset(), composed_from="[]")
    after = await recorded.film()
    assert (after.state, after.path, film.exists()) == ("ready", found.path, True)
    async with recorded.house.cast.database.reading() as session:
        kinds = [one.kind for one in await session.scalars(select(Incident))]
    assert kinds == [alarms.CHECK_FAILED]


async def test_a_segment_whose_machine_is_off_is_said_to_be_missing_waited_for_and_put_in(
    recorded: Recorded, tmp_path: Path
) -> None:
    cast = recorded.house.cast
    first = await recorded.store_log(tmp_path, 1, tell=False)
    kept = (recorded.store / first.path).read_bytes()
    (recorded.store / first.path).unlink()
    second = await recorded.store_log(tmp_path, 2)
    for phase in ("running", "stopped"):
        await cast.port.recording_phase(cast.room, recorded.recording, phase, 2)
    cast.clock.forward(seconds=120)
    await recorded.run_jobs()
    film = await recorded.film()
    report = json.loads(film.report or "")
    assert (film.state, film.code) == ("ready", alarms.FILM_CODE)
    assert (report["passed"], report["problems"]) == (False, [filmwords.SEGMENT_MISSING])
    assert report["missing_segments"] == [1]
    doctor = await recorded.house.browser_of("doctor")
    assert "Part 1 is missing" in await (await doctor.get(await recorded.url("state"))).text()
    assert await let_go(recorded) == 0
    assert await recorded.keys() == {recorded.doctor, recorded.patient}
    (recorded.store / first.path).write_bytes(kept)
    await cast.port.log_stored(first)
    assert await let_go(recorded) == 0, "it came, and no film has it yet"
    await recorded.run_jobs()
    whole = await recorded.film()
    assert json.loads(whole.composed_from) == [first.path, second.path]
    assert (whole.code, json.loads(whole.report or "")["missing_segments"]) == (None, [])
    assert (whole.duration_s or 0) > (film.duration_s or 0)
    assert await let_go(recorded) == 1


async def test_a_recording_of_which_nothing_has_come_is_not_said_to_be_empty(recorded: Recorded) -> None:
    await recorded.seal()
    await recorded.stop()
    recorded.house.cast.clock.forward(seconds=3)
    await recorded.run_jobs()
    doctor = await recorded.house.browser_of("doctor")
    page = await (await doctor.get(await recorded.url("state"))).text()
    assert "Nothing was recorded" not in page
    assert "once it is on again" in page


async def test_a_log_that_nobody_told_of_is_found_in_the_store(recorded: Recorded, tmp_path: Path) -> None:
    """The node put it there and ended before any server had heard; and so did the server, with the visit."""
    log = await recorded.store_log(tmp_path, tell=False)
    await recorded.stop()
    recorded.house.cast.clock.forward(seconds=3)
    await recorded.run_jobs()
    assert (await recorded.film()).state == "empty"
    assert await finding.find_logs(context_of(recorded)) == 1
    assert await finding.find_logs(context_of(recorded)) == 0
    await recorded.run_jobs()
    film = await recorded.film()
    assert (film.state, json.loads(film.composed_from)) == ("ready", [log.path])


async def test_what_nobody_told_of_and_what_is_late_is_asked_for_on_each_engine(
    cast: VisitCast, settings: Settings, tmp_path: Path
) -> None:
    recorded = await make_recorded(House(None, settings, cast.database, cast.clock, cast))  # type: ignore[arg-type]
    log = await recorded.store_log(tmp_path, tell=False)
    await recorded.store_log(tmp_path, 2)
    await recorded.stop()
    async with cast.database.reading() as session:
        recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
        assert await films.load_missing(session, recording) == [1]
    assert await finding.find_logs(context_of(recorded)) == 1
    async with cast.database.writing() as session:
        recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
        assert await films.load_missing(session, recording) == []
        await keeping.order_deletion(session, recording, None, "due", cast.clock())
        await keeping.order_due(session, cast.clock() + timedelta(hours=2))
        await keeping.order_due(session, cast.clock() + timedelta(hours=3))
        assert [one.kind for one in await session.scalars(select(Incident))] == [alarms.NOT_DELETED]
    await recorded.erase()
    await cast.port.log_stored(log)
    await recorded.erase()
    assert json.loads((await recorded.deletions())[0].proof or "")["logs"]["deleted"][0] == log.path


async def test_a_deletion_that_the_store_kept_from_being_done_is_asked_for_until_it_is(
    recorded: Recorded, tmp_path: Path
) -> None:
    cast = recorded.house.cast
    await recorded.stopped(tmp_path)
    await recorded.with_film(tmp_path)
    await recorded.withdraw(recorded.patient)
    assert await recorded.choose(recorded.patient, "delete_all") == "done"
    away = recorded.store.with_name("away")
    recorded.store.rename(away)
    recorded.store.write_text("not mounted")
    for _ in range(12):
        cast.clock.forward(minutes=6)
        await recorded.erase()
    for _ in range(2):
        async with cast.database.writing() as session:
            await keeping.order_due(session, cast.clock())
    async with cast.database.reading() as session:
        incidents = [(one.kind, one.subject_id) for one in await session.scalars(select(Incident))]
    [ordered] = await recorded.deletions()
    assert incidents == [(alarms.NOT_DELETED, ordered.id)], "once"
    recorded.store.unlink()
    away.rename(recorded.store)
    await recorded.erase()
    assert [one for one in recorded.store.rglob("*") if one.is_file()] == []
    assert (await recorded.deletions())[0].done_at is not None


async def test_a_film_waits_for_the_deletion_of_a_part_and_is_made_after_it(recorded: Recorded, tmp_path: Path) -> None:
    """The store was away at the deletion's first try, and the film's job comes before its second."""
    cast = recorded.house.cast
    await recorded.stopped(tmp_path)
    await recorded.withdraw(recorded.patient)
    assert await recorded.choose(recorded.patient, "delete_mine") == "done"
    away = recorded.store.with_name("away")
    recorded.store.rename(away)
    recorded.store.write_text("not mounted")
    await recorded.erase()
    recorded.store.unlink()
    away.rename(recorded.store)
    cast.clock.forward(seconds=4)
    for _ in range(3):
        await recorded.run_jobs()
        cast.clock.forward(seconds=10)
    film = await recorded.film()
    assert (film.state, json.loads(film.report or "")["removed"]) == ("ready", [recorded.patient])
    assert (recorded.store / (film.path or "")).exists()


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [(OSError(errno.ENOSPC, "full"), "no_space", "is full"), (ValueError("what was said"), "ValueError", "our side")],
)
async def test_a_film_that_breaks_off_says_so_whatever_broke_it(
    recorded: Recorded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, error: Exception, code: str, words: str
) -> None:
    await recorded.stopped(tmp_path)

    def broken(*_: object) -> None:
        raise error

    monkeypatch.setattr(jobs, "work_folder", broken)
    await recorded.run_jobs()
    film = await recorded.film()
    assert (film.state, film.code) == ("failed", code)
    doctor = await recorded.house.browser_of("doctor")
    assert words in await (await doctor.get(await recorded.url("state"))).text()


async def test_a_film_whose_process_died_each_time_is_said_to_have_failed(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.stopped(tmp_path)
    async with recorded.house.cast.database.writing() as session:
        await session.execute(update(Film).values(state="composing"))
        await session.execute(update(Job).where(Job.kind == films.JOB).values(attempts=claim.ATTEMPTS_MAX))
    await recorded.run_jobs()
    film = await recorded.film()
    assert (film.state, film.code) == ("failed", claim.GIVEN_UP)
