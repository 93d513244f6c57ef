"""Where everybody stands in the picture."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from media.compose.layout import Tile, arrange


def overlap(one: Tile, other: Tile) -> bool:
    return not (
        one.x + one.width <= other.x
        or other.x + other.width <= one.x
        or one.y + one.height <= other.y
        or other.y + other.height <= one.y
    )


@given(
    st.integers(0, 16),
    st.booleans(),
    st.sampled_from([(320, 180), (1280, 720), (1920, 1080), (640, 480), (362, 202)]),
)
def test_everybody_has_an_even_tile_inside_the_canvas_and_none_covers_another(
    count: int, shared: bool, size: tuple[int, int]
) -> None:
    people = [f"p{number}" for number in range(count)]
    tiles = arrange(people, "p0" if shared else None, *size)
    assert [one.participant_id for one in tiles if one.source == "camera"] == people
    assert sum(one.source == "screen" for one in tiles) == shared
    for number, tile in enumerate(tiles):
        assert min(tile.width, tile.height) > 0
        assert all(side % 2 == 0 for side in (tile.x, tile.y, tile.width, tile.height))
        assert 0 <= tile.x <= size[0] - tile.width
        assert 0 <= tile.y <= size[1] - tile.height
        assert not any(overlap(tile, other) for other in tiles[number + 1 :])


def test_two_stand_side_by_side_and_a_third_beneath_in_the_middle() -> None:
    assert [(one.x, one.y) for one in arrange(["a", "b"], None, 1280, 720)] == [(0, 0), (640, 0)]
    assert [(one.x, one.y) for one in arrange(["a", "b", "c"], None, 1280, 720)] == [(0, 0), (640, 0), (320, 360)]


def test_a_screen_takes_four_fifths() -> None:
    screen, *people = arrange(["a", "b"], "b", 1280, 720)
    assert (screen.participant_id, screen.source, screen.width, screen.height) == ("b", "screen", 1024, 720)
    assert all(one.x == 1024 and one.width == 256 for one in people)
