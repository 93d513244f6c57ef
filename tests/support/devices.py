"""A person's camera, microphone and screen: `page/source.js` with what they show and sound like."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.support.marks import Mark

HERE = Path(__file__).parent


def source_script(mark: Mark, other: Mark, screen: Mark, failing: str | None) -> str:
    """`page/source.js` with its devices filled in: two cameras, two microphones, a screen."""
    devices = [mark, other]
    config = {
        "cameras": [_camera(f"camera-{n}", device) for n, device in enumerate(devices)],
        "microphones": [_microphone(f"microphone-{n}", device) for n, device in enumerate(devices)],
        "screen": {**_camera("screen", screen), "width": 960, "height": 540, "frames_per_s": 5},
        "failing": failing,
    }
    text = (HERE / "page" / "source.js").read_text(encoding="utf-8")
    return text.replace("const config = SOURCE;", f"const config = {json.dumps(config)};")


def _camera(device: str, mark: Mark) -> dict[str, Any]:
    label = f"Camera {mark.name}"
    return {"id": device, "label": label, "colour": mark.colour, "width": 480, "height": 270, "frames_per_s": 20}


def _microphone(device: str, mark: Mark) -> dict[str, Any]:
    return {"id": device, "label": f"Microphone {mark.name}", "tone_hz": mark.tone_hz, "beep_hz": mark.beep_hz}
