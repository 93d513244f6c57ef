"""Bedside itself as a test meets it: started by its own command on free ports, with a folder of its own.

`AllInOne` is `bedside serve`; `Spread` is several servers, a node and jobs of their own. Neither looks inside.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from media.api import NodeState, RoomStats
from tests.support.processes import Program, free_port

START_TIMEOUT_S = 90.0
READY_WORDS = "Bedside is ready"
BIN = Path(sys.executable).parent
ASK = (
    "import sys, urllib.request as u;"
    "r = u.Request(sys.argv[1], headers={'Authorization': 'Bearer ' + sys.argv[2]});"
    "sys.stdout.write(u.urlopen(r, timeout=15).read().decode())"
)


@dataclass
class Ports:
    """The ports one installation uses, all free when chosen."""

    server: int = field(default_factory=free_port)
    jobs: int = field(default_factory=free_port)
    control: int = field(default_factory=free_port)
    media: int = field(default_factory=free_port)


def clean_environment() -> dict[str, str]:
    """This process's environment without any setting of Bedside's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("BEDSIDE_")}


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


class Node:
    """The control API of a running node, asked in plain blocking calls."""

    def __init__(self, url: str, secret: str, inside: tuple[str, ...] = ()) -> None:
        self.url = url
        self._secret = secret
        self._inside = inside

    def _get(self, path: str) -> Any:
        if self._inside:
            command = [*self._inside, sys.executable, "-c", ASK, self.url + path, self._secret]
            return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
        request = urllib.request.Request(self.url + path, headers={"Authorization": f"Bearer {self._secret}"})
        with urllib.request.urlopen(request, timeout=15) as answer:
            return json.loads(answer.read())

    def state(self) -> NodeState:
        return NodeState.model_validate(self._get("/v1/rooms"))

    def stats(self, room_id: str) -> RoomStats:
        return RoomStats.model_validate(self._get(f"/v1/rooms/{room_id}/stats"))

    def only_room(self) -> str:
        """The id of the single room this node holds; AssertionError when there is another number of rooms."""
        rooms = list(self.state().rooms)
        assert len(rooms) == 1, f"{len(rooms)} rooms at the node"
        return rooms[0]


class AllInOne:
    """`bedside serve` on 127.0.0.1, restartable on the same ports and folder; `inside` prefixes it (a namespace)."""

    def __init__(
        self,
        folder: Path,
        settings: Mapping[str, str] | None = None,
        *,
        binary: Path | None = None,
        inside: tuple[str, ...] = (),
    ) -> None:
        self.folder = folder
        self.var = folder / "var"
        self.ports = Ports()
        self.secret = secrets.token_urlsafe(24)
        self.url = f"http://127.0.0.1:{self.ports.server}"
        self.node = Node(f"http://127.0.0.1:{self.ports.control}", self.secret, inside)
        self._inside = inside
        self._binary = binary or BIN / "bedside"
        self._settings = dict(settings or {})
        self._program: Program | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @property
    def environment(self) -> dict[str, str]:
        return {
            **clean_environment(),
            "BEDSIDE_ENV": "development",
            "BEDSIDE_VAR": str(self.var),
            "BEDSIDE_NODE_SECRET": self.secret,
            "BEDSIDE_PORT": str(self.ports.server),
            "BEDSIDE_JOBS_PORT": str(self.ports.jobs),
            "BEDSIDE_MEDIA_CONTROL_PORT": str(self.ports.control),
            "BEDSIDE_MEDIA_PORT": str(self.ports.media),
            "BEDSIDE_MEDIA_ADDRESSES": "127.0.0.1",
            **self._settings,
        }

    def start(self) -> None:
        before = self._times_ready()
        self._program = Program(
            [*self._inside, self._binary, "serve"],
            log=self.folder / "bedside.log",
            env=self.environment,
            cwd=self.folder,
            own_group=True,
        )
        # Not the server's own answer: the node and the jobs may still be on their way.
        self._program.wait_ready(lambda: self._times_ready() > before, START_TIMEOUT_S)

    def _times_ready(self) -> int:
        log = self.folder / "bedside.log"
        return log.read_text(encoding="utf-8", errors="replace").count(READY_WORDS) if log.exists() else 0

    @property
    def program(self) -> Program:
        assert self._program is not None, "not started"
        return self._program

    @property
    def is_running(self) -> bool:
        return self._program is not None and self._program.is_running

    def log(self) -> str:
        return self.program.output()

    def stop(self) -> int | None:
        if self._program is None:
            return None
        code = self._program.stop(timeout_s=30)
        self._program = None
        return code

    def children(self) -> dict[str, int]:
        """The pid of each process under the supervisor, by the word of its command (server, media, jobs)."""
        return {words[-1]: pid for pid, words in descendants(self.program.pid).items() if words}

    def run(self, *words: str) -> str:
        """Runs another `bedside` command with the same settings; answers what it printed."""
        done = subprocess.run(
            [str(self._binary), *words],
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout


def descendants(pid: int) -> dict[int, list[str]]:
    """pid → command words of every process below `pid`."""
    found: dict[int, list[str]] = {}
    for child in _children_of(pid):
        try:
            words = Path(f"/proc/{child}/cmdline").read_text().split("\0")
        except OSError:
            continue
        found[child] = [word for word in words if word]
        found |= descendants(child)
    return found


def _children_of(pid: int) -> list[int]:
    children: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            children += [int(text) for text in (task / "children").read_text().split()]
    except OSError:
        return children
    return children


class Spread:
    """Several `bedside server` processes, one node and one jobs process over PostgreSQL and Redis.

    Server number n listens on 127.0.0.(n + 1), all on one port, so that one public name can lead to each.
    """

    def __init__(
        self, folder: Path, database_url: str, redis_url: str, *, public_url: str, servers: int = 2, port: int
    ) -> None:
        self.folder = folder
        self.secret = secrets.token_urlsafe(24)
        self.port = port
        self.hosts = [f"127.0.0.{number + 1}" for number in range(servers)]
        self._ports = Ports()
        self.node = Node(f"http://127.0.0.1:{self._ports.control}", self.secret)
        self._shared = {
            **clean_environment(),
            "BEDSIDE_ENV": "development",
            "BEDSIDE_NODE_SECRET": self.secret,
            "BEDSIDE_VAR": str(folder / "var"),
        }
        self._ours = {
            "BEDSIDE_DATABASE_URL": database_url,
            "BEDSIDE_REDIS_URL": redis_url,
            "BEDSIDE_PUBLIC_URL": public_url,
            "BEDSIDE_NODES": self.node.url,
            "BEDSIDE_JOBS_PORT": str(self._ports.jobs),
        }
        self.servers: list[Program] = []
        self._others: list[Program] = []

    def start(self) -> None:
        folder = self.folder
        folder.mkdir(parents=True, exist_ok=True)
        for word in ("migrate", "seed"):
            Program([BIN / "bedside", word], log=folder / f"{word}.log", env=self._server_env(0), cwd=folder).wait(60)
        media = {
            "BEDSIDE_MEDIA_CONTROL_PORT": str(self._ports.control),
            "BEDSIDE_MEDIA_PORT": str(self._ports.media),
            "BEDSIDE_MEDIA_ADDRESSES": "127.0.0.1",
        }
        node = Program([BIN / "bedside", "media"], log=folder / "media.log", env={**self._shared, **media}, cwd=folder)
        node.wait_ready(lambda: is_ready(self.node.url), START_TIMEOUT_S)
        jobs = Program([BIN / "bedside", "jobs"], log=folder / "jobs.log", env=self._server_env(0), cwd=folder)
        self._others = [node, jobs]
        for number, host in enumerate(self.hosts):
            env = self._server_env(number)
            server = Program([BIN / "bedside", "server"], log=folder / f"server{number}.log", env=env, cwd=folder)
            self.servers.append(server)
            server.wait_ready(lambda host=host: is_ready(f"http://{host}:{self.port}"), START_TIMEOUT_S)  # type: ignore[misc]

    def _server_env(self, number: int) -> dict[str, str]:
        return {**self._shared, **self._ours, "BEDSIDE_HOST": self.hosts[number], "BEDSIDE_PORT": str(self.port)}

    def stop(self) -> None:
        for program in [*self.servers, *self._others]:
            program.stop(timeout_s=30)
        self.servers = []
        self._others = []
