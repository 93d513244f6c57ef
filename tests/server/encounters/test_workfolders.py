"""What lies in the clear while a job works is for it alone, and goes with it, however it ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from server.encounters.workfolders import sweep, work_folder
from tests.server.encounters.recorded import Recorded

HOLDER = """
import asyncio, sys
from pathlib import Path
from server.encounters.workfolders import work_folder

async def main():
    async with work_folder(Path(sys.argv[1]), "film-a") as folder:
        (folder / "film.mp4").write_bytes(b"in the clear")
        print("holds", flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


async def test_a_folder_is_ours_alone_empty_and_gone_afterwards(tmp_path: Path) -> None:
    left = tmp_path / "run" / "tracks-b"
    left.mkdir(parents=True)
    (left / "old").write_bytes(b"of a job that was killed")
    (tmp_path / "run" / "export-c").mkdir()
    async with work_folder(tmp_path, "tracks-b") as folder:
        assert list(folder.iterdir()) == []
        assert (folder.stat().st_mode & 0o777) == 0o700
        assert sweep(tmp_path) == 0, "whoever lives keeps theirs"
        assert folder.exists()
    assert [one.name for one in (tmp_path / "run").iterdir()] == ["export-c"], "what is not ours stays"
    with pytest.raises(ValueError):
        async with work_folder(tmp_path, "../elsewhere"):
            pass


async def test_a_killed_jobs_film_is_gone_before_a_deletion_is_said_to_be_done(recorded: Recorded) -> None:
    """The film lay in the clear when its maker was killed; nobody composes it again, since all of it is deleted."""
    var = recorded.house.settings.var
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(var)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "holds\n"
    await recorded.seal()
    await recorded.stop()
    await recorded.withdraw(recorded.patient)
    assert await recorded.choose(recorded.patient, "delete_all") == "done"
    clear = var / "run" / "film-a" / "film.mp4"
    assert sweep(var) == 0
    assert clear.exists()
    holder.kill()
    holder.wait()
    assert await recorded.erase() == 1
    [ordered] = await recorded.deletions()
    assert ordered.done_at is not None
    assert not clear.parent.exists()
