"""Composes the film: runs the timeline through canvas, mixer and encoder, and reports what came out.

Meant for a process of its own. Where logs come from, who may have the keys and where the film goes are the server's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from media.compose.canvas import BLACK, Canvas
from media.compose.encode import FilmWriter, PartWriter
from media.compose.layout import Scene, scenes
from media.compose.pictures import open_pictures
from media.compose.reader import SegmentLog, Unwrap
from media.compose.render import Render, by_track
from media.compose.report import CARD_WORDS, FilmOptions, FilmReport, Part
from media.compose.selfcheck import Watch, audio_samples_for, examine
from media.compose.sound import Mixer
from media.compose.timeline import Pause, Span, Timeline, build_timeline
from media.compose.verdict import report_of

PICTURE_SHARE = 0.9
"""Of the work; the rest is the sound."""


def compose_film(
    logs: Sequence[Path],
    output: Path,
    *,
    unwrap: Unwrap,
    names: Mapping[str, str] | None = None,
    progress: Callable[[float], None] = lambda _: None,
    cancelled: Callable[[], bool] = lambda: False,
    options: FilmOptions | None = None,
    parts: Sequence[Part] = (),
    part_done: Callable[[Part], None] = lambda _: None,
) -> FilmReport:
    """Write the film of these logs (segments in order) to `output`, whole or not at all, and say how it came out.

    Broken off, it may go on: `part_done` is told of each part of the picture whose file may be copied before this
    returns, and `parts` are those of an earlier run over the very same logs, keys, names and options.

    `unwrap(participant_id, wrapped)` gives a data key, or raises LookupError for one that was destroyed: that person
    is left out. No file is written when nothing was recorded (`empty`). Raises LogDamagedError for a file that is no
    log, CancelledError when told to stop.
    """
    options = options or FilmOptions()
    segments = [SegmentLog(path, unwrap) for path in logs]
    timeline = build_timeline(segments)
    problems = sorted({problem for segment in segments for problem in segment.problems})
    removed = tuple(sorted(set().union(*(_removed(segment) for segment in segments))))
    if timeline is None or timeline.length_s <= 0:
        return FilmReport(empty=True, passed=not problems, problems=tuple(problems), removed=removed)
    render = _prepare(timeline, names or {}, options, progress, cancelled)
    whole = output.with_name(output.name + ".part")
    made: list[Part] = []
    try:
        for part in _make_parts(render, output, parts):
            made.append(part)
            part_done(part)
        _join(render, whole, [*_usable(render, parts), *made])
        figures = examine(whole, options)
        whole.replace(output)
    finally:
        for path in (whole, *(part.path for part in made)):
            path.unlink(missing_ok=True)
    progress(1.0)
    return report_of(render, figures, problems, removed)


def _prepare(
    timeline: Timeline,
    names: Mapping[str, str],
    options: FilmOptions,
    progress: Callable[[float], None],
    cancelled: Callable[[], bool],
) -> Render:
    return Render(
        timeline=timeline,
        scenes=scenes(timeline, options.width, options.height),
        pictures=open_pictures(timeline.tracks),
        mixer=Mixer(timeline.tracks),
        canvas=Canvas(options.width, options.height, names, _removal_words(timeline, options)),
        watch=Watch(),
        options=options,
        zone=ZoneInfo(options.zone),
        progress=progress,
        cancelled=cancelled,
    )


def _usable(render: Render, parts: Sequence[Part]) -> list[Part]:
    """Those that follow each other from the film's beginning, as this film is divided."""
    made: list[Part] = []
    for part in parts:
        first, frames = _next_part(render, made)
        if (part.first, part.frames) != (first, frames) or frames <= 0 or not part.path.exists():
            break
        made.append(part)
    return made


def _next_part(render: Render, made: Sequence[Part]) -> tuple[int, int]:
    first = made[-1].first + made[-1].frames if made else 0
    return first, min(render.options.part_s * render.options.frame_rate, render.frames - first)


# ---- the picture


def _make_parts(render: Render, output: Path, done: Sequence[Part]) -> Iterator[Part]:
    """The parts that are missing behind those that are done."""
    made = _usable(render, done)
    if made:
        render.watch.resume(made[-1].watched["seen"])
        render.holes |= {(track, Span(start_s, end_s)) for track, start_s, end_s in made[-1].watched["holes"]}
    stage = _Stage(render)
    while (span := _next_part(render, made))[1] > 0:
        made.append(_make_part(stage, output.with_name(f"{output.name}.{span[0]:08d}.part"), *span))
        yield made[-1]


def _make_part(stage: _Stage, path: Path, first: int, frames: int) -> Part:
    render = stage.render
    with PartWriter(path, render.options) as writer:
        for number in range(first, first + frames):
            render.ask(number, PICTURE_SHARE * number / render.frames)
            scene = stage.at(number)
            _paint(render, scene, number)
            render.watch.see(number / render.options.frame_rate, render.canvas.mean_luma())
            writer.picture(render.canvas.to_frame())
    _note_holes(render)
    holes = [[track, hole.start_s, hole.end_s] for track, hole in sorted(render.holes, key=by_track)]
    return Part(path, first, frames, writer.delay, {"seen": render.watch.seen(), "holes": holes})


class _Stage:
    """Which scene is on, frame by frame; a new one begins with an empty canvas."""

    def __init__(self, render: Render) -> None:
        self.render = render
        self._coming = list(render.scenes)
        self._scene: Scene | None = None

    def at(self, number: int) -> Scene:
        at_s = (number + 0.5) / self.render.options.frame_rate
        before = self._scene
        while self._coming and (self._scene is None or at_s >= self._scene.span.end_s):
            self._scene = self._coming.pop(0)
        assert self._scene is not None  # noqa: S101 - a film longer than nothing has a scene
        if self._scene is not before:
            _begin(self.render, self._scene)
        return self._scene


def _begin(render: Render, scene: Scene) -> None:
    if scene.pause is not None:
        render.canvas.card(_card_lines(render, scene.pause))
    else:
        render.canvas.clear(BLACK)


def _paint(render: Render, scene: Scene, number: int) -> None:
    """A picture shows from the frame nearest to its capture: never further than half a frame from it."""
    rate = render.options.frame_rate
    now_s, before_s = (number + 0.5) / rate, (number - 0.5) / rate
    for tile in scene.tiles:
        source = render.pictures.get((tile.participant_id, tile.source))
        picture = source.at(now_s) if source is not None else None
        if picture is not None and picture.captured_s > max(before_s, 0.0):
            render.watch.placed(number / rate - picture.captured_s)
        render.canvas.show(tile, picture.frame if picture is not None else None)
    if render.options.show_clock and scene.pause is None:
        render.canvas.write_clock(_clock(render, number / rate).strftime("%Y-%m-%d %H:%M:%S"))


def _note_holes(render: Render) -> None:
    numbers = {id(track): number for number, track in enumerate(render.timeline.tracks)}
    for source in render.pictures.values():
        render.holes |= {(numbers[id(one.track)], hole) for one in source.tracks for hole in one.holes}


def _card_lines(render: Render, pause: Pause) -> list[str]:
    start, end = (_clock(render, at_s) for at_s in (pause.span.start_s, pause.span.end_s))
    words = {**CARD_WORDS, **render.options.words}
    title = words.get(pause.reason) or words[pause.kind]
    return [title, start.strftime("%Y-%m-%d"), f"{start:%H:%M:%S} – {end:%H:%M:%S} {end.tzname() or ''}"]


def _clock(render: Render, at_s: float) -> datetime:
    return datetime.fromtimestamp(render.timeline.started_at_utc_s + at_s, UTC).astimezone(render.zone)


# ---- the sound


def _join(render: Render, output: Path, parts: Sequence[Part]) -> None:
    """The parts behind each other, and the sound beside them."""
    rate, total = render.options.frame_rate, render.frames
    coming = list(render.scenes)
    with FilmWriter(output, render.options, parts) as writer:
        for number in range(total):
            render.ask(number, PICTURE_SHARE + (1 - PICTURE_SHARE) * number / total)
            while len(coming) > 1 and (number + 0.5) / rate >= coming[0].span.end_s:
                coming.pop(0)
            start = audio_samples_for(number, rate)
            block = render.mixer.block(start, audio_samples_for(number + 1, rate) - start)
            render.watch.hear(number / rate, block, paused=coming[0].pause is not None)
            writer.pictures(number)
            writer.sound(block)
        writer.pictures(total)


def _removal_words(timeline: Timeline, options: FilmOptions) -> dict[str, tuple[str, ...]]:
    """What stands in the place of somebody whose part was deleted, with the day on which that was done."""
    title = {**CARD_WORDS, **options.words}["removed"]
    zone = ZoneInfo(options.zone)
    return {
        one.participant_id: (title, f"{datetime.fromtimestamp(one.at_utc_s, zone):%Y-%m-%d}")
        if one.at_utc_s
        else (title,)
        for one in timeline.removed
    }


def _removed(segment: SegmentLog) -> set[str]:
    marked = {mark.participant_id for mark in segment.marks if mark.kind == "removed" and mark.participant_id}
    return marked | segment.sealed_away
