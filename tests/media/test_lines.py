"""A log that nobody reads: whoever says something never waits, and what is lost is counted and told."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from media.client import NodeClient
from media.lines import LINE_CHARACTERS_MAX, LineWriter
from tests.media.peers import SECRET

PIPE_BYTES = 4096


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """(reading, writing), as small as pipes get."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    yield reading, writing
    for end in (reading, writing):
        os.close(end)


def told(count: int) -> str:
    return f"{count} lost\n"


def read_to(reading: int, end: bytes) -> bytes:
    found = b""
    while not found.endswith(end):
        found += os.read(reading, PIPE_BYTES)
    return found


def test_lines_come_out_in_order(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    writer = LineWriter(writing, told)
    for number in range(100):
        writer.write(f"{number}\n")
    writer.close()
    assert read_to(reading, b"99\n").split() == [b"%d" % number for number in range(100)]
    assert writer.dropped == 0


@pytest.mark.parametrize("blocking", [True, False])
def test_where_nobody_reads_lines_are_dropped_and_later_told(pipe: tuple[int, int], blocking: bool) -> None:
    reading, writing = pipe
    os.set_blocking(writing, blocking)
    writer = LineWriter(writing, told, lines_max=10)
    line = "x" * (PIPE_BYTES // 2 - 1) + "\n"
    while writer.dropped < 5:
        writer.write(line)
    found = read_to(reading, b" lost\n")
    dropped = writer.dropped
    assert found.endswith(f"{dropped} lost\n".encode())
    writer.write("heard again\n")
    assert read_to(reading, b"\n") == b"heard again\n"
    writer.close()
    assert writer.dropped == dropped


def test_a_line_beyond_measure_is_dropped(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1], told)
    writer.write("x" * (LINE_CHARACTERS_MAX + 1))
    assert read_to(pipe[0], b"\n") == b"1 lost\n"
    writer.close()


def test_a_reader_who_has_gone_ends_nothing() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    writer = LineWriter(writing, told)
    writer.write("to nobody\n")
    writer.close()
    os.close(writing)
    assert writer.dropped == 1


def test_closing_does_not_wait_for_a_reader_who_never_comes(pipe: tuple[int, int]) -> None:
    writer = LineWriter(pipe[1], told)
    for _ in range(4):
        writer.write("x" * (PIPE_BYTES - 1) + "\n")
    began = time.monotonic()
    writer.close(within_s=0.05)
    assert time.monotonic() - began < 5
    left = 4 * PIPE_BYTES
    while left:
        left -= len(os.read(pipe[0], PIPE_BYTES))
    writer.close()


async def test_a_node_whose_output_nobody_reads_goes_on_and_ends_when_told(
    pipe: tuple[int, int], tmp_path: Path
) -> None:
    reading, writing = pipe
    names = {
        "BEDSIDE_ENV": "development",
        "BEDSIDE_VAR": str(tmp_path),
        "BEDSIDE_NODE_SECRET": SECRET,
        "BEDSIDE_MEDIA_PORT": "0",
        "BEDSIDE_MEDIA_CONTROL_PORT": "0",
        "BEDSIDE_MEDIA_ADDRESSES": "127.0.0.1",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BEDSIDE_")} | names
    process = subprocess.Popen([sys.executable, "-m", "media"], env=environment, stdout=writing)
    try:
        listening = json.loads(read_to(reading, b"\n"))
        async with NodeClient(listening["control"], SECRET) as client:
            for number in range(60):  # far more lines than the pipe holds
                await client.create_room(f"room-{number}")
                await client.close_room(f"room-{number}")
            assert (await client.state()).rooms == {}
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()
