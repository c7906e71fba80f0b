"""Lower bounds per party: never more than the truth, whatever the chain and whoever is slow."""

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.excess.bounds import (
    NOTHING,
    Element,
    Part,
    Shown,
    adding,
    at_least,
    at_most,
    elements_of,
    lost,
    median_at_least,
    quarter_at_most,
    wilson,
)
from tests.agent.samples import CHAIN

NAMES = "abcdef"
OWNERS = {Element(name): frozenset(("p" if name in "abc" else "q",)) for name in NAMES}


def shown(path: str, low: float, high: float, protocol: str = "icmp") -> Shown:
    """Return what a probe over a path of one-letter segments showed."""
    return Shown(path, "v", protocol, frozenset(map(Element, path)), low, high)


@given(
    st.dictionaries(st.sampled_from(NAMES), st.floats(0, 100), min_size=len(NAMES)),
    st.lists(st.tuples(st.sets(st.sampled_from(NAMES), min_size=1), st.floats(0, 9), st.floats(0, 9)), min_size=1),
    st.integers(0, 5),
)
def test_never_more_than_the_truth(
    parts: dict[str, float], probes: list[tuple[set[str], float, float]], which: int
) -> None:
    """If every interval holds the truth, a party's bound is at most what its elements of the target add."""
    seen = []
    for path, below, above in probes:
        true = math.fsum(parts[name] for name in path)
        seen.append(shown("".join(sorted(path)), max(0.0, true - below), true + above))
    target = seen[which % len(seen)]
    for party in ("p", "q"):
        true = math.fsum(parts[e.segment] for e in target.elements if OWNERS[e] == {party})
        assert at_least(party, target.elements, OWNERS, seen).low <= true + 1e-9


def test_what_nothing_bounds_may_hold_everything() -> None:
    """Without a probe that shows the others' elements to be quick, nobody is found."""
    assert at_least("p", frozenset(map(Element, "ad")), OWNERS, [shown("ad", 40, 50)]) == NOTHING


def test_the_carrier_holds_at_least_38() -> None:
    """Gateway and far side are quick by themselves, so most of the excess lies between."""
    seen = [shown("dae", 45, 48), shown("d", 0, 3), shown("e", 0, 4), shown("def", 0, 9)]
    found = at_least("p", frozenset(map(Element, "daef")), OWNERS, seen)
    assert found == Part(38, frozenset({"dae", "d", "e"}), "dae")


def test_another_protocol_bounds_nothing() -> None:
    """A device may hold back one protocol only, so an echo does not clear it of a slow handshake."""
    seen = [shown("da", 45, 48, "tcp"), shown("d", 0, 1)]
    assert at_least("p", frozenset(map(Element, "da")), OWNERS, seen) == NOTHING


def test_an_answer_elsewhere_is_another_element() -> None:
    """A router that answers slowly for itself is not thereby slow in forwarding."""
    slow = Shown("edge", "v", "icmp", frozenset((Element("d"), Element("a", at="192.0.2.1"))), 40, 41)
    owners = {**OWNERS, Element("a", at="192.0.2.1"): frozenset("p")}
    assert at_least("p", frozenset(map(Element, "da")), owners, [slow, shown("d", 0, 1)]) == NOTHING


def test_a_cover_takes_the_cheapest() -> None:
    """Elements together are bounded by the probes that show the least."""
    assert at_most(frozenset(map(Element, "ab")), [shown("ab", 0, 5), shown("a", 0, 1), shown("b", 0, 2)]).low == 3
    assert at_most(frozenset(map(Element, "ab")), [shown("a", 0, 1)]).low == math.inf


def test_elements_of_a_probe() -> None:
    """Everything before the last segment is crossed; the last one answers at its address."""
    assert elements_of(CHAIN.probes["gw"]) == {
        Element("cloud-host"),
        Element("cloud-host", side="cloud-gw"),
        Element("cloud-gw", side="cloud-host"),
        Element("cloud-gw", at="10.10.0.1"),
    }


def test_the_way_back_is_passed_too() -> None:
    """What only the return crosses adds its sides and its inside, and no more than that."""
    probe = msgspec.structs.replace(CHAIN.probes["gw"], back=("cloud-gw", "dns", "cloud-host"))
    assert elements_of(probe) - elements_of(CHAIN.probes["gw"]) == {
        Element("dns"),
        Element("dns", side="cloud-host"),
        Element("dns", side="cloud-gw"),
        Element("cloud-gw", side="dns"),
        Element("cloud-host", side="dns"),
    }


def test_a_gateway_s_own_uplink_is_not_cleared_from_within() -> None:
    """An echo of its outer address from the inside does not pass the queue towards the carrier."""
    chain = {p: elements_of(CHAIN.probes[p]) for p in ("underlay", "o-gw", "o-underlay")}
    uplink = Element("onprem-gw", side="carrier")
    assert [uplink in elements for elements in chain.values()] == [True, False, True]


def test_quantile_bounds_hold() -> None:
    """Of many samples the bounds miss the true quantiles in at most about half a per cent."""
    pick, missed = random.Random(1), [0, 0]
    quarter = math.exp(0.6745)
    for _ in range(2000):
        values = [pick.lognormvariate(0, 1) for _ in range(25)]
        missed[0] += median_at_least(values) > 1.0
        missed[1] += quarter_at_most(values) < quarter
    assert max(missed) < 20
    assert median_at_least([1.0] * 7) == 0.0
    assert median_at_least(range(8)) == 0
    assert median_at_least(range(1, 9)) == 1
    assert quarter_at_most(range(18)) == math.inf
    assert quarter_at_most(range(19)) == 18
    assert 540 < median_at_least(range(1200)) < 570


@pytest.mark.parametrize(("count", "sent"), [(0, 10), (1, 10), (50, 100), (100, 100)])
def test_wilson(count: int, sent: int) -> None:
    """The interval holds the share and stays within 0 and 1."""
    low, high = wilson(count, sent)
    assert 0 <= low <= count / sent <= high <= 1
    assert (low == 0) == (count == 0)


@given(st.floats(0, 0.999))
def test_loss_adds_up(share: float) -> None:
    """What adds up along a path gives the share back."""
    assert lost(adding(share)) == pytest.approx(share, abs=1e-12)
    assert adding(1.0) == math.inf
