"""Words in the picture: every script shows, in its own direction, within its room, and none of it as markup."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.compose.lettering import LONGEST, Lettering, Planes, is_plainly_written, is_right_to_left, printable

GROUND = (0, 0, 0)
ROOM = 300
NAMES = {
    "latin": "Zoë Müller",
    "cyrillic": "Борис Иванов",
    "arabic": "محمد عبد الله",
    "hebrew": "אברהם כהן",
    "chinese": "王小明",
    "korean": "김철수",
    "hindi": "नमस्ते सिंह",
    "thai": "สมชาย",
    "emoji": "🙂👩‍⚕️",
}


@pytest.fixture(scope="module")
def lettering() -> Lettering:
    return Lettering(20)


def ink(planes: Planes | None) -> np.ndarray:
    assert planes is not None
    return planes[0] > 120


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_script_leaves_a_label_of_its_own(lettering: Lettering, name: str) -> None:
    shown = lettering.label((name,), ROOM, GROUND)
    assert ink(shown).sum() > 40
    assert shown is not None
    rows, columns = shown[0].shape
    assert (rows % 2, columns % 2) == (0, 0)
    assert shown[1].shape == shown[2].shape == (rows // 2, columns // 2)
    nonsense = lettering.label(("\U000f1234" * len(name),), ROOM, GROUND)
    assert nonsense is None, "letters of private use have no face, here they leave no box"


def test_letters_join_as_arabic_is_written(lettering: Lettering) -> None:
    """The same letters kept from joining look different, and the word reads from the right."""
    joined, apart = (lettering.label((name,), ROOM, GROUND) for name in ("محمد", "\u200c".join("محمد")))
    assert ink(joined).shape != ink(apart).shape or (ink(joined) != ink(apart)).any()
    assert is_right_to_left("  (12) محمد Smith")
    assert not is_right_to_left("Smith محمد")
    assert not is_right_to_left("12 +")


def test_a_long_name_ends_in_an_ellipsis_at_its_own_end(lettering: Lettering) -> None:
    for name, at_left in (("Александр " * 20, False), ("محمد " * 40, True)):
        shown = lettering.label((name,), ROOM, GROUND)
        assert shown is not None
        assert ROOM - 40 < shown[0].shape[1] <= ROOM
        edge = ink(shown)[:, 5:25] if at_left else ink(shown)[:, -25:-5]
        assert edge[: edge.shape[0] // 2].sum() == 0, "three dots stand on the line, nothing above them"
        assert edge.sum() > 0


def test_a_name_is_no_markup(lettering: Lettering) -> None:
    plain = lettering.label(("a",), ROOM, GROUND)
    for name in ("#panic()", "*a*", '#read("/etc/passwd")', "$a$", "a\\\na", '", ..d, "', "#{"):
        shown = ink(lettering.label((name,), ROOM, GROUND))
        assert shown.shape != ink(plain).shape or (shown != ink(plain)).any(), name


def test_controls_and_turned_words_are_taken_out() -> None:
    assert printable("a\x00b\u202ec\n d\u2066") == "abc d"
    assert printable("\u200e \t") == ""
    assert len(printable("x" * 10_000)) == LONGEST
    assert printable("👩\u200d⚕") == "👩\u200d⚕"


def test_without_fonts_the_dots_stand_in() -> None:
    shown = Lettering(20, with_fonts=False).label(("Zoë",), ROOM, GROUND)
    assert ink(shown).sum() > 40
    assert Lettering(20, with_fonts=False).label(("王",), ROOM, GROUND) is None
    assert Lettering(20).label(("",), ROOM, GROUND) is None
    assert Lettering(20).label(("Anna",), 30, GROUND) is None, "no room for a word"


def test_the_clock_keeps_its_width(lettering: Lettering) -> None:
    one, other = (lettering.clock(text, GROUND) for text in ("2026-11-25 11:11:11", "2028-08-08 08:48:08"))
    assert one is not None
    assert other is not None
    assert one[0].shape == other[0].shape
    assert (one[0] != other[0]).any()
    assert lettering.clock("", GROUND) is None


@settings(max_examples=25, deadline=None)
@given(name=st.text(max_size=60))
def test_no_name_breaks_a_label(lettering: Lettering, name: str) -> None:
    shown = lettering.label((name,), 120, GROUND)
    assert shown is None or (shown[0].shape[1] <= 120 and shown[0].shape[0] < 200)


def test_only_plain_letters_are_looked_for_in_the_small_set() -> None:
    assert is_plainly_written("Zoë Müller-Иванов Ωμέγα 12:30")
    for name in ("محمد", "王", "नम", "🙂", "ก"):
        assert not is_plainly_written(name)
