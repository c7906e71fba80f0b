"""Hours bound into the ledger, and what `demarc ledger hours` says of a store that was tampered with."""

import hashlib
import json
import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.availability.fold import Cadence
from agent.cli.ledger import command
from agent.cli.ledger_hours import states_unlike
from agent.daemon.hours import HoursDuty
from agent.daemon.recording import Recorder
from agent.ledger import DATABASE as LEDGER
from agent.ledger.cases import read_recorded
from agent.ledger.dossier import Hour
from agent.observation import Observation
from agent.store import DATABASE as STORE
from agent.store import Store
from agent.store.store import Limits, export
from probes.kit.result import Outcome
from tests.agent.samples import CHAIN

BEGIN = 498_734 * 3600.0  # a whole hour of November 2026
CADENCES = {"cloud>erp": Cadence(interval=60.0, timeout=1.0)}


def results(start: float, count: int, vantage: str = "cloud") -> list[Observation]:
    """Return results of two probes, a minute apart; the second failed."""
    return [
        Observation(
            time=start + 60 * number + 0.25,
            round=number,
            vantage=vantage,
            probe=probe,
            outcome=Outcome.FAILED if number == 1 else Outcome.OK,
            seconds=0.004,
        )
        for number in range(count)
        for probe in ("gw", "erp")
    ]


def stored(folder: Path, *batches: list[Observation]) -> None:
    """Write results, with minutes and states."""
    store = Store.open(folder / STORE, cadences=CADENCES, limits=Limits(raw_seconds=1e9))
    for one in sorted((one for batch in batches for one in batch), key=lambda one: one.time):
        store.observation(one)
    assert store.flush(10.0)
    assert store.close(10.0)


def bind(folder: Path, *moments: float) -> list[Hour]:
    """Let an agent do its duty at these moments; return every hour in its ledger."""
    recorder = Recorder(folder, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
    duty = HoursDuty(ledger=folder / LEDGER, store=folder / STORE, enter=recorder.enter, vantage="cloud")
    for moment in moments:
        assert duty.due(moment)
        duty.do(moment)
    assert recorder.stop(1.0, "test", within_seconds=10.0)
    return [one.entry for one in read_recorded(folder / LEDGER, ("hour",)) if isinstance(one.entry, Hour)]


def compared(folder: Path) -> tuple[int, list[str]]:
    """Run the command; return its exit code and problems."""
    result = CliRunner().invoke(command, ["hours", str(folder), "--format", "json"])
    assert isinstance(result.exception, SystemExit | None)
    return result.exit_code, json.loads(result.output)["problems"]


def test_an_hour_is_bound_once_it_is_settled(tmp_path: Path) -> None:
    """Ten minutes after its end, with counts, and with the states of the services' probes."""
    stored(tmp_path, results(BEGIN, 75), results(BEGIN, 75, "onprem"))
    assert bind(tmp_path, BEGIN + 3600) == []
    (hour,) = bind(tmp_path, BEGIN + 3600, BEGIN + 4201)
    assert (hour.opened, hour.closed) == (int(BEGIN) * 10**9, int(BEGIN + 3600) * 10**9)
    assert (hour.observations, hour.outcomes, hour.probes) == (120, {"failed": 2, "ok": 118}, ("erp",))
    assert sum(hour.seconds.values()) == 3600
    lines = [line for line in export(tmp_path / STORE, BEGIN, BEGIN + 3600) if b'"vantage":"cloud"' in line]
    assert hour.raw == hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    assert compared(tmp_path) == (0, [])


def test_before_there_is_a_store_nothing_is_bound(tmp_path: Path) -> None:
    """The very first round of an agent."""
    assert bind(tmp_path, BEGIN + 4201) == []


def test_hours_follow_each_other_over_restarts_and_silence(tmp_path: Path) -> None:
    """No hour is left out; those without a result share one entry."""
    stored(tmp_path, results(BEGIN, 60), results(BEGIN + 5 * 3600, 75))
    bind(tmp_path, BEGIN + 2 * 3600)
    hours = bind(tmp_path, BEGIN + 40 * 3600)
    assert hours[0].opened == BEGIN * 10**9
    assert all(before.closed == after.opened for before, after in pairwise(hours))
    assert len(hours) == 4
    assert [hour.observations for hour in hours if hour.observations] == [120, 120, 30]
    assert compared(tmp_path) == (0, [])


def test_what_does_not_settle_is_bound_without_its_states(tmp_path: Path) -> None:
    """A probe that left the chain holds no hour up for ever."""
    stored(tmp_path, results(BEGIN, 30))
    assert bind(tmp_path, BEGIN + 4300) == []
    (hour,) = bind(tmp_path, BEGIN + 3600 + 7900)[:1]
    assert (hour.observations, hour.probes, hour.seconds) == (60, (), {})


TAMPERED = {
    "a result left out": (
        "DELETE FROM observation WHERE time = (SELECT min(time) FROM observation)",
        "the store holds 118 results, 2 fewer than the 120 that were bound",
    ),
    "a result changed": (
        "UPDATE observation SET rest = replace(rest, '\"failed\"', '\"ok\"')",
        "the store holds 120 results, as many as were bound, but others",
    ),
    "a minute changed": ("UPDATE minute SET failed = 0", "its minutes are not those that were bound"),
    "a state changed": ("UPDATE span SET state = 'up'", "the states of its seconds, which reports count"),
}


@pytest.mark.parametrize(("statement", "problem"), TAMPERED.values(), ids=TAMPERED)
def test_what_was_changed_afterwards_shows(tmp_path: Path, statement: str, problem: str) -> None:
    """Of results, minutes and states alike, in a sentence that names the hour."""
    stored(tmp_path, [*results(BEGIN, 2), *results(BEGIN + 120, 73)])
    bind(tmp_path, BEGIN + 4300)
    with closing(sqlite3.connect(tmp_path / STORE, isolation_level=None)) as connection:
        connection.execute(statement)
    code, problems = compared(tmp_path)
    assert code == 1
    assert problems[0].startswith("cloud, the hour from 2026-11-23T14:00:00Z: ")
    assert problem in problems[0]
    assert "does NOT agree" in CliRunner().invoke(command, ["hours", str(tmp_path)]).output


def test_a_report_says_when_states_were_changed(tmp_path: Path) -> None:
    """They are what it counts; hours outside its period do not matter to it."""
    stored(tmp_path, results(BEGIN, 75))
    bind(tmp_path, BEGIN + 4300)
    begin = int(BEGIN)
    whole = (tmp_path / LEDGER, tmp_path / STORE, begin, begin + 3600)
    assert states_unlike(*whole) == ()
    with closing(sqlite3.connect(tmp_path / STORE, isolation_level=None)) as connection:
        connection.execute("UPDATE span SET state = 'up'")
    assert states_unlike(*whole) == (
        "the store's states of 1 hours are not those that the ledger bound, the first from 2026-11-23T14:00:00Z",
    )
    assert states_unlike(*whole[:2], begin + 1, begin + 9000) == ()
    with closing(sqlite3.connect(tmp_path / STORE, isolation_level=None)) as connection:
        connection.execute("DROP TABLE kept")  # a store from before it said what it keeps
    assert states_unlike(*whole) == ()


def test_what_is_no_longer_kept_is_no_problem(tmp_path: Path) -> None:
    """The store forgets in order and says so; minutes and states are compared for longer."""
    stored(tmp_path, results(BEGIN, 75))
    bind(tmp_path, BEGIN + 4300)
    store = Store.open(tmp_path / STORE, cadences=CADENCES, limits=Limits(raw_seconds=60.0, batch_seconds=0.01))
    for _ in range(200):
        store.flush(10.0)
        with closing(sqlite3.connect(tmp_path / STORE)) as connection:
            if not connection.execute("SELECT count(*) FROM observation").fetchone()[0]:
                break
    assert store.close(10.0)
    text = CliRunner().invoke(command, ["hours", str(tmp_path)]).output
    assert "1 hour was bound; compared: single results of 0, minutes and states of 1." in text


def test_without_files_it_says_so(tmp_path: Path) -> None:
    """Exit 1 and one line."""
    result = CliRunner().invoke(command, ["hours", str(tmp_path)])
    assert (result.exit_code, "no ledger at" in result.output) == (1, True)
