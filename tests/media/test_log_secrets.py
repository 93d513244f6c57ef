"""What a failure writes into the node's log: where it happened, never what the variables held."""

from __future__ import annotations

import json
import subprocess
import sys

FAILS = """
import logging
from media.log import configure
configure()
def act():
    data_key = "c2VjcmV0LWtleQ"
    raise RuntimeError("broke")
try:
    act()
except RuntimeError:
    logging.getLogger("aiohttp.server").exception("Error handling request")
"""


def test_a_traceback_in_the_log_holds_no_local_variable() -> None:
    done = subprocess.run([sys.executable, "-c", FAILS], capture_output=True, text=True, check=True)
    line = json.loads(done.stdout)
    assert line["exception"][0]["exc_type"] == "RuntimeError"
    assert "act" in done.stdout
    assert "c2VjcmV0LWtleQ" not in done.stdout
    assert "locals" not in done.stdout
