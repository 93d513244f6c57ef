"""Firefox and Chromium through the node, each seeing the other; their payload types and extension ids differ."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.network import may_make_networks, network

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not may_make_networks(), reason="namespaces need root"),
]


IDLE_S = 600


def visit(tmp_path: Path, *more: str, within_s: float = 170) -> Any:
    with network("ff") as made:
        host = made.host("a")
        command = [*host.inside, sys.executable, "-m", "tests.media.firefox_visit", host.address, str(tmp_path), *more]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=within_s)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_firefox_and_chromium_see_and_hear_each_other_with_one_layer_and_with_two(tmp_path: Path) -> None:
    told = visit(tmp_path)
    assert [one["layers"] for one in told] == [1, 2]
    for one in told:
        assert one["before"] == 0
        assert min(one["heard"]) > 20


@pytest.mark.soak
@pytest.mark.timeout(IDLE_S + 120)
def test_an_idle_firefox_is_never_taken_for_away(tmp_path: Path) -> None:
    assert visit(tmp_path, str(IDLE_S), within_s=IDLE_S + 100) == []
