"""`make bench`: measures everything, or what is named, one after another; one table, then one line of JSON."""

from __future__ import annotations

import sys

from tests.bench.figures import Figure, as_json, benches, table


def main(wanted: list[str]) -> int:
    found = benches()
    if unknown := set(wanted) - set(found):
        print(f"no such bench: {', '.join(sorted(unknown))}; there are: {', '.join(found)}")
        return 2
    figures: list[Figure] = []
    for name, measure in found.items():
        if not wanted or name in wanted:
            print(f"measuring {name}", flush=True)
            figures += measure(True)
    print("\n" + table(figures))
    print(as_json(figures))
    return 0 if all(figure.meets(figure.must) for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
