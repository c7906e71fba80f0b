"""The duty to record evidence: from transitions, over a restart, and when the results are gone."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from agent.daemon.evidence import EvidenceDuty
from agent.daemon.recording import Recorder
from agent.incident.value import Event, Incident, Kind, State, Transition
from agent.ledger import DATABASE as LEDGER
from agent.ledger.cases import read_recorded
from agent.ledger.check import check
from agent.ledger.dossier import Evidence
from agent.ledger.evidence import unpacked
from agent.ledger.proof import file_text, prove_incident
from agent.ledger.verifier import check_proof
from agent.observation import Observation, encode
from agent.store import DATABASE as STORE
from agent.store import Store
from probes.kit.result import Outcome
from tests.agent.samples import CHAIN

START = 1_795_442_400.0
INCIDENT = Incident(
    id="i1",
    state=State.CONFIRMED,
    kind=Kind.UNDETERMINED,
    mover="msp",
    faults={"cloud>underlay": "connect/timeout"},
    opened=START + 30,
    confirmed=START + 37,
)
CONFIRMED = Transition(event=Event.CONFIRMED, at=START + 37, incident=INCIDENT)
CLOSED = Transition(
    event=Event.CLOSED,
    at=START + 60,
    incident=msgspec.structs.replace(INCIDENT, state=State.CLOSED, closed=START + 50),
)
RESULTS = [
    Observation(time=START + number, round=number, vantage="cloud", probe=probe, outcome=Outcome.OK, seconds=0.01)
    for number in range(100)
    for probe in ("gw", "underlay")
]


@contextmanager
def at_work(folder: Path) -> Iterator[tuple[Recorder, EvidenceDuty]]:
    """Run an agent's ledger and its duty; the store is there."""
    recorder = Recorder(folder, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
    duty = EvidenceDuty(
        ledger=folder / LEDGER,
        store=folder / STORE,
        flush=lambda: True,
        enter=recorder.enter,
        chain=CHAIN,
        vantage="cloud",
    )
    yield recorder, duty
    assert recorder.stop(START + 9999, "test", within_seconds=10.0)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a data directory with results of a hundred seconds."""
    store = Store.open(tmp_path / STORE)
    for result in RESULTS:
        store.observation(result)
    assert store.flush(10.0)
    assert store.close(10.0)
    return tmp_path


def evidence(folder: Path) -> list[Evidence]:
    """Return the evidence in the ledger."""
    found = [one.entry for one in read_recorded(folder / LEDGER, ("evidence",))]
    return [one for one in found if isinstance(one, Evidence)]


def test_onset_and_end_become_entries_with_the_results(folder: Path) -> None:
    """What was measured until the confirmation, and around the close, disclosed by the incident's proof."""
    with at_work(folder) as (recorder, duty):
        for transition in (CONFIRMED, CLOSED):
            recorder.transition(transition, b"state")
            duty.transition(transition)
        duty.do(START + 40)
        assert evidence(folder) == []
        duty.do(START + 47)
        assert not duty.due(START + 659)
        assert duty.due(START + 660)
        duty.do(START + 660)
    onset, end = evidence(folder)
    assert (onset.part, onset.observations, end.part, end.observations) == ("onset", 74, "end", 126)
    assert check(folder / LEDGER).ok
    proof = prove_incident(folder / LEDGER, "i1", disclose=True)
    assert check_proof(file_text(proof).encode()).problems == ()

    lines = [
        line
        for one in proof["entries"]
        for detail in one.get("details", {}).values()
        for line in unpacked(base64.b64decode(detail["data"]))
    ]
    expected = sorted(RESULTS, key=lambda one: (one.time, one.probe))
    assert lines == [encode(one) for one in expected]


def test_a_restart_makes_up_for_what_was_owed(folder: Path) -> None:
    """The ledger alone tells what is missing; what is there already is not recorded twice."""
    with at_work(folder) as (recorder, duty):
        recorder.transition(CONFIRMED, b"state")
        duty.transition(CONFIRMED)
        duty.do(START + 47)
        recorder.transition(CLOSED, b"state")
    with at_work(folder) as (_, duty):
        assert duty.due(0.0)
        duty.do(START + 5000)
        duty.do(START + 5001)
    assert [one.part for one in evidence(folder)] == ["onset", "end"]


def test_an_incident_that_flickers_does_not_fill_the_ledger(folder: Path) -> None:
    """Evidence of changes is bounded for each incident."""
    with at_work(folder) as (_, duty):
        for number in range(12):
            duty.transition(Transition(event=Event.CHANGED, at=START + 40 + number, incident=INCIDENT))
        duty.do(START + 500)
    assert [one.part for one in evidence(folder)] == ["change"] * 10


def test_results_that_are_gone_make_no_evidence(folder: Path) -> None:
    """An entry without results would say nothing."""
    old = msgspec.structs.replace(INCIDENT, opened=START - 9000, confirmed=START - 8990)
    with at_work(folder) as (_, duty):
        duty.transition(Transition(event=Event.CONFIRMED, at=START - 8990, incident=old))
        duty.do(START)
        assert not duty.due(START + 100)
    assert evidence(folder) == []


def test_one_failure_does_not_hold_up_the_rest(folder: Path) -> None:
    """What cannot be recorded now goes last at the next try."""
    with at_work(folder) as (_, duty):
        duty.transition(CONFIRMED)
        duty.transition(msgspec.structs.replace(CONFIRMED, incident=msgspec.structs.replace(INCIDENT, id="i2")))
        hidden = (folder / STORE).rename(folder / "away")
        with pytest.raises(FileNotFoundError):
            duty.do(START + 47)
        hidden.rename(folder / STORE)
        duty.do(START + 48)
    assert [one.incident for one in evidence(folder)] == ["i2", "i1"]
