"""Composes a golden log small and watches what came out: what the tests of whole films share."""

from __future__ import annotations

from media.compose import FilmOptions, FilmReport, compose_film
from tests.media.compose.shown import Shown
from tests.media.golden import GoldenLog, audio, flat, tone, video

SMALL = FilmOptions(width=320, height=180, preset="ultrafast")
SLOW = FilmOptions(width=320, height=180, preset="ultrafast", frame_rate=10)
RED, BLUE, GREEN, WHITE = (200, 30, 30), (30, 60, 200), (20, 160, 60), (255, 255, 255)


def composed(*logs: GoldenLog, options: FilmOptions = SMALL) -> tuple[FilmReport, Shown]:
    """The film of finished logs, its report found in order."""
    output = logs[0].path.with_name("film.mp4")
    report = compose_film([log.path for log in logs], output, unwrap=logs[0].unwrap, options=options)
    return report, Shown(output)


def frames(start_s: float, end_s: float, rate: float = 30) -> list[float]:
    return [start_s + number / rate for number in range(round((end_s - start_s) * rate))]


def person(
    log: GoldenLog,
    who: str,
    rgb: tuple[int, int, int],
    hz: float,
    *,
    end_s: float,
    flashes: list[float],
    **clock: float,
) -> None:
    """Camera and microphone with a flash and a beep at the same moments, tied together by sender reports."""
    camera, microphone = log.track(who, "camera"), log.track(who, "microphone")
    log.send(camera, video(flat(160, 120, rgb, flashes), frames(0, end_s, 15)), delay=lambda _: 0.07)
    log.send(microphone, audio(tone(hz, [(at, at + 0.2) for at in flashes]), 0, end_s))
    for track in (camera, microphone):
        log.reports(track, [0.3 + 0.8 * number for number in range(int(end_s))], **clock)
