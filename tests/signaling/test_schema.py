"""The browser's types are made from messages.py and kept fresh."""

from __future__ import annotations

import pytest

from signaling import messages as m
from signaling.schema import TARGET, main, render, typescript_type
from signaling.words import Code


def test_the_checked_in_types_are_fresh() -> None:
    assert TARGET.read_text(encoding="utf-8") == render(), "run: python -m signaling.schema"
    assert main(["--check"]) == 0


def test_every_event_code_and_server_event_is_in_it() -> None:
    text = render()
    for event in (*m.VISIT_EVENTS, *m.CLINIC_EVENTS):
        assert f"  {event.NAME}: {{ send: {event.__name__};" in text
    for name in (*m.SERVER_EVENTS, *m.BARE_SERVER_EVENTS):
        assert f"  {name}: " in text
    assert all(f'"{code}"' in text for code in Code)


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer"}, "number"),
        ({"const": True}, "true"),
        ({"enum": ["a", "b"]}, '"a" | "b"'),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string | null"),
        ({"type": "array", "items": {"$ref": "#/$defs/PersonView"}}, "Array<PersonView>"),
        ({"type": "object", "additionalProperties": {"type": "boolean"}}, "Record<string, boolean>"),
        ({"type": "object", "patternProperties": {"^a": {"type": "number"}}}, "Record<string, number>"),
    ],
)
def test_each_kind_of_schema_has_its_type(schema: dict[str, object], expected: str) -> None:
    assert typescript_type(schema) == expected


def test_what_the_server_always_writes_is_never_optional() -> None:
    text = render()
    body = text[text.index("export interface Snapshot") :]
    assert "?:" not in body[: body.index("}")]


def test_the_readme_names_every_event_and_every_code_an_event_can_meet() -> None:
    readme = (TARGET.parents[2] / "signaling" / "README.md").read_text(encoding="utf-8")
    for name in [event.NAME for event in (*m.VISIT_EVENTS, *m.CLINIC_EVENTS)] + [
        *m.SERVER_EVENTS,
        *m.BARE_SERVER_EVENTS,
    ]:
        assert f"`{name}" in readme, name
