"""`demarc ledger hours`: compare the observation store with what the ledger bound of every hour."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import click
import msgspec

from agent.ledger import DATABASE as LEDGER
from agent.ledger.cases import read_over_epochs
from agent.ledger.dossier import Hour
from agent.ledger.storage import StorageError
from agent.store import DATABASE as STORE
from agent.store.hours import Bounds, HourDigest, bounds, digest, states_of
from agent.store.tables import connect_reading

_NANO = 1_000_000_000


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What the store still says of the hours that the ledger bound.

    `hours` were bound; of `raw` the single results were compared, of `rollups` the minutes and states; older
    ones are no longer kept. `problems` are sentences.
    """

    ok: bool
    hours: int
    raw: int
    rollups: int
    problems: tuple[str, ...] = ()


@click.command("hours")
@click.argument("data", type=click.Path(path_type=Path), default=Path("/var/lib/demarc"))
@click.option("--ledger", type=click.Path(path_type=Path), help="The ledger, where it is not DATA/ledger.db.")
@click.option("--store", type=click.Path(path_type=Path), help="The store, where it is not DATA/observations.db.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")
def command(data: Path, ledger: Path | None, store: Path | None, form: str) -> None:
    """Compare every hour in the observation store with what the ledger bound; exit 1 where they differ.

    This shows results that were added, changed or left out after their hour was bound. Check the ledger itself
    with `demarc ledger verify`.
    """
    try:
        found = compare(ledger or data / LEDGER, store or data / STORE)
    except (StorageError, sqlite3.Error, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(msgspec.json.encode(found) if form == "json" else told(found))
    sys.exit(0 if found.ok else 1)


def compare(ledger: Path, store: Path) -> Comparison:
    """Compare; raises StorageError, sqlite3.Error or OSError when one of the files cannot be read."""
    hours = _hours(ledger)
    problems: list[str] = list(_holes(hours))
    raw = rollups = 0
    with closing(connect_reading(store)) as connection:
        kept = bounds(connection)
        for hour in hours:
            start, stop = hour.opened // _NANO, hour.closed // _NANO
            if start >= kept.minutes:
                now = digest(connection, hour.vantage, start, stop, hour.probes)
                rollups += 1
                raw += start >= kept.raw
                problems += _differences(hour, now, kept)
    return Comparison(ok=not problems, hours=len(hours), raw=raw, rollups=rollups, problems=tuple(problems))


def states_unlike(ledger: Path, store: Path, start: int, stop: int) -> tuple[str, ...]:
    """Return a sentence when states in [start, stop) (UTC seconds) are not those that were bound."""
    within = [one for one in _hours(ledger) if one.opened // _NANO >= start and one.closed // _NANO <= stop]
    with closing(connect_reading(store)) as connection:
        kept = bounds(connection)
        unlike = [
            one
            for one in within
            if one.opened // _NANO >= kept.minutes
            and states_of(connection, one.vantage, one.opened // _NANO, one.closed // _NANO, one.probes) != one.states
        ]
    if not unlike:
        return ()
    first = f"the first from {_utc(unlike[0].opened)}"
    return (f"the store's states of {len(unlike)} hours are not those that the ledger bound, {first}",)


def told(found: Comparison) -> str:
    """Return a comparison in sentences."""
    lines = ["The store agrees with the ledger:" if found.ok else "The store does NOT agree with the ledger:"]
    lines += [f"  - {problem}" for problem in found.problems]
    count = f"{found.hours:,} {'hour was' if found.hours == 1 else 'hours were'} bound"
    lines.append(f"{count}; compared: single results of {found.raw:,}, minutes and states of {found.rollups:,}.")
    lines += ["The others are older than the store says it keeps."] if found.rollups < found.hours else []
    return "\n".join(lines)


def _hours(ledger: Path) -> list[Hour]:
    """Return the bound hours of all epochs; a later one binds anew what the store still held when it began."""
    return [one.entry for epoch in read_over_epochs(ledger, ("hour",)) for one in epoch if isinstance(one.entry, Hour)]


def _holes(hours: list[Hour]) -> Iterator[str]:
    for before, after in pairwise(hours):
        if before.closed < after.opened:
            yield f"no entry binds the time from {_utc(before.closed)} to {_utc(after.opened)}"


def _differences(hour: Hour, now: HourDigest, kept: Bounds) -> Iterator[str]:
    where = f"{hour.vantage}, the hour from {_utc(hour.opened)}"
    if hour.opened / _NANO >= kept.raw and hour.raw != now.raw:
        yield f"{where}: the store holds {now.observations:,} results, {_set_against(hour, now)}"
    if hour.rollups != now.rollups:
        yield f"{where}: its minutes are not those that were bound"
    if hour.states != now.states:
        yield f"{where}: the states of its seconds, which reports count, are not those that were bound"


def _set_against(hour: Hour, now: HourDigest) -> str:
    difference = now.observations - hour.observations
    if not difference:
        return "as many as were bound, but others"
    return f"{abs(difference):,} {'more' if difference > 0 else 'fewer'} than the {hour.observations:,} that were bound"


def _utc(nano: int) -> str:
    return datetime.fromtimestamp(nano // _NANO, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
