"""DTLS-SRTP for one connection, by aiortc's RTCDtlsTransport over a link of ours.

Everything private that is touched of aiortc lives here (tests/media/test_dtls.py is its contract);
who may shake hands, when, and what happens afterwards is the connection's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Any, cast

from aiortc import RTCCertificate
from aiortc.rtcdtlstransport import RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from OpenSSL import SSL

from media.srtp import Scratch, Srtp

HANDSHAKE_LIMIT_S = 10.0
QUEUED_DATAGRAMS_MAX = 16


class _SharedContext(RTCCertificate):
    """One OpenSSL context for all handshakes with this certificate: each of its own costs 60 KB and a millisecond.

    It remembers no sessions, so that nothing of one connection outlives it, and keeps no buffers for the silent.
    """

    def _create_ssl_context(self, srtp_profiles: list[Any]) -> SSL.Context:
        kept: SSL.Context | None = self.__dict__.get("_context")
        if kept is None:
            kept = self._context = super()._create_ssl_context(srtp_profiles)
            kept.set_session_cache_mode(SSL.SESS_CACHE_OFF)
            kept.set_mode(SSL.MODE_RELEASE_BUFFERS)
        return kept


class Certificate:
    """The node's certificate, made at start and again when it nears its end."""

    def __init__(self) -> None:
        self.inner: Any = _SharedContext.generateCertificate()

    @property
    def fingerprint(self) -> str:
        return next(str(item.value) for item in self.inner.getFingerprints() if item.algorithm == "sha-256")

    @property
    def expires_at_s(self) -> float:
        return cast(float, self.inner.expires.timestamp())


class DtlsSession:
    """One handshake and the SRTP keys it gives; `on_closed` is called once the other side has ended it."""

    def __init__(
        self,
        certificate: Certificate,
        send: Callable[[bytes], None],
        on_closed: Callable[[], None],
        scratch: Scratch | None = None,
    ) -> None:
        self._link = _Link(send)
        self._transport: Any = RTCDtlsTransport(cast(Any, self._link), [certificate.inner])
        self._on_closed = on_closed
        self._scratch = scratch or Scratch()
        self._transport.on("statechange", self._handle_state)
        self.inbound: Srtp | None = None
        self.outbound: Srtp | None = None

    def feed(self, datagram: bytes) -> None:
        self._link.feed(datagram)

    async def handshake(self, fingerprint: tuple[str, str], *, is_client: bool) -> bool:
        """True once keys are there; a failure, a wrong certificate or ten seconds answer False."""
        algorithm, digest = fingerprint
        parameters = RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint(algorithm=algorithm, value=digest)])
        self._transport._set_role("client" if is_client else "server")
        try:
            async with asyncio.timeout(HANDSHAKE_LIMIT_S):
                await self._transport.start(parameters)
        except (TimeoutError, ConnectionError, SSL.Error, ssl.SSLError):
            return False
        if self._transport.state != "connected":
            return False
        self.inbound = Srtp(self._transport._rx_srtp, self._scratch)
        self.outbound = Srtp(self._transport._tx_srtp, self._scratch)
        return True

    async def close(self) -> None:
        """Sends close_notify and waits until aiortc's own task has ended."""
        self._transport.remove_all_listeners()
        self.inbound = self.outbound = None
        self._transport._rx_srtp = self._transport._tx_srtp = None
        pump = self._transport._task
        with contextlib.suppress(SSL.Error):
            await self._transport.stop()
        self._link.close()
        if pump is not None:
            await asyncio.wait([pump])
            if not pump.cancelled():
                pump.exception()
        # Whatever refers to itself in a circle stays until somebody collects garbage, which is rare here on purpose.
        self._transport._task = None
        self._on_closed = _ignore

    def _handle_state(self) -> None:
        if self._transport.state == "closed":
            self._on_closed()


def _ignore() -> None:
    """Nobody asks any more."""


def _drop(_: bytes) -> None:
    """Nothing is sent any more."""


class _Link:
    """What RTCDtlsTransport asks of an ICE transport."""

    role = "controlled"

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._write = send
        # None ends the reading.
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUED_DATAGRAMS_MAX)
        self._closed = False

    def feed(self, datagram: bytes) -> None:
        if datagram and not self._closed and not self._queue.full():
            self._queue.put_nowait(datagram)

    def close(self) -> None:
        self._closed, self._write = True, _drop
        while not self._queue.empty():
            self._queue.get_nowait()
        self._queue.put_nowait(None)

    async def _recv(self) -> bytes:
        if self._closed:
            raise ConnectionError
        datagram = await self._queue.get()
        if datagram is None:
            raise ConnectionError
        return datagram

    async def _send(self, data: bytes) -> None:
        if self._closed:
            raise ConnectionError
        self._write(data)
