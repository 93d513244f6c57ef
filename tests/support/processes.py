"""Real programs as children of a test: started on free ports, their output kept, ended with the test process.

What a program is asked and what it answers is for the modules beside this one.
"""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

PR_SET_PDEATHSIG = 1


class DidNotStart(Exception):  # noqa: N818 — says what happened
    """The program ended, or did not become ready in time; the message ends with the tail of its output."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM, host: str = "127.0.0.1") -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def wait_until(
    condition: Callable[[], object], timeout_s: float = 10.0, what: str = "condition", every_s: float = 0.05
) -> None:
    """Returns when `condition` answers something true; raises AssertionError naming `what` after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(every_s)


def answers(host: str, port: int) -> bool:
    """Whether something accepts TCP connections there."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


class Program:
    """One child process; its output goes to `log`. It dies with the test process, however that ends."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        user: str | None = None,
        own_group: bool = False,
    ) -> None:
        self.command = [str(part) for part in command]
        self.log = log
        log.parent.mkdir(parents=True, exist_ok=True)
        libc = ctypes.CDLL(None)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(env) if env is not None else None,
                cwd=cwd,
                user=user,
                group=user,
                extra_groups=[] if user is not None else None,
                preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL),  # noqa: PLW1509 — one plain system call
                process_group=0 if own_group else None,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.poll()

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def output(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def wait_ready(self, condition: Callable[[], object], timeout_s: float = 20.0) -> None:
        """Returns when `condition` holds; raises DidNotStart when the program ends first or time runs out."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            if not self.is_running or time.monotonic() > deadline:
                how = f"not ready in {timeout_s} s" if self.is_running else f"ended with {self.returncode}"
                raise DidNotStart(f"{' '.join(self.command)}: {how}\n{self.output()[-4000:]}")
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        if self.is_running:
            self._process.send_signal(number)

    def send_to_group(self, number: signal.Signals) -> None:
        """As Ctrl-C in a terminal does; only for a program started with `own_group`."""
        os.killpg(self._process.pid, number)

    def wait(self, timeout_s: float = 15.0) -> int:
        return self._process.wait(timeout_s)

    def stop(self, number: signal.Signals = signal.SIGTERM, timeout_s: float = 15.0) -> int:
        """Asks with `number`, kills after `timeout_s`; answers the exit code."""
        self.send(number)
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait(5)

    def kill(self) -> None:
        self.stop(signal.SIGKILL)
