"""The firewall request: every probe is in it, with a bound on its packets."""

from pathlib import Path

import pytest

from agent.config.chain import examine_chain
from agent.config.flows import flows, packets
from agent.model import Chain, Host, Peer
from probes.kit.spec import Flow
from tests.agent.config.fakes import TYPES

DESIGN = (Path(__file__).parent / "design.yml").read_bytes()


def chain(data: bytes = DESIGN) -> Chain:
    """Return the contract's example, or a variant of it."""
    return examine_chain(data, "c", TYPES).loaded()


def test_every_probe_and_the_names() -> None:
    """Every probe is a row, and name resolution is one more for each vantage that needs it."""
    rows = flows(chain())
    assert [row.probe for row in rows] == ["gw", "underlay", "anchor", "erp", "o-gw", "o-underlay", "erp-local", ""]
    gw, erp, names = rows[0], rows[3], rows[-1]
    assert (gw.source, gw.source_segment, gw.target, gw.protocol, gw.port) == (
        "cloud",
        "cloud-host",
        "10.10.0.1",
        "icmp",
        None,
    )
    assert (gw.packets_per_hour, gw.packets_per_hour_most) == (7200, 14400)
    assert (erp.protocol, erp.port, erp.purpose) == ("tcp", 443, "http measurement of erp-app for service erp")
    assert (names.target, names.port, names.purpose) == ("the host's resolvers", 53, "names of 1 probe")


def test_slow_types_do_not_join_the_rounds() -> None:
    """A type that confirms at its own pace never sends more than its interval says."""
    row = flows(chain(DESIGN.replace(b"gw:         {type: icmp", b"gw:         {type: sync")))[0]
    assert row.packets_per_hour == row.packets_per_hour_most == 7200


def test_the_agents_own_traffic() -> None:
    """With the agent file, peers and Alertmanagers are in the request."""
    host = Host(
        vantage="cloud",
        chain_file="/c",
        data="/d",
        peers=(Peer(vantage="onprem", url="https://10.20.0.30:10199"),),
        alertmanagers=("http://127.0.0.1", "https://am.example"),
    )
    rows = flows(chain(), host)[-3:]
    assert [(row.target, row.port) for row in rows] == [("10.20.0.30", 10199), ("127.0.0.1", 80), ("am.example", 443)]


def test_a_description_is_the_purpose() -> None:
    """Where the file says what a probe is for, the request says so too."""
    data = DESIGN.replace(b"gw:         {type: icmp", b"gw:         {description: near end, type: icmp")
    assert flows(chain(data))[0].purpose == "near end"


COUNTS = [
    (Flow(host="h", protocol="icmp", function="echo"), 2),
    (Flow(host="h", protocol="udp", port=53, function="q"), 2),
    (Flow(host="h", protocol="tcp", port=22, function="connect"), 7),
    (Flow(host="h", protocol="tcp", port=443, function="GET", carry_bytes=1500), 24),
]


@pytest.mark.parametrize(("flow", "count"), COUNTS)
def test_packets(flow: Flow, count: int) -> None:
    """The count follows from the protocol and from whether anything is carried."""
    assert packets(flow) == count
