"""What a film and its page say in words: cards in the picture, and codes of checks and failures for people.

When they are shown is `jobs.py`'s, `filmviews.py`'s and the templates'.
"""

from __future__ import annotations

from server.languages import SOURCE, choose, shipped


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
