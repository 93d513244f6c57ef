"""Real Chromium on a link that becomes narrow and wide again: what its owner sees and hears meanwhile (make soak)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.network import may_make_networks, network, towards

pytestmark = [
    pytest.mark.soak,
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(not may_make_networks(), reason="namespaces need root"),
]

Seen = list[dict[str, Any]]


def visit(
    tmp_path: Path, narrow: str, seconds: tuple[int, int, int], *, without_udp: bool = False, **more: Any
) -> Seen:
    """What the doctor's browser had, four times a second: wide, narrow, wide. Every run is kept under artifacts/."""
    with network("sh") as made:
        server, doctor = made.host("s"), made.host("d")
        doctor.block_udp(without_udp)
        told = {
            "var": str(tmp_path / "var"),
            "address": server.address,
            "executable": str(doctor.executable(tmp_path / "chromium", "/usr/bin/chromium")),
            "people": ["anna", "guest"],
            "layered": True,
            "commands": {"wide": towards(made.router, doctor, None), "narrow": towards(made.router, doctor, narrow)},
            "phases": list(zip(("wide", "narrow", "wide"), seconds, strict=True)),
        } | more
        # Ahead of whatever else the machine does: what is measured is the link, not the neighbours.
        first = ("nice", "-n", "-12")
        command = [*server.inside, *first, sys.executable, "-m", "tests.media.shaped_visit", json.dumps(told)]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    seen: Seen = json.loads(done.stdout.splitlines()[-1])
    name = os.environ["PYTEST_CURRENT_TEST"].partition("::")[2].partition(" ")[0]
    kept = Path("artifacts") / f"shaped-{name}.json"
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps(seen))
    return seen


def phase(seen: Seen, number: int) -> Seen:
    """The looks of the first, second or third phase."""
    found: list[Seen] = []
    for look in seen:
        if not found or found[-1][-1]["phase"] != look["phase"]:
            found.append([])
        found[-1].append(look)
    return found[number]


def after_s(looks: Seen, test: Callable[[dict[str, Any]], bool]) -> float:
    """Seconds of a phase until `test` holds."""
    return float(next(look["at_s"] for look in looks if test(look)) - looks[0]["at_s"])


def rate(looks: Seen) -> float:
    return float((looks[-1]["received"] - looks[0]["received"]) * 8 / (looks[-1]["at_s"] - looks[0]["at_s"]))


def concealed(seen: Seen) -> float:
    return float((seen[-1]["concealed"] - seen[0]["concealed"]) / max(1, seen[-1]["samples"] - seen[0]["samples"]))


def frames_a_second(looks: Seen) -> float:
    return float((looks[-1]["frames"] - looks[0]["frames"]) / (looks[-1]["at_s"] - looks[0]["at_s"]))


def test_a_narrow_link_gets_the_low_layer_and_the_upper_one_again_after_it(tmp_path: Path) -> None:
    seen = visit(tmp_path, "600kbit", (15, 30, 25))
    assert phase(seen, 0)[-1]["width"] == 640
    assert after_s(phase(seen, 1), lambda look: look["width"] == 160) <= 3
    assert phase(seen, 1)[-1]["width"] == 160
    assert after_s(phase(seen, 2), lambda look: look["width"] == 640) <= 20
    assert concealed(seen[4:]) <= 0.01


def test_of_two_people_the_publisher_gives_way_and_comes_back(tmp_path: Path) -> None:
    seen = visit(tmp_path, "600kbit", (15, 30, 25), people=["anna"], layered=False)

    before = rate(phase(seen, 0)[8:])
    narrow, after = phase(seen, 1), phase(seen, 2)
    late = [look for look in narrow if look["at_s"] - narrow[0]["at_s"] > 3]
    assert rate(late) < 600_000
    late = [look for look in after if 16 < look["at_s"] - after[0]["at_s"] < 20]
    assert rate(late) >= 0.8 * before
    assert concealed(seen[4:]) <= 0.01


def test_below_the_floor_sound_goes_on_alone_and_the_picture_comes_back(tmp_path: Path) -> None:
    seen = visit(tmp_path, "120kbit", (15, 30, 25), people=["anna"])
    narrow = phase(seen, 1)
    assert after_s(narrow, lambda look: look["paused"] == ["anna"]) <= 10
    late = [look for look in narrow if look["at_s"] - narrow[0]["at_s"] > 12]
    assert concealed(late) <= 0.02
    assert after_s(phase(seen, 2), lambda look: not look["paused"] and look["width"] > 0) <= 20
    assert frames_a_second(phase(seen, 2)[-8:]) > 15


def test_whoever_reads_lips_keeps_the_picture_in_motion(tmp_path: Path) -> None:
    seen = visit(tmp_path, "250kbit", (15, 30, 10), people=["anna"], picture_first=True)
    narrow = phase(seen, 1)
    assert not any(look["paused"] for look in narrow)
    late = [look for look in narrow if look["at_s"] - narrow[0]["at_s"] > 4]
    assert late[0]["width"] == 160
    assert frames_a_second(late) >= 20


def test_over_a_narrow_tcp_connection_sound_is_no_later_the_longer_it_lasts(tmp_path: Path) -> None:
    seen = visit(tmp_path, "600kbit", (15, 40, 10), people=["anna"], without_udp=True)
    narrow = phase(seen, 1)
    assert "udp" not in {look["protocol"] for look in seen}
    assert narrow[-1]["protocol"] == "tcp"
    delays = [look["sound_delay_s"] for look in narrow if look["at_s"] - narrow[0]["at_s"] > 5]
    half = len(delays) // 2
    first, last = sum(delays[:half]) / half, sum(delays[-half:]) / half
    print(f"sound was {first:.3f} s late, then {last:.3f}; concealed {concealed(narrow):.3%}")
    assert last <= max(0.25, first * 1.2)
