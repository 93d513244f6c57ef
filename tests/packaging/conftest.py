"""What is tried from outside: the wheel built from the sdist, installed into an environment of its own.

How the processes behave once started is for the scenarios.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bedside import clean_environment

ROOT = Path(__file__).parents[2]


def pins() -> str:
    """The locked versions as constraints, without hashes: constraints with hashes would refuse our own wheel."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    return "\n".join(re.findall(r"^[a-z0-9][^\s\\]*(?: ;[^\\\n]*)?", lock, re.MULTILINE))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder


@pytest.fixture(scope="session")
def installed(built: Path) -> Iterator[Path]:
    """A folder that any user may read, with `venv/` holding nothing but the wheel and what it asks for."""
    folder = Path(tempfile.mkdtemp(prefix="bedside-installed-"))
    folder.chmod(0o755)
    try:
        (folder / "pins.txt").write_text(pins(), encoding="utf-8")
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        wheel = next(built.glob("*.whl"))
        pip = [str(folder / "venv" / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        done = subprocess.run(
            [*pip, "-c", str(folder / "pins.txt"), str(wheel)], check=False, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr[-3000:]
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def no_node() -> dict[str, str]:
    """An environment without a setting of ours, without Node on its PATH and without this tree."""
    kept = clean_environment()
    kept.pop("PYTHONPATH", None)
    folders = [folder for folder in kept["PATH"].split(":") if not (Path(folder) / "node").exists()]
    return {**kept, "PATH": ":".join(folders)}
