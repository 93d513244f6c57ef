"""Runs the suite in stages, each within a budget, and fails if any stage failed; ends with what failed and why.

What a failed test printed and logged is in `artifacts/<stage>.xml`, whole; the screen shows its traceback.
Which packages the machine needs is `.ci/machine`'s affair; what each test does is its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
PROCESSES = ("tests/faults", "tests/packaging")
STORIES = tuple(f"tests/scenarios/test_{name}.py" for name in ("main_job", "nat", "two_servers"))
ALONE = ("tests/scenarios", *PROCESSES)
BY_FILE = ("-n", "2", "--dist", "loadfile")
"""Two at a time where a test mostly waits; a file's fixtures are made once."""
IN_THREES = ("-n", "3")
"""On two cores: every third test waits for a disk, a process or a clock."""
REPORTS = ROOT / "artifacts"
SLOWEST = 20
REASON_CHARACTERS = 200
QUIETLY = (
    "-q",
    "-p",
    "no:cacheprovider",
    "--show-capture=no",
    "-o",
    "junit_logging=all",
    "-o",
    "junit_log_passing_tests=false",
)


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
        Stage("unit", 5, ("tests", *beside, "-m", "not database and not browser and not soak", *IN_THREES)),
        Stage("databases", 1, ("tests", *beside, "-m", "database and not browser and not soak", *BY_FILE)),
        Stage("processes", 1.5, (*PROCESSES, "-m", "not soak", *BY_FILE)),
        Stage("browser", 2, ("tests", *beside, "-m", "browser and not soak", *BY_FILE)),
        Stage("pages", 3, ("tests/scenarios", *(f"--ignore={file}" for file in STORIES), "-m", "not soak", *BY_FILE)),
        Stage("stories", 5.5, (*STORIES, "-m", "not soak")),
    ]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    seconds: float
    result: str
    reason: str = ""

    @property
    def is_failed(self) -> bool:
        return self.result in {"failure", "error"}


@dataclass(frozen=True, slots=True)
class Outcome:
    stage: Stage
    code: int
    seconds: float
    cases: list[Case]

    def failures(self) -> list[Case]:
        """The failed tests; a stage that failed without one (lint, a crash, no tests found) stands for itself."""
        found = [case for case in self.cases if case.is_failed]
        if self.code and not found:
            return [Case(self.stage.name, self.seconds, "error", f"ended with {self.code}, see above")]
        return found


def run(stage: Stage, report: Path) -> Outcome:
    print(f"\n=== {stage.name} (budget {stage.budget_minutes:g} min)", flush=True)
    command = list(stage.command)
    if stage.pytest:
        command = [sys.executable, "-m", "pytest", *QUIETLY, f"--junit-xml={report}", *stage.pytest]
    started = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    return Outcome(stage, code, time.monotonic() - started, cases(report))


def cases(report: Path) -> list[Case]:
    if not report.exists():
        return []
    return [_case(element) for element in ElementTree.parse(report).iter("testcase")]


def _case(element: ElementTree.Element) -> Case:
    found = {child.tag: child for child in element}
    result = next((word for word in ("failure", "error", "skipped") if word in found), "passed")
    name = f"{element.get('classname', '')}::{element.get('name', '')}"
    return Case(name, float(element.get("time", "0")), result, _reason(found.get(result)))


def _reason(problem: ElementTree.Element | None) -> str:
    """The first line of the error, cut to what a terminal shows."""
    lines = (problem.get("message") or problem.text or "").strip().splitlines() if problem is not None else []
    return lines[0][:REASON_CHARACTERS] if lines else ""


def main() -> int:
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    wanted = set(sys.argv[1:])
    known = stages()
    if unknown := wanted - {stage.name for stage in known}:
        print(f"no such stage: {', '.join(sorted(unknown))}; there are: {', '.join(stage.name for stage in known)}")
        return 2
    REPORTS.mkdir(exist_ok=True)
    outcomes: list[Outcome] = []
    for stage in known:
        if wanted and stage.name not in wanted:
            continue
        report = REPORTS / f"{stage.name.replace(' ', '-')}.xml"
        report.unlink(missing_ok=True)
        outcomes.append(run(stage, report))
    return summarise(outcomes)


def summarise(outcomes: list[Outcome]) -> int:
    everything = [case for outcome in outcomes for case in outcome.cases]
    failures = [case for outcome in outcomes for case in outcome.failures()]
    print(f"\n=== the {SLOWEST} slowest tests")
    for case in sorted(everything, key=lambda case: -case.seconds)[:SLOWEST]:
        print(f"{case.seconds:8.2f} s  {case.name}")
    print("\n=== stages")
    for outcome in outcomes:
        late = "  over budget" if outcome.seconds > outcome.stage.budget_minutes * 60 else ""
        word = "ok" if outcome.code == 0 else f"failed ({outcome.code})"
        print(f"{outcome.seconds:8.1f} s  {outcome.stage.name}: {word}{late}")
    # Last of all, since a log is often cut to its end.
    if failures:
        print("\n=== what failed")
    for case in failures:
        print(f"{case.name[-REASON_CHARACTERS:]}\n    {case.reason}")
    skipped = sum(case.result == "skipped" for case in everything)
    passed = sum(case.result == "passed" for case in everything)
    print(f"\n{passed} passed, {len(failures)} failed, {skipped} skipped")
    return 1 if any(outcome.code for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
