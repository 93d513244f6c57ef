"""A server with the room in it, over TLS, and the browsers that connect to it: Socket.IO for real, both ends.

The clinic is in memory and the node is without media; stories are in the test files.
"""

from __future__ import annotations

import asyncio
import inspect
import secrets
import ssl
from collections.abc import Callable
from typing import Any, TypeVar

import aiohttp
import socketio
from aiohttp import web

from signaling.namespace import IceServers
from signaling.nodes import NodeFleet
from signaling.redis_store import RedisStore
from signaling.service import Signaling, make_sio, no_ice_servers
from signaling.store import MemoryStore, RoomStore, SharedMemory
from tests.signaling.clinic import COOKIE, STAFF_COOKIE, MemoryClinic
from tests.signaling.held import CLINIC_ID
from tests.signaling.node import FakeNode
from tests.support.certificates import Certificate

PATIENCE_S = 5.0
T = TypeVar("T")


class Died(Exception):  # noqa: N818 — what happened
    """This server process is no more."""


class Life:
    """How many steps that others can notice a server still takes: commits, compare-and-sets, calls of a node."""

    def __init__(self) -> None:
        self.left: int | None = None
        self.steps: list[str] = []
        self.is_dead = False

    def of(self, target: T) -> T:
        """The same object, as this server reaches it."""
        return _Mortal(target, self)  # type: ignore[return-value]

    def step(self, name: str) -> None:
        if self.is_dead:
            raise Died
        if name not in STEPS:
            return
        self.steps.append(name)
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            self.is_dead = True
            raise Died


STEPS = {
    *(
        "admitted",
        "took_over",
        "record_consent",
        "ask_newcomer",
        "recording_phase",
        "ended",
        "by_phone",
        "sealing_keys",
    ),
    *("save", "create_room", "close_room", "admit", "remove", "grant", "stop_capture"),
}


class _Mortal:
    def __init__(self, target: object, life: Life) -> None:
        self._target, self._life = target, life

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not inspect.iscoroutinefunction(found):
            return found

        async def taken(*arguments: Any, **named: Any) -> Any:
            self._life.step(name)
            return await found(*arguments, **named)

        return taken


class Server:
    """One server process's worth: several in a test share clinic, nodes and store."""

    def __init__(
        self,
        clinic: MemoryClinic,
        nodes: dict[str, FakeNode],
        certificate: Certificate,
        *,
        shared: SharedMemory | None = None,
        redis_url: str | None = None,
        ping_s: int | None = None,
        life: Life | None = None,
        fleet: NodeFleet | None = None,
        ice_servers: IceServers = no_ice_servers,
    ) -> None:
        self.server_id = secrets.token_hex(4)
        self.store: RoomStore = (
            RedisStore.from_url(redis_url, self.server_id) if redis_url else MemoryStore(shared or SharedMemory())
        )
        self.sio = make_sio([])
        if ping_s is not None:
            self.sio.eio.ping_interval = self.sio.eio.ping_timeout = ping_s
        mortal = life or Life()
        self.signaling = Signaling(
            mortal.of(clinic),
            fleet or NodeFleet(list(nodes), lambda url: mortal.of(nodes[url])),  # type: ignore[arg-type,return-value]
            mortal.of(self.store),
            self.sio,
            server_id=self.server_id,
            clock=clinic.clock,
            ice_servers=ice_servers,
        )
        self._certificate = certificate
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self) -> Server:
        app = web.Application()
        self.signaling.attach(app)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._certificate.certificate, self._certificate.key)
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}"
        await self.signaling.start()
        return self

    async def stop(self) -> None:
        await self.signaling.stop()
        if self._runner is not None:
            await self._runner.cleanup()


class Page:
    """A browser's page: what it was sent, and what it sends."""

    def __init__(self, url: str, certificate: Certificate, cookie: str, session: str) -> None:
        self.url = url
        context = ssl.create_default_context(cafile=str(certificate.authority))
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Cookie": f"{cookie}={session}"},
        )
        self.sio = socketio.AsyncClient(http_session=self._http, reconnection=False, logger=False)
        self.heard: list[tuple[str, Any]] = []
        self.refused: dict[str, Any] | None = None
        self.is_over = asyncio.Event()
        self._news = asyncio.Event()
        self.patience_s = PATIENCE_S
        self._is_rude = False
        self._transport: Any = None

    async def open(self, namespace: str, auth: dict[str, Any], *, transports: list[str] | None = None) -> None:
        self._namespace = namespace
        self._is_rude = transports == ["polling"]
        self.sio.on("*", handler=self._hear, namespace=namespace)
        self.sio.on("connect_error", handler=self._refuse, namespace=namespace)
        self.sio.on("disconnect", handler=self._end, namespace=namespace)
        await self.sio.connect(
            self.url,
            auth=auth,
            namespaces=[namespace],
            transports=transports or ["websocket"],
            wait_timeout=PATIENCE_S,
        )
        self._websocket = getattr(self.sio.eio, "ws", None)

    async def _hear(self, event: str, *data: Any) -> None:
        self.heard.append((event, data[0] if data else None))
        self._news.set()

    async def _refuse(self, data: Any) -> None:
        self.refused = data

    async def _end(self, *_: Any) -> None:
        self.is_over.set()

    async def close(self) -> None:
        """Politely, or just away where the library would wait for the other side."""
        if self._is_rude:
            loops = [task for task in (self.sio.eio.read_loop_task, self.sio.eio.write_loop_task) if task]
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            if self._transport is not None:
                self._transport.abort()
        else:
            await self.sio.disconnect()
        await self._http.close()

    async def vanish(self) -> None:
        """The network is gone: no close frame is sent, nothing is answered any more."""
        self._is_rude = True
        websocket = self.sio.eio.ws
        self._transport = websocket._response.connection.transport
        self._transport.pause_reading()
        self.sio.eio.ws = _Deaf(websocket)

    @property
    def close_code(self) -> int | None:
        """The code of the close frame that ended the WebSocket."""
        return self._websocket.close_code

    def all(self, event: str) -> list[Any]:
        return [body for name, body in self.heard if name == event]

    @property
    def snapshot(self) -> dict[str, Any]:
        return self.all("snapshot")[-1]  # type: ignore[no-any-return]

    async def until(self, condition: Callable[[], object], what: str = "") -> None:
        """Waits for something heard to make it true; fails with the newest snapshot after PATIENCE_S."""
        try:
            async with asyncio.timeout(self.patience_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            newest = self.all("snapshot")[-1:] or self.heard[-1:]
            raise AssertionError(f"not seen: {what or condition}; newest {newest}") from None

    async def sees(self, condition: Callable[[dict[str, Any]], object], what: str = "") -> dict[str, Any]:
        """Waits for the newest snapshot to fulfil the condition."""
        await self.until(lambda: self.all("snapshot") and condition(self.snapshot), what)
        return self.snapshot

    async def send(self, event: str, **fields: Any) -> dict[str, Any]:
        """Emits with a fresh id and answers the acknowledgement."""
        return await self.send_raw(event, {"id": secrets.token_hex(8), **fields})

    async def send_raw(self, event: str, *data: Any) -> dict[str, Any]:
        payload = data[0] if len(data) == 1 else tuple(data)
        return await self.sio.call(event, payload, namespace=self._namespace, timeout=PATIENCE_S)  # type: ignore[no-any-return]

    async def ok(self, event: str, **fields: Any) -> dict[str, Any]:
        answer = await self.send(event, **fields)
        assert answer["ok"], answer
        return answer

    async def no(self, event: str, **fields: Any) -> str:
        answer = await self.send(event, **fields)
        assert not answer["ok"], answer
        return answer["error"]  # type: ignore[no-any-return]


class _Deaf:
    """Swallows what a page would send."""

    def __init__(self, websocket: Any) -> None:
        self._websocket = websocket

    async def send_str(self, *_: Any) -> None: ...

    async def send_bytes(self, *_: Any) -> None: ...

    async def receive(self) -> Any:
        return await self._websocket.receive()

    async def close(self, *_: Any) -> None: ...


class House:
    """The clinic, its nodes, its servers and everybody's pages; `close` ends all of it."""

    def __init__(self, certificate: Certificate, *, redis_url: str | None = None) -> None:
        self.certificate = certificate
        self.clinic = MemoryClinic()
        self.nodes = {"node-a": FakeNode("a")}
        self.shared = SharedMemory()
        self.redis_url = redis_url
        self.servers: list[Server] = []
        self.pages: list[Page] = []

    @property
    def node(self) -> FakeNode:
        return self.nodes["node-a"]

    async def serve(self, **options: Any) -> Server:
        options = {"shared": self.shared, "redis_url": self.redis_url, **options}
        server = await Server(self.clinic, self.nodes, self.certificate, **options).start()
        self.servers.append(server)
        return server

    async def page(
        self,
        participant: str,
        *,
        session: str | None = None,
        tab: str | None = None,
        server: Server | None = None,
        v: int = 1,
        transports: list[str] | None = None,
    ) -> Page:
        page = self.new_page(session or f"session-{participant}", server)
        auth = {"v": v, "participation": participant, "tab": tab or secrets.token_hex(8)}
        await page.open("/visit", auth, transports=transports)
        return page

    def new_page(self, session: str, server: Server | None = None, cookie: str = COOKIE) -> Page:
        page = Page((server or self.servers[0]).url, self.certificate, cookie, session)
        self.pages.append(page)
        return page

    async def clinic_page(self, session: str, server: Server | None = None) -> Page:
        page = self.new_page(session, server, STAFF_COOKIE)
        await page.open("/clinic", {"v": 1, "clinic": CLINIC_ID})
        return page

    async def close(self) -> None:
        for page in self.pages:
            await page.close()
        for server in self.servers:
            await server.stop()
        for node in self.nodes.values():
            assert not node.reopened
