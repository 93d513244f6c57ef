"""A note's life after it is signed, against a plain model: whatever doctor, patient and officer do, in any order."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from server.db import Database
from server.errors import DomainError
from server.permissions import StaffRole
from server.records import erasing, exports, reading, release, requests, service, withdrawing
from server.records.exports import Asker
from server.records.models import Note
from server.records.release import Readers, Release
from server.records.requests import Decision
from server.records.rights_models import RecordExport, RecordRequest
from server.records.rules import Ground, Kind
from server.vault import Vault
from tests.server.records.rights import writing_of
from tests.server.visits import START, VisitCast, make_visit_cast


@dataclass
class Model:
    """What should be so; texts by version, None once erased."""

    texts: list[str | None] = field(default_factory=list)
    is_open: bool = False
    """The patient reads it."""
    held: bool = False
    """Nobody who acts for the patient does."""
    upto: int = 0
    on_hold: bool = False
    asked: bool = False
    was_asked: bool = False

    @property
    def shown(self) -> list[str]:
        return [text for n, text in enumerate(self.texts, start=1) if n > self.upto and text is not None]


class SignedLife(RuleBasedStateMachine):
    """Runs against a real database of its own, copied from a template."""

    template: Path
    keyset: str

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bedside-life-"))
        shutil.copy(self.template, self.folder / "life.db")
        self.loop = asyncio.new_event_loop()
        self.database = Database(f"sqlite+aiosqlite:///{self.folder / 'life.db'}")
        vault = Vault(self.folder / "keysets", self.keyset)
        self.cast: VisitCast = self.loop.run_until_complete(make_visit_cast(self.database, vault))
        self.model = Model()

    def teardown(self) -> None:
        if hasattr(self, "loop"):
            self.loop.run_until_complete(self.database.close())
            self.loop.close()
            shutil.rmtree(self.folder)

    def act(self, doing: Callable[[AsyncSession], Awaitable[None]], may: bool) -> None:
        """Does it in a transaction; it is refused exactly when the model says so."""

        async def run() -> bool:
            try:
                async with self.database.writing() as session:
                    await doing(session)
            except DomainError:
                return False
            return True

        assert self.loop.run_until_complete(run()) == may

    @property
    def doctor(self) -> service.Writing:
        return writing_of(self.cast)

    @property
    def officer(self) -> service.Writing:
        return writing_of(self.cast, StaffRole.PRIVACY_OFFICER, self.cast.administrator)

    @rule(readers=st.sampled_from(list(Readers)))
    def sign(self, readers: Readers) -> None:
        async def doing(session: AsyncSession) -> None:
            note = await service.load_note(session, (await self.cast.visit()).encounter)
            if note is None:
                await service.save_draft(session, self.doctor, self.cast.encounter_id, "signed", 0)
            is_open = readers is not Readers.NOBODY
            made = await service.sign(session, self.doctor, self.cast.encounter_id, 1, release_now=is_open)
            if readers is not Readers.EVERYBODY:
                chosen = Release(readers, "harm", START.date())
                await release.hold(session, self.doctor, made.id, chosen)

        may = not self.model.texts
        self.act(doing, may)
        if may:
            self.model.texts = ["signed"]
            self.model.is_open, self.model.held = readers is not Readers.NOBODY, readers is not Readers.EVERYBODY

    @rule(kind=st.sampled_from([Kind.ADDENDUM, Kind.LATE_ENTRY, Kind.CORRECTION]))
    def add(self, kind: Kind) -> None:
        text = f"added {len(self.model.texts)}"

        async def doing(session: AsyncSession) -> None:
            await service.add(session, self.doctor, self.cast.encounter_id, kind, text=text, reason="r")

        may = bool(self.model.texts)
        self.act(doing, may)
        if may:
            self.model.texts.append(text)

    @rule()
    def let_go(self) -> None:
        async def doing(session: AsyncSession) -> None:
            await release.let_go(session, self.doctor, self.cast.encounter_id)

        self.act(doing, self.model.held)
        if self.model.held:
            self.model.held, self.model.is_open = False, True

    @rule()
    def withdraw(self) -> None:
        async def doing(session: AsyncSession) -> None:
            await withdrawing.withdraw(session, self.doctor, self.cast.encounter_id)

        may = bool(self.model.texts)
        self.act(doing, may)
        if may:
            self.model.upto = len(self.model.texts)

    @rule(ground=st.sampled_from(list(Ground)))
    def erase(self, ground: Ground) -> None:
        async def doing(session: AsyncSession) -> None:
            await erasing.erase(session, self.officer, await self.note_id(), ground)

        upto = {Ground.ORDERED: len(self.model.texts), Ground.ENTERED_IN_ERROR: self.model.upto, Ground.PERIOD_OVER: 0}
        gone = [n for n, text in enumerate(self.model.texts, start=1) if text is not None and n <= upto[ground]]
        may = bool(gone) and not self.model.on_hold
        self.act(doing, may)
        if may:
            for n in gone:
                self.model.texts[n - 1] = None

    @rule(on=st.booleans())
    def hold_record(self, on: bool) -> None:
        async def doing(session: AsyncSession) -> None:
            if on:
                await erasing.place_hold(session, self.officer, self.cast.patient, "A claim")
            else:
                await erasing.lift_hold(session, self.officer, self.cast.patient)

        self.act(doing, True)
        self.model.on_hold = on

    @rule(releases=st.booleans())
    def ask_and_decide(self, releases: bool) -> None:
        """The patient asks for a copy; a doctor answers what was left out of it."""
        model = self.model
        if model.held and not model.is_open and not model.was_asked:
            model.asked = model.was_asked = True
        self.act(self._ask, True)

        async def decide(session: AsyncSession) -> None:
            row = (await session.scalars(select(RecordRequest).where(RecordRequest.state == "asked"))).first()
            said = Decision(row.id if row else "none", "released" if releases else "refused", "harm")
            await requests.decide(session, self.doctor, self.cast.encounter_id, said)

        self.act(decide, self.model.asked)
        if self.model.asked and releases:
            self.model.is_open = True
        self.model.asked = False

    async def _ask(self, session: AsyncSession) -> None:
        await exports.ask(session, self.asker, "en", START)
        await requests.ask_for_withheld(session, self.cast.clinic, self.cast.patient, START)

    @property
    def asker(self) -> Asker:
        return Asker(self.cast.clinic.id, self.cast.patient, None)

    async def note_id(self) -> str:
        async with self.database.reading() as session:
            return str(await session.scalar(select(Note.id)) or "none")

    @invariant()
    def everything_is_as_the_model_says(self) -> None:
        if hasattr(self, "model"):
            self.loop.run_until_complete(self._compare())

    async def _compare(self) -> None:
        cast, model = self.cast, self.model
        async with self.database.reading() as session:
            note = (await session.scalars(select(Note))).first()
            if note is not None:
                versions = await reading.load_versions(session, cast.sealer, note)
                assert [one.text for one in versions] == model.texts
                assert await service.first_broken(session, cast.sealer, note) is None
            for for_proxy, may in ((False, model.is_open), (True, model.is_open and not model.held)):
                found = await reading.load_released_notes(
                    session, cast.sealer, cast.clinic, cast.patient, for_proxy=for_proxy
                )
                read = [one.text for released in found for one in released.versions if one.text is not None]
                assert read == (model.shown if may else [])
            ready = (await session.scalars(select(RecordExport).where(RecordExport.state == "asked"))).all()
            assert len(ready) <= 1


def test_whatever_happens_to_a_signed_note_is_what_the_model_says(
    sqlite_template: Path, keyset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SignedLife, "template", sqlite_template, raising=False)
    monkeypatch.setattr(SignedLife, "keyset", keyset, raising=False)
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
    life = settings(max_examples=12, stateful_step_count=14, deadline=None, suppress_health_check=checks)
    run_state_machine_as_test(SignedLife, settings=life)
