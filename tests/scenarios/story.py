"""What the steps of a long story share: its people, what they agreed on, and watches over node, log and film.

A step that failed ends the story: the later ones would only repeat its failure.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from media.api import CapturePhase, CaptureState, RoomStats
from tests.scenarios.room import (
    PATIENCE,
    RESUME_S,
    all_see_and_hear,
    room_id,
    tiles,
    wait_for,
    wait_inside,
    wait_way,
)
from tests.support.bedside import AllInOne
from tests.support.people import ARTIFACTS, Cast, Person

PATIENT = "Thomas Baker"
BIRTH_DATE = "1982-08-18"
DOCTOR = "Ada Okafor"
LATER = "Lily Baker"
PLACE = "12 Mill Lane, Leeds"
PHONE = "+44 113 496 0000"
SILENCE_MS, OVERLAP_MS = 100.0, 50.0


@dataclass(frozen=True, slots=True)
class Moment:
    """When something happened, as closely as it was seen from here: not before `after`, not later than `by`."""

    after: float
    by: float


@dataclass(repr=False)
class Story:
    bedside: AllInOne
    cast: Cast
    folder: str
    options: dict[str, object] = field(default_factory=dict)
    failed: str | None = None
    appointment: str = ""
    link: str = ""
    recording_from: Moment = Moment(0, 0)
    recording_until: Moment = Moment(0, 0)
    guest_from: Moment = Moment(0, 0)
    reloaded_at: float = 0.0
    paused_s: float = 0.0
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
        return self.bedside.node.stats(room_id(self.doctor))

    def capture(self) -> CaptureState:
        return self.bedside.node.state().rooms[room_id(self.doctor)].capture

    def captured_bytes(self) -> int:
        """What lies in this installation's packet logs, by the files themselves."""
        folders = (self.bedside.var / "captures", self.bedside.var / "recordings")
        return sum(path.stat().st_size for folder in folders for path in folder.rglob("*") if path.is_file())

    def wait_capture(self, phase: CapturePhase, timeout_s: float) -> Moment:
        """The moment (epoch seconds) at which the node's capture goes into this phase."""
        asked = [time.time()]

        def is_there() -> bool:
            began = time.time()
            if self.capture().phase is phase:
                return True
            asked.append(began)
            return False

        wait_for(self.doctor, is_there, f"capture is {phase}", timeout_s)
        return Moment(asked[-1], time.time())

    def recorded_s(self) -> tuple[float, float]:
        """How long the recording lasted: at least, at most."""
        begun, ended = self.recording_from, self.recording_until
        return ended.after - begun.by, ended.by - begun.after

    def flashes_since(self, moment: float) -> int:
        """How many flashes each of the two has made since then, the fewer of both."""
        counts = []
        for person in (self.doctor, self.anna):
            person.note_flashes()
            counts.append(sum(flash["at_ms"] / 1000 > moment for flash in person.flashes))
        return min(counts)

    def measure_switch(self, *people: Person) -> None:
        """How long they heard nothing, or both ways at once, where they went over to the relay; printed and kept.

        By what each page decodes (5 ms steps) and when it mutes and unmutes its elements (exact); what the sound card
        then makes of it lies outside, and the two clocks are within some 10 ms of each other. The goals are a silence
        of 100 ms and an overlap of 50 ms at most. A machine too busy to play without gaps has them elsewhere, too: such
        a silence is allowed here twice as long, on top. Measured on a busy machine: 10 ms of silence, no overlap.
        """
        for person in people:
            swaps = person.stop_tape()
            line = f"{person.name} goes over to the relay: {swaps}"
            print(line)
            (ARTIFACTS / self.folder / f"switch-{person.name}.txt").write_text(line + "\n", encoding="utf-8")
            assert len(swaps) == 1, f"{person.name} went over {len(swaps)} times"
            silence, overlap, elsewhere = (swaps[0][f"{word}_ms"] for word in ("silence", "overlap", "elsewhere"))
            allowed = (SILENCE_MS + 2 * elsewhere) * PATIENCE
            assert silence <= allowed, (
                f"{person.name} hears nothing for {silence} ms in the switch, {elsewhere} elsewhere"
            )
            assert overlap <= OVERLAP_MS, f"{person.name} hears both ways for {overlap} ms in the switch"

    def grows(self, over_s: float) -> bool:
        """Whether the node stores packets during `over_s`."""
        before = self.capture().packets
        self.doctor.page.wait_for_timeout(over_s * 1000)
        return self.capture().packets > before

    def reload_each(self, way: str, *others: Person) -> None:
        """Patient, then doctor: back within three seconds, the same place, no second tile, all see and hear."""
        for person, other in ((self.anna, self.doctor), (self.doctor, self.anna)):
            before = tiles(other)
            began = person.reload()
            wait_inside(person)
            person.wait_sees(other.mark)
            assert time.monotonic() - began <= RESUME_S
            all_see_and_hear([person, other, *others])
            assert tiles(other) == before
            wait_way([self.doctor, self.anna], way)

    def all_meet(self, people: list[Person], *, asked: list[Person]) -> None:
        """All see and hear each other; at 200 %, on 640 × 400, what somebody is asked lies over their pictures."""
        covered = asked if "zoom" in self.options else []
        for person in people:
            for other in people:
                if other is not person:
                    person.wait_hears(other.mark)
                    if person not in covered:
                        person.wait_sees(other.mark)
            person.wait_not_hears(person.mark)

    def keep(self, step: str, *people: Person) -> None:
        for person in people:
            person.keep(step, self.folder)


def timed(act: Callable[[], object], until: Callable[[], object], person: Person, what: str, timeout_s: float) -> float:
    """Seconds from the act until the condition holds."""
    began = time.monotonic()
    act()
    wait_for(person, until, what, timeout_s)
    return time.monotonic() - began
