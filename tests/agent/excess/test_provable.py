"""What a chain can prove of slow things before there are any, and which unheard probes would settle one."""

from random import Random

import msgspec
import pytest

from agent.excess.bounds import Shown
from agent.excess.judge import rule
from agent.excess.provable import Echo, SlowPlace, fewest, settling, slow_places
from agent.excess.watch import ROUND_TRIP, Watch
from agent.model import Chain, Confirm
from tests.agent.excess.line import CHAIN
from tools.campaign.chains import TOPOLOGIES, random_chain
from tools.campaign.late import watched
from tools.campaign.lateness import Slow
from tools.campaign.possible import provable

MARGINS = dict.fromkeys(("round-trip", "response", "loss"), 0.015)


def places(chain: Chain = CHAIN) -> dict[tuple[str, str, str], SlowPlace]:
    """Return the places of a chain by what they are."""
    return {(one.segment, one.towards, one.answering): one for one in slow_places(chain)}


def test_the_carrier_inside_is_provable_and_a_line_between_two_owners_never() -> None:
    """The lab's line is measured from both sides; a queue at either end of a line looks the same."""
    found = places()
    assert found["carrier", "", ""].proof == "provable"
    line = found["carrier", "onprem-gw", ""]
    assert (line.proof, line.owners, line.settled_by) == ("open", ("carrier", "incumbent"), ())


def test_what_is_missing_is_told() -> None:
    """Without the carrier's far edge the carrier stays open; measuring just that edge would settle it."""
    probes = {n: p for n, p in CHAIN.probes.items() if n != "o-carrier-edge"}
    inside = places(msgspec.structs.replace(CHAIN, probes=probes))["carrier", "", ""]
    assert (inside.proof, inside.owners) == ("open", ("carrier", "incumbent"))
    edge = Echo(vantage="onprem", path=("onprem-host", "onprem-gw", "carrier"), protocol="icmp")
    assert inside.settled_by == (edge,)


def test_of_several_owners_the_segment_is_named() -> None:
    """Nobody alone is named for what is owned together, nor for what nobody accepted."""
    for owners in (("msp", "carrier"), ("unassigned",)):
        joint = msgspec.structs.replace(CHAIN.segments["carrier"], owners=owners)
        chain = msgspec.structs.replace(CHAIN, segments={**CHAIN.segments, "carrier": joint})
        inside = places(chain)["carrier", "", ""]
        assert (inside.proof, inside.settled_by) == ("located", ())
        assert places(chain)["carrier", "onprem-gw", ""].proof == "open"


def test_nothing_is_told_without_margins_or_of_a_huge_chain() -> None:
    """What is not watched opens nothing; a chain beyond the bound would hold `check` up."""
    assert slow_places(msgspec.structs.replace(CHAIN, services={})) == ()
    many = {
        f"{name}-{n}": msgspec.structs.replace(probe, id=f"{name}-{n}")
        for name, probe in CHAIN.probes.items()
        for n in range(200)
    }
    assert slow_places(msgspec.structs.replace(CHAIN, probes=many)) == ()


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_it_agrees_with_the_wire(topology: str) -> None:
    """What is called provable is what exact round trips of the campaign's wire prove, place by place."""
    chain = watched(random_chain(topology, Random(1), Confirm()))
    for one in slow_places(chain):
        if not one.segment.endswith("-host"):
            thing = Slow(segment=one.segment, towards=one.towards, answers=one.answering, delay=0.05, spans=())
            assert (one.proof == "provable") == bool(provable(chain, (thing,), MARGINS)), one


WATCH = Watch(CHAIN)


def shown(name: str, low: float, high: float) -> Shown:
    """Return what an echo of the chain showed (ms)."""
    probe = CHAIN.probes[name]
    return Shown(probe.key, probe.vantage, "round-trip icmp4", WATCH.elements(probe.key), low / 1000, high / 1000)


def test_the_unheard_probe_that_would_settle_it_is_named() -> None:
    """The peer is silent: its echo of the far edge is what lacks, and nothing beside it."""
    heard = (shown("underlay", 45, 48), shown("carrier-edge", 0, 3), shown("o-gw-outer", 0, 2))
    unheard = WATCH.unheard(ROUND_TRIP, heard, near="cloud>underlay")
    assert "onprem>o-carrier-edge" in {one.probe for one in unheard}
    found = settling(CHAIN, WATCH.owners, heard[0], heard, unheard, 0.015)
    assert found == ("onprem>o-carrier-edge",)
    told = (*heard, shown("o-carrier-edge", 0, 2))
    (ruling,) = rule(CHAIN, WATCH.owners, heard[0], told, 0.015)
    assert ruling.parties == ("carrier",)


def test_nothing_settles_it_when_all_is_heard() -> None:
    """A queue on a line between two owners stays open whatever is measured."""
    heard = tuple(shown(name, 45, 48) for name in ("underlay",))
    assert settling(CHAIN, WATCH.owners, heard[0], heard, (), 0.015) == ()
    other = tuple(one._replace(protocol="loss icmp4") for one in WATCH.unheard(ROUND_TRIP, heard, near="cloud>gw"))
    assert settling(CHAIN, WATCH.owners, heard[0], heard, other, 0.015) == ()


@pytest.mark.parametrize(
    ("needed", "expected"), [("b", ("b",)), ("bd", ("b", "d")), ("", ()), ("bx", ())], ids=["one", "two", "none", "no"]
)
def test_fewest(needed: str, expected: tuple[str, ...]) -> None:
    """Nothing to spare, and nothing where all is not enough."""
    assert fewest("abcd", lambda some: set(needed) <= set(some)) == expected
    assert fewest("", lambda _: True) == ()
