"""A real PostgreSQL of the test run's own: one cluster on a free port, a database or a copy of a template on request.

It knows nothing of our tables: `tests/server/conftest.py` migrates a template and copies it for each test.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Program, answers, free_port

# Durability is not under test; speed is.
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200", "shared_buffers=32MB")


class PostgresMissing(Exception):  # noqa: N818 — says what is wrong
    """No PostgreSQL server programs on this machine; `make test` installs them."""


def _programs() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    if on_path is None:
        raise PostgresMissing("install the package postgresql")
    return Path(on_path).resolve().parent


class PostgresCluster:
    """Listens on 127.0.0.1 alone and trusts every local user; as root it runs as the user `postgres`."""

    def __init__(self) -> None:
        self._bin = _programs()
        self._user = "postgres" if os.geteuid() == 0 else None
        self._folder = Path(tempfile.mkdtemp(prefix="bedside-pg-"))
        self.port = free_port()
        if self._user is not None:
            shutil.chown(self._folder, self._user, self._user)
        self._program: Program | None = None
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise

    def _initialise(self) -> None:
        command = [
            str(self._bin / "initdb"),
            "-D",
            str(self._folder / "data"),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
        ]
        subprocess.run(
            [*command, "--locale=C.UTF-8", "--no-sync"],
            check=True,
            capture_output=True,
            user=self._user,
            group=self._user,
            cwd="/",
        )

    def start(self) -> None:
        """Starts the server, again on the same port after `stop`."""
        settings = [part for setting in FAST for part in ("-c", setting)]
        where = ["-D", str(self._folder / "data"), "-h", "127.0.0.1", "-p", str(self.port), "-k", str(self._folder)]
        self._program = Program(
            [self._bin / "postgres", *where, *settings],
            log=self._folder / "postgres.log",
            user=self._user,
            cwd=Path("/"),
        )
        self._program.wait_ready(lambda: answers("127.0.0.1", self.port) and self._accepts())

    def _accepts(self) -> bool:
        command = [str(self._bin / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(command, check=False).returncode == 0

    def stop(self) -> None:
        """Cuts every connection and stops (what PostgreSQL calls fast shutdown); the data stays."""
        if self._program is not None:
            self._program.stop(signal.SIGINT)
            self._program = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str) -> str:
        """What BEDSIDE_DATABASE_URL wants."""
        return f"postgresql+asyncpg://postgres@127.0.0.1:{self.port}/{database}"

    def create(self, database: str, template: str | None = None) -> str:
        """Makes an empty database, or a copy of `template` (to which nobody may be connected); answers its url."""
        suffix = f' TEMPLATE "{template}" STRATEGY FILE_COPY' if template is not None else ""
        self.run(f'CREATE DATABASE "{database}"{suffix}')
        return self.url(database)

    def drop(self, database: str) -> None:
        self.run(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def run(self, statement: str, database: str = "postgres") -> str:
        """Runs one SQL statement outside our code; answers its rows, fields apart by `|`."""
        target = ["-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-d", database]
        done = subprocess.run(
            [self._bin / "psql", *target, "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout.strip()


@contextmanager
def postgres_cluster() -> Iterator[PostgresCluster]:
    cluster = PostgresCluster()
    try:
        yield cluster
    finally:
        cluster.close()
