"""`bedside serve`: three processes that answer, nothing secret to be seen, nothing left behind."""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from server.supervisor import EXIT_CANNOT_START
from tests.support.bedside import AllInOne, clean_environment, is_ready
from tests.support.processes import free_port, wait_until


@pytest.fixture(scope="module")
def bedside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AllInOne]:
    made = AllInOne(tmp_path_factory.mktemp("serve"))
    made.start()
    wait_until(lambda: "Bedside is ready" in made.log(), 20, "it says where to go")
    yield made
    made.stop()


def refused(*, tmp_path: Path, **changed: str) -> str:
    """What a second `serve` says, in one line, that would be in the way of something."""
    settings = {
        "BEDSIDE_ENV": "development", "BEDSIDE_VAR": str(tmp_path), "BEDSIDE_PORT": str(free_port()),
        "BEDSIDE_JOBS_PORT": str(free_port()), "BEDSIDE_MEDIA_PORT": str(free_port()),
    }  # fmt: skip
    ended = subprocess.run(
        [sys.executable, "-m", "server", "serve"],
        env={**clean_environment(), **settings, **changed}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == EXIT_CANNOT_START
    (line,) = ended.stderr.splitlines()
    return line


@pytest.mark.parametrize("name", ["BEDSIDE_PORT", "BEDSIDE_JOBS_PORT", "BEDSIDE_MEDIA_PORT"])
def test_a_taken_port_is_said_in_one_line(bedside: AllInOne, tmp_path: Path, name: str) -> None:
    ports = {
        "BEDSIDE_PORT": bedside.ports.server, "BEDSIDE_JOBS_PORT": bedside.ports.jobs,
        "BEDSIDE_MEDIA_PORT": bedside.ports.media,
    }  # fmt: skip
    line = refused(tmp_path=tmp_path, **{name: str(ports[name])})
    assert f"port {ports[name]} " in line
    assert "is taken by another program" in line


def test_two_of_them_never_share_a_folder(bedside: AllInOne, tmp_path: Path) -> None:
    assert f"already runs on {bedside.var}" in refused(tmp_path=tmp_path, BEDSIDE_VAR=str(bedside.var))


def test_three_processes_answer_readyz(bedside: AllInOne) -> None:
    assert set(bedside.children()) == {"server", "media", "jobs"}
    for url in (bedside.url, bedside.node.url, f"http://127.0.0.1:{bedside.ports.jobs}"):
        assert is_ready(url), url


def test_no_secret_is_on_a_command_line_or_in_the_log(bedside: AllInOne) -> None:
    for pid in (bedside.program.pid, *bedside.children().values()):
        assert bedside.secret.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    assert bedside.secret not in bedside.log()


def test_what_it_keeps_is_for_its_own_user_alone(bedside: AllInOne) -> None:
    assert bedside.var.stat().st_mode & 0o777 == 0o700
    keys = [path for path in (bedside.var / "keys").rglob("*") if path.is_file()]
    assert keys
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}


def test_it_prints_a_way_in_for_everybody_and_one_for_todays_visit(bedside: AllInOne) -> None:
    said = bedside.log()
    assert said.count(f"{bedside.url}/demo/sign-in/") == 13
    assert said.count(f"{bedside.url}/v/") == 1


def test_the_second_start_seeds_nothing_and_the_first_visit_link_still_works(tmp_path: Path) -> None:
    twice = AllInOne(tmp_path)
    log = tmp_path / "bedside.log"
    twice.start()
    wait_until(lambda: "Ctrl-C ends everything" in log.read_text(), 20, "it says where to go")
    (link,) = re.findall(rf"{twice.url}/v/\S+", log.read_text())
    twice.stop()
    twice.start()
    with urllib.request.urlopen(link, timeout=10) as page:
        assert page.status == 200
    twice.stop()
    assert log.read_text().count('"event": "seeded"') == 1


def test_a_killed_supervisor_takes_its_children_with_it(tmp_path: Path) -> None:
    orphaned = AllInOne(tmp_path)
    orphaned.start()
    pids = list(orphaned.children().values())
    assert len(pids) == 3
    orphaned.program.send(signal.SIGKILL)
    wait_until(lambda: not any(_runs(pid) for pid in pids), 15, "no child is left")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


async def test_stopping_tells_open_pages_and_ends_quickly(tmp_path: Path) -> None:
    """C123: an open WebSocket neither holds the process nor is cut without a word."""
    stopped = AllInOne(tmp_path)
    stopped.start()
    async with aiohttp.ClientSession() as client:
        address = f"{stopped.url}/socket.io/?EIO=4&transport=websocket"
        async with client.ws_connect(address, headers={"Origin": stopped.url}) as socket:
            assert (await socket.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT
            began = time.monotonic()
            stopped.program.send(signal.SIGTERM)
            stopped.program.send(signal.SIGTERM)
            while (message := await socket.receive(timeout=15)).type is aiohttp.WSMsgType.TEXT:
                continue
            assert message.type is aiohttp.WSMsgType.CLOSE
            assert socket.close_code == 1001
            assert time.monotonic() - began < 3
        assert await asyncio.to_thread(stopped.program.wait, 15) == 0
        assert time.monotonic() - began < 15
