"""The Dockerfile's promises without an engine: another uid, `/` read-only, only var/ and the temporary folder written.

The steps that build the image are those of `conftest.py` (sdist, wheel, an environment of its own).
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bedside import Ports, clean_environment, is_ready
from tests.support.processes import Program

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
UID = 65532

pytestmark = [pytest.mark.timeout(600), pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")]


@pytest.fixture
def box(installed: Path) -> Iterator[Path]:
    """A folder with `var/` and `tmp/` for the other uid, the only places it may write."""
    folder = installed / "box"
    for name in ("var", "tmp"):
        (folder / name).mkdir(parents=True, mode=0o700)
        os.chown(folder / name, UID, UID)
    yield folder
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def as_container(box: Path, command: str) -> list[str]:
    """The command line that runs `command` as the image would: mounts of its own, no rights, no way back.

    The right to read everything is kept, since this machine's interpreter may lie in a private folder.
    """
    var, tmp = shlex.quote(str(box / "var")), shlex.quote(str(box / "tmp"))
    mounts = (
        f"mount --make-rprivate / && mount --bind {var} {var} && mount --bind {tmp} {tmp} && mount -o remount,bind,ro /"
    )
    drop = (
        f"exec setpriv --reuid {UID} --regid {UID} --clear-groups --no-new-privs "
        "--inh-caps=-all,+dac_read_search --ambient-caps=-all,+dac_read_search --bounding-set=-all,+dac_read_search"
    )
    return ["unshare", "-m", "sh", "-c", f"{mounts} && {drop} {command}"]


def settings(box: Path, ports: Ports) -> dict[str, str]:
    return {
        **{name: value for name, value in clean_environment().items() if name != "PYTHONPATH"},
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(box / "tmp"),
        "HOME": "/nonexistent",
        "BEDSIDE_VAR": str(box / "var"),
        "BEDSIDE_PUBLIC_URL": "https://visits.example.org",
        "BEDSIDE_NODE_SECRET": "a-secret-of-the-image-test",
        "BEDSIDE_PORT": str(ports.server),
        "BEDSIDE_JOBS_PORT": str(ports.jobs),
        "BEDSIDE_MEDIA_CONTROL_PORT": str(ports.control),
        "BEDSIDE_MEDIA_PORT": str(ports.media),
        "BEDSIDE_MEDIA_ADDRESSES": "127.0.0.1",
    }


def test_the_box_is_shut(box: Path) -> None:
    probe = f"touch /x {ROOT}/x {box}/x; touch {box}/var/x {box}/tmp/x; id -u"
    done = subprocess.run(as_container(box, f"sh -c {shlex.quote(probe)}"), capture_output=True, text=True, check=True)
    assert done.stderr.count("Read-only file system") == 3
    assert done.stdout.strip() == str(UID)
    assert (box / "var" / "x").exists()
    assert (box / "tmp" / "x").exists()


def test_serve_runs_as_the_image_says_and_its_health_check_passes(installed: Path, box: Path) -> None:
    binary = installed / "venv" / "bin"
    ports = Ports()
    env = settings(box, ports)
    made = subprocess.run(
        [str(binary / "bedside"), "check-config", "--new-keyset"], env=env, capture_output=True, text=True, check=True
    )
    assert len(made.stdout.splitlines()) == 1
    env["BEDSIDE_KEYSET"] = made.stdout.strip()
    program = Program(as_container(box, f"{binary}/bedside serve"), log=installed / "image.log", env=env, cwd=box)
    try:
        program.wait_ready(lambda: is_ready(f"http://127.0.0.1:{ports.server}"), 40)
        check = _health_check()
        health = {"HEALTH_URL": f"http://127.0.0.1:{ports.server}/readyz"}
        subprocess.run([str(binary / "python"), *check], env={**env, **health}, check=True)
        assert _uids(program.pid) == {UID}
    finally:
        code = program.stop(timeout_s=20)
    assert code == 0
    failing = subprocess.run([str(binary / "python"), *check], env={**env, **health}, check=False, capture_output=True)
    assert failing.returncode != 0


def _health_check() -> list[str]:
    """What the Dockerfile's HEALTHCHECK gives to python."""
    line = re.search(r'CMD \["python", "-c", "(.*)"\]', DOCKERFILE)
    assert line
    return ["-c", line.group(1)]


def _uids(pid: int) -> set[int]:
    words = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {int(part) for line in words if line.startswith("Uid:") for part in line.split()[1:]}


def test_the_dockerfile_is_what_is_tried_here() -> None:
    assert f"USER {UID}:{UID}" in DOCKERFILE
    assert 'ENTRYPOINT ["bedside"]' in DOCKERFILE
    assert 'CMD ["serve"]' in DOCKERFILE
    assert DOCKERFILE.count("\nFROM ") + DOCKERFILE.startswith("FROM ") == 2
    assert "--require-hashes" in DOCKERFILE
