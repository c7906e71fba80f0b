"""What the daemon puts into its ledger, read back from the file."""

from pathlib import Path

import pytest

from agent import keys
from agent.alerts import Handed
from agent.alerts.plan import End, Key, Severity
from agent.daemon.recording import Recorder
from agent.ledger import DATABASE, body
from agent.ledger.reading import bodies, fields, with_connection
from tests.agent.samples import CHAIN

KEY = Key(incident="i1", to="carrier", severity=Severity.WARNING)


def recorded(folder: Path) -> list[body.AnyEntry | None]:
    """Return every entry in order."""
    return with_connection(folder / DATABASE, lambda db: [body.read(fields(raw)) for _, raw in bodies(db, 99)])


def test_starts_hand_overs_and_stop_are_entries(tmp_path: Path) -> None:
    """A start names the key that signs, and what an Alertmanager took is recorded with its end."""
    recorder = Recorder(tmp_path, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
    recorder.started(1.0)
    recorder.escalation(Handed(url="http://am:9093", key=KEY), 2.0)
    recorder.escalation(Handed(url="http://am:9093", key=KEY, ended=End.REASSIGNED), 3.0)
    assert recorder.stop(4.0, "test", within_seconds=5.0)
    start, chain, begun, ended, stop = recorded(tmp_path)
    assert isinstance(start, body.AgentStart)
    assert keys.parse_verifier(start.key).name == "demarc/cloud"
    assert isinstance(chain, body.ChainEntry)
    assert begun == body.Escalation(
        time=2_000_000_000,
        incident="i1",
        vantage="cloud",
        to="carrier",
        via="http://am:9093",
        alertname="DemarcIncident",
        severity="warning",
        state="firing",
    )
    assert isinstance(ended, body.Escalation)
    assert (ended.state, ended.ended) == ("resolved", "reassigned")
    assert isinstance(stop, body.AgentStop)
