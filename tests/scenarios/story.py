"""What the steps of a long story share: its people, what they agreed on, and watches over node, log and film.

A step that failed ends the story: the later ones would only repeat its failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from media.api import CapturePhase, CaptureState, RoomStats
from tests.scenarios.room import wait_for
from tests.support.bedside import AllInOne
from tests.support.marks import Mark
from tests.support.people import Cast, Person

PATIENT = "Thomas Baker"
BIRTH_DATE = "1982-08-18"
DOCTOR = "Ada Okafor"
LATER = "Lily Baker"
PLACE = "12 Mill Lane, Leeds"
PHONE = "+44 113 496 0000"
FLASHES_WANTED = 20
LIPSYNC_MS = 80.0


@dataclass(repr=False)
class Story:
    bedside: AllInOne
    cast: Cast
    folder: str
    options: dict[str, object] = field(default_factory=dict)
    failed: str | None = None
    appointment: str = ""
    link: str = ""
    recording_from: float = 0.0
    recording_until: float = 0.0
    reloaded_at: float = 0.0
    note: str = ""

    @property
    def people(self) -> list[Person]:
        return self.cast.people

    def person(self, name: str) -> Person:
        """The same person at the same browser in every step."""
        for person in self.cast.people:
            if person.name == name:
                return person
        return self.cast.person(name, **self.options)  # type: ignore[arg-type]

    @property
    def anna(self) -> Person:
        return self.person("anna")

    @property
    def doctor(self) -> Person:
        return self.person("doctor")

    @property
    def scheduler(self) -> Person:
        return self.person("scheduler")

    @property
    def guest(self) -> Person:
        return self.person("guest")

    # ── the node, its log ──

    def stats(self) -> RoomStats:
        return self.bedside.node.stats(self.room_id())

    def room_id(self) -> str:
        """The visit's room, as the doctor's page knows it."""
        found: str = self.doctor.page.evaluate(
            "() => JSON.parse(document.getElementById('room-config').textContent).room_id"
        )
        return found

    def capture(self) -> CaptureState:
        return self.bedside.node.state().rooms[self.room_id()].capture

    def captured_bytes(self) -> int:
        """What lies in this installation's packet logs, by the files themselves."""
        folders = (self.bedside.var / "captures", self.bedside.var / "recordings")
        return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())

    def wait_capture(self, phase: CapturePhase, timeout_s: float) -> float:
        """The moment (epoch seconds) at which the node's capture is first seen in this phase."""
        wait_for(self.doctor, lambda: self.capture().phase is phase, f"capture is {phase}", timeout_s)
        return time.time()

    def grows(self, over_s: float) -> bool:
        """Whether the node stores packets during `over_s`."""
        before = self.capture().packets
        self.doctor.page.wait_for_timeout(over_s * 1000)
        return self.capture().packets > before

    def keep(self, step: str, *people: Person) -> None:
        for person in people:
            person.keep(step, self.folder)


def timed(act: Callable[[], object], until: Callable[[], object], person: Person, what: str, timeout_s: float) -> float:
    """Seconds from the act until the condition holds."""
    began = time.monotonic()
    act()
    wait_for(person, until, what, timeout_s)
    return time.monotonic() - began


def film_path(folder: Path) -> Path:
    return folder / "film.mp4"


def pair_flashes(
    seen: list[tuple[float, float]], made: list[tuple[float, float]], tolerance_s: float = 0.45
) -> list[tuple[float, float, float]]:
    """(film second, lateness on the film, lateness at the sender) of each flash found in both, in ms.

    `seen` are film seconds, `made` the sender's own moments in film seconds; a constant shift between the two
    (the way to the node) is taken out first.
    """
    if not seen or not made:
        return []
    gaps = [min((at - moment for moment, _ in made), key=abs) for at, _ in seen]
    shift = sorted(gaps)[len(gaps) // 2]
    pairs = []
    for at, late in seen:
        moment, own = min(made, key=lambda one: abs(one[0] + shift - at))
        if abs(moment + shift - at) < tolerance_s:
            pairs.append((at, late, own))
    return pairs


def marks_of(people: list[Person]) -> list[Mark]:
    return [person.mark for person in people]
