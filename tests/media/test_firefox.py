"""Firefox and Chromium through the node, each seeing the other; their payload types and extension ids differ."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.network import may_make_networks, network

pytestmark = [
    pytest.mark.browser,
    pytest.mark.timeout(180),
    pytest.mark.skipif(not may_make_networks(), reason="namespaces need root"),
]


def test_firefox_and_chromium_see_and_hear_each_other_with_one_layer_and_with_two(tmp_path: Path) -> None:
    with network("ff") as made:
        host = made.host("a")
        done = subprocess.run(
            [*host.inside, sys.executable, "-m", "tests.media.firefox_visit", host.address, str(tmp_path)],
            check=False,
            capture_output=True,
            text=True,
            timeout=170,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert [visit["layers"] for visit in told] == [1, 2]
    for visit in told:
        assert visit["before"] == 0
        assert min(visit["heard"]) > 20
