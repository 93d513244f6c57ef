"""`bedside serve`: server, one media node and jobs as children of one process that restarts what crashes.

The children share one loopback control port and a random secret, given through their environment, never on a
command line. What each child does is its own business.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO

import aiohttp

from server import logs
from server.config import Settings
from server.logs import Event
from server.serving import CannotStart, until_signalled

STOP_WITHIN_S = 13.0
"""Then what still runs is killed; `serve` as a whole ends within 15 s."""
BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 15.0
STEADY_S = 30.0
READY_EVERY_S = 0.2
EXIT_CANNOT_START = 2
"""A child that says why it cannot start: restarting it would not help."""
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Child:
    """One process under the supervisor. `stop_signal`: SIGINT for the node, which on SIGTERM would drain first."""

    name: str
    ready_url: str
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass
class Supervisor:
    """Starts the children, keeps them running, ends them once."""

    settings: Settings
    environment: Mapping[str, str]
    children: tuple[Child, ...]
    log_to: Path | None = None
    """Where the children's logs go while somebody watches the terminal; else they go where ours go."""
    _running: dict[str, asyncio.subprocess.Process] = field(default_factory=dict)
    _stopping: bool = False

    async def run(self, on_ready: asyncio.Event) -> int:
        """Until a signal, or until a child cannot start at all; answers the exit code."""
        keepers = [asyncio.create_task(self._keep(child), name=child.name) for child in self.children]
        signalled = asyncio.create_task(until_signalled())
        watching = asyncio.create_task(self._watch_ready(on_ready))
        try:
            done, _ = await asyncio.wait([signalled, *keepers], return_when=asyncio.FIRST_COMPLETED)
            code = 0 if signalled in done else 1
        finally:
            for task in (watching, signalled):
                task.cancel()
            await asyncio.gather(watching, signalled, return_exceptions=True)
            await self._stop(keepers)
        return code

    async def _keep(self, child: Child) -> None:
        """Starts a child and starts it again whenever it ends by itself; returns when it says that it cannot."""
        backoff = BACKOFF_FIRST_S
        while not self._stopping:
            started = asyncio.get_running_loop().time()
            process = await self._start(child)
            code = await process.wait()
            if self._stopping or code == EXIT_CANNOT_START:
                return
            lasted = asyncio.get_running_loop().time() - started
            backoff = BACKOFF_FIRST_S if lasted > STEADY_S else min(backoff * 2, BACKOFF_MAX_S)
            logs.log_error(Event.CHILD_CRASHED, child=child.name, exit=code, again_in_s=backoff)
            _say(f"bedside: {child.name} ended unexpectedly ({_exit_words(code)}); starting it again")
            await asyncio.sleep(backoff)

    async def _start(self, child: Child) -> asyncio.subprocess.Process:
        with self._log() as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "server",
                child.name,
                env=dict(self.environment),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=partial(_die_with_parent, child.stop_signal),
            )
        self._running[child.name] = process
        logs.log_info(Event.CHILD_STARTED, child=child.name, pid=process.pid)
        return process

    @contextmanager
    def _log(self) -> Iterator[IO[bytes] | None]:
        if self.log_to is None:
            yield None
            return
        with self.log_to.open("ab") as file:
            yield file

    async def _watch_ready(self, on_ready: asyncio.Event) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as client:
            # Another process becomes ready: there is no event of ours to wait for.
            while not all([await _is_ready(client, child.ready_url) for child in self.children]):  # noqa: ASYNC110
                await asyncio.sleep(READY_EVERY_S)
        on_ready.set()

    async def _stop(self, keepers: list[asyncio.Task[None]]) -> None:
        """Asks every child once to end and kills what hasn't in time."""
        self._stopping = True
        for child in self.children:
            self._signal(child.name, child.stop_signal)
        _, late = await asyncio.wait(keepers, timeout=STOP_WITHIN_S)
        for child in self.children:
            if self._signal(child.name, signal.SIGKILL):
                logs.log_error(Event.CHILD_KILLED, child=child.name)
        for task in late:
            task.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)

    def _signal(self, name: str, number: signal.Signals) -> bool:
        """Sends a signal to a child that still runs."""
        process = self._running.get(name)
        if process is None or process.returncode is not None:
            return False
        process.send_signal(number)
        return True


@dataclass(frozen=True, slots=True)
class MediaPorts:
    """Where the node will listen; no addresses: the machine's own."""

    addresses: tuple[str, ...]
    udp: int
    tcp: int


def children_environment(
    settings: Settings, media: MediaPorts, environ: Mapping[str, str]
) -> tuple[dict[str, str], tuple[Child, ...]]:
    """The children and the environment they share. Raises CannotStart when a port is taken."""
    control = int(environ.get("BEDSIDE_MEDIA_CONTROL_PORT") or free_port())
    _check_free(settings.host, settings.port)
    _check_free(settings.jobs_host, settings.jobs_port)
    _check_free("127.0.0.1", control)
    for address in media.addresses or ("0.0.0.0",):  # noqa: S104 — bound for a moment, to see whether it can be
        _check_free(address, media.udp, socket.SOCK_DGRAM)
        _check_free(address, media.tcp)
    given = {
        **environ,
        "BEDSIDE_MEDIA_CONTROL_HOST": "127.0.0.1",
        "BEDSIDE_MEDIA_CONTROL_PORT": str(control),
        "BEDSIDE_NODES": f"http://127.0.0.1:{control}",
    }
    if settings.secret is None:
        given["BEDSIDE_NODE_SECRET"] = secrets.token_urlsafe(32)
    return given, (
        Child("server", f"http://{_reachable(settings.host)}:{settings.port}/readyz"),
        Child("media", f"http://127.0.0.1:{control}/readyz", signal.SIGINT),
        Child("jobs", f"http://{_reachable(settings.jobs_host)}:{settings.jobs_port}/readyz"),
    )


@contextmanager
def alone_in(var: Path) -> Iterator[None]:
    """Holds `var` for one `serve`. Raises CannotStart while another has it: two would write the same files."""
    with (var / "run" / "serve.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise CannotStart(f"Bedside already runs on {var}: end that one, or set BEDSIDE_VAR") from error
        yield


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _check_free(host: str, port: int, kind: socket.SocketKind = socket.SOCK_STREAM) -> None:
    """Says in one line that a port is taken, before anything is started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            name = "UDP port" if kind is socket.SOCK_DGRAM else "port"
            words = f"{name} {port} on {host} is taken by another program: end that one, or choose another port"
            raise CannotStart(words) from error


def _reachable(host: str) -> str:
    """Where this machine reaches a listening address: a wildcard is reached through loopback."""
    if host in ("0.0.0.0", "::", ""):  # noqa: S104 — compared, not bound
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host


async def _is_ready(client: aiohttp.ClientSession, url: str) -> bool:
    try:
        async with client.get(url) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError, OSError):
        return False


def _die_with_parent(number: signal.Signals) -> None:
    """Runs in the child before it becomes Bedside: should the supervisor be killed, the kernel ends the child too."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(number))


def _exit_words(code: int) -> str:
    return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


def _say(line: str) -> None:
    os.write(sys.stdout.fileno(), (line + "\n").encode())
