"""A strongSwan gateway's answers, read: configured pairs, SAs and tunnels."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from probes.kit.charon_view import (
    DUPLICATE_SECONDS,
    ChildSa,
    IkeSa,
    View,
    duplicates,
    established,
    last_words,
    narrowed,
    read_view,
    tunnels,
    uncarried,
)
from probes.kit.tunnel_state import Counters
from tests.probes.charon_samples import CHILD, CONN, SA, STATS, child, ike, view


def test_real_answers_are_read() -> None:
    """The keys of a real daemon become configured pairs and SAs; bypass policies are left out."""
    counters = Counters(received_bytes=1200, sent_bytes=3400, received_packets=3, sent_packets=4)
    own = ChildSa(
        name="net",
        state="INSTALLED",
        spi="d1109242",
        counters=counters,
        rekey_seconds=3288,
        age_seconds=60,
        heard_seconds=0,
        selectors=("10.1.0.0/24", "===", "10.2.0.0/24"),
    )
    assert read_view([CONN], [SA], STATS) == View(
        configured=frozenset({("site", "net")}),
        ike=(
            IkeSa(
                connection="site",
                state="ESTABLISHED",
                unique_id="1",
                peer="192.0.2.2",
                age_seconds=79,
                rekey_seconds=13271,
                children=(own,),
            ),
        ),
        half_open=0,
        peers={"site": ("192.0.2.2",)},
        networks={("site", "net"): ("10.1.0.0/24", "===", "10.2.0.0/24")},
    )


def test_a_child_becomes_a_tunnel() -> None:
    """Counters stand under the SPI; an inbound packet shows the peer's age."""
    (tunnel,) = tunnels(read_view([CONN], [SA])).values()
    assert (tunnel.name, tunnel.configured, tunnel.established) == ("site/net", True, True)
    assert set(tunnel.sas) == {"d1109242"}
    assert (tunnel.established_seconds, tunnel.rekey_seconds, tunnel.peer_age_seconds) == (60, 3288, 0)
    assert (tunnel.duplicates, tunnel.state) == (0, "INSTALLED")


def test_a_missing_child_is_a_tunnel_too() -> None:
    """What is configured and has no SA is not established, never absent."""
    (tunnel,) = tunnels(view()).values()
    assert (tunnel.configured, tunnel.established, tunnel.state, tunnel.sas) == (True, False, "none", {})


def test_an_sa_without_configuration_is_a_tunnel_too() -> None:
    """What stands and is not configured is shown as that."""
    (tunnel,) = tunnels(view(ike("ESTABLISHED", child()), configured=())).values()
    assert (tunnel.configured, tunnel.established) == (False, True)


DUPLICATES: dict[str, tuple[tuple[ChildSa, ...], int]] = {
    "one": ((child(),), 0),
    "two that last": ((child(spi="a"), child(spi="b")), 1),
    "three that last": ((child(spi="a"), child(spi="b"), child(spi="c")), 2),
    "the second has just come": ((child(spi="a"), child(spi="b", age=DUPLICATE_SECONDS - 1)), 0),
    "the old one is being rekeyed": ((child("REKEYING", spi="a"), child(spi="b")), 0),
    "other selectors": ((child(), ChildSa(name="net", state="INSTALLED", age_seconds=99, selectors=("x",))), 0),
    "age not told": ((child(), ChildSa(name="net", state="INSTALLED")), 0),
}


def test_lasting_sas_of_one_child_are_duplicates() -> None:
    """Neither a rekeying nor another peer's SA is one."""
    for name, (children, expected) in DUPLICATES.items():
        assert duplicates(established(view(ike("ESTABLISHED", *children)))) == expected, name
    apart = [(IkeSa(connection="site", state="ESTABLISHED", peer=peer), child()) for peer in ("192.0.2.2", "192.0.2.3")]
    assert duplicates(apart) == 0


NARROWED: dict[str, tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[str, ...]]] = {
    "as configured": (("10.1.0.0/24", "===", "10.2.0.0/16"), (("10.1.0.0/24", "===", "10.2.0.0/16"),), ()),
    "narrower": (("10.1.0.0/24", "===", "10.2.0.0/16"), (("10.1.0.0/24", "===", "10.2.0.0/28"),), ("10.2.0.0/16",)),
    "spread over two": (("a", "===", "b", "c"), (("a", "===", "b"), ("a", "===", "c")), ()),
    "one of two": (("a", "===", "b", "c"), (("a", "===", "b"),), ("c",)),
    "the daemon's choice": (("dynamic", "===", "b"), (("a", "===", "b"),), ()),
}


def test_what_the_peer_left_out_is_seen() -> None:
    """A configured selector that no SA of the child has is one that the peer did not grant."""
    for name, (wanted, held, lacking) in NARROWED.items():
        live = [ChildSa(name="net", state="INSTALLED", selectors=selectors) for selectors in held]
        seen = View(networks={("site", "net"): wanted})
        assert narrowed(seen, ("site", "net"), live) == lacking, name


def test_the_last_counters_of_an_sa_are_read_from_its_end() -> None:
    """A child that went down, and the old one of a rekeying, bring their last counters; nothing else does."""
    site = {"uniqueid": b"1", "state": b"ESTABLISHED"}
    down = {"site": {**site, "child-sas": {"net-1": CHILD}}}
    rekey = {"site": {**site, "child-sas": {"net": {"old": CHILD, "new": {**CHILD, "spi-in": b"other"}}}}}
    for event, message in (("child-updown", down), ("child-rekey", rekey)):
        ((name, ended),) = last_words(event, message)
        assert (name, ended.spi, ended.counters.received_bytes) == ("site/net", "d1109242", 1200)
    assert not list(last_words("child-updown", {"up": b"yes", **down}))
    assert not list(last_words("ike-updown", down))


VALUES = st.recursive(
    st.binary(max_size=12)
    | st.lists(st.binary(max_size=4), max_size=2)
    | st.sampled_from([b"INSTALLED", b"ESTABLISHED", b"99"]),
    lambda inner: st.dictionaries(
        st.sampled_from(
            ["site", "net", "children", "child-sas", "state", "name", "mode", "bytes-in", "rekey-time", "old", "ikesas"]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)
MESSAGE = st.dictionaries(st.sampled_from(["site", "b", "up", "ikesas"]), VALUES, max_size=2)
MESSAGES = st.lists(MESSAGE, max_size=3)


@given(MESSAGES, MESSAGES, MESSAGE, st.sampled_from(["child-updown", "child-rekey", "ike-updown", "x"]))
def test_any_answers_give_tunnels(
    conns: list[dict[str, Any]], sas: list[dict[str, Any]], other: dict[str, Any], event: str
) -> None:
    """Whatever shape the values have, a view comes of it, and every configured pair is a tunnel."""
    seen = read_view(conns, sas, other)
    assert seen.configured <= set(tunnels(seen))
    assert all(isinstance(ended, ChildSa) for _, ended in last_words(event, other))


CARRIED = {
    "one network holds all": (("10.20.0.0/16",), (("10.1.0.0/16", "===", "10.20.0.0/16"),), ()),
    "a wider one too": (("10.20.0.0/16",), (("10.1.0.0/16", "===", "0.0.0.0/0"),), ()),
    "two halves hold the whole": (
        ("10.20.0.0/16",),
        (("10.1.0.0/16", "===", "10.20.0.0/17"), ("10.1.0.0/16", "===", "10.20.128.0/17")),
        (),
    ),
    "a part is not enough": (("10.20.0.0/16",), (("10.1.0.0/16", "===", "10.20.0.0/28"),), ("10.20.0.0/16",)),
    "nor is one port, nor a range": (
        ("10.20.0.0/16",),
        (("10.1.0.0/16", "===", "10.20.0.0/16[tcp/443]", "10.20.0.0..10.20.255.255"),),
        ("10.20.0.0/16",),
    ),
    "this side's networks are not the far ones": (("10.1.0.0/16",), (("10.1.0.0/16", "==="),), ("10.1.0.0/16",)),
    "nothing stands": (("10.20.0.0/16", "2001:db8::/48"), (), ("10.20.0.0/16", "2001:db8::/48")),
    "the families are apart": (
        ("2001:db8:1::/48", "10.20.0.0/16"),
        (("===", "2001:db8::/32"), ()),
        ("10.20.0.0/16",),
    ),
    "nothing was agreed": ((), (), ()),
}


def test_networks_that_no_sa_holds_are_told() -> None:
    """What was agreed must be held whole by the far selectors of the SAs together."""
    for name, (agreed, held, lost) in CARRIED.items():
        live = [ChildSa(name="net", state="INSTALLED", selectors=selectors) for selectors in held]
        assert uncarried(agreed, live) == lost, name
