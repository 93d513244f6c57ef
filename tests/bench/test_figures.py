"""The table says what was missed; every bench runs at its smallest size, where no limit is asked of it."""

from __future__ import annotations

import json

import pytest

from tests.bench.figures import Figure, Measure, as_json, benches, table


def test_a_missed_limit_is_said_in_the_table() -> None:
    good = Figure("delay", 3, "ms", must=5, aim=4)
    short = Figure("delay of many", 4.5, "ms", must=5, aim=4)
    bad = Figure("calls", 7, "calls", must=8, higher_is_better=True)
    lines = table([good, short, bad]).splitlines()
    assert [line.rsplit("  ", 1)[-1].strip() for line in lines[1:]] == ["≤ 4", "below aim", "MISSED"]
    assert [figure.meets(figure.must) for figure in (good, short, bad)] == [True, True, False]


def test_the_last_line_holds_every_figure_by_its_name() -> None:
    line = as_json([Figure("delay", 3.14159, "ms"), Figure("calls", 7, "calls")])
    assert "\n" not in line
    assert json.loads(line) == {"delay": 3.142, "calls": 7}


@pytest.mark.parametrize("measure", [pytest.param(found, id=name) for name, found in benches().items()])
def test_a_bench_runs_at_its_smallest_size(measure: Measure) -> None:
    figures = measure(False)
    assert figures
    assert all(figure.value >= 0 for figure in figures)
