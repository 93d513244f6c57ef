"""What is said of a film that was made: the figures against what they must be, and a code for each that is not.

The figures are gathered by `selfcheck.py` and by whoever composed.
"""

from __future__ import annotations

from typing import Any

from media.compose.render import Render, by_track
from media.compose.report import FilmReport, Stretch
from media.compose.selfcheck import FileFigures
from media.compose.sound import RATE, lost_spans

PLACEMENT_WITHIN_S, PLACEMENT_BETWEEN_S = 0.040, 0.100


def report_of(render: Render, figures: FileFigures, problems: list[str], removed: tuple[str, ...]) -> FilmReport:
    timeline, watch = render.timeline, render.watch
    silent, black = watch.end(render.frames / render.options.frame_rate)
    within_s, between_s = _placement(render, figures)
    problems = problems + _problems(render, figures, within_s, between_s)
    return FilmReport(
        empty=False,
        passed=not problems,
        duration_s=round(max(figures.video_s, figures.audio_s), 6),
        wall_clock_s=round(timeline.length_s, 6),
        started_at_utc_s=timeline.started_at_utc_s,
        placement_within_s=round(within_s, 6),
        placement_between_s=round(between_s, 6),
        gaps=(*figures.holes, *_gaps(render)),
        silent=silent,
        black=black,
        participants=tuple(who for who, _ in timeline.participants),
        removed=removed,
        width=render.options.width,
        height=render.options.height,
        bytes=figures.bytes,
        sha256=figures.sha256,
        incomplete=timeline.incomplete,
        problems=tuple(problems),
        details=_details(render, figures),
    )


def _gaps(render: Render) -> list[Stretch]:
    """Where a person's sound or picture was lost on its way; a pause is no loss."""
    tracks = render.timeline.tracks
    lost = [(tracks[number], hole, "picture") for number, hole in sorted(render.holes, key=by_track)]
    lost += [(one.track, hole, "sound") for one in render.mixer.tracks for hole in lost_spans(one.track)]
    return [
        Stretch(round(hole.start_s, 3), round(hole.end_s, 3), kind, track.participant_id)
        for track, hole, kind in lost
        if not any(pause.span.overlaps(hole) for pause in render.timeline.pauses)
    ]


def _placement(render: Render, figures: FileFigures) -> tuple[float, float]:
    """The largest |written − captured| within a participant, and how well the participants' clocks agree."""
    by_sound = max((track.largest_error_s for track in render.mixer.tracks), default=0.0)
    by_picture = render.watch.largest_picture_error_s
    residual = max((track.residual_s for track in render.timeline.tracks), default=0.0)
    offset = abs(figures.video_start_s - max(0.0, figures.audio_start_s))
    within = max(by_sound, by_picture) + offset
    return within, within + residual


def _problems(render: Render, figures: FileFigures, within_s: float, between_s: float) -> list[str]:
    frame_s = 1 / render.options.frame_rate
    audio_tolerance_s = frame_s + 1024 / RATE
    checks = {
        "video_length": abs(figures.video_s - render.timeline.length_s) > frame_s + 0.001,
        "audio_length": abs(figures.audio_s - render.timeline.length_s) > audio_tolerance_s,
        "placement_within": within_s > PLACEMENT_WITHIN_S,
        "placement_between": between_s > PLACEMENT_BETWEEN_S,
        "file_gap": bool(figures.holes),
        "file_order": figures.decoding_order_broken,
        "index_last": not figures.index_first,
        "sound_undecodable": any(track.ended and not track.decoded for track in render.mixer.tracks),
    }
    return [code for code, wrong in checks.items() if wrong]


def _details(render: Render, figures: FileFigures) -> dict[str, Any]:
    """For people who look closer, and for tests: who was where, and what each track was like."""
    return {
        "frames": figures.video_frames,
        "layout": [
            {
                "start_s": round(scene.span.start_s, 3),
                "end_s": round(scene.span.end_s, 3),
                "pause": scene.pause.kind if scene.pause is not None else None,
                "tiles": [[one.participant_id, one.source, one.x, one.y, one.width, one.height] for one in scene.tiles],
            }
            for scene in render.scenes
        ],
        "tracks": [
            {
                "participant_id": track.participant_id,
                "source": track.source,
                "packets": len(track.index.sequence),
                "starts_s": round(float(track.times_s.min()), 3),
                "ends_s": round(float(track.times_s.max()), 3),
                "by_reports": track.by_reports,
            }
            for track in render.timeline.tracks
        ],
    }
