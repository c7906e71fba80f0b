"""`demarc report month`: the monthly service-level report, from an agent's data or a recorded file."""

import sqlite3
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple
from zoneinfo import TZPATH

import click
import msgspec

from agent.availability.calendar import month
from agent.availability.fold import Cadence, Span, spans_of
from agent.cli.baseline import read_baselines
from agent.cli.ledger_hours import states_unlike
from agent.clock import SystemClock
from agent.config import ConfigError, load_chain
from agent.ledger import DATABASE as LEDGER
from agent.ledger.announced import Announced, read_announced
from agent.ledger.baseline import Figures
from agent.ledger.check import check
from agent.ledger.corrected import Agreed, Corrected, corrected
from agent.ledger.history import History, read_history
from agent.ledger.storage import StorageError, earlier_epochs
from agent.model import Chain
from agent.observation import Observation
from agent.replay import BadLineError, read, replay
from agent.report.level import Fixed, Measured, comparison
from agent.report.month import LOOKBACK_SECONDS, Given, Maintenance, Period, month_report
from agent.report.text import render
from agent.report.value import Basis, Comparison
from agent.store import DATABASE as STORE
from agent.store.minute import BUCKET_SECONDS, Minute
from agent.store.summed import read_summed
from agent.store.tables import read_states

EX_DATAERR = 65
EX_CONFIG = 78

_PATH = click.Path(path_type=Path)


@click.group(name="report")
def command() -> None:
    """Write reports for contract managers."""


@command.command(name="month")
@click.option("--chain", "chain_file", required=True, type=_PATH, help="The chain file.")
@click.option("--month", "text", required=True, help="The month, such as 2026-11, in the chain's local time.")
@click.option("--data", type=_PATH, help="An agent's data directory: its observation store and ledger.")
@click.option("--observations", type=_PATH, help="Recorded observations (JSON Lines) instead of a data directory.")
@click.option("--ledger", "ledger_file", type=_PATH, help="The ledger that the incidents come from, if another.")
@click.option("--until", type=int, help="Count until this UTC second instead of the month's end.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def month_command(
    *,
    chain_file: Path,
    text: str,
    data: Path | None,
    observations: Path | None,
    ledger_file: Path | None,
    until: int | None,
    form: str,
) -> None:
    """Write the report of one month: seconds, outages and incidents, and what they rest on."""
    if (data is None) == (observations is None):
        raise click.UsageError("give either --data DIRECTORY or --observations FILE")
    try:
        chain = load_chain(chain_file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EX_CONFIG)
    try:
        start, stop = month(text, chain.timezone)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--month") from error
    if until is None and data is not None:
        until = int(SystemClock().wall())
    period = Period(month=text, start=start, stop=stop, until=max(start, min(stop, until or stop)))
    ledger = ledger_file or (data / LEDGER if data else None)
    try:
        given = _given(chain, period, data, observations, ledger)
    except (StorageError, BadLineError, sqlite3.Error, OSError) as error:
        where = f"{observations}:" if isinstance(error, BadLineError) else ""
        why = f"{error.filename}: {error.strerror}" if isinstance(error, OSError) and error.filename else str(error)
        click.echo(f"the report cannot be made: {where}{why}", err=True)
        sys.exit(EX_DATAERR)
    report = month_report(given)
    click.echo(msgspec.json.format(msgspec.json.encode(report), indent=1) if form == "json" else render(report, chain))


def _given(chain: Chain, period: Period, data: Path | None, observations: Path | None, ledger: Path | None) -> Given:
    """Read everything that the report is a function of."""
    measured = _from_file(chain, period, observations) if observations else _from_data(chain, period, data or Path())
    told, basis = _incidents(chain, period, measured, ledger)
    if data is not None and ledger is not None:
        unlike = states_unlike(_ledger_file(ledger), data / STORE, period.start, period.until)
        basis = msgspec.structs.replace(basis, notes=(*basis.notes, *unlike))
    announced = read_announced(_ledger_file(ledger)) if ledger else Announced()
    beside = _baseline(chain, period, _ledger_file(ledger), data / STORE) if ledger and data else None
    return Given(
        chain=chain,
        period=period,
        spans=measured.spans,
        incidents=told.incidents,
        maintenance=[*(_maintenance(one) for one in told.agreed), *_windows(announced, chain)],
        changes=announced.changes,
        baseline=beside,
        basis=basis,
    )


def _baseline(chain: Chain, period: Period, ledger: Path, store: Path) -> Comparison | None:
    """Return what the services' probes measured beside the baseline, None where none was fixed."""
    known = read_baselines(ledger)
    services = {probe.key: probe.service for probe in chain.probes.values() if probe.service is not None}
    if not known or not services:
        return None
    fixed = known[-1]
    now = read_summed(store, period.start, period.until, frozenset(services) & fixed.probes.keys())
    return comparison(
        Fixed(
            opened=fixed.opened // 10**9,
            closed=fixed.closed // 10**9,
            fixed=fixed.time // 10**9,
            party=fixed.party,
            then={key: _level(one) for key, one in fixed.probes.items()},
            now={key: _level(one) for key, one in now.probes.items()},
            bounds=BUCKET_SECONDS,
        ),
        services,
    )


def _level(one: Figures | Minute) -> Measured:
    return Measured(passed=one.ok + one.degraded, failed=one.failed, buckets=tuple(one.buckets))


class _Measured(NamedTuple):
    """States by probe key, in words where they come from, and the raw results if they are at hand."""

    spans: dict[str, tuple[Span, ...]]
    where: str
    raw: Sequence[Observation]


def _cadences(chain: Chain) -> dict[str, Cadence]:
    return {
        probe.key: Cadence(interval=probe.interval, timeout=probe.timeout)
        for probe in chain.probes.values()
        if probe.service is not None
    }


def _from_data(chain: Chain, period: Period, data: Path) -> _Measured:
    """Take the states from an agent's store."""
    spans = read_states(data / STORE, _cadences(chain), period.start - LOOKBACK_SECONDS, period.until)
    return _Measured(spans, f"the agent's store ({STORE})", ())


def _from_file(chain: Chain, period: Period, file: Path) -> _Measured:
    """Work the states out from recorded observations."""
    found = read(file.read_bytes().split(b"\n"))
    start = period.start - LOOKBACK_SECONDS
    spans = {
        key: spans_of((one for one in found if one.key == key), cadence, start, period.until)
        for key, cadence in _cadences(chain).items()
    }
    return _Measured(spans, f"{len(found):,} recorded in {file.name}", found)


def _incidents(chain: Chain, period: Period, measured: _Measured, ledger: Path | None) -> tuple[Corrected, Basis]:
    """Take the incidents from the ledger as corrected, or without one from a replay of the observations."""
    history, whole, problem = _ledger(ledger) if ledger else (None, None, "")
    found = history.incidents if history else replay(chain, measured.raw)
    told = corrected(found, history.corrections if history else ())
    basis = Basis(
        chain=chain.hash,
        observations=measured.where,
        incidents="the ledger's signed entries" if history else "a replay of the observations",
        checkpoint=history.checkpoint if history else "",
        key=history.key if history else "",
        ledger_whole=whole,
        tzdata=_tzdata(),
        notes=(*told.sentences, *_notes(chain, period, history, problem)),
    )
    return told, basis


def _maintenance(one: Agreed) -> Maintenance:
    window = one.window
    return Maintenance(
        party=window.party,
        start=window.opened // 10**9,
        stop=window.closed // 10**9,
        agreed=one.agreed,
        services=window.services,
    )


def _windows(announced: Announced, chain: Chain) -> Iterator[Maintenance]:
    """Yield the announced maintenance of parties that the chain knows, in the whole seconds within each window."""
    for one in announced.maintenance:
        if one.party in chain.parties:
            yield Maintenance(
                party=one.party,
                start=-(-one.opened // 10**9),
                stop=one.closed // 10**9,
                agreed=one.agreed,
                services=one.services,
            )


def _ledger_file(path: Path) -> Path:
    return path / LEDGER if path.is_dir() else path


def _ledger(path: Path) -> tuple[History, bool, str]:
    file = _ledger_file(path)
    verdicts = {one.name: check(one) for one in (*earlier_epochs(file), file)}
    wrong = next((f"{name}: {verdict.problems[0]}" for name, verdict in verdicts.items() if not verdict.ok), "")
    return read_history(file), not wrong, wrong


def _notes(chain: Chain, period: Period, history: History | None, problem: str) -> tuple[str, ...]:
    notes = [f"the ledger is not whole: {problem}"] if problem else []
    if history and history.epochs > 1:
        notes.append(f"the incidents are those of {history.epochs} epochs of the ledger, each checked")
    notes += history.unread if history else ()
    others = [one for one in history.chains if one != chain.hash] if history else []
    notes += [f"the ledger also holds incidents found under the chain file {one}" for one in others]
    gaps = history.gaps if history else ()
    notes += [
        f"{gap.what} recorded nothing from {gap.opened // 10**9} to {gap.closed // 10**9} (UTC seconds): {gap.reason}"
        for gap in gaps
        if gap.opened // 10**9 < period.until and gap.closed // 10**9 >= period.start
    ]
    return tuple(notes)


def _tzdata() -> str:
    """Return which tz database gives local time: the system's if it has one (as zoneinfo looks it up)."""
    for folder in TZPATH:
        try:
            with (Path(folder) / "tzdata.zi").open(encoding="utf-8") as file:
                return f"the system's tz database {file.readline().removeprefix('# version ').strip()}"
        except OSError:
            continue
    try:
        return f"tz database, package tzdata {version('tzdata')}"
    except PackageNotFoundError:
        return "tz database of an unknown version"
