"""Eight people in one room, coming, sharing, waiting and going in any order: each gets just what the others send."""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator

import pytest

from tests.media.light import House, Key
from tests.media.peers import RunningNode

NAMES = [f"p{number}" for number in range(8)]
STEPS = 12


@pytest.fixture
async def house(running: RunningNode) -> AsyncIterator[House]:
    await running.client.create_room("r")
    made = House(running, "r")
    yield made
    await made.close()


class Story:
    """What may happen next, drawn by `dice`, and what everybody should have then."""

    def __init__(self, house: House, dice: random.Random) -> None:
        self.house, self.dice = house, dice
        self.admitted: set[str] = set()
        self.told: list[str] = []

    async def step(self) -> None:
        here = sorted(self.house.people)
        choices = ["come"] * (4 if len(here) < len(NAMES) else 0)
        choices += ["share", "send in or back", "leave"] if here else []
        act = self.dice.choice(choices)
        name = self.dice.choice([one for one in NAMES if one not in here] if act == "come" else here)
        self.told.append(f"{name}: {act}")
        client = self.house.running.client
        if act == "come":
            await self._come(name, admitted=self.dice.random() < 0.8)
        elif act == "share":
            person = self.house.people[name]
            await person.share(not person.shares)
        elif act == "leave":
            self.admitted.discard(name)
            await self.house.leave(name)
        else:
            self.admitted ^= {name}
            await client.admit("r", name, admitted=name in self.admitted)

    async def fill(self) -> None:
        for name in NAMES:
            if name not in self.house.people:
                await self._come(name, admitted=True)
            elif name not in self.admitted:
                self.admitted.add(name)
                await self.house.running.client.admit("r", name, admitted=True)

    def expected(self, name: str) -> set[Key]:
        if name not in self.admitted:
            return set()
        others = [self.house.people[other] for other in self.admitted if other != name]
        return {key for other in others for key in other.publishes()}

    async def settle(self) -> None:
        """Until everybody has all that they should, and then a while with nothing else."""
        people = self.house.people
        async with asyncio.timeout(15):
            while not all(self.expected(name) <= person.heard.keys() for name, person in people.items()):
                self.house.check()
                await asyncio.sleep(0.01)
        for person in people.values():
            person.forget()
        async with asyncio.timeout(15):
            while not all(self.expected(name) <= person.heard.keys() for name, person in people.items()):
                await asyncio.sleep(0.01)
        for name, person in people.items():
            assert set(person.heard) == self.expected(name), (name, self.told)

    async def _come(self, name: str, *, admitted: bool) -> None:
        if admitted:
            self.admitted.add(name)
        await self.house.running.client.admit("r", name, admitted=admitted)
        await self.house.person(name).come()


async def test_eight_people_come_share_wait_and_go_in_any_order(running: RunningNode, house: House) -> None:
    seed = secrets.randbits(32)
    story = Story(house, random.Random(seed))
    try:
        for _ in range(STEPS):
            await story.step()
            await story.settle()
        await story.fill()
        await story.settle()
    except BaseException:
        print(f"seed {seed}: {story.told}")
        raise
    assert len(story.admitted) == 8
    assert all(len(story.expected(name)) >= 14 for name in NAMES)


async def test_whoever_waits_gets_no_packet_on_either_connection(running: RunningNode, house: House) -> None:
    """Of media or of reports: their credentials and keys are valid, so only the node's own rule holds them back."""
    for name in ("a", "b", "waits"):
        await running.client.admit("r", name, admitted=name != "waits")
        await house.person(name).come()
    for name, other in (("a", "b"), ("b", "a")):
        async with asyncio.timeout(10):
            while len(house.people[name].heard) < len(house.people[other].publishes()):
                await asyncio.sleep(0.01)
    before = (await running.client.stats("r")).rtcp_out
    async with asyncio.timeout(10):
        while (await running.client.stats("r")).rtcp_out < before + 6:
            await asyncio.sleep(0.05)
    assert house.people["a"].arrived["up"] > 0
    assert not house.people["waits"].arrived
