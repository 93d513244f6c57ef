"""Recordings in an S3 store, served by moto: kept, played by ranges, refused when altered, and gone when deleted."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

from media.api import SealingKey
from media.capture import CaptureStore
from media.vault import participants_of
from server.config import Settings
from server.encounters.filmstore import BLOCK_BYTES
from tests.server.encounters.recorded import Recorded

BUCKET = "recordings"


@pytest.fixture(scope="module")
def bucket() -> Iterator[object]:
    """A bucket on a free port of this machine, and the environment in which everybody finds it."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    found = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ALLOW_HTTP": "true",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in found.items():
            patch.setenv(name, value)
        client = boto3.client("s3", endpoint_url=found["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket=BUCKET)
        yield client
    server.stop()


@pytest.fixture(autouse=True)
def emptied(bucket: object) -> Iterator[None]:
    yield
    for key in objects(bucket):
        bucket.delete_object(Bucket=BUCKET, Key=key)  # type: ignore[attr-defined]


@pytest.fixture
def settings(settings: Settings, bucket: object) -> Settings:
    return settings.model_copy(update={"recordings_url": f"s3://{BUCKET}"})


def objects(bucket: object) -> list[str]:
    return [one["Key"] for one in bucket.list_objects_v2(Bucket=BUCKET).get("Contents", ())]  # type: ignore[attr-defined]


async def test_a_node_puts_its_log_there_and_keeps_no_copy(bucket: object, tmp_path: Path) -> None:
    store = CaptureStore(tmp_path / "captures", f"s3://{BUCKET}", "node-1")
    session = store.open_session("room", "rec", 1)
    key = base64.b64encode(os.urandom(32)).decode()
    session.set_grant(True, {"anna": SealingKey(key=key, wrapped="wrapped")})
    track = session.open_track(
        participant_id="anna", source="microphone", kind="audio", codec="opus", payload_type=96, clock_rate=48_000
    )
    assert session.packet(track, 1, 1, bytes(12), b"sound")
    stored = await session.close("ended")
    await store.close()
    assert stored is not None
    assert objects(bucket) == [stored.path]
    assert list((tmp_path / "captures").iterdir()) == []


async def test_a_film_plays_by_ranges_and_a_part_of_it_is_deleted(
    recorded: Recorded, bucket: object, tmp_path: Path
) -> None:
    """C48's neighbours for players: the first bytes, a suffix, several ranges in a row, one beyond the end."""
    await recorded.stopped(tmp_path)
    await recorded.with_film(tmp_path)
    whole = (tmp_path / "any.mp4").read_bytes()
    doctor = await recorded.house.browser_of("doctor")
    play = await recorded.url("play")
    for asked, expected in (
        (None, whole),
        ("bytes=0-1", whole[:2]),
        ("bytes=-5", whole[-5:]),
        ("bytes=100-", whole[100:]),
        ("bytes=3999-9999", whole[3999:]),
    ):
        answer = await doctor.get(play, headers={"Range": asked} if asked else {})
        assert (answer.status, await answer.read()) == (206 if asked else 200, expected), asked
    assert (await doctor.get(play, headers={"Range": "bytes=4000-"})).status == 416
    several = await doctor.get(play, headers={"Range": "bytes=0-1,10-11"})
    assert several.content_type == "multipart/byteranges"
    assert (await several.read()).count(b"Content-Range") == 2

    [film] = [one for one in objects(bucket) if one.startswith("films/")]
    sealed = bucket.get_object(Bucket=BUCKET, Key=film)["Body"].read()  # type: ignore[attr-defined]
    assert whole[:50] not in sealed
    assert len(sealed) < BLOCK_BYTES

    await recorded.withdraw(recorded.patient)
    await recorded.choose(recorded.patient, "delete_mine")
    await recorded.erase()
    [log] = objects(bucket)
    copy = tmp_path / "copy.bedlog"
    copy.write_bytes(bucket.get_object(Bucket=BUCKET, Key=log)["Body"].read())  # type: ignore[attr-defined]
    assert set(participants_of(copy)) == {recorded.doctor}
    assert await recorded.choose(recorded.patient, "delete_all") == "done"
    await recorded.erase()
    assert objects(bucket) == []
    assert await recorded.keys() == set()
