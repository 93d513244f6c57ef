"""The contract with aiortc's RTCDtlsTransport: everything private that `media/dtls.py` touches, and how it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import aiortc
import pylibsrtp
import pytest

from media.dtls import Certificate, DtlsSession
from media.srtp import SrtpError

PACKET = bytes.fromhex("8060000100000000000000ff") + b"payload"


class Wire:
    """Two sessions joined by a link that can lose chosen datagrams."""

    def __init__(self, lose: Callable[[str, int], bool] = lambda _, __: False) -> None:
        self.lose = lose
        self.sent = {"client": 0, "server": 0}
        self.closed: list[str] = []
        self.certificates = {"client": Certificate(), "server": Certificate()}
        self.client = self._session("client")
        self.server = self._session("server")

    def _session(self, name: str) -> DtlsSession:
        return DtlsSession(
            self.certificates[name], lambda data: self._carry(name, data), lambda: self.closed.append(name)
        )

    def _carry(self, name: str, data: bytes) -> None:
        self.sent[name] += 1
        if not self.lose(name, self.sent[name]):
            (self.server if name == "client" else self.client).feed(data)

    async def shake_hands(self, expected: tuple[str, str] | None = None) -> tuple[bool, bool]:
        client = ("sha-256", self.certificates["client"].fingerprint)
        server = ("sha-256", self.certificates["server"].fingerprint)
        results = await asyncio.gather(
            self.server.handshake(expected or client, is_client=False), self.client.handshake(server, is_client=True)
        )
        return results[0], results[1]

    async def close(self) -> None:
        await self.client.close()
        await self.server.close()


async def test_both_sides_get_keys_that_fit() -> None:
    wire = Wire()
    assert await wire.shake_hands() == (True, True)
    assert wire.client.outbound is not None
    assert wire.server.inbound is not None
    protected = wire.client.outbound.protect(PACKET)
    assert protected[:12] == PACKET[:12]
    assert PACKET[12:] not in protected
    assert wire.server.inbound.unprotect(protected) == PACKET
    with pytest.raises(SrtpError):
        wire.server.inbound.unprotect(protected)
    await wire.close()


@pytest.mark.parametrize("name", ["client", "server"])
@pytest.mark.parametrize("number", [1, 2, 3])
async def test_a_lost_datagram_of_any_flight_is_sent_again(name: str, number: int) -> None:
    lost = []

    def lose(who: str, which: int) -> bool:
        if (who, which) == (name, number):
            lost.append(which)
            return True
        return False

    wire = Wire(lose)
    assert await wire.shake_hands() == (True, True)
    if wire.sent[name] >= number:
        assert lost == [number]
    await wire.close()


@pytest.mark.parametrize(
    "wrong", [("sha-256", ":".join(["AB"] * 32)), ("sha-512", ":".join(["AB"] * 64)), ("sha-1", ":".join(["AB"] * 20))]
)
async def test_a_certificate_other_than_announced_gives_no_keys(wrong: tuple[str, str]) -> None:
    wire = Wire()
    done, _ = await wire.shake_hands(wrong)
    assert not done
    assert wire.server.inbound is None
    assert wire.server.outbound is None
    await wire.close()


async def test_a_handshake_without_a_partner_ends_at_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("media.dtls.HANDSHAKE_LIMIT_S", 0.05)
    wire = Wire(lambda _, __: True)
    assert await wire.shake_hands() == (False, False)
    await wire.close()


async def test_a_goodbye_tells_the_other_side_once() -> None:
    wire = Wire()
    await wire.shake_hands()
    await wire.client.close()
    async with asyncio.timeout(2):
        while not wire.closed:
            await asyncio.sleep(0)
    assert wire.closed == ["server"]
    await wire.server.close()
    assert wire.closed == ["server"]


async def test_closing_leaves_no_task_and_no_keys_behind() -> None:
    before = len(asyncio.all_tasks())
    wire = Wire()
    await wire.shake_hands()
    await wire.close()
    assert len(asyncio.all_tasks()) == before
    assert wire.client.inbound is None
    assert wire.client.outbound is None


async def test_closing_before_or_in_the_handshake_is_quiet() -> None:
    unused = DtlsSession(Certificate(), lambda _: None, lambda: None)
    await unused.close()
    wire = Wire(lambda _, __: True)
    shaking = asyncio.create_task(wire.shake_hands())
    await asyncio.sleep(0)
    shaking.cancel()
    await asyncio.gather(shaking, return_exceptions=True)
    await wire.close()


async def test_a_flood_before_the_handshake_is_bounded_and_survived() -> None:
    wire = Wire()
    for _ in range(100):
        wire.server.feed(b"\x16nonsense")
    assert wire.server._link._queue.qsize() == 16
    done, _ = await asyncio.gather(wire.shake_hands(), asyncio.sleep(0))
    assert done == (True, True)
    await wire.close()


def test_the_versions_are_the_ones_this_contract_was_written_for() -> None:
    assert aiortc.__version__ == "1.16.0"
    assert pylibsrtp.__version__ == "1.0.0"


def test_srtp_takes_no_more_than_its_buffer() -> None:
    policy = pylibsrtp.Policy(bytes(30), ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
    session = pylibsrtp.Session(policy)
    header = bytes.fromhex("806000010000000000000001")
    assert session.protect(header + bytes(1340 - 12))
    with pytest.raises(ValueError, match="too long"):
        session.protect(header + bytes(1400))
    with pytest.raises(TypeError):
        session.protect(bytearray(header))  # type: ignore[arg-type]


def test_a_certificate_lasts_and_names_itself_by_sha_256() -> None:
    certificate = Certificate()
    assert len(certificate.fingerprint) == 95
    assert certificate.expires_at_s > 0
