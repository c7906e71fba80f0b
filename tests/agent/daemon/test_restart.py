"""The gap that a restart leaves."""

from pathlib import Path

import pytest

from agent.daemon.recording import Recorder
from agent.daemon.restart import RestartDuty
from agent.ledger import DATABASE as LEDGER
from agent.ledger.body import Gap
from agent.ledger.cases import read_recorded
from agent.observation import Observation
from agent.store import DATABASE as STORE
from agent.store import Store
from probes.kit.result import Outcome
from tests.agent.samples import CHAIN

START = 1_795_442_400.0


def run(folder: Path, started: float, *, stopped: bool = True) -> None:
    """Start an agent, let it do its duty, and end it."""
    recorder = Recorder(folder, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
    recorder.started(started)
    recorder.ledger.run(lambda storage: storage.size).result(10.0)
    duty = RestartDuty(ledger=folder / LEDGER, store=folder / STORE, enter=recorder.enter, vantage="cloud")
    assert duty.due(started)
    duty.do(started + 1)
    assert not duty.due(started + 2)
    assert recorder.stop(started + 10, "SIGTERM", 10.0) if stopped else recorder.ledger.close(10.0)


def measured(folder: Path, *times: float) -> None:
    """Write results of both vantages."""
    store = Store.open(folder / STORE)
    for time in times:
        store.observation(Observation(time=time, round=1, vantage="cloud", probe="gw", outcome=Outcome.OK))
        store.observation(Observation(time=time + 50, round=1, vantage="onprem", probe="o", outcome=Outcome.OK))
    assert store.flush(10.0)
    assert store.close(10.0)


def test_a_restart_leaves_a_gap_from_the_last_result_on_disk(tmp_path: Path) -> None:
    """With how the run before ended; the first start leaves none."""
    measured(tmp_path, START + 5)
    run(tmp_path, START, stopped=True)
    run(tmp_path, START + 100, stopped=False)
    measured(tmp_path, START + 103, START + 300)
    run(tmp_path, START + 200)
    gaps = [one.entry for one in read_recorded(tmp_path / LEDGER, ("gap",))]
    told = [
        (one.what, one.opened / 1e9 - START, one.closed / 1e9 - START, one.reason)
        for one in gaps
        if isinstance(one, Gap)
    ]
    assert told == [
        ("probing", 5.0, 100.0, "the agent was stopped (SIGTERM)"),
        (
            "probing",
            103.0,
            200.0,
            "the agent ended without recording a stop (killed, crashed, or the host lost power)",
        ),
    ]


def test_without_results_the_gap_begins_with_the_last_entry(tmp_path: Path) -> None:
    """The store was lost."""
    measured(tmp_path)
    run(tmp_path, START)
    run(tmp_path, START + 100)
    (gap,) = (one.entry for one in read_recorded(tmp_path / LEDGER, ("gap",)))
    assert isinstance(gap, Gap)
    assert gap.opened / 1e9 - START == 10.0
