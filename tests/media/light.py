"""Light people for full rooms: real connections to a node, packets written by hand, and counts of what arrives.

Nothing is encoded or decoded, so that eight of them fit into a test; what they should get is the test's to say.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import struct
from collections import Counter

from media.api import DownAnswer, DownOffer, DownRequest, NodeEventKind, Source, UpOffer
from media.client import NodeRefused
from media.dtls import Certificate
from tests.bench.relay import describe
from tests.bench.relay.leg import Leg
from tests.media.peers import RunningNode

KEY_FRAME, SOUND = b"\x90\x80\x81\x23\x00key", b"\x78opus"
EVERY_S = 0.02
Key = tuple[str, Source]


class Light:
    """One person; `come` connects both legs, `share` and `unshare` change what is offered up."""

    def __init__(self, running: RunningNode, room_id: str, name: str, certificate: Certificate) -> None:
        self.running, self.room_id, self.name = running, room_id, name
        self.up, self.down = Leg("127.0.0.1", certificate), Leg("127.0.0.1", certificate)
        self.up_id, self.down_id = secrets.token_hex(6), secrets.token_hex(6)
        self.ssrcs = {source: secrets.randbits(31) + 1 for source in (Source.MICROPHONE, Source.CAMERA, Source.SCREEN)}
        self.shares = False
        # Packets since `forget`, by whose they are; and all that came, of whatever kind, by leg.
        self.heard: Counter[Key | None] = Counter()
        self.arrived = Counter[str]()
        self._by_ssrc: dict[int, Key] = {}
        self._revision = self._answered = 0
        self._sequences = Counter(dict.fromkeys(self.ssrcs, secrets.randbits(14)))
        self.up.handle, self.down.handle = self._take_up, self._take_down

    async def come(self) -> None:
        self.up.connect(await self._offer())
        request = DownRequest(connection_id=self.down_id)
        offer = await self.running.client.down(self.room_id, self.name, request)
        await self.answer(offer)
        self.down.connect(offer.sdp)
        await asyncio.gather(self.up.is_up.wait(), self.down.is_up.wait())

    async def share(self, shares: bool) -> None:
        self.shares = shares
        await self._offer()

    async def answer(self, offer: DownOffer) -> None:
        if offer.connection_id != self.down_id or offer.revision <= self._answered:
            return
        self._answered = offer.revision
        self._learn(offer)
        given = DownAnswer(
            connection_id=offer.connection_id, revision=offer.revision, sdp=describe.answer(self.down, offer.sdp)
        )
        with contextlib.suppress(NodeRefused):  # overtaken by another change
            await self.running.client.down_answer(self.room_id, self.name, given)

    def publishes(self) -> set[Key]:
        sources = [Source.MICROPHONE, Source.CAMERA, *([Source.SCREEN] if self.shares else [])]
        return {(self.name, source) for source in sources}

    def send(self) -> None:
        """One packet of each, every picture a whole key frame."""
        if self.up.is_up.is_set():
            for _, source in self.publishes():
                self.send_one(source)

    def send_one(self, source: Source) -> None:
        is_sound = source is Source.MICROPHONE
        kind, step = (describe.AUDIO, 960) if is_sound else (describe.VIDEO | 0x80, 1800)
        self._sequences[source] = number = self._sequences[source] + 1
        head = struct.pack("!BBHII", 0x80, kind, number & 0xFFFF, number * step & 0xFFFFFFFF, self.ssrcs[source])
        self.up.send(head + (SOUND if is_sound else KEY_FRAME))

    def forget(self) -> None:
        self.heard.clear()

    async def close(self) -> None:
        await self.up.close()
        await self.down.close()

    # ---- inside

    async def _offer(self) -> str:
        self._revision += 1
        offer = UpOffer(
            connection_id=self.up_id,
            revision=self._revision,
            sdp=self._described(),
            sources={"0": Source.MICROPHONE, "1": Source.CAMERA, "2": Source.SCREEN},
        )
        return (await self.running.client.up(self.room_id, self.name, offer)).sdp

    def _described(self) -> str:
        """The load's own offer with a third section like its second."""
        main = describe.Ssrcs(self.ssrcs[Source.MICROPHONE], self.ssrcs[Source.CAMERA], self.ssrcs[Source.CAMERA] + 1)
        text = describe.offer(self.up, "sendonly", main).replace("a=group:BUNDLE 0 1", "a=group:BUNDLE 0 1 2")
        screen = text[text.index("m=video") :].replace("a=mid:1", "a=mid:2")
        for before, after in ((main.video, self.ssrcs[Source.SCREEN]), (main.repair, self.ssrcs[Source.SCREEN] + 1)):
            screen = screen.replace(f" {before}", f" {after}").replace(f"a=ssrc:{before} ", f"a=ssrc:{after} ")
        return text + (screen if self.shares else screen.replace("a=sendonly", "a=inactive"))

    def _learn(self, offer: DownOffer) -> None:
        of_mid = {
            section.mid: (section.participant_id, section.source)
            for section in offer.sections
            if section.participant_id and section.source
        }
        for section in re.split(r"(?m)^(?=m=)", offer.sdp)[1:]:
            mid = re.findall(r"a=mid:(\S+)", section)[0]
            for ssrc in re.findall(r"a=ssrc:(\d+) cname", section):
                self._by_ssrc[int(ssrc)] = of_mid[mid]

    def _take_up(self, data: bytes, _: int) -> None:
        self.arrived["up"] += 1

    def _take_down(self, data: bytes, _: int) -> None:
        self.arrived["down"] += 1
        if not 192 <= data[1] <= 223:
            self.heard[self._by_ssrc.get(int.from_bytes(data[8:12]))] += 1


class House:
    """The people of one room: sends for all of them, and answers what the node offers them."""

    def __init__(self, running: RunningNode, room_id: str) -> None:
        self.running, self.room_id = running, room_id
        self.people: dict[str, Light] = {}
        self.certificate = Certificate()
        self._work = [asyncio.create_task(self._send()), asyncio.create_task(self._answer())]

    def person(self, name: str) -> Light:
        self.people[name] = made = Light(self.running, self.room_id, name, self.certificate)
        return made

    async def leave(self, name: str) -> None:
        await self.running.client.remove(self.room_id, name, "left")
        await self.people.pop(name).close()

    async def close(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        for person in self.people.values():
            await person.close()

    def check(self) -> None:
        """That neither task has failed."""
        for task in self._work:
            if task.done():
                task.result()

    async def _send(self) -> None:
        while True:
            for person in self.people.values():
                person.send()
            await asyncio.sleep(EVERY_S)

    async def _answer(self) -> None:
        async for event in self.running.client.events(0):
            if event.kind is NodeEventKind.DOWN_OFFER and event.offer is not None and event.room_id == self.room_id:
                person = self.people.get(event.participant_id or "")
                if person is not None:
                    await person.answer(event.offer)
