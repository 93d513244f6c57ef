"""What the tests of a patient's rights share: a signed note, the job run, a copy opened, the two judges of a bundle."""

from __future__ import annotations

import io
import json
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

from fhir.resources.R4B.bundle import Bundle

from server.jobs.loop import JobsLoop
from server.permissions import Actor, StaffRole
from server.records import jobs
from server.records.service import Writing
from tests.server.cast import Browser
from tests.server.visits import House, VisitCast

JUDGE = Path(__file__).with_name("validate.mjs")
VENV = Path(__file__).parents[3] / ".venv" / "bin"


def writing_of(cast: VisitCast, role: StaffRole = StaffRole.DOCTOR, person_id: str | None = None) -> Writing:
    actor = Actor(person_id=person_id or cast.doctor, clinic_id=cast.clinic.id, roles=frozenset({role}))
    return Writing(cast.clinic, actor, cast.clock(), cast.events, cast.sealer)


async def sign(house: House, text: str, visit: str | None = None, **form: str) -> Browser:
    """The doctor writes and signs; `visit` is another one than the cast's own."""
    browser = await house.browser_of("doctor")
    url = house.visit_url().replace(house.cast.encounter_id, visit or house.cast.encounter_id)
    headers = {"Accept": "application/json", "If-Match": "0"}
    assert (await browser.request("PUT", f"{url}/note/draft", json={"text": text}, headers=headers)).status == 200
    answer = await browser.post(f"{url}/note/sign", {"revision": "1", **form})
    assert answer.status == 303, await answer.text()
    return browser


async def run_jobs(house: House) -> int:
    cast = house.cast
    return await JobsLoop(cast.database, house.settings, cast.vault, cast.clock, jobs.HANDLERS).run_due()


def copy_url(house: House, side: str = "home") -> str:
    return f"/c/{house.cast.clinic.slug}/patients/{house.cast.patient}/{side}/copy"


async def make_copy(house: House, browser: Browser, side: str = "home") -> str:
    """Asked for and made; its id."""
    assert (await browser.post(copy_url(house, side))).status == 303
    await run_jobs(house)
    page = await (await browser.get(copy_url(house, side))).text()
    assert "Your copy is ready" in page, page
    return page.split('id="copy-')[1].split('"')[0]


def unpacked(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def judged(content: bytes) -> list[Any]:
    """What two validators that know nothing of each other say against a bundle."""
    problems: list[Any] = []
    try:
        Bundle.model_validate_json(content)
    except ValueError as error:
        problems.append(str(error))
    env = {**os.environ, "PATH": f"{VENV}{os.pathsep}{os.environ['PATH']}"}
    run = subprocess.run(["node", str(JUDGE)], input=content, capture_output=True, check=True, env=env)
    return problems + list(json.loads(run.stdout))
