"""The originals in one Matroska file: every track, every packet as it was sent, where the film has it."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from media.compose import CancelledError
from media.compose.remux import remux_tracks
from tests.media.golden import GoldenLog, audio, flat, tone, video


def recorded(golden: GoldenLog, codec: str = "VP8") -> list[bytes]:
    """Two people, the second one a second later; answers the first one's sound as it was sent."""
    sound = audio(tone(440), 0, 3)
    golden.send(golden.track("anna", "microphone"), sound)
    pictures = video(flat(64, 48, (200, 30, 30)), [n / 10 for n in range(30)], codec=codec)
    golden.send(golden.track("anna", "camera", codec=codec), pictures)
    golden.send(golden.track("doctor", "microphone"), audio(tone(880), 1, 3))
    golden.write(3.0)
    return [one.payload for one in sound]


@pytest.mark.parametrize("codec", ["VP8", "H264"])
def test_every_packet_is_copied_to_its_moment(golden: GoldenLog, tmp_path: Path, codec: str) -> None:
    sent = recorded(golden, codec)
    output = tmp_path / "tracks.mkv"
    assert remux_tracks([golden.path], output, unwrap=golden.unwrap, names={"anna": "Zoë"}) == 3
    with av.open(str(output)) as container:
        titles = [stream.metadata["title"] for stream in container.streams]
        by_title = dict(zip(titles, container.streams, strict=True))
        assert set(titles) == {"Zoë microphone", "Zoë camera", "doctor microphone"}
        starts: dict[str, float] = {}
        copied: list[bytes] = []
        for packet in container.demux():
            if not packet.size:
                continue
            title = packet.stream.metadata["title"]
            starts.setdefault(title, float(packet.pts * packet.time_base))
            if title == "Zoë microphone":
                copied.append(bytes(packet))
        assert copied == sent, "not one byte of what was sent differs"
        assert starts["doctor microphone"] == pytest.approx(1.0, abs=0.03)
        assert by_title["Zoë camera"].codec_context.width == 64
    with av.open(str(output)) as container:
        frames = list(container.decode(video=0))
    assert len(frames) == 30
    assert float(frames[-1].pts * frames[-1].time_base) == pytest.approx(2.9, abs=0.05)


def test_nothing_recorded_or_told_to_stop_leaves_no_file(golden: GoldenLog, tmp_path: Path) -> None:
    golden.track("anna", "microphone")
    golden.write(3.0)
    output = tmp_path / "tracks.mkv"
    assert remux_tracks([golden.path], output, unwrap=golden.unwrap) == 0
    other = GoldenLog(tmp_path / "two.bedlog")
    recorded(other)
    with pytest.raises(CancelledError):
        remux_tracks([other.path], output, unwrap=other.unwrap, cancelled=lambda: True)
    assert list(tmp_path.glob("tracks*")) == []
