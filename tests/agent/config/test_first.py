"""The first files of a host: from what the kernel and resolv.conf say, always loadable."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.config import load_chain_text
from agent.config.first import Answers, Neighbourhood, agent_file, chain_file, neighbourhood, resolvers, slug
from agent.model import UNASSIGNED

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
# As a Debian host with two links and a metric shows them.
ROUTE = HEAD + (
    "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    "eth1\t00000000\t0102A8C0\t0003\t0\t0\t50\t00000000\t0\t0\t0\n"
    "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0\n"
    "eth0\t0000000A\t0101A8C0\t0003\t0\t0\t100\t000000FF\t0\t0\t0\n"
    "eth2\t00000000\t0103A8C0\t0002\t0\t0\t0\t00000000\t0\t0\t0\n"
    "ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
    "cut off\n"
)
RESOLV = "# a\nnameserver 127.0.0.53\nnameserver 192.168.1.5\n nameserver 10.9.9.9\nnameserver fe80::1%eth0\nsearch x\n"
SAID = Answers(
    operator='Gemeente "X"\\Y',
    vantage="cloud",
    timezone="Europe/Amsterdam",
    effective=datetime(2027, 1, 15, tzinfo=UTC),
    data="/var/lib/demarc",
)


def test_neighbourhood() -> None:
    """The default route with the least metric that is up counts; stubs and IPv6 are no resolvers."""
    near = neighbourhood(ROUTE, RESOLV)
    assert near == Neighbourhood(
        gateway="192.168.2.1",
        attached=("192.168.1.0/24",),
        routes=(("10.0.0.0/8", "192.168.1.1"),),
        resolvers=("192.168.1.5", "10.9.9.9"),
    )
    assert near.is_attached("192.168.1.5")
    assert not near.is_attached("10.9.9.9")
    assert [near.via(a) for a in ("192.168.1.5", "10.9.9.9", "8.8.8.8")] == [None, "192.168.1.1", "192.168.2.1"]


def test_nothing_known() -> None:
    """A host that knows nothing of its network is told which option to give."""
    near = neighbourhood("", "")
    assert near == Neighbourhood()
    with pytest.raises(ValueError, match="--gateway ADDRESS"):
        chain_file(near, SAID)


def test_chain() -> None:
    """Only the operator's own segment has an owner; paths follow the routes."""
    chain = load_chain_text(chain_file(neighbourhood(ROUTE, RESOLV), SAID).encode(), "chain.yml")
    assert chain.parties["gemeente-x-y"].name == 'Gemeente "X"\\Y'
    assert {s.id: s.owners for s in chain.segments.values()} == {
        "cloud-host": ("gemeente-x-y",),
        "gateway": (UNASSIGNED,),
        "gateway-2": (UNASSIGNED,),
        "resolver-1": (UNASSIGNED,),
        "resolver-2": (UNASSIGNED,),
    }
    assert {p.id: p.path for p in chain.probes.values()} == {
        "gw": ("cloud-host", "gateway"),
        "gw-2": ("cloud-host", "gateway-2"),
        "resolver-1": ("cloud-host", "resolver-1"),
        "resolver-2": ("cloud-host", "gateway-2", "resolver-2"),
    }


def test_router_that_resolves() -> None:
    """A gateway that is the resolver too is one segment."""
    near = Neighbourhood(gateway="192.168.1.1", resolvers=("192.168.1.1",))
    assert list(load_chain_text(chain_file(near, SAID).encode(), "c").probes) == ["gw"]


def test_resolver_without_gateway() -> None:
    """A resolver alone is enough for a first chain."""
    near = Neighbourhood(resolvers=("192.168.1.5",))
    assert list(load_chain_text(chain_file(near, SAID).encode(), "c").probes) == ["resolver-1"]


def test_agent_file() -> None:
    """The agent file names the vantage, the chain file beside it and the data directory."""
    assert agent_file(SAID).splitlines()[1:4] == ["vantage: cloud", "chain: chain.yml", "data: /var/lib/demarc"]


@pytest.mark.parametrize(
    ("name", "made"),
    [("Gemeente Voorbeeld", "gemeente-voorbeeld"), ("Self", "party-self"), ("日本", "operator"), ("365", "party-365")],
)
def test_slug(name: str, made: str) -> None:
    """A party's name becomes a name that the chain file accepts."""
    assert slug(name) == made


@settings(deadline=None)
@given(st.text(max_size=60))
def test_any_resolv_conf(text: str) -> None:
    """Any text gives a tuple of addresses."""
    assert isinstance(resolvers(text), tuple)


@settings(deadline=None)
@given(st.text(min_size=1, max_size=40).filter(lambda name: name.isprintable() and name.strip() != ""))
def test_any_operator(name: str) -> None:
    """Whatever printable name the operator has, the chain file loads and keeps it."""
    said = Answers(
        operator=name, vantage="cloud", timezone="UTC", effective=datetime(2027, 1, 15, tzinfo=UTC), data="d"
    )
    chain = load_chain_text(chain_file(Neighbourhood(gateway="192.0.2.1"), said).encode(), "c")
    assert [party.name for party in chain.parties.values()] == [name]
