"""Runs the suite in stages, each within a budget, and fails if any stage failed; ends with the slowest tests.

Which packages the machine needs is `.ci/machine`'s affair; what each test does is its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
ALONE = ("tests/scenarios", "tests/faults", "tests/packaging")
SLOWEST = 20


@dataclass(frozen=True, slots=True)
class Stage:
    """`pytest` is what pytest is given; a stage without it runs `command` instead."""

    name: str
    budget_minutes: float
    pytest: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


def stages() -> list[Stage]:
    beside = tuple(f"--ignore={folder}" for folder in ALONE)
    return [
        Stage("lint and types", 1, command=("make", "--no-print-directory", "lint")),
        Stage("web client", 1, command=("make", "--no-print-directory", "webtest")),
        Stage("unit", 5, ("tests", *beside, "-m", "not database and not browser and not soak", "-n", "2")),
        Stage("databases", 2, ("tests", *beside, "-m", "database and not browser and not soak")),
        Stage("browser", 2, ("tests", *beside, "-m", "browser and not soak")),
        Stage("scenarios", 7, (*ALONE, "-m", "not soak")),
    ]


@dataclass(frozen=True, slots=True)
class Outcome:
    stage: Stage
    code: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    seconds: float
    result: str


def run(stage: Stage, report: Path) -> Outcome:
    print(f"\n=== {stage.name} (budget {stage.budget_minutes:g} min)", flush=True)
    command = list(stage.command)
    if stage.pytest:
        common = ["-q", "-p", "no:cacheprovider", f"--junit-xml={report}"]
        command = [sys.executable, "-m", "pytest", *common, *stage.pytest]
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return Outcome(stage, code, time.monotonic() - started)


def cases(report: Path) -> list[Case]:
    if not report.exists():
        return []
    return [_case(element) for element in ElementTree.parse(report).iter("testcase")]


def _case(element: ElementTree.Element) -> Case:
    names = {child.tag for child in element}
    result = next((word for word in ("failure", "error", "skipped") if word in names), "passed")
    name = f"{element.get('classname', '')}::{element.get('name', '')}"
    return Case(name, float(element.get("time", "0")), result)


def main() -> int:
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    wanted = set(sys.argv[1:])
    chosen = [stage for stage in stages() if not wanted or stage.name in wanted]
    outcomes: list[Outcome] = []
    everything: list[Case] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, stage in enumerate(chosen):
            report = Path(folder) / f"{number}.xml"
            outcomes.append(run(stage, report))
            everything += cases(report)
    return summarise(outcomes, everything)


def summarise(outcomes: list[Outcome], everything: list[Case]) -> int:
    print(f"\n=== the {SLOWEST} slowest tests")
    for case in sorted(everything, key=lambda case: -case.seconds)[:SLOWEST]:
        print(f"{case.seconds:8.2f} s  {case.name}")
    print("\n=== stages")
    for outcome in outcomes:
        late = "  over budget" if outcome.seconds > outcome.stage.budget_minutes * 60 else ""
        word = "ok" if outcome.code == 0 else f"failed ({outcome.code})"
        print(f"{outcome.seconds:8.1f} s  {outcome.stage.name}: {word}{late}")
    failed_stages = sum(outcome.code != 0 for outcome in outcomes)
    failed = sum(case.result in {"failure", "error"} for case in everything)
    skipped = sum(case.result == "skipped" for case in everything)
    passed = len(everything) - failed - skipped
    # A stage that failed without a failed test (lint, a crash, no tests found) counts as one failure.
    silent = max(0, failed_stages - failed) if failed_stages and not failed else 0
    print(f"\n{passed} passed, {failed + silent} failed, {skipped} skipped")
    return 1 if failed_stages else 0


if __name__ == "__main__":
    sys.exit(main())
