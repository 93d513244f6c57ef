"""One installation and one cast for each module of stories; what happens in them is the stories' own."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.scenarios.story import Story
from tests.support.bedside import AllInOne
from tests.support.people import ARTIFACTS, MOST_WORDS, Cast, Person, cast_of

DEMO_NAMES = ("Lindqvist", "Okafor", "Mina Park", "Mill Lane")
NAMES = ("anna", "doctor", "scheduler", "guest", "stranger", "second")


@pytest.fixture(scope="module")
def bedside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllInOne]:
    """`bedside serve` with the demo clinic; its log is in the printed folder."""
    made = AllInOne(tmp_path_factory.mktemp("clinic"))
    print(f"installation in {made.folder}")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def cast(bedside: AllInOne) -> Iterator[Cast]:
    """People with marks drawn at random; TEST_SEED draws the same again."""
    seed = os.environ.get("TEST_SEED")
    with cast_of(bedside.url, *NAMES, seed=int(seed) if seed else None) as people:
        yield people


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, object, object]:
    """Keeps what everybody's page showed and said when a story failed, under artifacts/failed/."""
    report = yield
    if call.when == "call":
        item.report_call = report  # type: ignore[attr-defined]
    if call.when == "call" and call.excinfo is not None:
        for value in getattr(item, "funcargs", {}).values():
            for person in getattr(value, "people", getattr(getattr(value, "cast", None), "people", [])):
                _keep(person, item.name)
    return report


def _keep(person: Person, name: str) -> None:
    folder = ARTIFACTS / "failed"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}-{person.name}.txt").write_text(person.describe(), encoding="utf-8")
    with suppress(Exception):
        person.page.screenshot(path=folder / f"{name}-{person.name}.png", timeout=3000)


@pytest.fixture
def story(request: pytest.FixtureRequest, told: Story) -> Iterator[Story]:
    """The one story that a module's `told` begins; once a step failed, the later ones say so and are left out."""
    if told.failed is not None:
        pytest.skip(f"the story ended at {told.failed}")
    yield told
    report = getattr(request.node, "report_call", None)
    if report is None or report.failed:
        told.failed = request.node.name


@pytest.fixture(autouse=True)
def no_name_in_the_log(bedside: AllInOne) -> Iterator[None]:
    """Whatever a story does, the installation's log names no person."""
    yield
    log = Path(bedside.program.log).read_text(encoding="utf-8", errors="replace")
    lines = [line for line in log.splitlines() if line.startswith("{")]
    named = [line for line in lines for name in DEMO_NAMES if name in line]
    assert not named, f"{len(named)} lines name a person, the first: {named[0][:MOST_WORDS]}"
    # A server may start before its node, and a story may kill a process.
    expected = ('"node_lost"', '"exit": -9')
    errors = [line for line in lines if '"level": "error"' in line and not any(word in line for word in expected)]
    assert not errors, f"{len(errors)} errors in the log, the first: {errors[0][:MOST_WORDS]}"
