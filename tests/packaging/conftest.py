"""What is tried from outside: the wheel built from the sdist, installed into an environment of its own.

How the processes behave once started is for the scenarios.
"""

from __future__ import annotations

import email
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
import zipfile
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.bedside import clean_environment

ROOT = Path(__file__).parents[2]


def asked_for(wheel: Path) -> dict[str, Distribution]:
    """By name, what the wheel asks for and what that asks for in turn, as the locked environment holds it."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = email.message_from_bytes(archive.read(name)).get_all("Requires-Dist", [])
    found: dict[str, Distribution] = {}
    wanted = [(Requirement(line), "") for line in told]
    seen: set[tuple[str, str]] = set()
    while wanted:
        requirement, extra = wanted.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        for part in ("", *requirement.extras):
            if (requirement.name, part) in seen:
                continue
            seen.add((requirement.name, part))
            found[requirement.name] = distribution(requirement.name)
            wanted += [(Requirement(line), part) for line in found[requirement.name].requires or []]
    return found


def lend(folder: Path, lent: Iterable[Distribution]) -> None:
    """Puts these packages into an environment by links; whatever else the locked environment holds stays out of it."""
    for each in lent:
        for name in {file.parts[0] for file in each.files or [] if file.parts[0] not in {"..", "__pycache__"}}:
            link = folder / name
            if not link.exists():
                link.symlink_to(Path(str(each.locate_file(name))))


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist and the wheel built from it."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-300:]
    return folder


@pytest.fixture(scope="session")
def installed(built: Path) -> Iterator[Path]:
    """A folder that any user may read, with `venv/` holding nothing but the wheel and what it asks for."""
    folder = Path(tempfile.mkdtemp(prefix="bedside-installed-"))
    folder.chmod(0o755)
    try:
        venv.create(folder / "venv", symlinks=True)
        python = folder / "venv" / "bin" / "python"
        wheel = next(built.glob("*.whl"))
        lend(Path(sysconfig.get_path("purelib", vars={"base": str(folder / "venv")})), asked_for(wheel).values())
        pip(python, "install", "--no-deps", "--no-index", str(wheel))
        pip(python, "check")  # the locked versions are those that the wheel asks for, and none is missing
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pip(python: Path, *words: str) -> None:
    """This environment's pip at work in another one."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "--quiet", "--disable-pip-version-check", *words]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-300:]


@pytest.fixture
def no_node() -> dict[str, str]:
    """An environment without a setting of ours, without Node on its PATH and without this tree."""
    kept = clean_environment()
    kept.pop("PYTHONPATH", None)
    folders = [folder for folder in kept["PATH"].split(":") if not (Path(folder) / "node").exists()]
    return {**kept, "PATH": ":".join(folders)}
