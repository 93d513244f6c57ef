"""What a film and its page say in words: cards in the picture, and codes of checks and failures for people.

When they are shown is `jobs.py`'s, `filmviews.py`'s and the templates'.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from server.languages import SOURCE, choose, shipped
from signaling.words import N_

FAILURES: Mapping[str, str] = MappingProxyType(
    {
        "cancelled": N_("It was stopped by somebody. What was recorded is kept."),
        "log_missing": N_("What was recorded has not reached the clinic's store yet."),
        "log_damaged": N_("What was recorded can't be read. Tell the clinic's technicians."),
        "store_unreachable": N_("The clinic's store can't be reached just now."),
        "no_space": N_("The disk on which recordings are put together is full."),
        "composing_died": N_("The work was broken off, perhaps by a restart."),
        "keys_changed": N_("Somebody's part was deleted meanwhile; it is put together anew."),
        "given_up": N_("It was tried several times without success. Tell the clinic's technicians."),
    }
)
"""Why a film could not be made, by its code."""

SEGMENT_MISSING = "segment_missing"
"""The code of a film for which not every segment's log had come."""
FAILED_OTHERWISE = N_("Something went wrong on our side. Tell the clinic's technicians the code below.")

PROBLEMS: Mapping[str, str] = MappingProxyType(
    {
        "video_length": N_("The picture is longer or shorter than the recording was."),
        "audio_length": N_("The sound is longer or shorter than the recording was."),
        "placement_within": N_("Sound and picture of one person may be apart."),
        "placement_between": N_("Two people may not be heard at the same moment as they spoke."),
        "file_gap": N_("The file has a gap."),
        "file_order": N_("The file's parts are out of order."),
        "index_last": N_("The file can't be played before all of it has arrived."),
        "sound_undecodable": N_("Somebody's sound can't be played."),
        "chunk_refused": N_("A part of what was recorded was altered or damaged and is left out."),
        "chunks_missing": N_("A part of what was recorded is missing."),
        "record_unreadable": N_("A part of what was recorded can't be read."),
        "foreign_record": N_("Something that doesn't belong to this visit was found and left out."),
        "codec_unsupported": N_("A picture or sound is in a form that can't be put into the film."),
        "mark_implausible": N_("The times of pauses may be wrong."),
        "clock_differs": N_(
            "The computers that recorded disagree about the time: how long it was between them is unknown."
        ),
        SEGMENT_MISSING: N_("A part of the recording has not reached the clinic's store."),
    }
)
"""What the self-check found, by its code."""


def failure(code: str | None) -> str:
    return FAILURES.get(code or "", FAILED_OTHERWISE)


def cards(language: str) -> dict[str, str]:
    """The words of the film's cards in the clinic's language, by the codes of `media.compose.report.CARD_WORDS`."""
    catalogues = shipped()
    _ = catalogues[choose([language], catalogues) or SOURCE].sentences.gettext
    return {
        "paused": _("Recording paused"),
        "examination": _("Paused for an examination"),
        "newcomer": _("Paused until everybody had answered"),
        "between": _("Recording interrupted"),
        "removed": _("This person's part was removed"),
    }
