"""What is wrong with a story's film: how long it lasts, who is seen and heard when, and whether sound meets picture.

Everything that is wrong is said at once, in few words each; what happened in the story is the story's to know.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.scenarios.story import Story
from tests.support.film import Film
from tests.support.people import Person

FLASHES_WANTED = 20
ENOUGH_FLASHES = FLASHES_WANTED + 12
"""Made by the sender: a busy machine may lose one between there and the film."""
LIPSYNC_MS = 80.0
DURATION_S = 0.5
RELOAD_S = 4.0
"""So long after the reload began nothing is asked of the flashes."""


@dataclass
class Findings:
    """What is wrong with a film, in few words each; all of it is said at once."""

    found: list[str] = field(default_factory=list)

    def unless(self, holds: bool, what: str) -> None:
        if not holds:
            self.found.append(what)


def story_findings(story: Story, film: Film) -> list[str]:
    """What is wrong with the film of the main job: doctor and patient throughout, the guest towards its end."""
    doctor, anna, guest = story.doctor, story.anna, story.guest
    shortest, longest = story.recorded_s()
    turn = story.reloaded_at - story.recording_from.by
    early, late = turn / 2, shortest - 2
    wrong = Findings()
    wrong.unless(film.codecs == {"video": "h264", "audio": "aac"}, f"codecs {film.codecs}")
    wrong.unless(
        shortest - DURATION_S <= film.duration_s <= longest + DURATION_S,
        f"it lasts {film.duration_s:.2f} s instead of {shortest:.2f} to {longest:.2f} s",
    )
    for person, moments in ((doctor, (early, late)), (anna, (early, late)), (guest, (late,))):
        for at_s in moments:
            wrong.unless(film.shows(person.mark, at_s), f"{person.name} is not seen at {at_s:.1f} s")
            wrong.unless(film.sounds(person.mark, at_s), f"{person.name} is not heard at {at_s:.1f} s")
            wrong.unless(not film.shows(person.other, at_s), f"{person.name}'s other camera at {at_s:.1f} s")
            wrong.unless(not film.sounds(person.other, at_s), f"{person.name}'s other microphone at {at_s:.1f} s")
    wrong.unless(not film.shows(guest.mark, early), f"the guest is seen at {early:.1f} s, before they came")
    wrong.unless(not film.sounds(guest.mark, early), f"the guest is heard at {early:.1f} s, before they came")
    for person in (doctor, anna):
        wrong.found += sync_findings(film, person, story.recording_from.by, turn)
    return wrong.found


def sync_findings(film: Film, person: Person, began: float, turn: float) -> list[str]:
    """What is wrong with flash and beep of this person: enough before and after the reload (`turn`), each in sync."""
    seen = [(flash.at_s, flash.late_ms) for flash in film.flash_to_beep(person.mark)]
    made = [(flash["at_ms"] / 1000 - began, flash["late_ms"]) for flash in person.flashes]
    pairs = pair_flashes(seen, made)
    before = sum(pair[0] < turn for pair in pairs)
    after = sum(pair[0] > turn + RELOAD_S for pair in pairs)
    off = [(late - own, at) for at, late, own in pairs if abs(late - own) > LIPSYNC_MS]
    wrong = Findings()
    of = f"of {person.name}'s (on the film {len(seen)}, made {len(made)})"
    wrong.unless(before >= FLASHES_WANTED, f"{before} flashes before the reload {of}")
    wrong.unless(after >= FLASHES_WANTED, f"{after} flashes after the reload {of}")
    if off:
        worst, at = max(off, key=lambda one: abs(one[0]))
        wrong.found.append(
            f"{len(off)} of {len(pairs)} {person.name}'s out of sync, worst {worst:+.0f} ms at {at:.1f} s"
        )
    return wrong.found


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
