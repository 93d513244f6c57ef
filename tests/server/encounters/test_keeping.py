"""What is kept and what goes: parts and wholes, dates, holds, logs beside their films; nothing plays on."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, select

from media.vault import participants_of
from server.accounts.notices import path_of
from server.accounts.trust_models import StaffNotice
from server.audit import Deletion, Incident
from server.encounters import alarms, filmparts, films, jobs, keeping, rewrapping
from server.encounters.keeping_models import RecordingDeletion
from server.encounters.recording_models import Recording, SegmentKey, StoredLog
from server.jobs import JobFailed
from tests.server.encounters.recorded import Recorded, context_of


async def recording_of(recorded: Recorded) -> Recording:
    async with recorded.house.cast.database.reading() as session:
        return (await session.scalars(select(Recording))).one()


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_my_part_goes_from_every_log_and_the_film_is_made_again(recorded: Recorded, tmp_path: Path) -> None:
    second = await recorded.store_log(tmp_path, 2)
    log = await recorded.stopped(tmp_path)
    film = await recorded.with_film(tmp_path)
    await recorded.withdraw(recorded.patient)
    assert await recorded.choose(recorded.patient, "delete_mine") == "done"
    assert await recorded.keys() == {recorded.doctor}, "destroyed at once, in every segment"
    assert (await recorded.film()).wrapped_key is None
    doctor = await recorded.house.browser_of("doctor")
    assert (await doctor.get(await recorded.url("play"))).status != 200
    assert await recorded.erase() == 1
    for one in (log, log.parent / Path(second.path).name):
        assert set(participants_of(one)) == {recorded.doctor}
    assert not film.exists()
    [ordered] = await recorded.deletions()
    proof = json.loads(ordered.proof or "")
    assert [copy["chunks"] > 0 for copy in proof["copies"]] == [True, True]
    assert (await recorded.film()).state == "queued"
    await recorded.run_jobs()
    made = await recorded.film()
    report = json.loads(made.report or "")
    assert (made.state, report["removed"], report["participants"]) == ("ready", [recorded.patient], [recorded.doctor])


async def test_a_film_of_keys_that_went_meanwhile_is_never_kept(recorded: Recorded) -> None:
    """Ordered while the film was being made: what was composed with the destroyed key is thrown away."""
    await recorded.seal()
    await recorded.stop()
    film = await recorded.film()
    async with recorded.house.cast.database.reading() as session:
        labels = frozenset(films.label_of(one) for one in await session.scalars(select(SegmentKey)))
    await recorded.withdraw(recorded.patient)
    await recorded.choose(recorded.patient, "delete_mine")
    with pytest.raises(JobFailed, match=filmparts.KEYS_CHANGED):
        await jobs._finish(context_of(recorded), film.id, labels, state="empty")


async def test_all_of_it_leaves_nothing_and_a_backup_brings_nothing_back(recorded: Recorded, tmp_path: Path) -> None:
    """The cases of a deletion that came undone: a log that comes late, and a database from before."""
    log = await recorded.stopped(tmp_path)
    await recorded.with_film(tmp_path)
    cast, store = recorded.house.cast, recorded.store
    copy = log.read_bytes()
    async with cast.database.reading() as session:
        keys = [(one.segment, one.participant_id, one.wrapped) for one in await session.scalars(select(SegmentKey))]
    await recorded.withdraw(recorded.patient)
    assert await recorded.choose(recorded.patient, "delete_all") == "done"
    assert await recorded.choose(recorded.patient, "keep") == "done", "what is gone can't be kept"
    await recorded.erase()
    assert everything_in(store) == []
    assert await recorded.keys() == set()
    film = await recorded.film()
    assert (film.state, film.code, film.path) == ("empty", films.DELETED, None)
    async with cast.database.reading() as session:
        assert (await session.scalars(select(StoredLog))).all() == []
        listed = [(one.subject_kind, one.subject_id) for one in await session.scalars(select(Deletion))]
    name = keeping.listed_name(recorded.recording, None)
    assert ("recording", name) in listed

    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(copy)
    async with cast.database.writing() as session:
        recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
        await keeping.log_came(session, recording, cast.clock())
    await recorded.erase()
    assert everything_in(store) == [], "a log that a node brought late goes too"

    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_bytes(copy)
    async with cast.database.writing() as session:
        await session.execute(delete(RecordingDeletion))
        recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
        recording.deleted_at = None
        for segment, who, wrapped in keys:
            session.add(
                SegmentKey(
                    clinic_id=cast.clinic.id, recording_id=recording.id, segment=segment, participant_id=who,
                    wrapped=wrapped, created_at=cast.clock(),
                )
            )  # fmt: skip
    async with cast.database.writing() as session:
        assert await keeping.replay(session, "recording", name, cast.clock())
        assert not await keeping.replay(session, "recording", "0" * 32, cast.clock())
        assert not await keeping.replay(session, "visit_link", name, cast.clock())
    assert await recorded.keys() == set()
    await recorded.erase()
    assert everything_in(store) == []


async def test_after_a_rotation_its_keys_are_wrapped_anew_and_the_log_still_opens(
    recorded: Recorded, tmp_path: Path
) -> None:
    cast = recorded.house.cast
    await recorded.store_log(tmp_path)
    async with cast.database.writing() as session:
        assert await rewrapping.rewrap(session, cast.clinic.id, cast.vault.clinic(cast.clinic.id)) == 0, "it runs"
    await recorded.stop()
    await recorded.with_film(tmp_path)
    async with cast.database.reading() as session:
        before = {films.label_of(one): one.wrapped for one in await session.scalars(select(SegmentKey))}
    for _ in range(2):
        async with cast.database.writing() as session:
            assert await rewrapping.rewrap(session, cast.clinic.id, cast.vault.clinic(cast.clinic.id)) == 3
    async with cast.database.reading() as session:
        after = {films.label_of(one): one.wrapped for one in await session.scalars(select(SegmentKey))}
    assert set(after) == set(before), "the log's own names for them"
    assert not set(after.values()) & set(before.values())
    doctor = await recorded.house.browser_of("doctor")
    assert await (await doctor.get(await recorded.url("play"))).read() == b"film" * 1000


async def test_at_its_date_a_recording_goes_unless_it_is_held(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.stopped(tmp_path)
    cast, store = recorded.house.cast, recorded.store
    recording = await recording_of(recorded)
    assert recording.delete_at > recording.created_at, "known from the first second"
    officer = recorded.house.cast.doctor

    async def orders(now: object) -> int:
        async with cast.database.writing() as session:
            return await keeping.order_due(session, now)  # type: ignore[arg-type]

    assert await orders(recording.delete_at - timedelta(seconds=1)) == 0
    async with cast.database.writing() as session:
        held = await keeping.get_recording(session, cast.clinic.id, recording.id)
        await keeping.place_hold(session, held, by=officer, reason="a complaint", now=cast.clock())
    assert await orders(recording.delete_at) == 0
    async with cast.database.writing() as session:
        held = await keeping.get_recording(session, cast.clinic.id, recording.id)
        await keeping.lift_hold(session, held, by=officer, now=cast.clock())
    assert await orders(recording.delete_at) == 1
    assert await orders(recording.delete_at) == 0
    cast.clock.forward(days=1000)
    await recorded.erase()
    assert everything_in(store) == []
    [ordered] = await recorded.deletions()
    assert (ordered.cause, json.loads(ordered.proof or "")["logs"]["left"]) == ("due", 0)


async def test_the_log_goes_once_the_film_is_good_and_the_note_signed(recorded: Recorded, tmp_path: Path) -> None:
    log = await recorded.stopped(tmp_path)
    film = await recorded.with_film(tmp_path)
    cast = recorded.house.cast
    async with cast.database.writing() as session:
        assert await keeping.order_due(session, cast.clock()) == 0
    await recorded.sign()
    async with cast.database.writing() as session:
        assert await keeping.order_due(session, cast.clock()) == 1
    await recorded.erase()
    assert (log.exists(), film.exists()) == (False, True)
    assert (await recorded.film()).state == "ready"
    doctor = await recorded.house.browser_of("doctor")
    for act in ("tracks", "again"):
        assert (await doctor.post(await recorded.url(act))).status == 409, "there is nothing to make them of"
    assert "Copy the originals" not in await (await doctor.get(await recorded.url("state"))).text()
    await recorded.withdraw(recorded.patient)
    assert await recorded.choose(recorded.patient, "delete_mine") == "asked"
    async with cast.database.writing() as session:
        [wish] = await keeping.load_open_wishes(session, cast.clinic.id)
        officer = recorded.house.cast.doctor
        await keeping.answer_wish(
            session, cast.clinic.id, wish.id, by=officer, grants=True, reason="granted", now=cast.clock()
        )
    await recorded.erase()
    assert not film.exists(), "a part of a film that can't be made again is all of it"


async def test_a_failed_check_alarms_doctor_and_clinic_and_keeps_its_log(recorded: Recorded, tmp_path: Path) -> None:
    """A byte of the log was altered: a film is made of the rest, and says so; the doctor is told where to watch it."""
    log = await recorded.stopped(tmp_path)
    altered = bytearray(log.read_bytes())
    altered[len(altered) // 2] ^= 1
    log.write_bytes(altered)
    await recorded.run_jobs()
    film = await recorded.film()
    assert (film.state, film.code) == ("ready", alarms.FILM_CODE)
    assert json.loads(film.report or "")["problems"] == ["chunks_missing"]
    cast = recorded.house.cast
    async with cast.database.reading() as session:
        [incident] = await session.scalars(select(Incident))
        told = {one.person_id: path_of(one) for one in await session.scalars(select(StaffNotice))}
    assert (incident.kind, incident.subject_id, incident.owner_person_id) == (alarms.CHECK_FAILED, film.id, None)
    assert told.pop(cast.doctor) == f"visits/{cast.encounter_id}/summary"
    assert set(told.values()) == {"incidents"}, "the administrators"
    doctor = await recorded.house.browser_of("doctor")
    assert "Please check this recording" in await (await doctor.get(await recorded.url("state"))).text()
    await recorded.withdraw(recorded.doctor)
    assert await recorded.choose(recorded.doctor, "delete_mine") == "done", "withdrawals apply"
    assert await recorded.keys() == {recorded.patient}
    await recorded.with_film(tmp_path, code=alarms.FILM_CODE)
    await recorded.sign()
    for days, orders in ((29, 0), (30, 1)):
        async with cast.database.writing() as session:
            assert await keeping.order_due(session, cast.clock() + timedelta(days=days)) == orders


async def test_c125_a_full_disk_is_an_incident_once_and_the_administrators_are_told(recorded: Recorded) -> None:
    cast = recorded.house.cast
    for _ in range(2):
        await cast.port.recording_phase(cast.room, recorded.recording, "failed", 1, "storage_full")
    assert (await recording_of(recorded)).code == "storage_full"
    another = (await cast.port.ask_recording(cast.room, recorded.doctor, "teaching")).recording_id
    for phase, code in (("starting", None), ("failed", "storage_full")):
        await cast.port.recording_phase(cast.room, another, phase, 1, code)
    async with cast.database.reading() as session:
        incidents = [(one.kind, one.subject_id) for one in await session.scalars(select(Incident))]
        told = [(one.kind, path_of(one)) for one in await session.scalars(select(StaffNotice))]
    assert incidents == [(alarms.NO_SPACE, recorded.recording)], "until somebody has closed it, one is enough"
    assert set(told) == {(alarms.NO_SPACE, "incidents")}
