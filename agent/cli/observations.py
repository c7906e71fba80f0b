"""`demarc observations`: recorded observations as JSON Lines, for replay and for the other side."""

import sqlite3
import sys
from datetime import UTC, datetime
from math import inf
from pathlib import Path

import click

from agent.store import DATABASE
from agent.store.store import export

EX_NOINPUT = 66


def moment(text: str | None, otherwise: float) -> float:
    """Return UTC epoch seconds of a number or an ISO 8601 moment (without offset: UTC)."""
    if text is None:
        return otherwise
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither epoch seconds nor like 2026-11-23T17:00:00Z") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


@click.command("observations")
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    default=Path("/var/lib/demarc"),
    show_default=True,
    help="The agent's data directory.",
)
@click.option("--from", "begin", metavar="TIME", help="First moment: epoch seconds or ISO 8601; default: the oldest.")
@click.option("--to", "end", metavar="TIME", help="First moment not wanted any more; default: the newest.")
def command(data: Path, begin: str | None, end: str | None) -> None:
    """Write the recorded observations as JSON Lines, in order of time; works beside a running agent."""
    start, stop = moment(begin, 0.0), moment(end, inf)
    # SQLite's integers end before infinity: the year 9999 is late enough.
    stop = min(stop, datetime(9999, 1, 1, tzinfo=UTC).timestamp())
    try:
        for line in export(data / DATABASE, start, stop):
            click.echo(line)
    except (OSError, sqlite3.Error) as error:
        why = f"{data / DATABASE}: cannot be read: {error}; name the agent's data directory with --data"
        click.echo(why, err=True)
        sys.exit(EX_NOINPUT)
