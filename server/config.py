"""Settings of server and jobs: read from BEDSIDE_* names, checked as a whole, every complaint on a line of its own.

BEDSIDE_MEDIA_* belong to `media/config.py`. Making folders and development secrets is for `server/keys.py`.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

PREFIX = "BEDSIDE_"
MEDIA_PREFIX = "BEDSIDE_MEDIA_"
SECRET_LENGTH_MIN = 16
DEFAULT_PORT = 8700
DEFAULT_JOBS_PORT = 8703
SECRETS = ("node_secret", "keyset", "database_url", "redis_url", "smtp_url", "sms_url", "turn_secret")
"""Each may also come as BEDSIDE_<NAME>_FILE, the path of a file that holds it."""

TURN_URL = re.compile(r"turns?:(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?(\?transport=(udp|tcp))?")

Texts = tuple[str, ...]


class SettingsRefused(Exception):  # noqa: N818 — a refusal, as everywhere
    """What is wrong with the environment, one complaint a line, values left out."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints


class Settings(BaseModel):
    """Made by `load_settings`; a field `x_y` is the environment's BEDSIDE_X_Y."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    env: Literal["production", "development"] = "production"
    var: Path = Path("var")
    node_secret: SecretStr | None = None

    public_url: str = ""
    host: str = "127.0.0.1"
    port: int = Field(DEFAULT_PORT, ge=0, le=65535)
    trusted_proxies: Texts = ()
    database_url: SecretStr | None = None
    redis_url: SecretStr | None = None
    nodes: Texts = ()
    """The nodes' control addresses, each server given the same list."""
    turn_urls: Texts = ()
    """The TURN servers browsers may use, turn:host:3478?transport=udp or turns:host:443?transport=tcp."""
    turn_secret: SecretStr | None = None
    """What TURN servers and we share (coturn's static-auth-secret); only credentials made from it leave the house."""
    keyset: SecretStr | None = None
    smtp_url: SecretStr | None = None
    """The mail gateway, smtp://user:password@host:587 or smtps://host; in development the outbox does without."""
    sms_url: SecretStr | None = None
    """The gateway of text messages: an address that apprise knows, with {to} where the phone number goes."""
    mail_from: str = ""
    """The sender's address; by default no-reply@ the public address' host."""
    demo: bool | None = None
    jobs_host: str = "127.0.0.1"
    jobs_port: int = Field(DEFAULT_JOBS_PORT, ge=0, le=65535)
    deletions: Path | None = None
    """The folder of the list of deletions; belongs outside what the database's backup holds."""
    recordings_url: str | None = None
    """Where recordings lie: a folder's path or s3://bucket/prefix; by default under `var`."""

    @field_validator("trusted_proxies", "nodes", "turn_urls", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: Texts) -> Texts:
        for text in value:
            ipaddress.ip_network(text)
        return value

    @field_validator("turn_urls")
    @classmethod
    def _turn_servers(cls, value: Texts) -> Texts:
        if not all(TURN_URL.fullmatch(text) for text in value):
            raise ValueError("must be addresses such as turn:turn.example.org:3478 or turns:turn.example.org:443")
        return value

    @field_validator("public_url")
    @classmethod
    def _origin(cls, value: str) -> str:
        if not value:
            return value
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.rstrip("/") or parts.query:
            raise ValueError("must be an address such as https://visits.example.org, without a path")
        return f"{parts.scheme}://{parts.netloc}"

    @model_validator(mode="after")
    def _secure_outside_development(self) -> Self:
        if self.env == "production" and self.public_url.startswith("http://"):
            raise ValueError("BEDSIDE_PUBLIC_URL must begin with https:// outside development")
        return self

    @model_validator(mode="after")
    def _turn_is_whole(self) -> Self:
        if bool(self.turn_urls) != (self.turn_secret is not None):
            raise ValueError("BEDSIDE_TURN_URLS and BEDSIDE_TURN_SECRET belong together")
        return self

    @property
    def is_development(self) -> bool:
        return self.env == "development"

    @property
    def wants_demo(self) -> bool:
        """What the setting says; whether the demo may run is `accounts.demo.is_demo_allowed`."""
        return self.is_development if self.demo is None else self.demo

    @property
    def origin(self) -> str:
        """The public address, without a path; links, Origin checks, cookies and HSTS come from it."""
        return self.public_url or f"http://{_in_url(self.host)}:{self.port}"

    @property
    def database(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.var / 'bedside.db'}"

    @property
    def redis(self) -> str | None:
        return self.redis_url.get_secret_value() if self.redis_url is not None else None

    @property
    def secret(self) -> str | None:
        return self.node_secret.get_secret_value() if self.node_secret is not None else None

    @property
    def listens_on_loopback_only(self) -> bool:
        return all(is_loopback(host) for host in (self.host, self.jobs_host))


def load_settings(environ: Mapping[str, str] | None = None, **overrides: Any) -> Settings:
    """Settings from the environment; raises SettingsRefused naming everything that is wrong, not just the first."""
    names = os.environ if environ is None else environ
    complaints = [f"{name} is not a setting" for name in _unknown(names)]
    given = {field: names[PREFIX + field.upper()] for field in Settings.model_fields if PREFIX + field.upper() in names}
    given |= _from_files(names, complaints)
    settings: Settings | None = None
    try:
        settings = Settings.model_validate({**given, **overrides})
    except ValidationError as error:
        complaints += [_complaint(item["loc"], item["msg"]) for item in error.errors()]
    env = settings.env if settings else given.get("env", "production")
    if env != "development":
        complaints += _missing({**given, **overrides})
    if settings and settings.secret is not None and len(settings.secret) < SECRET_LENGTH_MIN:
        complaints.append(f"BEDSIDE_NODE_SECRET is shorter than {SECRET_LENGTH_MIN} characters")
    if settings is None or complaints:
        raise SettingsRefused(complaints)
    return settings


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _missing(given: Mapping[str, Any]) -> list[str]:
    complaints = []
    if not given.get("public_url"):
        complaints.append("BEDSIDE_PUBLIC_URL is missing: the address that browsers use, https://…")
    if not given.get("node_secret"):
        complaints.append("BEDSIDE_NODE_SECRET (or BEDSIDE_NODE_SECRET_FILE) is missing")
    if not given.get("keyset"):
        complaints.append(
            "BEDSIDE_KEYSET (or BEDSIDE_KEYSET_FILE) is missing (make one: bedside check-config --new-keyset)"
        )
    return complaints


def _unknown(names: Mapping[str, str]) -> list[str]:
    known = {PREFIX + field.upper() for field in Settings.model_fields}
    known |= {f"{PREFIX}{field.upper()}_FILE" for field in SECRETS}
    return sorted(n for n in names if n.startswith(PREFIX) and not n.startswith(MEDIA_PREFIX) and n not in known)


def _from_files(names: Mapping[str, str], complaints: list[str]) -> dict[str, str]:
    found = {}
    for field in SECRETS:
        name = f"{PREFIX}{field.upper()}_FILE"
        if name not in names:
            continue
        try:
            found[field] = Path(names[name]).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError):
            complaints.append(f"{name} cannot be read")
    return found


def _complaint(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ")
    return f"{PREFIX}{str(location[0]).upper()}: {text}" if location else text


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
