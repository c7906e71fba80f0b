"""What is undetermined in the night was called so at load: `check` warns of nothing more and of nothing less.

Over the issue's table and over the lab's recorded faults.
"""

from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec
import pytest

from agent.config import load_chain
from agent.diagnosis.identifiability import Analysis, Proof, SingleFault, segment_faults, single_faults
from agent.diagnosis.roles import Model
from agent.incident.value import Incident, Kind
from agent.model import Chain
from agent.replay import read, replay
from lab.faults import FAULTS
from tests.agent.diagnosis.test_expected import ROWS, Row
from tests.agent.diagnosis.world import lab_chain, record

REPLAYS = Path(__file__).parents[2] / "data" / "replays"


def seen_from(chain: Chain, vantages: Collection[str]) -> Chain:
    """Return the chain as it is when nobody else measures."""
    return msgspec.structs.replace(chain, probes={n: p for n, p in chain.probes.items() if p.vantage in vantages})


def warned(chain: Chain) -> tuple[SingleFault, ...]:
    """Return every single fault that `check` says would stay undetermined."""
    analysis = Analysis(Model(chain))
    faults = (*segment_faults(analysis), *single_faults(analysis))
    return tuple(fault for fault in faults if fault.proof is not Proof.PROVABLE)


def unwarned(found: Iterable[Incident], chain: Chain) -> list[Incident]:
    """Return the undetermined findings of which no single fault in their segments was said to be so."""
    known = warned(chain)
    return [
        incident
        for incident in found
        if incident.kind is Kind.UNDETERMINED
        and not any(f.segment in incident.segments and set(f.owners) <= set(incident.candidates) for f in known)
    ]


@pytest.mark.parametrize("vantages", [("cloud",), ("cloud", "onprem")], ids=["alone", "both"])
@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.fault)
def test_the_issue_s_table(row: Row, vantages: tuple[str, ...]) -> None:
    """An undetermined finding holds a fault that was called open, of no other parties; where none was, one is named."""
    chain = seen_from(lab_chain(), vantages)
    found = replay(chain, record(chain, [(6, {}), (8, row.letters)], vantages))
    assert found
    assert unwarned(found, chain) == []
    if not any(fault.segment in row.segments for fault in warned(chain)):
        assert all(incident.party for incident in found)


@pytest.mark.parametrize("vantages", [("cloud",), ("cloud", "onprem")], ids=["alone", "both"])
@pytest.mark.parametrize("name", sorted(name for name, fault in FAULTS.items() if fault.row))
def test_the_lab_s_recorded_faults(name: str, vantages: tuple[str, ...]) -> None:
    """So it is with what the lab's agents really measured."""
    chain = seen_from(load_chain(REPLAYS / "chain.yml"), vantages)
    seen = [one for one in read((REPLAYS / f"{name}.jsonl").read_bytes().split(b"\n")) if one.vantage in vantages]
    assert unwarned(replay(chain, seen), chain) == []


def test_it_would_be_noticed() -> None:
    """A finding that is open between parties of whom no open fault was told is found out."""
    chain = lab_chain()
    (found,) = replay(chain, record(chain, [(6, {}), (8, ROWS[0].letters)]))
    open_ = msgspec.structs.replace(found, kind=Kind.UNDETERMINED, parties=(), candidates=("microsoft",))
    assert unwarned([open_], chain) == [open_]
