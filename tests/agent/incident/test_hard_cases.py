"""The hard cases of a dispute, each by its name: who is named, for which time, and that nobody else ever is."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec
import pytest

from agent.incident.engine import Engine
from agent.incident.value import Incident, Kind
from agent.model import Chain
from agent.replay import replay
from tests.agent.diagnosis.test_expected import letters
from tests.agent.diagnosis.world import START, lab_chain, record
from tests.agent.excess.line import CHAIN, seen
from tests.agent.incident.test_excess import run
from tools.campaign.lateness import Slow

Situation = tuple[int, Mapping[str, str]]
CUT = letters("carrier-edge=s underlay=s anchor=s erp=s hr=s tunnel=s o-underlay=s")
TUNNEL = letters("anchor=s erp=s hr=s tunnel=s")
STOPPED = letters("erp=r erp-local=r")
FINE: dict[str, str] = {}
BEFORE = 6


class Told(NamedTuple):
    """An incident: the party or the candidates, a segment of it, and its seconds from the first disturbance on."""

    who: str | set[str]
    segment: str
    opened: float
    closed: float | None = None


def redundant() -> Chain:
    """Return the chain with two tunnels that replace each other, a state of its own for each beside the pair.

    The applications cross the pair, whichever carries them: that is the path which is really used.
    """
    chain = lab_chain()
    joint = chain.segments["vpn"]
    pair = {name: msgspec.structs.replace(joint, id=name) for name in ("vpn-a", "vpn-b")}
    known = chain.probes["tunnel"]
    states = {
        f"tunnel-{name[-1]}": msgspec.structs.replace(known, id=f"tunnel-{name[-1]}", path=(*known.path[:-1], name))
        for name in pair
    }
    probes = {**{n: p for n, p in chain.probes.items() if n != "tunnel"}, **states}
    return msgspec.structs.replace(chain, segments={**chain.segments, **pair}, probes=probes)


class Case(NamedTuple):
    """What happens after a quiet start, on the lab's chain or another, and what must be told of it."""

    situations: list[Situation]
    told: list[Told]
    chain: Callable[[], Chain] = lab_chain


CASES = {
    "several faults at once": Case(
        [(10, {**CUT, **letters("dns=r erp=n hr=n erp-local=r")})],
        [Told("carrier", "carrier", 0), Told("msp", "dns", 0), Told("incumbent", "erp-app", 0)],
    ),
    "nested: a cut within the outage of an application": Case(
        [(10, STOPPED), (10, {**CUT, "erp-local": "r"}), (10, STOPPED), (12, FINE)],
        [Told("incumbent", "erp-app", 0, 30), Told("carrier", "carrier", 10, 20)],
    ),
    "partial: one prefix": Case([(10, letters("hr=s"))], [Told("incumbent", "hr-app", 0)]),
    "partial: one port": Case([(10, letters("erp=s"))], [Told("incumbent", "onprem-fw", 0)]),
    "partial: one direction": Case(
        [(10, letters("o-underlay=s"))], [Told({"msp", "carrier", "incumbent"}, "carrier", 0)]
    ),
    "partial: one size": Case([(10, letters("erp=t hr=t"))], [Told({"msp", "carrier", "incumbent"}, "carrier", 0)]),
    "redundant tunnels: one of two is down": Case(
        [(10, letters("tunnel-a=s"))], [Told({"msp", "incumbent"}, "vpn-a", 0)], redundant
    ),
    "redundant tunnels: the line below both is cut": Case(
        [(10, {**CUT, **letters("tunnel-a=s tunnel-b=s")})], [Told("carrier", "carrier", 0)], redundant
    ),
    "flapping: one incident, not one a flap": Case(
        [*([(6, CUT), (6, FINE)] * 4), (12, FINE)], [Told("carrier", "carrier", 0, 42)]
    ),
    "a fault that moves": Case(
        [(10, CUT), (10, TUNNEL), (12, FINE)],
        [Told("carrier", "carrier", 0, 10), Told({"msp", "incumbent"}, "vpn", 10, 20)],
    ),
    "a fault during recovery": Case(
        [(10, CUT), (4, FINE), (10, STOPPED), (12, FINE)],
        [Told("carrier", "carrier", 0, 10), Told("incumbent", "erp-app", 14, 24)],
    ),
    "one party's maintenance while another fails": Case(
        [(10, letters("erp=a erp-local=a")), (10, {**CUT, "erp-local": "a"}), (12, FINE)],
        [Told("incumbent", "erp-app", 0, 20), Told("carrier", "carrier", 10, 20)],
    ),
    "an undeclared segment: a way that the file does not know": Case(
        [(10, letters("anchor=s"))], [Told({"msp", "carrier", "incumbent"}, "onprem-gw", 0)]
    ),
}


def agrees(incident: Incident, told: Told) -> bool:
    """Return whether an incident is what must be told, its times within a round and a half."""
    who = incident.parties == (told.who,) if isinstance(told.who, str) else set(incident.candidates) == told.who
    return (
        who
        and told.segment in incident.segments
        and _near(incident.opened, told.opened)
        and (_near(incident.closed, told.closed))
    )


def _near(at: float | None, expected: float | None) -> bool:
    if at is None or expected is None:
        return at is expected
    return abs(at - START - BEFORE - expected) < 1.5


@pytest.mark.parametrize("name", CASES)
def test_hard_case(name: str) -> None:
    """Each cause is told once, with its owner and for its own time; whom nothing proves is not named."""
    case = CASES[name]
    chain = case.chain()
    found = list(replay(chain, record(chain, [(BEFORE, FINE), *case.situations])))
    left = list(found)
    for told in case.told:
        one = next((incident for incident in left if agrees(incident, told)), None)
        assert one is not None, (told, left)
        left.remove(one)
    assert left == []
    assert {i.party for i in found if i.party} == {t.who for t in case.told if isinstance(t.who, str)}


def test_a_way_that_contradicts_the_file_is_a_contradiction() -> None:
    """What fails although all of its parts are shown to work, in one direction or beyond the file, is told as such."""
    for case in ("partial: one direction", "an undeclared segment: a way that the file does not know"):
        chain = lab_chain()
        (found,) = replay(chain, record(chain, [(BEFORE, FINE), *CASES[case].situations]))
        assert found.kind is Kind.CONTRADICTION


def test_flaps_too_short_to_be_confirmed_are_lost_packets() -> None:
    """Two seconds in five: no five rounds agree, nobody is named for an outage, and the margin of loss tells of it."""
    spans = tuple((200.0 + 5 * n, 202.0 + 5 * n) for n in range(40))
    core = Slow(segment="carrier", loss=1.0, spans=spans)

    engine = Engine(CHAIN)
    made = run(engine, seen(core, seconds=400))
    assert made[-1].incident.parties == ("carrier",)
    assert {party for t in made for party in t.incident.parties} == {"carrier"}
    assert all(i.excess is not None for i in engine.incidents() if i.confirmed is not None)
