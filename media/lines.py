"""Lines on their way out of the process: queued, and written by a thread, so that whoever says one never waits.

What a line says is the logger's affair. Where nobody reads, the queue fills up, and what finds no place is counted.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable

LINES_MAX = 1000
LINE_CHARACTERS_MAX = 32 * 1024
WRITTEN_AT_ONCE = 64
CLOSED_WITHIN_S = 1.0


class LineWriter:
    """A stream for loggers, over a file descriptor of its own or another's; `told` words how many lines were lost."""

    def __init__(self, descriptor: int, told: Callable[[int], str], lines_max: int = LINES_MAX) -> None:
        self.dropped = 0
        self._descriptor = descriptor
        self._told = told
        self._lines_max = lines_max
        self._lines: deque[str] = deque()
        self._unsaid = 0
        self._is_ended = False
        self._changed = threading.Condition()
        # Not waited for when the process ends: it may hang in a pipe that nobody reads.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def write(self, text: str) -> None:
        with self._changed:
            if self._is_ended or len(self._lines) >= self._lines_max or len(text) > LINE_CHARACTERS_MAX:
                self.dropped += 1
                self._unsaid += 1
            else:
                self._lines.append(text)
            self._changed.notify()

    def flush(self) -> None:
        """Loggers ask for it after each line; the thread is at it anyway."""

    def close(self, within_s: float = CLOSED_WITHIN_S) -> None:
        """Take no more, and give what is queued a while to get out."""
        with self._changed:
            self._is_ended = True
            self._changed.notify()
        self._thread.join(within_s)

    # ---- inside: the thread

    def _run(self) -> None:
        while True:
            with self._changed:
                while not (self._lines or self._unsaid or self._is_ended):
                    self._changed.wait()
                if not (self._lines or self._unsaid):
                    return
                lines = [self._lines.popleft() for _ in range(min(WRITTEN_AT_ONCE, len(self._lines)))]
                # What was lost was said after all that is still queued.
                unsaid = 0 if self._lines else self._unsaid
                self._unsaid -= unsaid
            if unsaid:
                lines.append(self._told(unsaid))
            if not self._written("".join(lines).encode("utf-8", "backslashreplace")):
                with self._changed:
                    self.dropped += len(lines)

    def _written(self, data: bytes) -> bool:
        """False once nothing can be written there any more."""
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:
                return False
        return True
