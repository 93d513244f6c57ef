"""A note against a plain model: whatever two writers do, no acknowledged word is lost and nothing signed moves."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from server.records.rules import Save, clean_text, judge

WORDS = st.sampled_from(["cough", "fever", "rest", "שלום", "  ", "\n"])


@dataclass
class Window:
    """One window: its text, and the revision it believes the server has."""

    text: str = ""
    revision: int = 0


@dataclass
class Held:
    text: str = ""
    revision: int = 0
    acknowledged: list[str] = field(default_factory=list)


class NoteLife(RuleBasedStateMachine):
    """Two windows write, lose answers, meet conflicts and keep both texts."""

    def __init__(self) -> None:
        super().__init__()
        self.held = Held()
        self.windows = [Window(), Window()]
        self.lost: set[str] = set()

    @rule(who=st.integers(0, 1), word=WORDS)
    def type(self, who: int, word: str) -> None:
        self.windows[who].text += f"{word}{len(self.held.acknowledged)}.{who} "

    @rule(who=st.integers(0, 1), answered=st.booleans())
    def save(self, who: int, answered: bool) -> None:
        window, held = self.windows[who], self.held
        sent = clean_text(window.text)
        step = judge(held=held.text, revision=held.revision, sent=sent, based_on=window.revision)
        if step is Save.CONFLICT:
            window.text, window.revision = f"{held.text}\n\n{window.text}", held.revision
            return
        if step is Save.SAVE:
            if window.revision != held.revision:
                assert held.text in sent
            held.text, held.revision = sent, held.revision + 1
        if answered:
            window.revision = held.revision
            held.acknowledged.append(sent)

    @precondition(lambda self: self.held.acknowledged)
    @invariant()
    def every_acknowledged_word_is_still_there(self) -> None:
        """Windows only ever add here, so an acknowledged text's words are in what the server holds."""
        for text in self.held.acknowledged:
            for word in text.split():
                assert word in self.held.text

    @invariant()
    def the_revision_tells_texts_apart(self) -> None:
        for window in self.windows:
            assert window.revision <= self.held.revision


TestNoteLife = NoteLife.TestCase
TestNoteLife.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@given(st.text())
def test_cleaning_is_done_once(text: str) -> None:
    cleaned = clean_text(text)
    assert clean_text(cleaned) == cleaned
    assert not any(one in cleaned for one in "\x00\r\x07\x9f")
