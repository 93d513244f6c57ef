"""What a benchmark answers, and the one table that all of them share.

Measuring is each `bench_*.py`'s own: `measure(full)` gives its figures, at the smallest size when `full` is False.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Figure:
    """`must` fails the run when missed, `aim` is where we want to be; None where nothing was agreed."""

    name: str
    value: float
    unit: str
    must: float | None = None
    aim: float | None = None
    higher_is_better: bool = False

    def meets(self, limit: float | None) -> bool:
        if limit is None:
            return True
        return self.value >= limit if self.higher_is_better else self.value <= limit


Measure = Callable[[bool], list[Figure]]


def benches() -> dict[str, Measure]:
    """Every `bench_*.py` beside this file, by name."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("bench_*.py"))
    return {name.removeprefix("bench_"): importlib.import_module(f"tests.bench.{name}").measure for name in names}


def table(figures: Iterable[Figure]) -> str:
    rows = [("figure", "measured", "must", "aim", "")]
    for figure in figures:
        sign = "≥" if figure.higher_is_better else "≤"
        rows.append(
            (
                figure.name,
                f"{figure.value:,.4g} {figure.unit}",
                _limit(sign, figure.must),
                _limit(sign, figure.aim),
                "MISSED" if not figure.meets(figure.must) else "" if figure.meets(figure.aim) else "below aim",
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def as_json(figures: Iterable[Figure]) -> str:
    """One line for whoever compares runs: each figure by its name."""
    return json.dumps({figure.name: round(figure.value, 3) for figure in figures}, ensure_ascii=False)


def _limit(sign: str, limit: float | None) -> str:
    return "–" if limit is None else f"{sign} {limit:,g}"
