"""What follows from one window: a party whose part alone reaches the margin, else who remains possible."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.diagnosis.finding import Kind, Standing
from agent.excess.bounds import Shown, elements_of
from agent.excess.judge import Owners, Ruling, cleared, rule
from agent.excess.watch import Watch
from agent.model import Chain
from tests.agent.excess.line import CHAIN

OWNERS = Watch(CHAIN).owners
MARGIN = 0.015


def shown(name: str, low: float, high: float) -> Shown:
    """Return what an echo of the chain showed (ms)."""
    probe = CHAIN.probes[name]
    return Shown(probe.key, probe.vantage, "icmp", elements_of(probe), low / 1000, high / 1000)


TARGET = shown("underlay", 45, 48)
NEAR, FAR, OUTER = shown("carrier-edge", 0, 3), shown("o-carrier-edge", 0, 2), shown("o-gw-outer", 0, 2)


def ruled(*others: Shown, chain: Chain = CHAIN, owners: Owners = OWNERS) -> tuple[Ruling, ...]:
    """Return what follows for the underlay."""
    return rule(chain, owners, TARGET, (TARGET, *others), MARGIN)


def test_at_least_38_of_45_lie_with_the_carrier() -> None:
    """What is quick on both sides of the carrier leaves it with the rest."""
    (found,) = ruled(NEAR, FAR, OUTER)
    assert (found.kind, found.parties, found.segments) == (Kind.ATTRIBUTED, ("carrier",), ("carrier",))
    assert found.part == pytest.approx(0.038)
    assert found.standing is Standing.SINGLE_SIDED
    assert set(found.rests_on) == {"msp", "incumbent"}
    assert found.exonerating["onprem-gw"] == ("onprem>o-carrier-edge", "onprem>o-gw-outer")
    assert cleared("msp", OWNERS, TARGET, (TARGET, NEAR, FAR, OUTER), MARGIN)
    assert not cleared("carrier", OWNERS, TARGET, (TARGET, NEAR, FAR, OUTER), MARGIN)


@pytest.mark.parametrize(
    ("others", "candidates"),
    [
        ((), ("msp", "carrier", "incumbent")),
        ((NEAR,), ("carrier", "incumbent")),
        ((NEAR, OUTER), ("carrier", "incumbent")),
        ((FAR, OUTER), ("msp", "carrier")),
        ((shown("carrier-edge", 43, 47), FAR, OUTER), ("msp", "carrier")),
        ((NEAR, shown("o-carrier-edge", 43, 47), OUTER), ("carrier", "incumbent")),
    ],
    ids=["alone", "one side", "from within only", "the other side", "near line slow", "last mile slow"],
)
def test_who_remains(others: tuple[Shown, ...], candidates: tuple[str, ...]) -> None:
    """Whoever is not shown to add next to nothing stays a candidate; nobody is named."""
    (found,) = ruled(*others)
    assert (found.kind, found.candidates, found.parties) == (Kind.UNDETERMINED, candidates, ())


def test_a_line_between_two_devices_names_neither() -> None:
    """A full queue of the gateway's own uplink looks like a slow last mile: both stay possible."""
    (found,) = ruled(NEAR, shown("o-carrier-edge", 43, 47), OUTER, shown("o-underlay", 43, 47))
    assert not found.parties


def test_parts_that_do_not_add_up_name_nobody() -> None:
    """When every part is shown to be small and yet the whole is late, the chain file or a probe errs."""
    (found,) = ruled(NEAR, FAR, OUTER, shown("o-underlay", 0, 1))
    assert (found.kind, found.parties, found.candidates) == (Kind.CONTRADICTION, (), ())
    assert found.segments == ("cloud-host", "cloud-gw", "carrier", "onprem-gw")


def test_the_party_s_own_word_is_self_measured() -> None:
    """What only the party's own vantages show is told as such."""
    parties = {"carrier": CHAIN.parties["carrier"], **CHAIN.parties}
    vantages = {n: msgspec.structs.replace(v, operator="carrier") for n, v in CHAIN.vantages.items()}
    chain = msgspec.structs.replace(CHAIN, parties=parties, vantages=vantages)
    owners = {e: frozenset({"msp"} if e.segment == "cloud-host" else o) for e, o in OWNERS.items()}
    (found,) = ruled(NEAR, FAR, OUTER, chain=chain, owners=owners)
    assert (found.standing, found.rests_on) == (Standing.SELF_MEASURED, ())


def test_others_evidence_enough_is_corroborated() -> None:
    """What stands without any one operator is corroborated."""
    vantages = {n: msgspec.structs.replace(v, operator="client") for n, v in CHAIN.vantages.items()}
    extra = {
        f"again-{n}": msgspec.structs.replace(v, id=f"again-{n}", operator="microsoft") for n, v in vantages.items()
    }
    chain = msgspec.structs.replace(CHAIN, vantages={**vantages, **extra})
    twice = [
        one._replace(probe=f"again-{one.probe}", vantage=f"again-{one.vantage}") for one in (TARGET, NEAR, FAR, OUTER)
    ]
    (found,) = ruled(NEAR, FAR, OUTER, *twice, chain=chain)
    assert (found.standing, found.rests_on) == (Standing.CORROBORATED, ())


def test_unassigned_is_never_named() -> None:
    """What nobody has accepted stands among the candidates like a party, and alone it is the segment that is told."""
    owners = {e: frozenset({"unassigned"}) if e.segment == "carrier" else o for e, o in OWNERS.items()}
    (found,) = ruled(NEAR, FAR, OUTER, owners=owners)
    assert (found.kind, found.candidates, found.segments) == (Kind.UNDETERMINED, ("unassigned",), ("carrier",))


@given(st.lists(st.tuples(st.sampled_from(["carrier-edge", "o-carrier-edge", "o-gw-outer", "o-underlay", "gw"]),
    st.floats(0, 50), st.floats(0, 50)), max_size=6))  # fmt: skip
def test_always_a_ruling(others: list[tuple[str, float, float]]) -> None:
    """Whatever is shown, there is one ruling that names a party, or one that names nobody and some segment."""
    found = ruled(*(shown(name, low, low + more) for name, low, more in others))
    for ruling in found:
        assert ruling.segments
        assert len(ruling.parties) == (ruling.kind is Kind.ATTRIBUTED)
        assert not ruling.parties or ruling.part >= MARGIN
