"""A real TURN server of the test's own: coturn on a free port of 127.0.0.1 or inside a host of a test network.

Which browser may use it, and when, is for the settings under test.
"""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import Program, free_port


@dataclass(frozen=True, slots=True)
class Turn:
    """What a browser's `iceServers` needs; `secret` makes time-limited credentials."""

    url: str
    secret: str
    user: str
    password: str


@contextmanager
def turn_server(host: str = "127.0.0.1", inside: tuple[str, ...] = ()) -> Iterator[Turn]:
    port = free_port()
    user, password = "test", secrets.token_urlsafe(12)
    with tempfile.TemporaryDirectory(prefix="bedside-turn-") as folder:
        options = [
            *("-n", "--no-cli", "--no-tls", "--no-dtls", "--fingerprint", "--lt-cred-mech", "--realm", "bedside.test"),
            *("--listening-ip", host, "--relay-ip", host, "--listening-port", str(port), "--allow-loopback-peers"),
            *("--user", f"{user}:{password}", "--log-file", "stdout", "--simple-log", "--pidfile", f"{folder}/pid"),
            *("--userdb", f"{folder}/turn.db"),
        ]
        program = Program([*inside, "turnserver", *options], log=Path(folder) / "turn.log", cwd=Path(folder))
        try:
            program.wait_ready(lambda: "Total General servers" in program.output())
            yield Turn(f"turn:{host}:{port}", "", user, password)
        finally:
            program.stop(timeout_s=5)
