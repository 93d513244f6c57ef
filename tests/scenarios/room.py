"""The visit's page as a person uses it: the check, the waiting room, the controls, the panels, what they say.

Selectors of `web/client` live here alone; what should come of a press is asserted by the stories.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from tests.support.marks import Mark
from tests.support.people import Person

# TEST_PATIENCE=3 allows three times as long, for a machine that is busy with other things; CI sets nothing.
PATIENCE = float(os.environ.get("TEST_PATIENCE", "1"))
RESUME_S = 3.0 * PATIENCE


def wait_for(person: Person, condition: Callable[[], Any], what: str, timeout_s: float = 10.0) -> None:
    """Until the condition holds while this person's page goes on; fails with what is on their page."""
    deadline = time.monotonic() + timeout_s * PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what} ({person.brief()})"
        person.page.wait_for_timeout(50)


def snapshot(person: Person) -> dict[str, Any]:
    """The room as the server last told this page, or {} before it did."""
    found: dict[str, Any] = person.page.evaluate("() => window.__bedside?.snapshot ?? {}")
    return found


def room_id(person: Person) -> str:
    """The visit's room, as this page knows it."""
    found: str = person.page.evaluate("() => JSON.parse(document.getElementById('room-config').textContent).room_id")
    return found


def text(person: Person, selector: str) -> str:
    return person.page.locator(selector).first.inner_text(timeout=5000)


def is_shown(person: Person, selector: str) -> bool:
    return person.page.locator(selector).locator("visible=true").count() > 0


def wait_shown(person: Person, selector: str, timeout_s: float = 10.0) -> None:
    wait_for(person, lambda: is_shown(person, selector), f"{person.name} is shown {selector}", timeout_s)


# ── before the visit ──


def check_devices_and_enter(person: Person) -> None:
    """Their own picture, a level that moves, then into the waiting room."""
    person.press("#open-devices")
    person.wait_sees(person.mark)
    levels = set()

    def moves() -> bool:
        levels.add(person.page.locator("#level").evaluate("(meter) => meter.value"))
        return len(levels) > 1

    wait_for(person, moves, "the level moves")
    person.press("#enter")


def wait_in_waiting_room(person: Person) -> None:
    wait_shown(person, "#door[data-state=waiting]")
    wait_shown(person, "#waiting-since")


def wait_inside(person: Person, timeout_s: float = 10.0) -> None:
    wait_shown(person, "#visit", timeout_s)


def admit(doctor: Person, name: str) -> None:
    card = f'#lobby [data-participant]:has-text("{name}")'
    wait_shown(doctor, card)
    doctor.press(f"{card} [data-act=admit]")


# ── during the visit ──


def press_control(person: Person, control: str) -> None:
    """A control of the bottom row; on a narrow screen some are behind "More"."""
    if not is_shown(person, f"#{control}"):
        person.press("#more")
    person.press(f"#{control}")


def open_panel(person: Person, name: str) -> None:
    if person.page.locator("#visit").get_attribute("data-panel") != name:
        press_control(person, f"open-{name}")
    wait_shown(person, f"#visit[data-panel={name}]")


def say(person: Person, words: str) -> None:
    open_panel(person, "chat")
    person.write("#chat-text", words)
    person.press("#chat-send")


def wait_reads(person: Person, words: str) -> None:
    open_panel(person, "chat")
    wait_shown(person, f'#chat-lines .chat__line:not(.chat__line--waiting) :text("{words}")')


def choose_device(person: Person, kind: str, device: str) -> None:
    """`kind` is video or audio, `device` an id of page/source.js."""
    open_panel(person, "settings")
    person.choose(f"#choose-{kind}", device)


def tiles(person: Person) -> list[str]:
    """Whose tiles are on the stage, screens apart as `screen <id>`."""
    found: list[str] = person.page.evaluate(
        "() => [...document.querySelectorAll('#stage [data-participant]')]"
        ".map((tile) => (tile.dataset.kind === 'screen' ? 'screen ' : '') + tile.dataset.participant)"
    )
    return found


def way(person: Person) -> str:
    """`direct` or `relay` while the page says that media flows that way, otherwise an empty word."""
    found = person.page.locator("#way")
    if found.get_attribute("data-connected") != "true":
        return ""
    return found.get_attribute("data-way") or ""


def wait_way(people: list[Person], wanted: str, timeout_s: float = 10.0) -> None:
    for person in people:
        wait_for(person, lambda person=person: way(person) == wanted, f"{person.name} is {wanted}", timeout_s)  # type: ignore[misc]


def both_see_and_hear(one: Person, other: Person, timeout_s: float = 15.0) -> None:
    all_see_and_hear([one, other], timeout_s)


def all_see_and_hear(people: list[Person], timeout_s: float = 15.0) -> None:
    """Everybody has everybody else's picture and sound, decoded, and hears no more than them."""
    for person in people:
        for other in people:
            if other is not person:
                person.wait_sees(other.mark, timeout_s)
                person.wait_hears(other.mark, timeout_s)
        person.wait_not_hears(person.mark)  # an echo would be there always; a click of a beep only now and then


def sees_nobody_of(person: Person, marks: list[Mark]) -> bool:
    return not any(person.sees(mark) for mark in marks) and not any(person.hears(*marks))


def selected_remote_candidate(person: Person, connection: str) -> dict[str, Any]:
    return selected_candidate(person, connection, "remote")


def selected_candidate(person: Person, connection: str, side: str) -> dict[str, Any]:
    """The `local` or `remote` candidate of the nominated pair of `direct`, `up` or `down`; {} when there is none."""
    found: dict[str, Any] = person.page.evaluate(
        """async ([name, side]) => {
          const link = window.__bedside?.[name];
          if (!link) return {};
          const stats = [...(await link.getStats()).values()];
          const transport = stats.find((one) => one.type === "transport");
          const pair = stats.find((one) => one.id === transport?.selectedCandidatePairId);
          const found = stats.find((one) => one.id === pair?.[`${side}CandidateId`]);
          const { address, port, protocol, candidateType: type } = found ?? {};
          return found ? { address, port, protocol, type } : {};
        }""",
        [connection, side],
    )
    return found


# ── recording ──


def ask_to_record(doctor: Person, purpose: int = 0) -> None:
    press_control(doctor, "record")
    doctor.press(f"#purpose-{purpose}")
    doctor.press("#ask-everybody")


def answer_yes(person: Person, others: str = "") -> None:
    wait_shown(person, "#recording-question[open]")
    person.press("#answer-yes")
    if others:
        person.write("#others-present", others)
        person.press("#others-agree")
    person.press("#send-yes")


def answer_no(person: Person) -> None:
    wait_shown(person, "#recording-question[open]")
    person.press("#answer-no")


def wait_recording(people: list[Person], timeout_s: float = 8.0) -> None:
    for person in people:
        wait_shown(person, "#recording-banner[data-state=running]", timeout_s)


# ── the end ──


def end_visit(doctor: Person, outcome: str = "seen") -> None:
    press_control(doctor, "leave")
    doctor.press(f"#end-dialog [data-outcome={outcome}]")
    wait_shown(doctor, "#ended")
