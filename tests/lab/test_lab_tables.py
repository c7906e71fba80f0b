"""The lab's tables agree with each other, with its chain file and with the first issue. No namespaces."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.config.load import load_chain
from agent.ledger.keyfile import read_signer
from lab.cable import Settings
from lab.chainfile import Pace, write_configuration
from lab.effects import overlay, settings_of
from lab.faults import ATTRIBUTED, FAULTS, Block, Commands, Fault, Forget, Misconfigure, Outlive, Stop, Suspend, Wire
from lab.rundir import LabError, path_of
from lab.services import STANDBY, table
from lab.topology import ADDRESSES, CABLES, LINKS, NODES
from lab.tunnel import GATEWAYS, Association, connection_text, parse_associations

ROWS = {
    "app stopped",
    "app slow",
    "firewall drops one port",
    "on-prem gateway stops forwarding",
    "cloud gateway dead",
    "near cable cut",
    "carrier core dead",
    "last mile cut",
    "wrong PSK",
    "ESP dropped while IKE passes",
    "one-sided delete",
    "on-prem gateway dead",
    "DNS stopped",
    "MTU hole on the carrier",
    "own link down",
    "own route lost",
    "process suspended",
}
SERVICES = table(Path("/run-dir"), dict.fromkeys(NODES, 0))


def test_every_row_of_the_issue_is_a_fault() -> None:
    """The table of expected findings is complete, and every row's fault says what it expects."""
    assert {fault.row for fault in FAULTS.values() if fault.row} == ROWS
    assert all(fault.cloud and fault.both for fault in FAULTS.values() if fault.row)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS.keys())
def test_a_fault_names_what_exists(fault: Fault) -> None:
    """Nodes, cables, services and parties of an effect or a finding are the lab's."""
    parties = {"client", "msp", "carrier", "incumbent", "microsoft"}
    for effect in fault.effects:
        match effect:
            case Block() | Commands() | Suspend():
                assert effect.node in NODES
            case Misconfigure() | Outlive():
                assert connection_text(effect.node) != connection_text(effect.node, change=effect.change)
            case Forget():
                assert effect.node in GATEWAYS
            case Wire():
                assert effect.cable in {*CABLES, ""}
                assert bool(effect.cable) != bool(fault.parameters)
            case Stop():
                assert {effect.service, effect.instead or effect.service} <= set(SERVICES)
                assert effect.instead is None or effect.instead in STANDBY
    for finding in (fault.cloud, fault.both):
        if finding is not None:
            assert {*finding.candidates, *finding.perhaps, *finding.never, *(finding.rests_on or ())} <= parties
            assert (finding.kinds == (ATTRIBUTED,)) == (finding.party is not None)


def test_links_join_nodes_and_devices_once() -> None:
    """Every device is one end of one link, and every address but the loopback's sits on a device that exists."""
    ends = [end for link in LINKS for end in (link.one, link.other)]
    ends += [end for cable in CABLES.values() for end in (cable.one, cable.other)]
    assert len(ends) == len(set(ends))
    for name, node in NODES.items():
        devices = {device for owner, device in ends if owner == name} | {"lo"}
        ports = set(node.bridge[1]) if node.bridge else set()
        devices |= {node.bridge[0]} if node.bridge else set()
        assert ports <= devices
        assert {device for device, _ in node.addresses} <= devices - ports


def test_every_named_address_is_held_by_one_node() -> None:
    """The addresses that the chain file, tests and demo use are configured, once."""
    held = [address.partition("/")[0] for node in NODES.values() for _, address in node.addresses]
    assert len(held) == len(set(held))
    assert set(ADDRESSES.values()) <= set(held)


def test_the_carrier_has_no_route_to_private_networks() -> None:
    """What leaves a gateway for 10/8 in plain text dies at the carrier."""
    for name in ("carrier-edge", "carrier-core", "carrier-far-edge"):
        assert not any(route.startswith(("10.", "default")) for route in NODES[name].routes)


@pytest.mark.parametrize(
    "pace", [Pace(), Pace(interval=0.25, slow_interval=0.5, spacing=0.25, timeout=0.3)], ids=["usual", "compressed"]
)
def test_the_chain_file_loads(tmp_path: Path, pace: Pace) -> None:
    """The product's own loader accepts it, with the probes that the first issue names and keys that stay."""
    for vantage in ("cloud", "onprem"):
        (tmp_path / vantage).mkdir()
    write_configuration(tmp_path, Pace())
    write_configuration(tmp_path, pace)
    chain = load_chain(tmp_path / "chain.yml")
    for vantage, known in chain.vantages.items():
        assert known.key == str(read_signer(tmp_path / vantage / "data" / "ledger.key").verifier)
    named = "gw gw-outer saas carrier-edge underlay anchor erp hr dns o-gw o-gw-outer o-underlay erp-local"
    assert set(named.split()) <= set(chain.probes)
    assert chain.confirm.spacing == pace.spacing


SA = "child-sas {{lan-{n} {{name=lan uniqueid={n} state={state} mode=TUNNEL spi-in={i} spi-out={o} encr-alg=AES}}}}"
LISTINGS = {
    "nothing": ("list-sas reply {}", ()),
    "one": (SA.format(n=1, state="INSTALLED", i="c0ffee01", o="c0ffee02"), (("c0ffee01", "c0ffee02"),)),
    "a child being rekeyed is not counted": (SA.format(n=1, state="REKEYED", i="1", o="2"), ()),
    "two": (
        SA.format(n=1, state="INSTALLED", i="1", o="2") + "\n" + SA.format(n=2, state="INSTALLED", i="3", o="4"),
        (("1", "2"), ("3", "4")),
    ),
}


@pytest.mark.parametrize(("text", "expected"), LISTINGS.values(), ids=LISTINGS.keys())
def test_associations_are_read(text: str, expected: tuple[tuple[str, str], ...]) -> None:
    """Installed children with their SPIs, in order."""
    assert parse_associations(text) == tuple(Association(spi_in=i, spi_out=o) for i, o in expected)


@given(st.text(alphabet="{}= \nabcINSTALEDspi-nout0123456789", max_size=300))
def test_reading_associations_never_raises(text: str) -> None:
    """Whatever swanctl prints."""
    assert isinstance(parse_associations(text), tuple)


def test_layers_on_one_cable_add_up() -> None:
    """A later value wins, an unset one leaves the earlier; drop rules accumulate."""
    layers = [Settings(delay_seconds=1, drop=("icmp",)), Settings(loss=0.5), Settings(delay_seconds=2, drop=("tcp",))]
    assert overlay(layers) == Settings(delay_seconds=2, loss=0.5, drop=("icmp", "tcp"))
    assert overlay([]) == Settings()


def test_parameters_become_settings() -> None:
    """Milliseconds, per cent, megabits and kilobytes; one the fault does not take is refused."""
    assert settings_of(FAULTS["delay"], {"ms": 250.0}).delay_seconds == 0.25
    assert settings_of(FAULTS["loss"], {}).loss == 0.1
    assert settings_of(FAULTS["rate"], {"mbit": 2.0}) == Settings(rate_bits=2e6, queue_bytes=64000)
    with pytest.raises(LabError, match="known: none"):
        settings_of(FAULTS["near-cut"], {"ms": 1.0})


@pytest.mark.parametrize("name", ["", "A", "../etc", "-x", "a b", "x" * 33, "é", "a\n"])
def test_a_lab_name_is_a_plain_word(name: str) -> None:
    """It becomes part of paths: nothing else is accepted."""
    with pytest.raises(LabError):
        path_of(name)
