"""The node's settings: BEDSIDE_MEDIA_* and the three names every process shares; unknown names are refused.

It reads the environment and checks it; binding and choosing ports is the node's work.
"""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

PREFIX = "BEDSIDE_MEDIA_"
SECRET_LENGTH_MIN = 16
# Sound, and a picture at the floor below which it would be none.
CEILING_LEAST_BPS = 200_000

Addresses = Annotated[tuple[str, ...], NoDecode]


class SettingsRefused(Exception):  # noqa: N818 — a refusal, as everywhere in the API
    """What is wrong with the environment, one complaint a line, values left out."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


class NodeSettings(BaseSettings):
    """Made by `load_settings`; fields named as the environment names them, without the prefix."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True, populate_by_name=True)

    env: Literal["production", "development"] = Field("production", validation_alias=AliasChoices("BEDSIDE_ENV"))
    var: Path = Field(Path("var"), validation_alias=AliasChoices("BEDSIDE_VAR"))
    node_secret: SecretStr | None = Field(None, validation_alias=AliasChoices("BEDSIDE_NODE_SECRET"))

    node_id: str | None = Field(None, pattern=r"^[A-Za-z0-9_-]{1,64}$")
    control_host: str = "127.0.0.1"
    control_port: int = Field(8701, ge=0, le=65535)
    # One UDP port for all sessions of this node; 0 takes a free one.
    port: int = Field(8702, ge=0, le=65535)
    # Local addresses to bind, never a wildcard; empty: those of the default routes, and loopback in development.
    addresses: Addresses = ()
    # What candidates say instead of the local addresses (1:1 NAT, containers).
    advertised: Addresses = ()
    tcp: bool = True
    # The same number as the UDP port unless set.
    tcp_port: int | None = Field(None, ge=0, le=65535)
    # The recordings store: a folder or a URL; empty: recordings/ under BEDSIDE_VAR.
    recordings: str | None = None
    max_rooms: int = Field(200, ge=1)
    max_participants: int = Field(16, ge=2, le=64)
    # The most that one participant may send, and be sent, in bits a second; unset: as much as their links take.
    max_up_bps: int | None = Field(None, ge=CEILING_LEAST_BPS)
    max_down_bps: int | None = Field(None, ge=CEILING_LEAST_BPS)
    # Below this much free space under BEDSIDE_VAR, capture is refused and running logs are closed.
    min_free_bytes: int = Field(1_000_000_000, ge=0)

    @field_validator("addresses", "advertised", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("addresses", "advertised")
    @classmethod
    def _check_addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if ipaddress.ip_address(text).is_unspecified:
                raise ValueError("a wildcard address cannot be used: name the local addresses")
        return value

    @property
    def secret(self) -> str | None:
        return self.node_secret.get_secret_value() if self.node_secret is not None else None


def load_settings(**overrides: Any) -> NodeSettings:
    """Settings from the environment; raises SettingsRefused."""
    complaints = _unknown()
    secret = _secret(complaints)
    if secret is not None:
        overrides["node_secret"] = secret
    try:
        settings = NodeSettings(**overrides)
    except ValidationError as error:
        complaints += [_complaint(item["loc"], item["msg"]) for item in error.errors()]
        raise SettingsRefused(complaints) from None
    if settings.secret is None and settings.env != "development":
        complaints.append("BEDSIDE_NODE_SECRET (or BEDSIDE_NODE_SECRET_FILE) is missing")
    elif settings.secret is not None and len(settings.secret) < SECRET_LENGTH_MIN:
        complaints.append(f"BEDSIDE_NODE_SECRET is shorter than {SECRET_LENGTH_MIN} characters")
    if complaints:
        raise SettingsRefused(complaints)
    return settings


def _unknown() -> list[str]:
    known = {PREFIX + field.upper() for field, info in NodeSettings.model_fields.items() if not info.validation_alias}
    return [f"{name} is not a setting" for name in sorted(os.environ) if name.startswith(PREFIX) and name not in known]


def _secret(complaints: list[str]) -> str | None:
    path = os.environ.get("BEDSIDE_NODE_SECRET_FILE")
    if path is None:
        return None
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        complaints.append("BEDSIDE_NODE_SECRET_FILE cannot be read")
        return None


def _complaint(location: tuple[int | str, ...], message: str) -> str:
    name = str(location[0]) if location else ""
    return f"{name if name.startswith('BEDSIDE_') else PREFIX + name.upper()}: {message}"
