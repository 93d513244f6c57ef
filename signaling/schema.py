"""Writes web/client/protocol.gen.ts from messages.py: `python -m signaling.schema`, `--check` to only compare.

The types' meaning stays in messages.py and README.md; this knows JSON Schema and TypeScript and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from media.api import DESCRIPTION_LIMIT_BYTES
from signaling import messages
from signaling.words import PROTOCOL_VERSION, Code

TARGET = Path(__file__).parent.parent / "web" / "client" / "protocol.gen.ts"

Schema = Mapping[str, Any]
_PRIMITIVES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean", "null": "null"}


def typescript_type(schema: Schema) -> str:
    """One JSON Schema (as pydantic writes it) as a TypeScript type."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " | ".join(typescript_type(option) for option in schema["anyOf"])
    if "const" in schema or "enum" in schema:
        return " | ".join(_literal(value) for value in schema.get("enum", [schema.get("const")]))
    return _plain_type(schema)


def _plain_type(schema: Schema) -> str:
    if schema["type"] == "array":
        return f"Array<{typescript_type(schema['items'])}>"
    if schema["type"] == "object":
        by_pattern = list(schema.get("patternProperties", {}).values())
        return f"Record<string, {typescript_type(by_pattern[0] if by_pattern else schema['additionalProperties'])}>"
    return _PRIMITIVES[str(schema["type"])]


def render() -> str:
    """The whole file."""
    incoming: tuple[type[BaseModel], ...] = (
        messages.Auth,
        messages.ClinicAuth,
        *messages.VISIT_EVENTS,
        *messages.CLINIC_EVENTS,
    )
    outgoing: tuple[type[BaseModel], ...] = (
        messages.Ok,
        messages.NotOk,
        *messages.ACKNOWLEDGEMENTS.values(),
        *messages.SERVER_EVENTS.values(),
    )
    definitions = {**_definitions(incoming, "validation"), **_definitions(outgoing, "serialization")}
    parts = [
        "// Made by `python -m signaling.schema` from signaling/messages.py. Don't edit.",
        f"export const PROTOCOL_VERSION = {PROTOCOL_VERSION};",
        f"export const EVENT_LIMIT_BYTES = {messages.EVENT_LIMIT_BYTES};",
        f"export const DESCRIPTION_LIMIT_BYTES = {DESCRIPTION_LIMIT_BYTES};",
        f"export const CHAT_LIMIT_CHARACTERS = {messages.CHAT_LIMIT_CHARACTERS};",
        f"export type Code =\n  | {_union(Code)};",
        *(_declaration(name, definitions[name]) for name in sorted(definitions)),
        _event_map("VisitEvents", messages.VISIT_EVENTS),
        _event_map("ClinicEvents", messages.CLINIC_EVENTS),
        _server_events(),
    ]
    return "\n\n".join(parts) + "\n"


def _union(codes: Iterable[str]) -> str:
    return "\n  | ".join(_literal(str(code)) for code in codes)


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)


def _definitions(
    models: Iterable[type[BaseModel]], mode: Literal["validation", "serialization"]
) -> dict[str, dict[str, Any]]:
    unique = list(dict.fromkeys(models))
    _, schema = models_json_schema([(model, mode) for model in unique], ref_template="#/$defs/{model}")
    found: dict[str, dict[str, Any]] = schema.get("$defs", {})
    if mode == "serialization":  # the server always writes every field, defaults included
        for definition in found.values():
            definition["required"] = list(definition.get("properties", {}))
    return found


def _declaration(name: str, schema: Schema) -> str:
    comment = _comment(schema.get("description"), indent="")
    if "properties" not in schema and "enum" in schema:
        return f"{comment}export type {name} = {typescript_type(schema)};"
    required = set(schema.get("required", ()))
    lines = [
        f"{_comment(field.get('description'), indent='  ')}"
        f"  {key}{'' if key in required else '?'}: {typescript_type(field)};"
        for key, field in schema.get("properties", {}).items()
    ]
    return f"{comment}export interface {name} {{\n" + "\n".join(lines) + "\n}"


def _comment(text: str | None, *, indent: str) -> str:
    if not text:
        return ""
    flat = " ".join(text.replace("*/", "").split())
    return f"{indent}/** {flat} */\n"


def _event_map(name: str, events: Iterable[type[messages.Event]]) -> str:
    answers = messages.ACKNOWLEDGEMENTS
    rows = [
        f"  {event.NAME}: {{ send: {event.__name__}; ok: {answers.get(event, messages.Ok).__name__} }};"
        for event in events
    ]
    note = "/** What the browser sends by name, and what a yes to it holds; a no is always NotOk. */\n"
    return f"{note}export interface {name} {{\n" + "\n".join(rows) + "\n}"


def _server_events() -> str:
    rows = [f"  {name}: {model.__name__};" for name, model in messages.SERVER_EVENTS.items()]
    bare = [f"  {name}: void;" for name in messages.BARE_SERVER_EVENTS]
    note = "/** What the server sends by name. */\n"
    return f"{note}export interface ServerEvents {{\n" + "\n".join(rows + bare) + "\n}"


def main(arguments: list[str]) -> int:
    """Write the file, or with `--check` answer 1 when it is stale."""
    text = render()
    if "--check" in arguments:
        fresh = TARGET.exists() and TARGET.read_text(encoding="utf-8") == text
        return 0 if fresh else 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
