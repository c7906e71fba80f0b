"""The duty that records what falls due, in a real ledger."""

from pathlib import Path

import pytest

from agent.daemon.recording import Recorder
from agent.daemon.terms import EVERY_SECONDS, TermsDuty
from agent.ledger import DATABASE
from agent.ledger.cases import read_cases, read_recorded
from agent.ledger.check import check
from agent.ledger.dossier import Acknowledgement, Erasure, Reply, Request
from agent.model import Retention
from tests.agent.samples import CHAIN


def test_silence_and_erasure_become_entries(tmp_path: Path) -> None:
    """Once each: what was recorded does not fall due again, and the ledger stays whole."""
    recorder = Recorder(tmp_path, CHAIN, "cloud", stopped=pytest.fail, refused=pytest.fail)
    recorder.enter(
        Request(time=1, id="r-1", vantage="cloud", party="client", to="carrier", what="other", due=10**9)
    ).result(10.0)
    recorder.enter(
        Acknowledgement(time=1, incident="i", vantage="cloud", party="carrier", via="command"), {"person": b"J"}
    ).result(10.0)
    duty = TermsDuty(
        ledger=tmp_path / DATABASE, enter=recorder.enter, vantage="cloud", retention=Retention(people=86400.0)
    )
    duty.do(2.0)
    assert not duty.due(3.0)
    duty.configure(Retention(people=1.0))
    duty.do(2.0 + EVERY_SECONDS)
    duty.do(2.0 + 2 * EVERY_SECONDS)
    assert recorder.stop(1.0, "test", within_seconds=10.0)
    entries = [one.entry for one in read_recorded(tmp_path / DATABASE, ("reply", "erasure"))]
    assert [type(one) for one in entries] == [Reply, Erasure]
    assert read_cases(tmp_path / DATABASE).details == {}
    assert check(tmp_path / DATABASE).ok
