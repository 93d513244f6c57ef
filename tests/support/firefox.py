"""A person at Firefox ESR, driven by a small Node program, with the same drawn camera and computed microphone.

It offers less than `people.Person`: open, click, fill, look and listen, which is what a second kind of browser is for.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.support.devices import source_script
from tests.support.marks import Mark, is_near
from tests.support.people import HEARD_DB, HERE
from tests.support.processes import PR_SET_PDEATHSIG

FIREFOX = "/usr/bin/firefox-esr"


def _node() -> str:
    """Node of the locked Python package, beside this interpreter."""
    return str(Path(sys.executable).parent / "node")


class Firefox:
    def __init__(self, name: str, mark: Mark, other: Mark, screen: Mark, *, inside: Path | None = None) -> None:
        self.name = name
        self.mark = mark
        scripts = [source_script(mark, other, screen, None), (HERE / "page" / "eyes.js").read_text(encoding="utf-8")]
        command = [_node(), str(HERE / "page" / "firefox.mjs"), str(inside or FIREFOX), json.dumps(scripts)]
        libc = ctypes.CDLL(None)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM),  # noqa: PLW1509 — one plain system call
        )
        self._group: int | None = None
        try:
            self._group = self._answer()["ready"]
        except BaseException:
            self.close()
            raise

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, f"Firefox ended with {self._process.poll()}"
        found: dict[str, Any] = json.loads(line)
        return found

    def _do(self, does: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"does": does, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._answer()
        assert "error" not in answer, f"{self.name}: {does} {arguments}: {answer['error']}"
        return answer["value"]

    def open(self, url: str) -> None:
        self._do("open", url=url)

    def evaluate(self, text: str) -> Any:
        """The value of a JavaScript expression in the page, awaited."""
        return self._do("evaluate", text=text)

    def click(self, selector: str) -> None:
        self._do("click", selector=selector)

    def fill(self, selector: str, value: str) -> None:
        self._do("fill", selector=selector, value=value)

    def screenshot(self, path: Path) -> None:
        self._do("screenshot", path=str(path))

    def sees(self, mark: Mark) -> bool:
        videos = self.evaluate("window.__eyes ? window.__eyes.seen() : []")
        return any(video["shown"] and is_near(tuple(video["colour"]), mark.rgb) for video in videos)

    def hears(self, mark: Mark) -> bool:
        level = self.evaluate(f"window.__eyes ? window.__eyes.heard([{mark.tone_hz}])[0] : null")
        return level is not None and level > HEARD_DB

    def wait(self, condition: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {self.name} {what}"
            time.sleep(0.1)

    def assert_untroubled(self, allowed: Sequence[str] = ()) -> None:
        wrong = [error for error in self._do("errors") if not any(part in error for part in allowed)]
        assert not wrong, "\n".join(wrong)

    def close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(5)
        # A driver that was killed leaves its Firefox behind, which leads a process group of its own.
        if self._group is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._group, signal.SIGKILL)
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextmanager
def firefox(name: str, marks: Sequence[Mark], *, inside: Path | None = None) -> Iterator[Firefox]:
    """`marks`: those of the first devices, the second devices, the screen."""
    mark, other, screen = marks
    person = Firefox(name, mark, other, screen, inside=inside)
    try:
        yield person
    finally:
        person.close()
