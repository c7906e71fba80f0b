"""The findings that the issue's table expects, from recorded situations; a stronger one fails too."""

from typing import NamedTuple

import pytest

from agent.incident.value import Incident, Kind, Standing
from agent.replay import replay
from tests.agent.diagnosis.world import CLOUD, lab_chain, record


class Row(NamedTuple):
    """A fault: what the probes record, and the finding of the cloud alone and of both vantages."""

    fault: str
    letters: dict[str, str]
    alone: str | set[str]
    both: str | set[str]
    segments: set[str]
    rests_on: tuple[str, ...] = ()
    standing: Standing | None = None


def letters(code: str) -> dict[str, str]:
    """Read `gw=s erp=l` into a mapping."""
    return dict(item.split("=") for item in code.split())


ALL_CLOUD_DEAD = {name: "s" for name in CLOUD if name != "dns"}

ROWS = [
    Row("app stopped", letters("erp=r erp-local=r"), "incumbent", "incumbent", {"erp-app"}),
    Row("app slow", letters("erp=l erp-local=l"), "incumbent", "incumbent", {"erp-app"}),
    Row("firewall drops one port", letters("erp=s"), "incumbent", "incumbent", {"onprem-fw", "erp-app"}),
    Row(
        "on-prem gateway stops forwarding",
        letters("erp=s hr=s o-underlay=s"),
        "incumbent",
        "incumbent",
        {"onprem-gw"},
    ),
    Row("cloud gateway dead", {**ALL_CLOUD_DEAD, "o-underlay": "s"}, "msp", "msp", {"cloud-gw"}),
    Row(
        "near cable cut",
        letters("carrier-edge=s underlay=s anchor=s erp=s hr=s tunnel=s o-underlay=s"),
        "carrier",
        "carrier",
        {"carrier"},
    ),
    Row(
        "carrier core dead",
        letters("underlay=s anchor=s erp=s hr=s tunnel=s o-underlay=s"),
        {"carrier", "incumbent"},
        "carrier",
        {"carrier"},
        ("msp", "incumbent"),
        Standing.SINGLE_SIDED,
    ),
    Row(
        "last mile cut",
        letters("underlay=s anchor=s erp=s hr=s tunnel=s o-underlay=s"),
        {"carrier", "incumbent"},
        "carrier",
        {"carrier"},
        ("msp", "incumbent"),
        Standing.SINGLE_SIDED,
    ),
    Row("wrong PSK", letters("anchor=s erp=s hr=s tunnel=s"), {"msp", "incumbent"}, {"msp", "incumbent"}, {"vpn"}),
    Row("ESP dropped", letters("anchor=s erp=s hr=s"), {"msp", "incumbent"}, {"msp", "incumbent"}, {"vpn"}),
    Row(
        "on-prem gateway dead",
        letters("underlay=s anchor=s erp=s hr=s tunnel=s o-gw=s o-gw-outer=s o-underlay=s"),
        {"carrier", "incumbent"},
        "incumbent",
        {"onprem-gw"},
        (),
        Standing.SELF_MEASURED,
    ),
    Row("DNS stopped", letters("dns=r erp=n hr=n"), "msp", "msp", {"dns"}),
]


def the_one(found: tuple[Incident, ...]) -> Incident:
    """Return the only incident."""
    assert [(i.kind, i.parties, i.segments) for i in found][1:] == []
    return found[0]


def agrees(incident: Incident, expected: str | set[str]) -> None:
    """Assert the party, or an undetermined finding with at least these candidates."""
    if isinstance(expected, str):
        assert (incident.kind, incident.parties) == (Kind.ATTRIBUTED, (expected,))
    else:
        assert incident.kind is Kind.UNDETERMINED
        assert incident.parties == ()
        assert expected <= set(incident.candidates)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.fault)
@pytest.mark.parametrize("self_check", [True, False], ids=["self", "no-self"])
def test_one_vantage(row: Row, self_check: bool) -> None:
    """One vantage finds what the table says, one incident, nothing stronger."""
    chain = lab_chain()
    found = replay(chain, record(chain, [(6, {}), (8, row.letters)], ["cloud"], self_check=self_check))
    agrees(the_one(found), row.alone)


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.fault)
def test_two_vantages(row: Row) -> None:
    """Two vantages find what the table says, one incident, with its standing."""
    chain = lab_chain()
    incident = the_one(replay(chain, record(chain, [(6, {}), (8, row.letters), (15, {})])))
    agrees(incident, row.both)
    assert set(incident.segments) == row.segments
    if row.standing:
        assert (incident.standing, incident.rests_on) == (row.standing, row.rests_on)
    assert incident.closed is not None


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.fault)
def test_exactly_the_confirming_rounds(row: Row) -> None:
    """Five unanimous rounds at the very end of a record confirm."""
    chain = lab_chain()
    incident = the_one(replay(chain, record(chain, [(6, {}), (5, row.letters)], ["cloud"])))
    agrees(incident, row.alone)
    assert replay(chain, record(chain, [(6, {}), (4, row.letters)], ["cloud"])) == ()


def test_mtu_hole_never_the_application_alone() -> None:
    """A hole for large packets on the carrier is not laid at the application's door."""
    chain = lab_chain()
    hole = letters("erp=t hr=t")
    for vantages in (["cloud"], ["cloud", "onprem"]):
        incident = the_one(replay(chain, record(chain, [(6, {}), (8, hole)], vantages)))
        agrees(incident, {"carrier", "incumbent", "msp"})


def test_own_vantage_blind() -> None:
    """A failing self-check opens a monitor incident for that vantage; the other still measures."""
    chain = lab_chain()
    blind = {**dict.fromkeys(CLOUD, "s"), "cloud>self": "s", "erp-local": "r"}
    found = replay(chain, record(chain, [(6, {}), (8, blind)]))
    kinds = {(i.kind, i.parties, i.vantage) for i in found}
    assert kinds == {(Kind.MONITOR, (), "cloud"), (Kind.ATTRIBUTED, ("incumbent",), None)}
