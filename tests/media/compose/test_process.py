"""The composing process: what it says on its pipe, and that it ends when nobody listens any more."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from media.compose import FilmOptions, FilmReport, Part
from media.compose.process import LOG_DAMAGED, Work, compose_in_process
from tests.media.golden import GoldenLog, flat, video

SMALL = FilmOptions(width=160, height=90, preset="ultrafast", frame_rate=10, part_s=1)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    log = GoldenLog(tmp_path / "one.bedlog")
    log.send(log.track("anna", "camera"), video(flat(64, 48, (200, 30, 30)), [number / 10 for number in range(20)]))
    log.write(2.0)
    keys = {hashlib.sha256(log.wrapped(who)).digest(): key for who, key in log.keys.items()}
    return Work((log.path,), tmp_path / "film.mp4", keys, {}, SMALL)


@contextmanager
def running(work: Work) -> Iterator[tuple[BaseProcess, Connection]]:
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=compose_in_process, args=(work, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield process, ours
    finally:
        process.kill()
        process.join()
        ours.close()


def test_it_says_how_far_it_is_then_each_part_and_last_how_it_came_out(work: Work) -> None:
    said: list[object] = []
    with running(work) as (_, pipe):
        while not said or not isinstance(said[-1], FilmReport | str):
            assert pipe.poll(60)
            said.append(pipe.recv())
    assert isinstance(said[-1], FilmReport)
    assert said[-1].passed
    assert [one.first for one in said if isinstance(one, Part)] == [0, 10]
    shares = [one for one in said if isinstance(one, float)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_it_ends_when_nobody_listens_any_more(work: Work) -> None:
    """The pipe breaks as it does when the process at its other end is killed."""
    with running(work) as (process, pipe):
        pipe.close()
        process.join(60)
        assert process.exitcode == 0
    assert list(work.output.parent.glob("film.mp4*")) == []


def test_a_file_that_is_no_log_is_told_by_its_code(work: Work) -> None:
    work.logs[0].write_bytes(b"no log at all")
    with running(work) as (_, pipe):
        assert pipe.poll(60)
        assert pipe.recv() == LOG_DAMAGED
