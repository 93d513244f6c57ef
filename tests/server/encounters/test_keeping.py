"""What is kept and what goes: wishes after a withdrawal, holds, dates, deletions with proof; nothing plays on."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import av
import pytest
from sqlalchemy import delete, select

from media.compose import film, reader
from media.vault import participants_of
from server import jobs as jobtable
from server.audit import Deletion, Incident
from server.encounters import alarms, films, filmwords, jobs, keeping, rewrapping, rules
from server.encounters.filmstore import SealedFilm, film_path, open_recordings, put_film
from server.encounters.keeping_models import RecordingDeletion, RecordingWish
from server.encounters.models import Encounter
from server.encounters.recording_models import Film, Recording, SegmentKey, StoredLog
from server.errors import DomainError
from signaling.words import Code, ParticipantId
from tests.server.encounters.recorded import Recorded, context_of


async def stopped(recorded: Recorded, folder: Path) -> Path:
    """A recording with one log in the store that nobody has made a film of; where it lies."""
    log = await recorded.store_log(folder)
    await recorded.stop()
    return recorded.house.settings.var / "recordings" / log.path


async def with_film(recorded: Recorded, folder: Path, *, code: str | None = None) -> Path:
    """As if the film had been made: a sealed object in the store and its row."""
    cast, path = recorded.house.cast, film_path((await recorded.film()).id, "one")
    source = folder / "any.mp4"
    source.write_bytes(b"film" * 1000)
    await put_film(open_recordings(recorded.house.settings), SealedFilm(path, 4000, bytes(32)), source)
    async with cast.database.writing() as session:
        film = (await session.scalars(select(Film))).one()
        film.state, film.path, film.size_bytes, film.duration_s, film.code = "ready", path, 4000, 2.0, code
        film.made_at = cast.clock()
        film.wrapped_key = cast.vault.clinic(cast.clinic.id).wrap_key(films.key_name(path), bytes(32))
    return recorded.house.settings.var / "recordings" / path


async def keys_of(recorded: Recorded) -> set[str]:
    async with recorded.house.cast.database.reading() as session:
        return {one.participant_id for one in await session.scalars(select(SegmentKey))}


async def choose(recorded: Recorded, who: ParticipantId, choice: str) -> str:
    return await recorded.house.cast.port.choose_withdrawn(recorded.house.cast.room, recorded.recording, who, choice)


async def sign(recorded: Recorded) -> None:
    cast = recorded.house.cast
    async with cast.database.writing() as session:
        encounter = await session.get(Encounter, (cast.clinic.id, cast.encounter_id))
        assert encounter is not None
        await keeping.note_signed(session, encounter, cast.clock())


async def recording_of(recorded: Recorded) -> Recording:
    async with recorded.house.cast.database.reading() as session:
        return (await session.scalars(select(Recording))).one()


async def deletions(recorded: Recorded) -> list[RecordingDeletion]:
    async with recorded.house.cast.database.reading() as session:
        return list(await session.scalars(select(RecordingDeletion).order_by(RecordingDeletion.ordered_at)))


def everything_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


async def test_my_part_goes_from_every_log_and_the_film_is_made_again(recorded: Recorded, tmp_path: Path) -> None:
    second = await recorded.store_log(tmp_path, 2)
    log = await stopped(recorded, tmp_path)
    film = await with_film(recorded, tmp_path)
    await recorded.withdraw(recorded.patient)
    assert await choose(recorded, recorded.patient, "delete_mine") == "done"
    assert await keys_of(recorded) == {recorded.doctor}, "destroyed at once, in every segment"
    assert (await recorded.film()).wrapped_key is None
    doctor = await recorded.house.browser_of("doctor")
    assert (await doctor.get(await recorded.url("play"))).status != 200
    assert await recorded.erase() == 1
    for one in (log, log.parent / Path(second.path).name):
        assert set(participants_of(one)) == {recorded.doctor}
    assert not film.exists()
    [ordered] = await deletions(recorded)
    proof = json.loads(ordered.proof or "")
    assert [copy["chunks"] > 0 for copy in proof["copies"]] == [True, True]
    assert (await recorded.film()).state == "queued"
    await recorded.run_jobs()
    made = await recorded.film()
    report = json.loads(made.report or "")
    assert (made.state, report["removed"], report["participants"]) == ("ready", [recorded.patient], [recorded.doctor])


async def test_a_film_of_keys_that_went_meanwhile_is_never_kept(recorded: Recorded, tmp_path: Path) -> None:
    """Ordered while the film was being made: what was composed with the destroyed key is thrown away."""
    await stopped(recorded, tmp_path)
    film = await recorded.film()
    async with recorded.house.cast.database.reading() as session:
        labels = frozenset(films.label_of(one) for one in await session.scalars(select(SegmentKey)))
    await recorded.withdraw(recorded.patient)
    await choose(recorded, recorded.patient, "delete_mine")
    with pytest.raises(jobs.JobFailed, match=jobs.KEYS_CHANGED):
        await jobs._finish(context_of(recorded), film.id, labels, state="empty")


async def test_all_of_it_leaves_nothing_and_a_backup_brings_nothing_back(recorded: Recorded, tmp_path: Path) -> None:
    """The cases of a deletion that came undone: a log that comes late, and a database from before."""
    log = await stopped(recorded, tmp_path)
    await with_film(recorded, tmp_path)
    cast, store = recorded.house.cast, recorded.house.settings.var / "recordings"
    copy = log.read_bytes()
    async with cast.database.reading() as session:
        keys = [(one.segment, one.participant_id, one.wrapped) for one in await session.scalars(select(SegmentKey))]
    await recorded.withdraw(recorded.patient)
    assert await choose(recorded, recorded.patient, "delete_all") == "done"
    assert await choose(recorded, recorded.patient, "keep") == "done", "what is gone can't be kept"
    await recorded.erase()
    assert everything_in(store) == []
    assert await keys_of(recorded) == set()
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
    assert await keys_of(recorded) == set()
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
    await with_film(recorded, tmp_path)
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


@pytest.mark.parametrize("against", ["signed", "held"])
async def test_after_signing_or_under_a_hold_a_named_person_answers(
    recorded: Recorded, tmp_path: Path, against: str
) -> None:
    await stopped(recorded, tmp_path)
    cast = recorded.house.cast
    officer = await a_person(recorded)
    if against == "signed":
        await sign(recorded)
    else:
        async with cast.database.writing() as session:
            recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
            await keeping.place_hold(session, recording, by=officer, reason="a complaint", now=cast.clock())
    await recorded.withdraw(recorded.patient)
    assert await choose(recorded, recorded.patient, "delete_all") == "asked"
    assert await choose(recorded, recorded.patient, "delete_all") == "asked"
    assert len(await keys_of(recorded)) == 2
    async with cast.database.reading() as session:
        [wish] = await keeping.load_open_wishes(session, cast.clinic.id)

    async def answer(grants: bool, reason: str) -> None:
        async with cast.database.writing() as session:
            await keeping.answer_wish(
                session, cast.clinic.id, wish.id, by=officer, grants=grants, reason=reason, now=cast.clock()
            )

    with pytest.raises(DomainError) as refused:
        await answer(True, "  ")
    assert refused.value.code is Code.MALFORMED
    if against == "held":
        with pytest.raises(DomainError) as refused:
            await answer(True, "the law says so")
        assert refused.value.code is Code.WRONG_PHASE
        async with cast.database.writing() as session:
            recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
            await keeping.lift_hold(session, recording, by=officer, now=cast.clock())
    await answer(True, "nothing keeps it")
    with pytest.raises(DomainError):
        await answer(False, "changed my mind")
    assert await keys_of(recorded) == set()
    await recorded.erase()
    async with cast.database.reading() as session:
        [kept] = await session.scalars(select(RecordingWish))
    assert (kept.state, kept.answered_by, kept.reason) == ("granted", officer, "nothing keeps it")


async def a_person(recorded: Recorded) -> str:
    visit = await recorded.house.cast.visit()
    return sorted(visit.facts.doctor_ids)[0]


async def test_only_who_withdrew_may_choose(recorded: Recorded, tmp_path: Path) -> None:
    await stopped(recorded, tmp_path)
    for who in (recorded.doctor, recorded.patient):
        with pytest.raises(DomainError) as refused:
            await choose(recorded, who, "delete_all")
        assert refused.value.code is Code.WRONG_PHASE
    await recorded.withdraw(recorded.patient)
    assert await choose(recorded, recorded.patient, "keep") == "done"
    assert await deletions(recorded) == []
    assert await choose(recorded, recorded.patient, "delete_mine") == "done", "whoever kept it may still delete"


async def test_at_its_date_a_recording_goes_unless_it_is_held(recorded: Recorded, tmp_path: Path) -> None:
    await stopped(recorded, tmp_path)
    cast, store = recorded.house.cast, recorded.house.settings.var / "recordings"
    recording = await recording_of(recorded)
    assert recording.delete_at > recording.created_at, "known from the first second"
    officer = await a_person(recorded)

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
    [ordered] = await deletions(recorded)
    assert (ordered.cause, json.loads(ordered.proof or "")["logs"]["left"]) == ("due", 0)


async def test_the_log_goes_once_the_film_is_good_and_the_note_signed(recorded: Recorded, tmp_path: Path) -> None:
    log = await stopped(recorded, tmp_path)
    film = await with_film(recorded, tmp_path)
    cast = recorded.house.cast
    async with cast.database.writing() as session:
        assert await keeping.order_due(session, cast.clock()) == 0
    await sign(recorded)
    async with cast.database.writing() as session:
        assert await keeping.order_due(session, cast.clock()) == 1
    await recorded.erase()
    assert (log.exists(), film.exists()) == (False, True)
    assert (await recorded.film()).state == "ready"
    await recorded.withdraw(recorded.patient)
    assert await choose(recorded, recorded.patient, "delete_mine") == "asked"
    async with cast.database.writing() as session:
        [wish] = await keeping.load_open_wishes(session, cast.clinic.id)
        officer = await a_person(recorded)
        await keeping.answer_wish(
            session, cast.clinic.id, wish.id, by=officer, grants=True, reason="granted", now=cast.clock()
        )
    await recorded.erase()
    assert not film.exists(), "a part of a film that can't be made again is all of it"


async def test_a_failed_check_alarms_doctor_and_clinic_and_keeps_its_log(recorded: Recorded, tmp_path: Path) -> None:
    await stopped(recorded, tmp_path)
    await with_film(recorded, tmp_path, code="check_failed")
    cast = recorded.house.cast
    async with cast.database.writing() as session:
        film = (await session.scalars(select(Film))).one()
        await alarms.check_failed(session, film, cast.clock())
        owners = {one.owner_person_id for one in await session.scalars(select(Incident))}
    assert owners == {await a_person(recorded), None}
    await sign(recorded)
    for days, orders in ((29, 0), (30, 1)):
        async with cast.database.writing() as session:
            assert await keeping.order_due(session, cast.clock() + timedelta(days=days)) == orders


@pytest.mark.parametrize(
    ("is_signed", "is_held", "is_record", "why"),
    [
        (False, False, False, None),
        (True, False, False, "note_signed"),
        (False, False, True, "record"),
        (True, True, True, "held"),
    ],
)
def test_what_stands_against_a_wish(is_signed: bool, is_held: bool, is_record: bool, why: str | None) -> None:
    assert rules.why_wish_is_asked(is_signed=is_signed, is_held=is_held, is_record=is_record) == why


# ── The pages ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_clinics_page_answers_holds_and_shows_the_proof(recorded: Recorded, tmp_path: Path) -> None:
    await stopped(recorded, tmp_path)
    await sign(recorded)
    await recorded.withdraw(recorded.patient)
    await choose(recorded, recorded.patient, "delete_all")
    house, cast = recorded.house, recorded.house.cast
    page = f"/c/{cast.clinic.slug}/recordings"
    officer = await house.browser_of("administrator")
    async with cast.database.reading() as session:
        [wish] = await keeping.load_open_wishes(session, cast.clinic.id)
    assert "wants all of it deleted" in await (await officer.get(page)).text()
    held = {"answer": "hold", "reason": "<img src=x> a complaint"}
    assert (await officer.post(f"{page}/{recorded.recording}/hold", held)).status == 303
    shown = await (await officer.get(page)).text()
    assert "&lt;img" in shown
    assert 'value="grant"' not in shown, "a hold is lifted first"
    grant = {"answer": "grant", "reason": "their wish"}
    assert (await officer.post(f"{page}/wishes/{wish.id}", grant)).status == 409
    for address, form in (
        (f"{page}/wishes/{wish.id}", {"answer": "grant", "reason": " "}),
        (f"{page}/wishes/{wish.id}", {"answer": "hold", "reason": "x"}),
        (f"{page}/{recorded.recording}/hold", {"answer": "eat", "reason": "x"}),
        (f"{page}/{recorded.recording}/hold", {"answer": "hold", "reason": "x" * 501}),
    ):
        assert (await officer.post(address, form)).status in (400, 422), form
    assert (await officer.post(f"{page}/nothing/hold", held)).status == 404
    assert (await officer.post(f"{page}/{recorded.recording}/hold", {"answer": "lift"})).status == 303
    assert (await officer.post(f"{page}/wishes/{wish.id}", grant)).status == 303
    await recorded.erase()
    shown = await (await officer.get(page)).text()
    assert "looked for afterwards and not found" in shown
    doctor = await house.browser_of("doctor")
    assert (await doctor.get(page)).status in (403, 404)
    assert "This recording was deleted" in await (await doctor.get(await recorded.url("state"))).text()


async def test_a_film_in_the_making_is_stopped_tried_again_and_made_otherwise(
    recorded: Recorded, tmp_path: Path
) -> None:
    await stopped(recorded, tmp_path)
    doctor = await recorded.house.browser_of("doctor")
    assert (await doctor.post(await recorded.url("cancel"))).status == 303
    assert ((await recorded.film()).state, (await recorded.film()).code) == ("failed", films.CANCELLED)
    assert await recorded.run_jobs() == 0
    assert "stopped by somebody" in await (await doctor.get(await recorded.url("state"))).text()
    assert (await doctor.post(await recorded.url("again"), {"clock": "yes"})).status == 409, "there is none yet"
    assert (await doctor.post(await recorded.url("retry"))).status == 303
    assert (await recorded.film()).state == "queued"
    await with_film(recorded, tmp_path)
    assert (await doctor.post(await recorded.url("again"), {"clock": "yes"})).status == 303
    film = await recorded.film()
    assert (film.state, film.with_names, film.with_clock) == ("queued", False, True)
    patient = await recorded.house.browser_of("patient")
    for act in ("cancel", "again"):
        assert (await patient.post(await recorded.url(act))).status == 404


async def test_the_originals_are_copied_on_request_and_go_with_the_log(recorded: Recorded, tmp_path: Path) -> None:
    await stopped(recorded, tmp_path)
    await with_film(recorded, tmp_path)
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
    store = recorded.house.settings.var / "recordings"
    assert len(list(store.rglob("*.tracks"))) == 1
    await recorded.withdraw(recorded.patient)
    await choose(recorded, recorded.patient, "delete_mine")
    assert (await doctor.get(tracks)).status == 404
    await recorded.erase()
    assert list(store.rglob("*.tracks")) == []


@pytest.mark.parametrize(
    ("progress", "after_s", "left"), [(0.0, 30, None), (0.5, 30, 30), (0.25, 20, 60), (1.0, 90, 0), (0.01, 5, None)]
)
def test_how_long_it_takes_is_said_once_it_can_be_told(progress: float, after_s: int, left: int | None) -> None:
    since = datetime(2031, 5, 27, tzinfo=UTC)
    assert rules.seconds_left(since, progress, since + timedelta(seconds=after_s)) == left
    assert rules.seconds_left(None, progress, since) is None


def test_every_code_of_the_self_check_has_its_words() -> None:
    code = Path(film.__file__).read_text("utf-8") + Path(reader.__file__).read_text("utf-8")
    codes = {*re.findall(r'^        "([a-z_]+)": ', code, re.M), *re.findall(r'problems\.add\("([a-z_]+)"\)', code)}
    assert len(codes) >= 12
    assert codes - {"frames", "layout", "tracks"} == set(filmwords.PROBLEMS)
