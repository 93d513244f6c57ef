"""How long `bedside serve` takes until everything answers, and how quickly it then answers a page."""

from __future__ import annotations

import statistics
import tempfile
import time
import urllib.request
from pathlib import Path

from tests.bench.figures import Figure
from tests.support.bedside import AllInOne

PAGES = 200


def measure(full: bool) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="bedside-bench-") as folder:
        bedside = AllInOne(Path(folder))
        try:
            first = second = _start(bedside)
            if full:
                bedside.stop()
                second = _start(bedside)
            times = sorted(_page(f"{bedside.url}/demo") for _ in range(PAGES if full else 3))
        finally:
            bedside.stop()
    return [
        Figure("first start, with migration and demo clinic", first, "s", must=20, aim=8),
        Figure("second start", second, "s", must=10, aim=5),
        Figure("a page, median", statistics.median(times) * 1000, "ms", must=50, aim=15),
        Figure("a page, 99 of 100", times[int(len(times) * 0.99) - 1] * 1000, "ms", must=200, aim=50),
    ]


def _start(bedside: AllInOne) -> float:
    began = time.monotonic()
    bedside.start()
    return time.monotonic() - began


def _page(url: str) -> float:
    began = time.monotonic()
    with urllib.request.urlopen(url, timeout=10) as answer:
        answer.read()
    return time.monotonic() - began
