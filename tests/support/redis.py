"""A real Redis of the test's own on a free port; it can be stopped and started again on that port.

What is kept in it is for the room store and the Socket.IO manager; tests give each store a prefix or flush.
"""

from __future__ import annotations

import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import Program, free_port


class RedisServer:
    """Keeps nothing on disk, so that `stop` then `start` is a Redis that lost everything."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="bedside-redis-"))
        self.port = free_port()
        self._program: Program | None = None
        self.start()

    @property
    def url(self) -> str:
        """What BEDSIDE_REDIS_URL wants."""
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        listen = ["--bind", "127.0.0.1", "--port", str(self.port), "--dir", str(self._folder)]
        self._program = Program(
            ["redis-server", *listen, "--save", "", "--appendonly", "no"], log=self._folder / "redis.log"
        )
        self._program.wait_ready(lambda: self.say("PING") == "+PONG")

    def stop(self) -> None:
        if self._program is not None:
            self._program.stop()
            self._program = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def flush(self) -> None:
        self.say("FLUSHALL")

    def say(self, line: str) -> str:
        """Sends one inline command and answers the first line of the reply, empty when nobody listens."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=2) as link:
                link.sendall(line.encode() + b"\r\n")
                return link.recv(4096).decode().splitlines()[0]
        except (OSError, IndexError):
            return ""


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    server = RedisServer()
    try:
        yield server
    finally:
        server.close()
