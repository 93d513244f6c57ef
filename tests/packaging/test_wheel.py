"""The wheel built from the sdist runs by itself: no tree, no Node, an empty folder."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.support.bedside import AllInOne, is_ready

pytestmark = pytest.mark.timeout(600)


def test_sdist_and_wheel_hold_the_built_client_and_no_leftovers(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = sdist.getnames()
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        files = wheel.namelist()
    assert any(name.endswith("web/dist/manifest.json") for name in names)
    assert "web/dist/manifest.json" in files
    assert any(name.startswith("web/templates/") for name in files)
    assert any(name.startswith("server/migrations/versions/") for name in files)
    for name in [*names, *files]:
        assert "node_modules" not in name
        assert ".venv" not in name
        assert "/var/" not in name
    assert not [name for name in files if name.startswith("tests/")]


def test_serve_reaches_ready_from_an_empty_folder_without_node(
    installed: Path, no_node: dict[str, str], tmp_path: Path
) -> None:
    assert shutil.which("node", path=no_node["PATH"]) is None
    binary = installed / "venv" / "bin" / "bedside"
    bedside = AllInOne(tmp_path / "empty", {"PATH": no_node["PATH"], "PYTHONPATH": ""}, binary=binary)
    try:
        bedside.start()
        assert set(bedside.children()) >= {"server", "media", "jobs"}
        assert is_ready(bedside.node.url)
        assert is_ready(f"http://127.0.0.1:{bedside.ports.jobs}")
        with urllib.request.urlopen(bedside.url, timeout=5) as page:
            assert b"/static/" in page.read()
    finally:
        assert bedside.stop() == 0


def test_without_a_setting_serve_names_what_is_missing_one_a_line(
    installed: Path, no_node: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [str(installed / "venv" / "bin" / "bedside"), "serve"],
        env=no_node,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode != 0
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    for name in ("BEDSIDE_PUBLIC_URL", "BEDSIDE_NODE_SECRET", "BEDSIDE_KEYSET"):
        assert len([line for line in lines if name in line]) == 1, lines
    assert not [line for line in lines if "Traceback" in line]
    assert list(tmp_path.iterdir()) == []
