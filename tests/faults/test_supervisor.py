"""`bedside serve` keeps its three processes: one that dies is started again and said so, the others don't notice."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bedside import AllInOne, is_ready
from tests.support.processes import wait_until


@pytest.fixture(scope="module")
def bedside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllInOne]:
    made = AllInOne(tmp_path_factory.mktemp("supervised"))
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("word", ["media", "jobs", "server"])
def test_a_killed_process_is_started_again_and_the_others_stay(bedside: AllInOne, word: str) -> None:
    before = bedside.children()
    os.kill(before[word], signal.SIGKILL)

    wait_until(lambda: bedside.children().get(word) not in {None, before[word]}, 15, f"{word} has a new process")
    wait_until(lambda: is_ready(bedside.url), 20, "the server is ready")
    wait_until(lambda: is_ready(bedside.node.url), 20, "the node is ready")

    after = bedside.children()
    assert {name: pid for name, pid in after.items() if name != word} == {
        name: pid for name, pid in before.items() if name != word
    }
    said = [line for line in bedside.log().splitlines() if word in line and "starting it again" in line]
    assert said, bedside.log()[-300:]


def test_a_node_that_came_back_is_found_by_the_server(bedside: AllInOne) -> None:
    epoch = bedside.node.state().epoch
    os.kill(bedside.children()["media"], signal.SIGKILL)
    wait_until(lambda: is_ready(bedside.node.url), 20, "the node is ready")
    assert bedside.node.state().epoch != epoch
    wait_until(lambda: is_ready(bedside.url), 20, "the server is ready")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_everything_within_ten_seconds_and_once(bedside: AllInOne, number: signal.Signals) -> None:
    if not bedside.is_running:
        bedside.start()
    pids = bedside.children()
    assert set(pids) >= {"server", "media", "jobs"}
    before = len(bedside.log())

    code = bedside.program.stop(number, timeout_s=12)

    assert code == 0, bedside.log()[-300:]
    assert not [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in bedside.log()[before:]
