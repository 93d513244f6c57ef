"""`make run` as a person types it: where to go is printed, a second start is quick, Ctrl-C ends everything once."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bedside import AllInOne, descendants, is_ready
from tests.support.processes import Program

ROOT = Path(__file__).parents[2]
SECOND_START_S = 20.0
WELCOME = "Ctrl-C ends everything."
"""The last line it prints once everything answers."""

pytestmark = pytest.mark.timeout(300)


@pytest.fixture
def place(tmp_path: Path) -> AllInOne:
    """Only for its settings: free ports and a folder."""
    return AllInOne(tmp_path)


def make_run(place: AllInOne) -> Program:
    env = {name: value for name, value in place.environment.items() if name != "BEDSIDE_ENV"}
    return Program(
        ["make", "--no-print-directory", "run"], log=place.folder / "run.log", env=env, cwd=ROOT, own_group=True
    )


@pytest.fixture
def running(place: AllInOne) -> Iterator[Program]:
    program = make_run(place)
    program.wait_ready(lambda: is_ready(place.url) and WELCOME in program.output(), 120)
    yield program
    if program.is_running:
        program.send_to_group(signal.SIGKILL)
        program.wait()


def test_it_says_where_to_go_and_ctrl_c_ends_it_all_once(place: AllInOne, running: Program) -> None:
    addresses = re.findall(rf"{re.escape(place.url)}/\S+", running.output())
    assert len(addresses) >= 5, f"{len(addresses)} addresses"
    for address in addresses:
        with urllib.request.urlopen(address, timeout=5) as page:
            assert page.status == 200, address
    below = descendants(running.pid)
    assert len(below) >= 4

    running.send_to_group(signal.SIGINT)
    running.wait(20)

    assert not [pid for pid in below if Path(f"/proc/{pid}").exists()]
    assert "Traceback" not in running.output()

    began = time.monotonic()
    again = make_run(place)
    again.wait_ready(lambda: is_ready(place.url), 60)
    took = time.monotonic() - began
    again.send_to_group(signal.SIGINT)
    again.wait(20)
    assert took < SECOND_START_S


def test_a_taken_port_is_said_in_one_line(place: AllInOne) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", place.ports.server))
        squatter.listen()
        program = make_run(place)
        code = program.wait(60)
    assert code != 0
    said = [line for line in program.output().splitlines() if str(place.ports.server) in line]
    assert len(said) == 1, f"{len(said)} lines name the port"
    assert "Traceback" not in program.output()


def test_help_lists_every_command_of_make_and_bedside() -> None:
    targets = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in ("run", "test", "lint", "bench", "soak", "clean", "help"):
        assert f"make {name}" in targets
    commands = subprocess.run(
        [str(ROOT / ".venv" / "bin" / "bedside"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    for name in ("serve", "server", "media", "jobs", "migrate", "seed", "check-config"):
        assert re.search(rf"\b{name}\b", commands), name
