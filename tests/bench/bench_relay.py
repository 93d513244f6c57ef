"""Our node against Janus VideoRoom and aiortc's MediaRelay: the same calls, in turns, in one namespace.

`make bench-relay BENCH_ARGS="--calls 8 --seconds 20 --record --loss 2 --peers janus,aiortc"`; a table, and one last
line of JSON. Server and load are pinned to a core each; CPU is the server process's own user and system time.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure
from tests.bench.relay import cycles as call_cycles
from tests.bench.relay.load import Load, command
from tests.bench.relay.servers import INSTALL_JANUS, SECRET, Place, available, pinned, serving
from tests.support.network import may_make_networks, network

# The encoded loop of pictures is made once and stays here.
KEPT = Path(__file__).parents[2] / "artifacts"
FEEDBACK_MIN_PER_S = 8.0
WARM_S = 3.0
STOCK_CALLS_MAX = 1
FAN_OUT_CALLS = 4
LOAD_WITHIN_S = 180.0
WARM_CYCLES, CYCLES = 200, 1000
CYCLES_WITHIN_S = 900.0


class Void(Exception):  # noqa: N818 - a verdict on a run
    """The figures mean nothing; the text says why."""


@dataclass(frozen=True)
class Options:
    calls: int = 8
    seconds: float = 20.0
    peers: tuple[str, ...] = ("janus", "aiortc")
    record: bool = False
    loss: float = 0.0
    rounds: int = 1
    warm_s: float = WARM_S
    loop_s: int = 4
    people: int = 2
    fan_out: bool = False
    first: bool = False
    cycles: int = 0


@contextmanager
def place(first: bool) -> Iterator[Place]:
    """A namespace with an address of its own, since Janus offers no candidate on loopback; without root, loopback."""
    cores = sorted(os.sched_getaffinity(0))
    core = cores[-1] if len(cores) > 1 else None
    if not may_make_networks():
        yield Place((), "127.0.0.1", core, first)
        return
    with network("bnch") as made:
        host = made.host("s")
        yield Place(host.inside, host.address, core, first)


def run_once(peer: str, options: Options, where: Place, folder: Path, name: str) -> dict[str, Any]:
    """One server, one load, from start to end. Raises Void when the server sent too little feedback."""
    calls = min(options.calls, STOCK_CALLS_MAX) if peer == "aiortc" else options.calls
    own = folder / f"{peer}-{name}"
    KEPT.mkdir(exist_ok=True)
    with serving(peer, where, own, record=options.record) as server:
        load = Load(
            peer=peer,
            reach=server.reach,
            pid=server.pid,
            address=where.address,
            calls=calls,
            seconds=options.seconds,
            warm_s=options.warm_s,
            loop_file=str(KEPT / f"relay-loop-{options.loop_s}.pickle"),
            loop_s=options.loop_s,
            people=options.people,
            fan_out=options.fan_out,
            record=options.record,
            lose=options.loss / 100,
            secret=SECRET,
            recordings=str(own / "recordings"),
        )
        core = sorted(os.sched_getaffinity(0))[0] if where.core is not None else None
        words = [*where.inside, *pinned(core, where.first), *command(load)]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=LOAD_WITHIN_S)
    if done.returncode != 0:
        raise Void(f"{peer}: the load failed\n{done.stderr[-3000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    if peer == "bedside" and told["twcc_feedback"] < FEEDBACK_MIN_PER_S:
        raise Void(
            f"transport-cc feedback came {told['twcc_feedback']} times a second, fewer than {FEEDBACK_MIN_PER_S}"
        )
    return told


def grow(options: Options) -> dict[str, Any]:
    """What our node keeps of calls that have ended: `cycles` of them, after some to warm up."""
    KEPT.mkdir(exist_ok=True)
    with (
        place(options.first) as where,
        tempfile.TemporaryDirectory(prefix="bedside-relay-") as name,
        serving("bedside", where, Path(name) / "node", record=False) as server,
    ):
        asked = call_cycles.Cycles(
            reach=server.reach,
            pid=server.pid,
            address=where.address,
            warm=min(WARM_CYCLES, options.cycles),
            cycles=options.cycles,
            loop_file=str(KEPT / f"relay-loop-{options.loop_s}.pickle"),
            loop_s=options.loop_s,
            secret=SECRET,
        )
        core = sorted(os.sched_getaffinity(0))[0] if where.core is not None else None
        words = [*where.inside, *pinned(core, where.first), *call_cycles.command(asked)]
        done = subprocess.run(words, check=False, capture_output=True, text=True, timeout=CYCLES_WITHIN_S)
    if done.returncode != 0:
        raise Void(f"the calls failed\n{done.stderr[-3000:]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def compare(options: Options) -> dict[str, dict[str, Any]]:
    """Each peer's figures, the median of its rounds by CPU; peers that aren't installed are left out."""
    peers = ["bedside", *options.peers]
    found: dict[str, list[dict[str, Any]]] = {peer: [] for peer in peers if available(peer)}
    with place(options.first) as where, tempfile.TemporaryDirectory(prefix="bedside-relay-") as name:
        for turn in range(options.rounds):
            for peer, runs in found.items():
                runs.append(run_once(peer, options, where, Path(name), str(turn)))
    return {peer: _median(runs) for peer, runs in found.items() if runs}


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    ordered = sorted(runs, key=lambda run: float(run["cpu_ms_per_1000"]))
    middle = ordered[(len(ordered) - 1) // 2]
    cpu = statistics.median(float(run["cpu_ms_per_1000"]) for run in runs)
    return {**middle, "cpu_ms_per_1000": round(cpu, 2)}


def last_line(options: Options, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The figures in the form that is agreed on."""
    ours = found["bedside"]

    def ratio(peer: str) -> float | None:
        theirs = found.get(peer)
        return round(ours["cpu_ms_per_1000"] / theirs["cpu_ms_per_1000"], 4) if theirs else None

    return {
        "calls": options.calls,
        "cpu_ms_per_1000": {peer: told["cpu_ms_per_1000"] for peer, told in found.items()},
        "ratio_to_janus": ratio("janus"),
        "ratio_to_aiortc": ratio("aiortc"),
        "added_ms": ours["added_ms"],
        "janus_added_ms": found["janus"]["added_ms"] if "janus" in found else None,
        "rss_kb_per_call": {peer: round(told["rss_kb_per_call"]) for peer, told in found.items()},
        **{key: ours[key] for key in ("lost", "twcc_feedback", "nack_in", "nack_out", "rtx", "pli", "sr")},
        "loop_lag_ms_max": round(ours["node"]["loop_lag_ms_max"], 2),
        "join_ms": ours["join_ms"],
    }


def rows(found: dict[str, dict[str, Any]]) -> str:
    names: tuple[str, ...] = (
        "forwarded_per_s",
        "core",
        "cpu_ms_per_1000",
        "added_ms",
        "rss_kb_per_call",
        "lost",
        "twcc_feedback",
    )
    names += ("nack_in", "nack_out", "rtx", "pli", "sr", "join_ms", "generator_core", "generator_late_ms")
    cells = [("", *found)]
    cells += [(name, *(_cell(told[name]) for told in found.values())) for name in names]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells)


def _cell(value: Any) -> str:
    return " / ".join(f"{one:g}" for one in value.values()) if isinstance(value, dict) else f"{value:,.4g}"


# ---- as one of `make bench`

CPU_LIMITS = {1: (1.8, 1.2), 8: (1.0, 0.8), 24: (0.75, 0.6)}


def measure(full: bool) -> list[Figure]:
    if not full:
        return _smallest()
    figures: list[Figure] = []
    for calls, (must, aim) in CPU_LIMITS.items():
        options = Options(calls=calls, peers=("janus", "aiortc") if calls == 1 else ("janus",), rounds=2)
        figures += _main_figures(options, compare(options), must, aim)
    return figures + _fan_out() + _capture() + _growth(CYCLES, 4, 0)


def _smallest() -> list[Figure]:
    told = compare(Options(calls=1, seconds=1.5, peers=(), warm_s=0.5, loop_s=1))["bedside"]
    return [
        Figure("relay, CPU per 1,000 packets", told["cpu_ms_per_1000"], "ms"),
        Figure("relay, packets lost by the server", told["lost"], "packets"),
        Figure("relay, arrival reports a second", told["twcc_feedback"], "/s", higher_is_better=True),
        *_growth(2, None, None),
    ]


def _main_figures(options: Options, found: dict[str, dict[str, Any]], must: float, aim: float) -> list[Figure]:
    ours, line, calls = found["bedside"], last_line(options, found), options.calls
    figures = [
        Figure(f"relay, CPU per 1,000 packets, {calls} calls", ours["cpu_ms_per_1000"], "ms"),
        Figure(f"relay, memory a call, {calls} calls", ours["rss_kb_per_call"] / 1024, "MB", 1.4, 1.0),
    ]
    if line["ratio_to_janus"] is not None:
        figures.append(Figure(f"relay, CPU against Janus, {calls} calls", line["ratio_to_janus"], "×", must, aim))
    if line["ratio_to_aiortc"] is not None:
        figures.append(Figure("relay, CPU against MediaRelay", line["ratio_to_aiortc"], "×", 1 / 25, 1 / 40))
    if calls == 8:
        figures.append(Figure("relay, added delay p50", ours["added_ms"]["p50"], "ms", 0.3, 0.1))
        figures.append(Figure("relay, added delay p99", ours["added_ms"]["p99"], "ms", 2.0, 1.0))
    if calls == 24:
        figures.append(Figure("relay, packets lost by the server", ours["lost"], "packets", 0, 0))
    if calls == 1:
        figures.append(Figure("relay, join to first decodable frame", ours["join_ms"], "ms", 500, 200))
    return figures


def _fan_out() -> list[Figure]:
    """CPU per outgoing packet with five receivers of one publisher, against one."""
    one = Options(calls=FAN_OUT_CALLS, peers=(), fan_out=True, people=2)
    alone = compare(one)["bedside"]["cpu_ms_per_1000"]
    shared = compare(replace(one, people=6))["bedside"]["cpu_ms_per_1000"]
    return [Figure("relay, a packet to five against to one", shared / alone, "×", 0.8, 0.6)]


def _capture() -> list[Figure]:
    off = Options(calls=24, peers=())
    plain = compare(off)["bedside"]["cpu_ms_per_1000"]
    told = compare(replace(off, record=True))["bedside"]
    return [
        Figure("relay, CPU with capture against without", told["cpu_ms_per_1000"] / plain, "×", 1.25, 1.10),
        Figure("relay, longest loop lag with capture", told["node"]["loop_lag_ms_max"], "ms", 10, 5),
    ]


def _growth(cycles: int, must: float | None, aim: float | None) -> list[Figure]:
    told = grow(Options(cycles=cycles, loop_s=1))
    kept = {one: told["after"][one] - told["before"][one] for one in ("threads", "descriptors")}
    return [
        Figure("relay, growth a call cycle", max(0.0, told["growth_kb_per_cycle"]), "KB", must, aim),
        Figure("relay, descriptors kept of calls", max(0, kept["descriptors"]), "", must and 0, aim),
        Figure("relay, threads kept of calls", max(0, kept["threads"]), "", must and 0, aim),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--loss", type=float, default=0, help="percent of packets dropped on each way")
    parser.add_argument("--peers", default="janus,aiortc", help="besides our node, in turns")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--fan-out", action="store_true", help="one publishes, all the others receive")
    parser.add_argument("--first", action="store_true", help="ahead of all else on a busy machine; needs root")
    parser.add_argument("--cycles", type=int, default=0, help="calls that begin and end, to see what is kept of them")
    given = parser.parse_args()
    peers = tuple(name for name in given.peers.split(",") if name and name != "none")
    options = Options(
        calls=given.calls,
        seconds=given.seconds,
        peers=peers,
        record=given.record,
        loss=given.loss,
        rounds=given.rounds,
        people=given.people,
        fan_out=given.fan_out,
        first=given.first,
        cycles=given.cycles,
    )
    if "janus" in peers and not available("janus"):
        print(INSTALL_JANUS, flush=True)
    try:
        found = compare(options)
        grown = grow(options) if options.cycles else None
    except Void as void:
        print(f"void: {void}")
        return 1
    print(rows(found))
    if "aiortc" in found and options.calls > STOCK_CALLS_MAX:
        print("aiortc was put on one call: more are more than it can do")
    growth = {"growth_kb_per_cycle": grown["growth_kb_per_cycle"]} if grown is not None else {}
    print(json.dumps(last_line(options, found) | growth))
    return 0


if __name__ == "__main__":
    sys.exit(main())
