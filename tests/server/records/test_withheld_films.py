"""Recordings with other people in them: asked for with the copy, decided by the doctor, watched as was decided."""

from __future__ import annotations

import re
from pathlib import Path

import av
import numpy as np
import pytest
from sqlalchemy import func, select

from server.encounters import films, keeping, redacting
from server.encounters import jobs as film_jobs
from server.encounters.recording_models import FilmRedaction, SegmentKey
from server.encounters.rules import Stretch
from server.jobs.loop import JobsLoop
from server.records.rights_models import RecordRequest
from tests.server.cast import Browser
from tests.server.encounters.recorded import Recorded, make_recorded
from tests.server.records.rights import copy_url, make_copy, unpacked
from tests.server.visits import House

VIDEO = re.compile("<video[^>]*>")


@pytest.fixture
async def recorded(house: House) -> Recorded:
    return await make_recorded(house)


async def with_an_interpreter(recorded: Recorded) -> None:
    """As if they had been in it: a key of theirs seals a part of the recording."""
    house, guest = recorded.house, await recorded.house.cast.guest()
    async with house.database.writing() as session:
        session.add(
            SegmentKey(
                clinic_id=house.cast.clinic.id,
                recording_id=recorded.recording,
                segment=1,
                participant_id=guest,
                wrapped=b"x",
                created_at=house.clock(),
            )
        )


async def asked(recorded: Recorded, patient: Browser) -> RecordRequest | None:
    house = recorded.house
    await make_copy(house, patient)
    async with house.database.reading() as session:
        return (await session.scalars(select(RecordRequest))).one_or_none()


async def run_film_jobs(house: House, *kinds: str) -> int:
    """Those of these kinds, or all."""
    handlers = {kind: one for kind, one in film_jobs.HANDLERS.items() if not kinds or kind in kinds}
    return await JobsLoop(house.database, house.settings, house.cast.vault, house.clock, handlers).run_due()


async def redaction(house: House) -> FilmRedaction:
    async with house.database.reading() as session:
        return (await session.scalars(select(FilmRedaction))).one()


async def test_a_recording_of_the_two_alone_is_not_asked_for(recorded: Recorded, tmp_path: Path) -> None:
    await recorded.seal()
    await recorded.stop()
    await recorded.with_film(tmp_path)
    patient = await recorded.house.browser_of("patient")
    assert await asked(recorded, patient) is None, "it is the doctor's to show, as ever, and not withheld"


@pytest.mark.parametrize(
    ("decision", "shown", "watches"),
    [
        ({"outcome": "released"}, "You can watch it now", 200),
        ({"outcome": "refused", "reason": "another_person"}, "It would tell about another person", 404),
    ],
    ids=["released", "refused"],
)
async def test_it_waits_for_a_doctor_of_the_visit_until_its_due_date(
    recorded: Recorded, tmp_path: Path, decision: dict[str, str], shown: str, watches: int
) -> None:
    house = recorded.house
    await recorded.seal()
    await with_an_interpreter(recorded)
    await recorded.stop()
    await recorded.with_film(tmp_path)
    patient, doctor = await house.browser_of("patient"), await house.browser_of("doctor")
    request = await asked(recorded, patient)
    assert request is not None
    page = await (await patient.get(copy_url(house))).text()
    assert ("A recording with other people in it" in page, "2031-06-26" in page) == (True, True)
    summary = await (await doctor.get(house.visit_url("/summary"))).text()
    assert "2031-06-26" in summary.split(f'id="request-{request.id}"')[1]
    assert house.visit_url("/summary") in await (await doctor.get(f"/c/{house.cast.clinic.slug}/notes")).text()
    play, url = await recorded.url("play"), house.visit_url(f"/note/requests/{request.id}")
    assert (await patient.get(play)).status == 404
    assert (await doctor.post(url, {"outcome": "refused"})).status == 400
    for who in ("colleague", "scheduler", "patient"):
        assert (await (await house.browser_of(who)).post(url, decision)).status in (403, 404)
    assert (await doctor.post(url, decision)).status == 303
    assert (await doctor.post(url, decision)).status == 409
    assert shown in await (await patient.get(copy_url(house))).text()
    assert (await patient.get(play)).status == watches
    assert (await (await house.browser_of("other patient")).get(play)).status == 404


async def test_with_parts_taken_out_the_patient_watches_that_and_never_the_whole(
    recorded: Recorded, tmp_path: Path
) -> None:
    house = recorded.house
    await recorded.store_log(tmp_path)
    await with_an_interpreter(recorded)
    await recorded.stop()
    house.clock.forward(seconds=5)
    assert await run_film_jobs(house) == 1
    film = await recorded.film()
    assert film.state == "ready"
    patient, doctor = await house.browser_of("patient"), await house.browser_of("doctor")
    request = await asked(recorded, patient)
    assert request is not None
    play, url = await recorded.url("play"), house.visit_url(f"/note/requests/{request.id}")
    for bad in ("", "0:05-0:06", "1:00", "0:01-0:00", "x" * 2001):
        answer = await doctor.post(url, {"outcome": "redacted", "stretches": bad})
        assert answer.status in (400, 422), bad
    assert (await doctor.post(url, {"outcome": "redacted", "stretches": "0:00-0:01"})).status == 303
    assert "being prepared" in await (await patient.get(copy_url(house))).text()
    assert (await patient.get(play)).status == 404
    assert await run_film_jobs(house) == 1
    assert not list((house.settings.var / "run").glob("redact-*")), "nothing is left in the clear"

    page = await (await patient.get(copy_url(house))).text()
    [player] = VIDEO.findall(page)
    assert play in player
    answer = await patient.get(play)
    content = await answer.read()
    assert (answer.status, content == await (await doctor.get(play)).read()) == (200, False)
    (tmp_path / "got.mp4").write_bytes(content)
    with av.open(str(tmp_path / "got.mp4")) as opened:
        frames = [(one.time or 0, one.to_ndarray(format="gray").mean()) for one in opened.decode(video=0)]
    assert max(luma for at, luma in frames if at < 1) < 30
    assert min(luma for at, luma in frames if at > 1.4) > 30
    assert np.isclose(frames[-1][0], film.duration_s or 0, atol=0.3)
    sealed = (recorded.store / ((await redaction(house)).path or "")).read_bytes()
    assert b"moov" not in sealed
    assert (await (await house.browser_of("other patient")).get(play)).status == 404
    house.clock.forward(minutes=1)
    export = await make_copy(house, patient)
    found = unpacked(await (await patient.post(f"{copy_url(house)}/{export}/file")).read())
    assert found["record.pdf"].startswith(b"%PDF-")

    # Made anew, it is made from the new film; deleted, nothing of it is left.
    assert (await doctor.post(await recorded.url("again"), {"clock": "yes"})).status == 303
    assert await run_film_jobs(house, films.JOB) == 1
    assert (await redaction(house)).state == "asked"
    assert (await patient.get(play)).status == 404, "the old one is gone with the film it was made from"
    await keeping_delete(recorded)
    assert (await patient.get(play)).status == 404
    await run_film_jobs(house, keeping.JOB, redacting.JOB)
    assert [one for one in (recorded.store / "redacted").rglob("*") if one.is_file()] == []
    assert ((await redaction(house)).state, (await redaction(house)).wrapped_key) == ("gone", None)
    assert "This recording was deleted." in await (await patient.get(copy_url(house))).text()


async def keeping_delete(recorded: Recorded) -> None:
    cast = recorded.house.cast
    async with recorded.house.database.writing() as session:
        recording = await keeping.get_recording(session, cast.clinic.id, recorded.recording)
        await keeping.order_deletion(session, recording, None, "granted", recorded.house.clock())


async def test_a_film_that_cannot_be_opened_is_said_to_have_failed(recorded: Recorded, tmp_path: Path) -> None:
    house, cast = recorded.house, recorded.house.cast
    await recorded.stop()
    await recorded.with_film(tmp_path)
    async with house.database.writing() as session:
        film = await films.get_film(session, cast.clinic.id, (await recorded.film()).id)
        await redacting.order(session, film, cast.patient, [Stretch(0.0, 1.0)], by=cast.doctor, now=house.clock())
    await run_film_jobs(house)
    assert (await redaction(house)).state == "failed"
    async with house.database.reading() as session:
        assert await session.scalar(select(func.count()).select_from(FilmRedaction)) == 1
