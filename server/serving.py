"""Runs one server or jobs process: listens, waits for a signal, and ends cleanly within its time.

What the process consists of is `app.py`; who restarts it is `supervisor.py`.
"""

from __future__ import annotations

import asyncio
import errno
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from server import context, health, keys, logs
from server.app import Parts, build_app, load_handlers, load_models
from server.config import Settings
from server.db import Database
from server.jobs.loop import JobsLoop
from server.logs import Event
from server.migrations import why_not_ready
from server.pages import PAGES
from server.routing import add_routes, prepare_routes
from server.security import add_headers
from signaling.words import utc_now

CLOSE_WITHIN_S = 5.0


class CannotStart(Exception):  # noqa: N818 — said to a person, in one line
    """Why this process cannot start, in one line."""


async def run_server(settings: Settings) -> None:
    """One server process, until SIGTERM or SIGINT. Raises CannotStart."""
    async with _opened(settings) as database:
        app = await build_app(Parts(settings, database, keys.open_vault(settings)))
        if not app[PAGES].manifest:
            raise CannotStart("the browser's part is not built: run `make web`")
        async with _listening(app, settings.host, settings.port):
            logs.log_info(Event.READY, port=settings.port)
            await until_signalled()
            logs.log_info(Event.STOPPING)
            app[context.STOPPING].set()
            await app[context.SIGNALING].stop()
    logs.log_info(Event.STOPPED)


async def run_jobs(settings: Settings) -> None:
    """One jobs process, until SIGTERM or SIGINT. Raises CannotStart."""
    async with _opened(settings) as database:
        load_models()
        handlers, standing = load_handlers()
        loop = JobsLoop(database, settings, keys.open_vault(settings), utc_now, handlers, standing)
        async with _listening(_health_app(settings, loop), settings.jobs_host, settings.jobs_port):
            logs.log_info(Event.READY, port=settings.jobs_port)
            await _until_done_or_signalled(loop.run, loop.stop)
            logs.log_info(Event.STOPPING)
    logs.log_info(Event.STOPPED)


async def until_signalled() -> None:
    """Returns at the first SIGTERM or SIGINT; later ones change nothing, the end is already under way."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    await asked.wait()


async def _until_done_or_signalled(run: Callable[[], Awaitable[None]], stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    await run()


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    """The database, whose schema must be the newest this code knows."""
    keys.prepare_var(settings.var)
    database = Database(settings.database)
    try:
        why_not = await why_not_ready(database)
        if why_not is not None:
            raise CannotStart(why_not)
        yield database
    except OSError as error:
        raise CannotStart(f"the database cannot be reached ({type(error).__name__})") from error
    finally:
        await database.close()


@asynccontextmanager
async def _listening(app: web.Application, host: str, port: int) -> AsyncIterator[None]:
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=CLOSE_WITHIN_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            raise CannotStart(_why_not(error, host, port)) from error
        yield
    finally:
        await runner.cleanup()


def _why_not(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is taken by another program: end that one, or choose another port"
    return f"cannot listen on {host} port {port} ({errno.errorcode.get(error.errno or 0, 'unknown')})"


def _health_app(settings: Settings, loop: JobsLoop) -> web.Application:
    """The jobs process answers nothing but its health."""
    app = web.Application()
    app[context.SETTINGS] = settings
    prepare_routes(app)

    async def is_polling() -> bool:
        return loop.is_polling()

    checks: dict[str, health.Check] = {"jobs": is_polling}
    app[health.CHECKS] = checks
    add_routes(app, health.ROUTES)
    app.on_response_prepare.append(add_headers)
    return app
