"""What a person does at a page: with the mouse, or with nothing but the keyboard.

Where they are and what they see is `people.py`; which buttons there are is the stories' own.
"""

from __future__ import annotations

from playwright.sync_api import Locator, Page

MOST_TABS = 120
MOST_PARTS = 4
"""The parts of a date or a time at most: where the left arrow has certainly come to the first."""


class Hands:
    """Whoever has hands has a page before them, and a name."""

    name: str
    page: Page
    keyboard: bool
    presses: int

    def brief(self) -> str:
        """Where they are, for a failed assertion."""
        raise NotImplementedError

    def press(self, selector: str, timeout_s: float = 10.0) -> None:
        """Presses the first visible button, link or box that matches; with the keyboard by Tab and Enter or space."""
        target = self.page.locator(selector).locator("visible=true").first
        target.wait_for(timeout=timeout_s * 1000)
        self.presses += 1
        if not self.keyboard:
            target.click(timeout=timeout_s * 1000)
            return
        self._tab_to(target)
        if target.evaluate("(one) => !one.matches('input[type=checkbox], input[type=radio]')"):
            self.page.keyboard.press("Enter")
        elif not (target.get_attribute("type") == "radio" and target.is_checked()):
            self.page.keyboard.press("Space")

    def write(self, selector: str, text: str) -> None:
        target = self.page.locator(selector).locator("visible=true").first
        target.wait_for(timeout=10_000)
        if not self.keyboard:
            target.fill(text)
            return
        self._tab_to(target)
        if target.get_attribute("type") in {"date", "time"}:
            self._type_parts(target, text)
            return
        self.page.keyboard.press("Control+A")
        self.page.keyboard.type(text)

    def _type_parts(self, target: Locator, text: str) -> None:
        """A date or a time as somebody types it who sees in which order this browser wants its parts."""
        if target.input_value() == text:
            return
        for typed in _ways_to_type(text):
            for _ in range(MOST_PARTS):
                self.page.keyboard.press("ArrowLeft")
            self.page.keyboard.type(typed)
            if target.input_value() == text:
                return
        raise AssertionError(f"{self.name} cannot type {text} into {target}: it holds {target.input_value()!r}")

    def choose(self, selector: str, value: str) -> None:
        """An option of a select, by its value; with the keyboard by the arrow keys."""
        target = self.page.locator(selector).locator("visible=true").first
        target.wait_for(timeout=10_000)
        if not self.keyboard:
            target.select_option(value)
            return
        self._tab_to(target)
        wanted = "([one, value]) => [...one.options].findIndex((option) => option.value === value) - one.selectedIndex"
        steps = self.page.evaluate(wanted, [target.element_handle(), value])
        for _ in range(abs(steps)):
            self.page.keyboard.press("ArrowDown" if steps > 0 else "ArrowUp")

    def _tab_to(self, target: Locator) -> None:
        """Tab until the element has the focus: what a person without a mouse can reach at all."""
        same_group = "(one) => one.type === 'radio' && one.name === document.activeElement.name"
        for _ in range(MOST_TABS):
            if target.evaluate("(one) => one === document.activeElement"):
                return
            # Tab visits a group of radios once; the arrows move inside it.
            self.page.keyboard.press("ArrowDown" if target.evaluate(same_group) else "Tab")
        raise AssertionError(f"{self.name} cannot reach {target} with Tab ({self.brief()})")


def _ways_to_type(text: str) -> list[str]:
    """The keys for an ISO date or a time of day, for each order in which browsers of different places ask for it."""
    if ":" in text:
        hour, minute = text.split(":")
        half = "PM" if int(hour) >= 12 else "AM"
        return [hour + minute, f"{(int(hour) - 1) % 12 + 1:02}{minute}{half}"]
    year, month, day = text.split("-")
    return [day + month + year, month + day + year, year + "\t" + month + day]
