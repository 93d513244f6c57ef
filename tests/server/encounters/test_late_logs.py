"""Logs that come late, and logs of which a server that starts hears once more: no film is lost, nothing comes back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from sqlalchemy import select

from server.audit import Incident
from server.encounters import alarms, filmwords, jobs, keeping
from server.jobs import JobFailed
from tests.server.encounters.recorded import Recorded, context_of


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
