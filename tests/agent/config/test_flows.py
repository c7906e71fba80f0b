"""The firewall request: every probe is in it, with a bound on its packets."""

from pathlib import Path

import msgspec
import pytest

from agent.config.chain import examine_chain
from agent.config.flows import flows, packets
from agent.diagnosis.roles import Model
from agent.model import Chain, Host, Peer
from agent.observation import Observation
from probes.kit.result import Outcome, Stage
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


def changed(probe: str, flow: Flow) -> Chain:
    """Return the example with another flow for one probe."""
    whole = chain()
    other = msgspec.structs.replace(whole.probes[probe], flow=flow)
    return msgspec.structs.replace(whole, probes={**whole.probes, probe: other})


TOKENS = Flow(host="login.example", protocol="tcp", port=443, function="sign-in", carry_bytes=1500, named=True)


def test_further_destinations_are_in_the_request() -> None:
    """What an attempt needs beside its target is a row of its own, says what for, and its name is asked too."""
    erp = chain().probes["erp"].flow
    rows = flows(changed("erp", msgspec.structs.replace(erp, also=(TOKENS,))))
    main, login = rows[3:5]
    assert (main.probe, login.probe) == ("erp", "erp")
    assert (login.target, login.port, login.packets_per_hour) == ("login.example", 443, 720 * 24)
    assert login.purpose == "sign-in: http measurement of erp-app for service erp"
    assert (rows[-1].purpose, rows[-1].packets_per_hour) == ("names of 1 probe", 4)


@pytest.mark.parametrize("protocol", ["unix", "netlink"])
def test_what_stays_on_the_host_needs_no_firewall(protocol: str) -> None:
    """A probe that asks its own host only is not in the request."""
    rows = flows(changed("gw", Flow(host="10.10.0.1", protocol=protocol, function="asks")))
    assert "gw" not in [row.probe for row in rows]


def test_the_diagnosis_knows_the_target_only() -> None:
    """A further destination changes nothing that a pass or a fail proves."""
    whole = chain()
    erp = whole.probes["erp"]
    more = changed("erp", msgspec.structs.replace(erp.flow, also=(TOKENS,)))
    seen = [
        Observation(time=1.0, round=1, vantage="cloud", probe="erp", outcome=outcome, stage=stage)
        for outcome, stage in [(Outcome.OK, None), *((Outcome.FAILED, stage) for stage in Stage)]
    ]
    here, there = (Model(each) for each in (whole, more))
    assert here.roles == there.roles
    assert [here.effect(one) for one in seen] == [there.effect(one) for one in seen]


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
