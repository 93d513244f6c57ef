"""Writes a small private file whole: once, whoever else tries in the same moment, or in another's place."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def replace(path: Path, text: str) -> None:
    """Puts a 0600 file in the place of another, whole: whoever reads sees one or the other."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def written_once(path: Path, make: Callable[[], str]) -> str:
    """The text of a 0600 file, made by whoever comes first; everybody reads the same."""
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(make())
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text(encoding="utf-8")
