"""Our composition against the ffmpeg command doing the same: two 720p cameras, two voices, side by side.

`python -m tests.bench.bench_compose [--seconds 60] [--rounds 3]`; the last line is JSON. Both run pinned to one core,
in turns, each in a process of its own; figures are from CPU seconds, so that neighbours on the machine disturb little.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from media.compose import FilmOptions
from tests.bench.figures import Figure
from tests.media.golden import GoldenLog, Picture, audio, tone, video

PEOPLE = {"anna": 440.0, "doctor": 880.0}

COMPOSE = """
import json, sys
from pathlib import Path
from media.compose import FilmOptions, compose_film
log, film, keys = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
report = compose_film([log], film, unwrap=lambda who, _: bytes.fromhex(keys[who]), options=FilmOptions(threads=1))
assert report.passed, report.problems
print(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
"""Prints its own peak in kB: what `wait4` tells holds also what the process was before it became this one."""

REMUX = """
import json, sys
from pathlib import Path
from media.compose.remux import remux_tracks
log, output, keys = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
assert remux_tracks([log], output, unwrap=lambda who, _: bytes.fromhex(keys[who])) == 4
"""
NOTHING = "import media.compose.remux"
"""What starting Python and its libraries costs: ffmpeg is a program, remuxing is a call in a process that runs."""


@dataclass(frozen=True)
class Cost:
    cpu_s: float
    peak_mb: float


def moving(seed: int) -> Picture:
    """A person-like picture: a soft background that stays, something that moves before it, a little noise."""
    random = np.random.default_rng(seed)
    background = random.integers(60, 160, (9, 16, 3), np.uint8).repeat(80, 0).repeat(80, 1)
    noise = random.integers(0, 6, (8, 720, 1280, 1), np.uint8)

    def picture(at_s: float) -> np.ndarray:
        image = background + noise[int(at_s * 30) % 8]
        x, y = int(500 + 200 * np.sin(at_s)), int(200 + 60 * np.cos(2 * at_s))
        image[y : y + 320, x : x + 240] = (200, 160 + 20 * np.sin(7 * at_s), 130)
        return image

    return picture


def make_media(folder: Path, seconds: int) -> tuple[Path, dict[str, str]]:
    """The log, and beside it the same packets as one WebM for each person."""
    log = GoldenLog(folder / "log.bedlog")
    for number, (who, hz) in enumerate(PEOPLE.items()):
        pictures = video(moving(number), [one / 30 for one in range(seconds * 30)], bit_rate=1_500_000)
        sound = audio(tone(hz), 0, seconds)
        for source, packets in (("camera", pictures), ("microphone", sound)):
            track = log.track(who, source)
            log.send(track, packets)
            log.reports(track, range(seconds))
        write_webm(folder / f"{who}.webm", pictures, sound)
    log.write(float(seconds))
    return log.path, {who: key.hex() for who, key in log.keys.items()}


def write_webm(path: Path, pictures: list[object], sound: list[object]) -> None:
    with av.open(str(path), "w") as container:
        video_stream = container.add_stream("libvpx", rate=30)
        video_stream.width, video_stream.height, video_stream.pix_fmt = 1280, 720, "yuv420p"
        audio_stream = container.add_stream("libopus", rate=48_000, layout="mono")
        frames: dict[float, bytes] = {}
        for one in pictures:
            frames[one.captured_s] = frames.get(one.captured_s, b"") + one.payload[4:]  # type: ignore[attr-defined]
        units = [(at_s, data, video_stream) for at_s, data in frames.items()]
        units += [(one.captured_s, one.payload, audio_stream) for one in sound]  # type: ignore[attr-defined]
        for at_s, data, stream in sorted(units, key=lambda unit: unit[0]):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = round(at_s * 1000)
            container.mux(packet)


def ffmpeg_command(folder: Path, options: FilmOptions) -> list[str]:
    half = options.width // 2
    tile = f"fps={options.frame_rate},scale={half}:-2:flags=bilinear,pad={half}:{options.height}:0:(oh-ih)/2"
    graph = f"[0:v]{tile}[a];[1:v]{tile}[b];[a][b]hstack[v];[0:a][1:a]amix=normalize=0,alimiter[s]"
    inputs = [part for who in PEOPLE for part in ("-threads", "1", "-i", str(folder / f"{who}.webm"))]
    rate = str(options.video_bitrate_bps)
    picture = ["-c:v", "libx264", "-preset", options.preset, "-crf", "23", "-maxrate", rate]
    picture += ["-bufsize", str(2 * options.video_bitrate_bps)]
    picture += ["-g", str(2 * options.frame_rate), "-threads", "1"]
    sound = ["-c:a", "aac", "-b:a", str(options.audio_bitrate_bps)]
    maps = ["-filter_complex_threads", "1", "-filter_complex", graph, "-map", "[v]", "-map", "[s]"]
    end = ["-movflags", "+faststart", str(folder / "ffmpeg.mp4")]
    return ["ffmpeg", "-v", "error", "-y", *inputs, *maps, *picture, *sound, *end]


def ffmpeg_copy(folder: Path) -> list[str]:
    inputs = [part for who in PEOPLE for part in ("-i", str(folder / f"{who}.webm"))]
    maps = [part for n in range(len(PEOPLE)) for part in ("-map", str(n))]
    return ["ffmpeg", "-v", "error", "-y", *inputs, *maps, "-c", "copy", str(folder / "ffmpeg.mkv")]


def cost_of(command: list[str]) -> Cost:
    """CPU seconds of one run on one core, and the peak of memory where the command tells it."""
    core = sorted(os.sched_getaffinity(0))[-1]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),  # noqa: PLW1509
    )
    assert process.stdout is not None
    with process.stdout as said_by_it:
        said = said_by_it.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status != 0:
        raise SystemExit(f"failed: {command[0]}")
    return Cost(usage.ru_utime + usage.ru_stime, int(said) / 1024 if said.strip().isdigit() else 0.0)


def compare(seconds: int, rounds: int) -> dict[str, float | None]:
    """The figures of `make bench-compose`; a ratio is None without the ffmpeg command."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log, keys = make_media(folder, seconds)
        ours = [sys.executable, "-c", COMPOSE, str(log), str(folder / "ours.mp4"), json.dumps(keys)]
        remuxing = [sys.executable, "-c", REMUX, str(log), str(folder / "ours.mkv"), json.dumps(keys)]
        mine, theirs, copies, their_copies, starts = [], [], [], [], []
        for _ in range(rounds):
            mine.append(cost_of(ours))
            copies.append(cost_of(remuxing))
            starts.append(cost_of([sys.executable, "-c", NOTHING]))
            if shutil.which("ffmpeg") is not None:
                theirs.append(cost_of(ffmpeg_command(folder, FilmOptions())))
                their_copies.append(cost_of(ffmpeg_copy(folder)))
    cpu_s = statistics.median(one.cpu_s for one in mine)
    copy_s = max(1e-3, statistics.median(one.cpu_s for one in copies) - min(one.cpu_s for one in starts))
    return {
        "compose_ratio": round(statistics.median(one.cpu_s for one in theirs) / cpu_s, 3) if theirs else None,
        "realtime_x": round(seconds / cpu_s, 2),
        "peak_mb": round(max(one.peak_mb for one in mine), 1),
        "remux_ratio": round(statistics.median(one.cpu_s for one in their_copies) / copy_s, 3) if theirs else None,
    }


def measure(full: bool) -> list[Figure]:
    told = compare(60, 3) if full else compare(2, 1)
    figures = [
        Figure("composing, times real time on one core", told["realtime_x"] or 0.0, "×", 3, 4, higher_is_better=True),
        Figure("composing, peak memory", told["peak_mb"] or 0.0, "MB", must=400, aim=250),
    ]
    ratio = told["compose_ratio"]
    if ratio is not None:
        figures.append(Figure("composing, speed against ffmpeg", ratio, "×", 0.9, 1.0, higher_is_better=True))
    if (copied := told["remux_ratio"]) is not None:
        figures.append(Figure("copying tracks, speed against ffmpeg", copied, "×", 0.5, 0.8, higher_is_better=True))
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(json.dumps(compare(arguments.seconds, arguments.rounds)))


if __name__ == "__main__":
    main()
