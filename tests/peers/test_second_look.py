"""Results of the other side that came in late turn an open finding into a proof, in an entry beside the first."""

from pathlib import Path

import msgspec
import pytest

from agent.config import load_chain
from agent.daemon.recording import Recorder
from agent.daemon.second_look import SecondLook
from agent.incident.value import Event, Incident, Kind, State, Transition
from agent.ledger import DATABASE
from agent.ledger.body import Reattribution, nanoseconds
from agent.ledger.cases import read_recorded
from agent.ledger.dossier import Evidence
from agent.ledger.evidence import packed
from agent.observation import encode
from agent.replay import read, replay

pytestmark = pytest.mark.peer
REPLAYS = Path(__file__).parents[1] / "data" / "replays"


def test_late_results_are_told_beside_the_first_finding(tmp_path: Path) -> None:
    """The cloud alone cannot tell; with the results of the other side the carrier's segment is proven."""
    chain = load_chain(REPLAYS / "chain.yml")
    results = read((REPLAYS / "carrier-core-dead.jsonl").read_bytes().split(b"\n"))
    (first,) = replay(chain, [one for one in results if one.vantage == "cloud"])
    assert first.party is None
    incident: Incident = msgspec.structs.replace(first, state=State.CLOSED, closed=results[-1].time)
    lines = [(one.key, encode(one)) for one in results]
    evidence = Evidence(
        time=nanoseconds(results[-1].time),
        incident=incident.id,
        chain=chain.hash,
        vantage="cloud",
        part="end",
        windows=((1, 2),),
        observations=len(lines),
    )
    recorder = Recorder(tmp_path, chain, "cloud", stopped=pytest.fail, refused=pytest.fail)
    recorder.transition(Transition(event=Event.CLOSED, at=results[-1].time, incident=incident), b"state")
    held = packed(lines, tuple({key for key, _ in lines}))
    index = recorder.enter(evidence, {"observations": held.data}).result(10.0).index
    look = SecondLook(ledger=tmp_path / DATABASE, enter=recorder.enter, chain=lambda: chain, vantage="cloud")
    look(incident, results[-1].time + 600)
    look(msgspec.structs.replace(incident, kind=Kind.MONITOR), results[-1].time + 600)
    assert recorder.stop(9.0, "test", within_seconds=10.0)
    (entry,) = [one.entry for one in read_recorded(tmp_path / DATABASE, ("reattribution",))]
    assert isinstance(entry, Reattribution)
    assert (entry.incident.id, entry.incident.parties, entry.evidence) == (incident.id, ("carrier",), (index,))
