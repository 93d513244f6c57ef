"""The folder `var` and the secrets in it: made with tight modes, development secrets generated once.

In production the secrets come from settings and nothing is generated here but the clinics' sealed keysets.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from server.config import Settings
from server.files import written_once
from server.vault import Vault, new_keyset

FOLDERS = ("keys", "recordings", "uploads", "captures", "run", "deletions")


def prepare_var(var: Path) -> None:
    """Makes `var` and its rooms, mode 0700; those that stand are left as they are."""
    for folder in (var, *(var / name for name in FOLDERS)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def open_vault(settings: Settings) -> Vault:
    """The vault under the keyset of the settings; in development under one generated into `var/keys`."""
    folder = settings.var / "keys"
    if settings.keyset is not None:
        return Vault(folder / "clinics", settings.keyset.get_secret_value())
    if not settings.is_development:
        raise ValueError("a keyset is generated in development only")
    return Vault(folder / "clinics", written_once(folder / "master.keyset", new_keyset))


def node_secret(settings: Settings) -> str:
    """The secret of the nodes' control API; in development one generated into `var/keys`."""
    if settings.secret is not None:
        return settings.secret
    if not settings.is_development:
        raise ValueError("a node secret is generated in development only")
    return written_once(settings.var / "keys" / "node_secret", lambda: secrets.token_urlsafe(32))
