"""The ike probe, pure: what it declares, and what it makes of answers."""

from typing import Any

import msgspec
import pytest

from probes import ike
from probes.ike import Settings, describe, flow, read_datagram
from probes.kit.ike_message import NON_ESP_MARKER, Answer, Unusable
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.spec import Evidence, Flow, Pace
from probes.kit.trouble import LOCAL_FAULTS
from tests.probes.ike_wire import OURS, message, notify

FLOWS: dict[str, tuple[Settings, Flow]] = {
    "by default": (
        Settings(target="203.0.113.2"),
        Flow(
            host="203.0.113.2",
            protocol="udp",
            port=500,
            function="IKE_SA_INIT",
            connect_bytes=176,
            carry_bytes=176,
        ),
    ),
    "behind a NAT": (
        Settings(target="vpn.example", nat_traversal=True),
        Flow(
            host="vpn.example",
            protocol="udp",
            port=4500,
            function="IKE_SA_INIT",
            connect_bytes=180,
            carry_bytes=180,
            named=True,
        ),
    ),
    "v6, another port": (
        Settings(target="[2001:db8::2]:5000"),
        Flow(
            host="2001:db8::2",
            protocol="udp",
            port=5000,
            family=6,
            function="IKE_SA_INIT",
            connect_bytes=196,
            carry_bytes=196,
        ),
    ),
}
WRONG: dict[str, tuple[Settings, str]] = {
    "4500 without marker": (Settings(target="203.0.113.2:4500"), "set `nat_traversal: true`"),
    "500 with marker": (Settings(target="203.0.113.2:500", nat_traversal=True), "leave the port out"),
    "no host": (Settings(target="a b"), "neither"),
    "port": (Settings(target="203.0.113.2:0"), "1 to 65535"),
    "a group": (Settings(target="224.0.0.1"), "unicast"),
}


@pytest.mark.parametrize("case", FLOWS)
def test_flows(case: str) -> None:
    """A flow says what firewalls and the diagnosis must know."""
    settings, expected = FLOWS[case]
    assert flow(settings) == expected


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_say_why(case: str) -> None:
    """What no gateway would answer is refused when the file is read."""
    settings, words = WRONG[case]
    with pytest.raises(ValueError, match=words):
        flow(settings)


def test_the_reference_is_whole() -> None:
    """Every key has its help, every fault its row once, and the pace keeps the peer unburdened."""
    spec = ike.SPEC
    assert set(spec.key_help) == {field.name for field in msgspec.structs.fields(Settings)}
    rows = [(row.name, row.stage) for row in spec.faults]
    assert len(rows) == len(set(rows))
    assert {"timeout", "refused", "malformed", "too-soon", "no-packet"} <= {row.name for row in spec.faults}
    assert {*RESOLVE_FAULTS, *LOCAL_FAULTS} <= set(spec.faults)
    assert (spec.evidence, spec.pace) == (Evidence.PATH, Pace.OWN)
    assert spec.default_interval >= 2 * ike.SPACING_SECONDS
    assert "half-open" in spec.leaves_traces


DESCRIBED: dict[str, tuple[Answer, str]] = {
    "refused": (Answer(version=2, notify=14), "NO_PROPOSAL_CHOSEN"),
    "cookie": (Answer(version=2, notify=16390), "COOKIE: the peer has many half-open SAs and guards itself"),
    "unheard of": (Answer(version=2, notify=40000), "notify 40000"),
    "nothing": (Answer(version=2), "no notification"),
    "old": (Answer(version=1, notify=5), "INVALID_MAJOR_VERSION (IKEv1 only)"),
    "accepted": (
        Answer(version=2, notify=16388, accepted=True),
        "the peer accepted a proposal that nobody should, and keeps a half-open SA until it gives up",
    ),
}


@pytest.mark.parametrize("case", DESCRIBED)
def test_the_detail_says_what_came(case: str) -> None:
    """People read the peer's word, not a number."""
    answer, words = DESCRIBED[case]
    assert describe(answer) == words


REFUSAL = message(notify(14))
DATAGRAMS: dict[str, tuple[bytes, bytes, Any]] = {
    "plain": (b"", REFUSAL, Answer(version=2, notify=14)),
    "marked": (NON_ESP_MARKER, NON_ESP_MARKER + REFUSAL, Answer(version=2, notify=14)),
    "marker missing": (NON_ESP_MARKER, REFUSAL, Unusable("no non-ESP marker", ours=False)),
    "a keepalive": (NON_ESP_MARKER, b"\xff", Unusable("no non-ESP marker", ours=False)),
    "unasked marker": (b"", NON_ESP_MARKER + REFUSAL, Unusable("not our SPI", ours=False)),
    "nothing": (b"", b"", Unusable("shorter than an IKE header", ours=False)),
}


@pytest.mark.parametrize("case", DATAGRAMS)
def test_the_marker(case: str) -> None:
    """On port 4500 an IKE message stands behind the marker, elsewhere it does not."""
    marker, data, expected = DATAGRAMS[case]
    assert read_datagram(data, marker, OURS) == expected


def test_the_proposal_is_nobodys() -> None:
    """Every transform's id is for private use and none of strongSwan's, so that nobody can accept it."""
    assert {transform.type for transform in ike.REFUSED} == {1, 2, 3, 4}
    for transform in ike.REFUSED:
        assert 1054 <= transform.id < 65535
