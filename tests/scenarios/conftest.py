"""One installation and one cast for each module of stories; what happens in them is the stories' own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bedside import AllInOne
from tests.support.people import Cast, cast_of

NAMES = ("anna", "doctor", "scheduler", "guest", "stranger", "second")


@pytest.fixture(scope="module")
def bedside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllInOne]:
    """`bedside serve` with the demo clinic; its log is kept when a test fails, in the printed folder."""
    made = AllInOne(tmp_path_factory.mktemp("clinic"))
    print(f"installation in {made.folder}")
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def cast(bedside: AllInOne) -> Iterator[Cast]:
    """People with marks drawn at random; BEDSIDE_TEST_SEED draws the same again."""
    seed = os.environ.get("BEDSIDE_TEST_SEED")
    with cast_of(bedside.url, *NAMES, seed=int(seed) if seed else None) as people:
        yield people


@pytest.fixture(autouse=True)
def no_name_in_the_log(bedside: AllInOne) -> Iterator[None]:
    """Whatever a story does, the installation's log names no person."""
    yield
    log = Path(bedside.program.log).read_text(encoding="utf-8", errors="replace")
    lines = [line for line in log.splitlines() if line.startswith("{")]
    assert not [line for line in lines if '"level": "error"' in line], "\n".join(lines)[-3000:]
