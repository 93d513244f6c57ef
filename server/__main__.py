"""The command line `bedside`: one command a process, and the few that prepare or check an installation."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Annotated

import typer

from media.check import check
from media.config import SettingsRefused as NodeSettingsRefused
from media.config import load_settings as load_node_settings
from server import keys, logs
from server.commands import add_commands
from server.config import Settings, SettingsRefused, load_settings
from server.db import Database
from server.logs import Event
from server.migrations import migrate as migrate_database
from server.migrations import why_not_ready
from server.scheduling.delivery import parse_gateway
from server.scheduling.textmessages import parse_text_gateway
from server.seed import seed_demo
from server.serving import CannotStart, run_jobs, run_server
from server.supervisor import EXIT_CANNOT_START, Child, MediaPorts, Supervisor, alone_in, children_environment
from server.vault import new_keyset
from server.welcome import welcome_lines

cli = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Video visits.")
media_cli = typer.Typer(invoke_without_command=True)
cli.add_typer(media_cli, name="media")
add_commands(cli)


def main() -> None:
    """The entry point of the installed command; what can't start says so, one complaint a line."""
    try:
        cli()
    except (SettingsRefused, NodeSettingsRefused) as refused:
        _complain(refused.complaints)
    except CannotStart as refused:
        _complain([str(refused)])


@cli.command()
def serve() -> None:
    """Everything on this machine: server, one media node and jobs, restarted when they crash."""
    settings = _load_settings()
    node = load_node_settings()
    media = MediaPorts(node.addresses, node.port, node.port if node.tcp_port is None else node.tcp_port)
    with suppress(KeyboardInterrupt):
        sys.exit(asyncio.run(_serve(settings, media)))


@cli.command()
def server() -> None:
    """Pages, forms and rooms; any number of them."""
    _run("server", run_server)


@media_cli.callback()
def media(context: typer.Context) -> None:
    """One media node: relay and capture; one per core."""
    if context.invoked_subcommand is not None:
        return
    settings = load_node_settings()
    from media.node import run  # noqa: PLC0415 — the only process that needs it

    sys.exit(run(settings))


@media_cli.command("check")
def check_media(host: str, port: int = 8702, tcp_port: int | None = None) -> None:
    """Ask a node's media port, from here, whether it answers; fails unless UDP does."""
    found = asyncio.run(check(host, port, port if tcp_port is None else tcp_port))
    for one in found:
        typer.echo(one.words)
    sys.exit(0 if found[0].seen_as is not None else 1)


@cli.command()
def jobs() -> None:
    """Films, reminders, retention, audit links; any number of them."""
    _run("jobs", run_jobs)


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema."""
    _run("migrate", _migrate)


@cli.command()
def seed() -> None:
    """Fill an empty database with the demo clinic."""
    _run("seed", _seed)


@cli.command("check-config")
def check_config(
    make_keyset: Annotated[bool, typer.Option("--new-keyset", help="Print a fresh keyset, a secret.")] = False,
) -> None:
    """Say what is wrong with the settings, one complaint a line."""
    if make_keyset:
        typer.echo(new_keyset())
        return
    complaints: list[str] = []
    for load in (_load_settings, load_node_settings):
        try:
            load()
        except (SettingsRefused, NodeSettingsRefused) as refused:
            complaints += [line for line in refused.complaints if line not in complaints]
    if complaints:
        _complain(complaints)
    typer.echo("the settings are complete")


def _load_settings() -> Settings:
    """The settings, with what only the areas can judge. Raises SettingsRefused."""
    settings = load_settings()
    if settings.smtp_url is not None:
        try:
            parse_gateway(settings.smtp_url.get_secret_value())
        except ValueError:
            words = "BEDSIDE_SMTP_URL must be an address such as smtp://user:password@mail.example.org:587"
            raise SettingsRefused([words]) from None
    if settings.sms_url is not None:
        try:
            parse_text_gateway(settings.sms_url.get_secret_value())
        except ValueError as error:
            raise SettingsRefused([f"BEDSIDE_SMS_URL {error}"]) from None
    return settings


def _run(process: str, main_of: Callable[[Settings], Awaitable[None]]) -> None:
    settings = _load_settings()
    logs.configure_logs(process)

    async def run() -> None:
        await main_of(settings)

    try:
        asyncio.run(run())
    except CannotStart:
        raise
    except KeyboardInterrupt:
        return
    except Exception as error:
        if settings.is_development:
            raise
        logs.log_error(Event.TASK_FAILED, error)
        sys.exit(1)


async def _migrate(settings: Settings) -> None:
    keys.prepare_var(settings.var)
    database = Database(settings.database)
    try:
        why_not = await why_not_ready(database, may_be_old=True)
        if why_not is not None:
            raise CannotStart(why_not)
        await migrate_database(database)
    finally:
        await database.close()
    logs.log_info(Event.MIGRATED)


async def _seed(settings: Settings) -> None:
    if not settings.wants_demo:
        raise CannotStart("the demo clinic is for trying Bedside: set BEDSIDE_DEMO=1 to fill an empty database with it")
    await _migrate(settings)
    database = Database(settings.database)
    try:
        if await seed_demo(database, keys.open_vault(settings)):
            logs.log_info(Event.SEEDED)
    finally:
        await database.close()


async def _serve(settings: Settings, media: MediaPorts) -> int:
    environment, children = children_environment(settings, media, os.environ)
    keys.prepare_var(settings.var)
    with alone_in(settings.var):
        return await _supervise(settings, environment, children)


async def _supervise(settings: Settings, environment: Mapping[str, str], children: tuple[Child, ...]) -> int:
    log_to = settings.var / "run" / "bedside.log" if sys.stdout.isatty() else None
    logs.configure_logs("serve", log_to.open("w", encoding="utf-8") if log_to else None)
    if log_to is not None:
        typer.echo(f"bedside: starting; its log is {log_to}")
    await (_seed if settings.wants_demo else _migrate)(settings)
    ready = asyncio.Event()
    supervisor = Supervisor(settings, environment, children, log_to)
    greeting = asyncio.create_task(_greet(settings, ready))
    try:
        return await supervisor.run(ready)
    finally:
        greeting.cancel()
        await asyncio.gather(greeting, return_exceptions=True)


async def _greet(settings: Settings, ready: asyncio.Event) -> None:
    """Prints where to go, once everything answers."""
    await ready.wait()
    database = Database(settings.database)
    try:
        typer.echo("\n".join(await welcome_lines(settings, database)))
    except Exception as error:
        logs.log_error(Event.TASK_FAILED, error)
    finally:
        await database.close()


def _complain(lines: list[str]) -> None:
    for line in lines:
        typer.echo(f"bedside: {line}", err=True)
    sys.exit(EXIT_CANNOT_START)


if __name__ == "__main__":
    main()
