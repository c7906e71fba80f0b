"""`demarc baseline`: fix what was usual once the chain had settled, and show what was fixed."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from agent.cli.ledger_dispute import common, enter
from agent.cli.observations import moment
from agent.cli.running import ask, find_socket
from agent.ledger import DATABASE as LEDGER
from agent.ledger.baseline import Baseline, Figures
from agent.ledger.body import nanoseconds
from agent.ledger.cases import read_cases, read_over_epochs
from agent.ledger.correction import Refused
from agent.ledger.settled import check_window
from agent.ledger.storage import StorageError
from agent.ledger.submission import Fix
from agent.store import DATABASE as STORE
from agent.store.minute import Minute
from agent.store.summed import read_summed
from agent.web.answers import StatusAnswer

_PATH = click.Path(path_type=Path)
_DATA = Path("/var/lib/demarc")
_STARTED = click.option("--data", type=_PATH, default=_DATA, show_default=True, help="The agent's data directory.")


@click.group(name="baseline", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> None:
    """Fix a baseline, or show those that were fixed.

    A baseline says what was usual once the chain had settled. Reports show it beside their figures; nothing is
    judged, paged or found by it. Without a subcommand: show.
    """
    if context.invoked_subcommand is None:
        context.invoke(show)


@command.command()
@click.option("--from", "begin", required=True, metavar="TIME", help="Its begin (ISO 8601), after the first 30 days.")
@click.option("--to", "end", required=True, metavar="TIME", help="Its end: 7 to 92 days later, not in the future.")
@click.option("--probe", "probes", multiple=True, metavar="VANTAGE>PROBE", help="Of these probes only; without: all.")
@click.option("--reason", default="", help="Why another one is fixed beside an earlier one.")
@_STARTED
@common
def fix(
    *,
    begin: str,
    end: str,
    probes: tuple[str, ...],
    reason: str,
    data: Path,
    party: str,
    person: str,
    path: Path | None,
    config_file: Path | None,
) -> None:
    """Sum what was measured in a time and have the agent enter it into its ledger, for good."""
    opened, closed = (int(moment(text, 0.0)) // 60 * 60 for text in (begin, end))
    status = msgspec.json.decode(ask(find_socket(path, config_file), "status"), type=StatusAnswer)
    known = frozenset(f"{one.vantage}>{one.probe}" for one in status.probes)
    try:  # the agent judges too; this is to say so before minutes of summing
        began = read_cases(data / LEDGER).began
        check_window(nanoseconds(opened), nanoseconds(closed), began=began, now=nanoseconds(status.at))
        click.echo("Summing what was measured; a month of a hundred probes takes half a minute.", err=True)
        found = read_summed(data / STORE, opened, closed, frozenset(probes) or known)
    except (Refused, StorageError, sqlite3.Error, OSError) as error:
        raise click.ClickException(str(error)) from error
    missing = sorted(set(probes) - found.probes.keys())
    if missing or not found.probes:
        raise click.ClickException(f"nothing was measured by {missing[0] if missing else 'any probe'} in that time")
    handed = Fix(
        party=party,
        person=person,
        opened=float(opened),
        closed=float(closed),
        probes={key: _figures(one) for key, one in found.probes.items()},
        rollups=found.digest,
        reason=reason,
    )
    enter(handed, path, config_file)


@command.command()
@_STARTED
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")
def show(data: Path = _DATA, form: str = "text") -> None:
    """Show the baselines in the ledger, oldest first; the last one is the one that reports use."""
    try:
        known = read_baselines(data / LEDGER if data.is_dir() else data)
    except (StorageError, sqlite3.Error, OSError) as error:
        raise click.ClickException(str(error)) from error
    if form == "json":
        click.echo(msgspec.json.encode(known))
        return
    for one in known:
        click.echo(
            f"{_day(one.opened)} to {_day(one.closed)}, fixed {_day(one.time)} for {one.party}:"
            f" {len(one.probes)} probes, minutes {one.rollups[:12]}{f'; {one.reason}' if one.reason else ''}"
        )
        for key, figures in one.probes.items():
            passed = figures.ok + figures.degraded
            mean = f", {figures.sum / figures.timed / 1000:.3f} ms on average" if figures.timed else ""
            click.echo(f"  {key}: {passed:,} of {passed + figures.failed:,} passed{mean}")
    if not known:
        click.echo("No baseline was fixed.")


def read_baselines(ledger: Path) -> tuple[Baseline, ...]:
    """Return the baselines of all epochs in order; StorageError, sqlite3.Error or OSError."""
    epochs = read_over_epochs(ledger, ("baseline",))
    return tuple(one.entry for epoch in epochs for one in epoch if isinstance(one.entry, Baseline))


def _figures(one: Minute) -> Figures:
    return Figures(
        ok=one.ok,
        degraded=one.degraded,
        failed=one.failed,
        unknown=one.unknown,
        timed=one.timed,
        sum=one.sum,
        min=one.min or 0,
        max=one.max or 0,
        buckets=tuple(one.buckets) if one.timed else (),
    )


def _day(nano: int) -> str:
    return datetime.fromtimestamp(nano // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
