"""`make fuzz`: a million inputs for each entry point, chosen by Hypothesis; with atheris installed also by coverage.

`python -m tests.fuzz [--inputs N] [--only NAME]`, or `--atheris NAME [its own options]`.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import time
from random import Random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.run import feed
from tests.fuzz.targets import Target, targets

AT_ONCE = 200


def explore(target: Target, inputs: int) -> None:
    """Each of Hypothesis' examples is a seed for a few hundred inputs; a failing one is shown by `Unbearable`."""

    @settings(
        max_examples=max(1, inputs // AT_ONCE),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**64 - 1), st.binary(max_size=300))
    def look(seed: int, more: bytes) -> None:
        target.feed(more)
        feed(target, Random(seed), AT_ONCE)

    look()


def with_atheris(target: Target, options: list[str]) -> None:
    """Coverage-guided, for as long as its options say; atheris is not in the lock."""
    atheris: Any = importlib.import_module("atheris")
    atheris.instrument_all()
    atheris.Setup([sys.argv[0], *options], target.feed)
    atheris.Fuzz()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--only")
    parser.add_argument("--atheris")
    given_options, rest = parser.parse_known_args()
    found = {target.name: target for target in targets()}
    if given_options.atheris:
        with_atheris(found[given_options.atheris], rest)
        return
    for name, target in found.items():
        if given_options.only in (None, name):
            began = time.monotonic()
            explore(target, given_options.inputs)
            print(f"{name}: {given_options.inputs:,} inputs, {time.monotonic() - began:.0f} s", flush=True)


if __name__ == "__main__":
    main()
