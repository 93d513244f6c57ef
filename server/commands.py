"""What an operator does by command: the audit, backups, keys, the first clinic, and a lost last administrator.

Starting processes is `__main__.py`; the work itself is done by the modules named here.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from phonenumbers import SUPPORTED_REGIONS
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from server import audit, keys
from server.accounts import invitations, sessions, staff
from server.accounts.invitations import IdentityCheck, Purpose
from server.accounts.models import Clinic, Membership, Person, Session
from server.accounts.rules import clean_phone
from server.app import load_handlers, load_models
from server.audit import AuditAction
from server.audit_chain import Verdict, verify
from server.backup import CannotDo, back_up
from server.config import Settings, load_settings
from server.db import Database, new_id
from server.encounters import rewrapping
from server.files import written_once
from server.migrations import why_not_ready
from server.permissions import StaffRole
from server.records import sealing
from server.restore import restore
from server.scheduling.rules import known_zones
from server.supervisor import EXIT_CANNOT_START
from server.vault import Vault, new_keyset
from signaling.words import utc_now

audit_cli = typer.Typer(no_args_is_help=True, help="The audit's chains.")
keys_cli = typer.Typer(no_args_is_help=True, help="Keys and sessions.")
staff_cli = typer.Typer(no_args_is_help=True, help="The first clinic, and a last administrator who can't sign in.")

T = TypeVar("T")
EXIT_BROKEN = 3
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
NAME_MAX, PHONE_MAX = 200, 32


def add_commands(cli: typer.Typer) -> None:
    """Hangs these commands into the command line."""
    cli.add_typer(audit_cli, name="audit")
    cli.add_typer(keys_cli, name="keys")
    cli.add_typer(staff_cli, name="staff")
    cli.command("backup")(backup)
    cli.command("restore")(restore_command)


@audit_cli.command("verify")
def verify_audit() -> None:
    """Check every clinic's chain; names the first broken link and ends with 3 when there is one."""
    verdicts = _with_database(_verify_all)
    for slug, verdict in verdicts.items():
        typer.echo(_verdict_words(slug, verdict))
    if not all(verdict.holds for verdict in verdicts.values()):
        sys.exit(EXIT_BROKEN)


def backup(folder: Annotated[Path, typer.Argument(help="A folder that doesn't exist yet.")]) -> None:
    """Write everything but the list of deletions and the master keyset into a new folder."""
    counts = _with_database(lambda database, settings: back_up(database, settings, folder, utc_now()))
    typer.echo(f"backed up {sum(counts.values())} rows of {len(counts)} tables into {folder}")


def restore_command(folder: Annotated[Path, typer.Argument(help="A folder that `bedside backup` wrote.")]) -> None:
    """Put a backup into an empty installation, then do again what the list of deletions says."""
    done = _with_database(lambda database, settings: restore(database, settings, folder, utc_now()), may_be_old=True)
    typer.echo(f"restored {done.rows} rows; {done.replayed} deletions were done again; everybody signs in anew")
    for name, verdict in done.verdicts.items():
        typer.echo(_verdict_words(name, verdict))
    if not all(verdict.holds for verdict in done.verdicts.values()):
        sys.exit(EXIT_BROKEN)


@keys_cli.command("rotate")
def rotate_keys() -> None:
    """Seal with new keys from now on, in every clinic; running processes notice by themselves."""
    count = _with_database(_rotate)
    typer.echo(f"{count} keysets have a new key; what the old keys sealed still opens")


@keys_cli.command("new-master")
def new_master(
    to: Annotated[Path, typer.Option(help="Where the new master keyset is written, 0600.")] = Path("keyset.new"),
) -> None:
    """Make a new master keyset and seal every clinic's keyset under it. Stop all processes first.

    Cut short, it is taken up where it was by the same command.
    """
    settings = load_settings()
    own = settings.var / "keys" / "master.keyset"
    target = to if settings.keyset is not None else own.with_name("master.keyset.new")
    made = written_once(target, new_keyset)
    keys.open_vault(settings).move_to(made)
    if settings.keyset is None:
        target = target.replace(own)
    typer.echo(f"the new master keyset lies in {target}: give it as BEDSIDE_KEYSET_FILE before you start again")


@keys_cli.command("end-sessions")
def end_sessions() -> None:
    """Sign everybody out: staff, patients' pages and places in visits; a running server's open pages follow."""
    count = _with_database(_end_sessions)
    typer.echo(f"{count} sessions ended")


@staff_cli.command("add-clinic")
def add_clinic(  # noqa: PLR0917 (typer's own way to name arguments)
    slug: Annotated[str, typer.Argument(help="Its name in addresses: small letters, digits, hyphens.")],
    name: str,
    zone: Annotated[str, typer.Option(help="IANA, such as Europe/Berlin.")],
    country: Annotated[str, typer.Option(help="Two letters, such as DE.")],
    phone: Annotated[str, typer.Option(help="Which every message and page tells patients to ring.")] = "",
    emergency: str = "If somebody is in danger, ring the emergency number at once. Don't wait for this visit.",
) -> None:
    """Make a clinic with nobody in it; then invite its first administrator."""
    name, country, phone = name.strip(), country.strip().upper(), phone.strip()
    complaints = _wrong_with(slug, name, zone, country, phone)
    if complaints:
        _complain(*complaints)

    async def make(database: Database, settings: Settings) -> None:
        row = Clinic(
            id=new_id(),
            slug=slug,
            name=name,
            neutral_name=name,
            phone=phone,
            zone=zone,
            country=country,
            emergency_text=emergency,
            created_at=utc_now(),
        )
        try:
            async with database.writing() as session:
                session.add(row)
        except IntegrityError:
            raise CannotDo(f"there is a clinic {slug} already; nothing was changed") from None

    _with_database(make)
    typer.echo(f"clinic {slug} is made: `bedside staff add-administrator {slug} NAME E-MAIL`")
    if not phone:
        typer.echo("it has no phone number, so nobody is told whom to ring: enter one on its page Settings")


def _wrong_with(slug: str, name: str, zone: str, country: str, phone: str) -> list[str]:
    """What of a new clinic can't be, one line each."""
    found = []
    if not SLUG.fullmatch(slug):
        found.append(f"{slug} is no name for addresses: small letters, digits and hyphens, 64 at most")
    if not 0 < len(name) <= NAME_MAX:
        found.append(f"the clinic's name has 1 to {NAME_MAX} characters")
    if zone not in known_zones():
        found.append(f"{zone} is no time zone: give one such as Europe/Berlin")
    if country not in SUPPORTED_REGIONS:
        found.append(f"{country} is no country: give its two letters, such as DE")
    elif phone:
        try:
            clean_phone(phone, country)
        except ValueError as error:
            found.append(f"{phone}: {str(error)[0].lower()}{str(error)[1:]}")
    if len(phone) > PHONE_MAX:
        found.append(f"a phone number has {PHONE_MAX} characters at most")
    return found


@staff_cli.command("add-administrator")
def add_administrator(clinic: str, name: str, email: str) -> None:
    """Make an administrator and print the link by which they set up how they sign in."""

    async def make(database: Database, settings: Settings) -> str:
        async with database.writing() as session:
            scope = await _clinic(session, clinic)
            person_id = await staff.add_member(
                session,
                scope.id,
                name=name,
                email=email.strip().lower(),
                roles=frozenset({StaffRole.ADMINISTRATOR}),
                by_person_id=None,
                now=utc_now(),
            )
            return await _link(session, settings, scope, person_id, Purpose.JOIN)

    typer.echo(_with_database(make))


@staff_cli.command("recover")
def recover(clinic: str, email: str) -> None:
    """For a last administrator who lost phone and codes: a link by which they set up anew; ends their sessions."""

    async def make(database: Database, settings: Settings) -> str:
        async with database.writing() as session:
            scope = await _clinic(session, clinic)
            query = (
                select(Person.id)
                .join(Membership, Membership.person_id == Person.id)
                .where(Person.email == email.strip().lower(), Membership.clinic_id == scope.id, Membership.is_active)
            )
            person_id = await session.scalar(query.limit(1))
            if person_id is None:
                raise CannotDo(f"nobody with this address works in {clinic}")
            await sessions.revoke_all(session, person_id, utc_now())
            return await _link(session, settings, scope, person_id, Purpose.JOIN)

    typer.echo(_with_database(make))


async def _link(session: AsyncSession, settings: Settings, scope: Clinic, person_id: str, purpose: Purpose) -> str:
    token = await invitations.invite(
        session,
        keys.open_vault(settings).installation(),
        clinic_id=scope.id,
        person_id=person_id,
        purpose=purpose,
        by_person_id=None,
        check=IdentityCheck.ON_THE_SERVER,
        now=utc_now(),
    )
    return f"{settings.origin}/join/{token}"


async def _clinic(session: AsyncSession, slug: str) -> Clinic:
    found = (await session.scalars(select(Clinic).where(Clinic.slug == slug))).first()
    if found is None:
        raise CannotDo(f"there is no clinic {slug}")
    return found


async def _verify_all(database: Database, settings: Settings) -> dict[str, Verdict]:
    async with database.reading() as session:
        clinics = (await session.execute(select(Clinic.id, Clinic.slug).order_by(Clinic.slug))).all()
        return {row.slug: await verify(session, row.id) for row in clinics}


def _verdict_words(slug: str, verdict: Verdict) -> str:
    waiting = f", oldest entry without a link: {verdict.oldest_unlinked_at}" if verdict.oldest_unlinked_at else ""
    if verdict.first_broken is not None:
        return f"{slug}: BROKEN at link {verdict.first_broken}{waiting}"
    if verdict.unchained:
        return f"{slug}: BROKEN, {verdict.unchained} entries lost their links{waiting}"
    return f"{slug}: {verdict.links} links hold, {verdict.erased} of them erased, head {verdict.head[:16]}{waiting}"


async def _rotate(database: Database, settings: Settings) -> int:
    vault: Vault = keys.open_vault(settings)
    names = vault.names()
    for name in names:
        vault.rotate(name)
    async with database.writing() as session:
        for clinic_id in (await session.scalars(select(Clinic.id).order_by(Clinic.id))).all():
            await rewrapping.rewrap(session, clinic_id, vault.clinic(clinic_id))
            await sealing.rewrap_all(session, clinic_id, vault.clinic(clinic_id))
            await audit.enter(
                session,
                clinic_id=clinic_id,
                actor_person_id=None,
                action=AuditAction.KEYS_ROTATED,
                subject=("clinic", clinic_id),
                now=utc_now(),
            )
    return len(names)


async def _end_sessions(database: Database, settings: Settings) -> int:
    async with database.writing() as session:
        done = await session.execute(
            update(Session).where(Session.revoked_at.is_(None)).values(revoked_at=utc_now()).returning(Session.id)
        )
        return len(done.all())


def _with_database(work: Callable[[Database, Settings], Awaitable[T]], *, may_be_old: bool = False) -> T:
    """Runs the work on the database of the settings; what can't be done is said in one line.

    `may_be_old`: the work itself brings the schema to the newest.
    """
    settings = load_settings()

    async def run() -> T:
        keys.prepare_var(settings.var)
        load_models()
        load_handlers()
        database = Database(settings.database)
        try:
            why_not = await why_not_ready(database, may_be_old=may_be_old)
            if why_not is not None:
                raise CannotDo(why_not)
            return await work(database, settings)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except CannotDo as refused:
        _complain(str(refused))
        raise


def _complain(*lines: str) -> None:
    for line in lines:
        typer.echo(f"bedside: {line}", err=True)
    sys.exit(EXIT_CANNOT_START)
