"""`demarc maintenance`: announce work on one's own segments before it begins, list it, take it back."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from agent.cli.ledger_dispute import common, enter
from agent.cli.running import ask, find_socket
from agent.ledger import DATABASE
from agent.ledger.cases import read_over_epochs
from agent.ledger.changes import MaintenanceEntry, windows
from agent.ledger.storage import StorageError
from agent.ledger.submission import Announce, Withdraw
from agent.web.answers import StatusAnswer

_PATH = click.Path(path_type=Path)


@click.group(name="maintenance")
def command() -> None:
    """Announce maintenance, list it, withdraw it. Only what was announced before it began excuses seconds."""


@command.command()
@click.option("--from", "begin", required=True, help="When it begins: 2026-12-01T22:00, on the chain's clock.")
@click.option("--to", "end", required=True, help="When it ends.")
@click.option("--agreed", required=True, help="With whom it was agreed and when, without names of people.")
@click.option("--service", "services", multiple=True, help="A service it is about; without: all.")
@common
def announce(
    *,
    begin: str,
    end: str,
    agreed: str,
    services: tuple[str, ...],
    party: str,
    person: str,
    path: Path | None,
    config_file: Path | None,
) -> None:
    """Announce work of --party on its own segments."""
    zone = ZoneInfo(msgspec.json.decode(ask(find_socket(path, config_file), "status"), type=StatusAnswer).timezone)
    handed = Announce(
        party=party,
        person=person,
        opened=moment(begin, zone, fold=0, option="--from"),
        closed=moment(end, zone, fold=1, option="--to"),
        agreed=agreed,
        services=services,
    )
    enter(handed, path, config_file)


@command.command()
@click.argument("window")
@common
def withdraw(*, window: str, party: str, person: str, path: Path | None, config_file: Path | None) -> None:
    """Take back WINDOW (its id, see `list`) before it begins."""
    enter(Withdraw(party=party, person=person, window=window), path, config_file)


@command.command(name="list")
@click.argument("path", type=_PATH, default=Path("/var/lib/demarc"))
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def listed(*, path: Path, style: str) -> None:
    """List what counts as announced. PATH is the ledger, or the agent's data directory."""
    found = _read(path / DATABASE if path.is_dir() else path)
    if style == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found)))
    elif not found:
        click.echo("no maintenance is announced")
    for one in () if style == "json" else found:
        services = ", ".join(one.services) or "all services"
        click.echo(f"{one.id}  {_utc(one.opened)} to {_utc(one.closed)}  {one.party}  {services}; agreed: {one.agreed}")


def moment(text: str, zone: ZoneInfo, *, fold: int, option: str) -> float:
    """Return a time as UTC epoch seconds; without an offset it is on the chain's clock (`fold`: PEP 495)."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is no time; write such as 2026-12-01T22:00", param_hint=option) from error
    return (read if read.tzinfo else read.replace(tzinfo=zone, fold=fold)).timestamp()


def _read(file: Path) -> tuple[MaintenanceEntry, ...]:
    try:
        entries = [one.entry for epoch in read_over_epochs(file, ("maintenance",)) for one in epoch]
    except (StorageError, sqlite3.Error, OSError) as error:
        raise click.ClickException(str(error)) from error
    return tuple(windows(one for one in entries if isinstance(one, MaintenanceEntry)).values())


def _utc(nano: int) -> str:
    return datetime.fromtimestamp(nano // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
