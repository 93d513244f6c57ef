"""Starting what is measured: our node, aiortc's MediaRelay, Janus, each a process on a core of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECRET = "a-secret-for-benchmarks-only"
START_WITHIN_S = 20.0
JANUS_LIBRARY = Path("/usr/lib/x86_64-linux-gnu/janus")
INSTALL_JANUS = "Janus is not measured: `apt-get install janus` brings it"


@dataclass(frozen=True)
class Place:
    """Where servers and load run: `inside` goes before each command (a namespace), `address` is theirs."""

    inside: tuple[str, ...]
    address: str
    core: int | None
    # Before everybody else on the machine, so that neighbours disturb less; needs root.
    first: bool = False


@dataclass(frozen=True)
class Server:
    """`reach` is what its signalling needs: an address, or a socket's path."""

    peer: str
    pid: int
    reach: str


def available(peer: str) -> bool:
    return peer != "janus" or (shutil.which("janus") is not None and JANUS_LIBRARY.exists())


@contextmanager
def serving(peer: str, place: Place, folder: Path, *, record: bool) -> Iterator[Server]:
    folder.mkdir(parents=True)
    (folder / "recordings").mkdir()
    start = {"bedside": _bedside, "aiortc": _stock, "janus": _janus}[peer]
    process, reach = start(place, folder, record)
    try:
        yield Server(peer, process.pid, reach)
    finally:
        process.terminate()
        try:
            process.wait(12)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def pinned(core: int | None, first: bool) -> tuple[str, ...]:
    ahead = ("chrt", "--fifo", "1") if first else ()
    return (*ahead, "taskset", "-c", str(core)) if core is not None else ahead


def _bedside(place: Place, folder: Path, record: bool) -> tuple[subprocess.Popen[str], str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BEDSIDE_")} | {
        "BEDSIDE_ENV": "development",
        "BEDSIDE_VAR": str(folder),
        "BEDSIDE_NODE_SECRET": SECRET,
        "BEDSIDE_MEDIA_PORT": "0",
        "BEDSIDE_MEDIA_CONTROL_PORT": "0",
        "BEDSIDE_MEDIA_CONTROL_HOST": place.address,
        "BEDSIDE_MEDIA_ADDRESSES": place.address,
        "BEDSIDE_MEDIA_MIN_FREE_BYTES": "0",
    }
    command = [*place.inside, *pinned(place.core, place.first), sys.executable, "-m", "media"]
    # Into a file: a pipe that nobody reads is full after some hundred calls' log lines, and then the node waits.
    said = folder / "node.log"
    with said.open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, text=True)
    deadline = time.monotonic() + START_WITHIN_S
    while not (lines := said.read_text().splitlines(keepends=True)) or not lines[0].endswith("\n"):
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError("the node does not say where it listens")
        time.sleep(0.02)
    return process, json.loads(lines[0])["control"]


def _stock(place: Place, folder: Path, record: bool) -> tuple[subprocess.Popen[str], str]:
    command = [
        *place.inside,
        *pinned(place.core, place.first),
        sys.executable,
        "-m",
        "tests.bench.relay.stock",
        place.address,
    ]
    command += [str(folder / "recordings")] if record else []
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def _janus(place: Place, folder: Path, record: bool) -> tuple[subprocess.Popen[str], str]:
    """Only what a VideoRoom needs; arrival reports as often as ours, ICE-lite as ours."""
    path = folder / "janus.sock"
    transports = _others(JANUS_LIBRARY / "transports", "libjanus_pfunix.so")
    plugins = _others(JANUS_LIBRARY / "plugins", "libjanus_videoroom.so")
    handlers = _others(JANUS_LIBRARY / "events", "")
    loggers = _others(JANUS_LIBRARY / "loggers", "")
    (folder / "janus.jcfg").write_text(
        f"""general: {{
  configs_folder = "{folder}"
  plugins_folder = "{JANUS_LIBRARY}/plugins"
  transports_folder = "{JANUS_LIBRARY}/transports"
  events_folder = "{JANUS_LIBRARY}/events"
  loggers_folder = "{JANUS_LIBRARY}/loggers"
  interface = "{place.address}"
  debug_level = 4
  session_timeout = 0
}}
media: {{ twcc_period = 100 }}
nat: {{ ice_lite = true; full_trickle = false; ice_enforce_list = "{place.address}" }}
plugins: {{ disable = "{plugins}" }}
transports: {{ disable = "{transports}" }}
loggers: {{ disable = "{loggers}" }}
events: {{ broadcast = false; disable = "{handlers}" }}
"""
    )
    (folder / "janus.plugin.videoroom.jcfg").write_text("general: { }\n")
    socket_settings = f'enabled = true; path = "{path}"; type = "SOCK_SEQPACKET"; json = "compact"'
    (folder / "janus.transport.pfunix.jcfg").write_text(f"general: {{ {socket_settings} }}\n")
    command = [*place.inside, *pinned(place.core, place.first), "janus", "-F", str(folder), "-o"]
    with (folder / "janus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, text=True)
    deadline = time.monotonic() + START_WITHIN_S
    while not path.exists():
        if time.monotonic() > deadline or process.poll() is not None:
            raise RuntimeError((folder / "janus.log").read_text()[-2000:])
        time.sleep(0.05)
    return process, str(path)


def _others(folder: Path, kept: str) -> str:
    return ",".join(sorted(one.name for one in folder.glob("*.so") if one.name != kept))
