"""wireguard, pure: what peers' handshakes and counters say over time; age alone says nothing."""

import base64
from typing import Any

import pytest

from probes.kit.result import Outcome
from probes.kit.spec import Flow
from probes.kit.wireguard_device import Peer
from probes.wireguard import SPEC, Settings, Watched, flow, watch

KEY, OTHER = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
WALL = 1_795_442_000.0
WG0 = Settings(target="wg0")
FAULTS = {fault.name: fault.stage for fault in SPEC.faults}


def peer(age: float | None = 30.0, received: int = 0, sent: int = 0, *, key: str = KEY, **more: Any) -> Peer:
    """Return a peer whose last handshake was `age` seconds before WALL."""
    at = None if age is None else WALL - age
    return Peer(key=key, handshake_at=at, received_bytes=received, sent_bytes=sent, **more)


def seen(settings: Settings, *readings: tuple[float, tuple[Peer, ...]]) -> Any:
    """Return the result after readings, each at its moment (boot time; WALL stands still)."""
    before = Watched()
    for now, peers in readings:
        before, result = watch(before, settings, peers, WALL, now)
    return result


CASES: dict[str, tuple[Settings, tuple[tuple[float, tuple[Peer, ...]], ...], tuple[Outcome, str | None]]] = {
    "a young handshake": (WG0, ((0.0, (peer(),)),), (Outcome.OK, None)),
    "an old handshake and no traffic": (WG0, ((0.0, (peer(4000.0),)),), (Outcome.UNKNOWN, "idle")),
    "an old handshake, and something comes": (
        WG0,
        ((0.0, (peer(4000.0),)), (5.0, (peer(4000.0, received=32),))),
        (Outcome.OK, None),
    ),
    "never heard, nothing sent": (WG0, ((0.0, (peer(None),)),), (Outcome.UNKNOWN, "idle")),
    "never heard, sends for long": (
        WG0,
        ((0.0, (peer(None),)), (5.0, (peer(None, sent=148),)), (20.0, (peer(None, sent=592),))),
        (Outcome.FAILED, "peer-silent"),
    ),
    "a young handshake, and nothing comes back": (
        WG0,
        ((0.0, (peer(),)), (5.0, (peer(sent=100),)), (21.0, (peer(sent=900),))),
        (Outcome.FAILED, "peer-silent"),
    ),
    "sends unanswered, too briefly to tell": (
        WG0,
        ((0.0, (peer(),)), (5.0, (peer(sent=100),)), (10.0, (peer(sent=900),))),
        (Outcome.OK, None),
    ),
    "one of two peers is silent": (
        WG0,
        (
            (0.0, (peer(), peer(key=OTHER))),
            (5.0, (peer(received=5), peer(key=OTHER, sent=9))),
            (20.0, (peer(received=9), peer(key=OTHER, sent=99))),
        ),
        (Outcome.FAILED, "peer-silent"),
    ),
    "the silent one is not asked for": (
        Settings(target="wg0", peer=KEY),
        (
            (0.0, (peer(), peer(key=OTHER))),
            (5.0, (peer(received=5), peer(key=OTHER, sent=9))),
            (20.0, (peer(received=9), peer(key=OTHER, sent=99))),
        ),
        (Outcome.OK, None),
    ),
    "the peer is gone": (
        Settings(target="wg0", peer=KEY),
        ((0.0, (peer(key=OTHER),)),),
        (Outcome.FAILED, "not-configured"),
    ),
    "an interface without peers": (WG0, ((0.0, ()),), (Outcome.FAILED, "not-configured")),
    "another endpoint than agreed": (
        Settings(target="wg0", endpoint="203.0.113.2:51820"),
        ((0.0, (peer(endpoint="198.51.100.9:51820"),)),),
        (Outcome.DEGRADED, "other-endpoint"),
    ),
    "the agreed endpoint, written in another way": (
        Settings(target="wg0", endpoint="[2001:DB8:0::9]:51820"),
        ((0.0, (peer(endpoint="[2001:db8::9]:51820"),)),),
        (Outcome.OK, None),
    ),
    "the agreed endpoint": (
        Settings(target="wg0", endpoint="203.0.113.2:51820"),
        ((0.0, (peer(endpoint="203.0.113.2:51820"),)),),
        (Outcome.OK, None),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_age_alone_is_no_verdict(case: str) -> None:
    """Only what is sent and not answered fails; what rests is unknown."""
    settings, readings, expected = CASES[case]
    result = seen(settings, *readings)
    assert (result.outcome, result.fault) == expected
    if result.fault is not None and result.outcome is not Outcome.DEGRADED:
        assert FAULTS[result.fault] is result.stage


def test_totals_and_changes_are_told() -> None:
    """The common family, and how often the peer came from somewhere else."""
    first, second = peer(endpoint="203.0.113.2:1"), peer(received=7, sent=3, endpoint="203.0.113.2:2")
    values = seen(WG0, (0.0, (first,)), (5.0, (second,))).values
    assert values["vpn_received_bytes_total"] == 7
    assert values["vpn_passing"] == 1
    assert values["vpn_peer_age_seconds"] == 30
    assert values["wireguard_endpoint_changes_total"] == 1
    assert set(values) <= {metric.name for metric in SPEC.metrics}


def test_an_endpoint_that_is_forgotten_for_a_moment_has_not_changed() -> None:
    """A restarted interface does not know its peer's endpoint; the same one afterwards is no change."""
    at = peer(endpoint="203.0.113.2:1")
    values = seen(WG0, (0.0, (at,)), (1.0, (peer(None),)), (2.0, (at,))).values
    assert values["wireguard_endpoint_changes_total"] == 0


def test_a_missing_peer_is_a_series_at_zero() -> None:
    """What is asked for and not there is zero configured, zero established."""
    values = seen(Settings(target="wg0", peer=KEY), (0.0, ())).values
    assert (values["vpn_tunnels_configured"], values["vpn_tunnels_established"]) == (0, 0)


def test_facts_are_what_is_configured() -> None:
    """Public keys, networks, keep-alive and endpoint, to be compared with what was approved."""
    result = seen(
        WG0, (0.0, (peer(endpoint="203.0.113.2:1", keepalive_seconds=25, allowed=("b", "a")), peer(key=OTHER)))
    )
    name, other = KEY[:8], OTHER[:8]
    assert result.facts == {
        f"{name} public_key": KEY,
        f"{name} allowed_ips": "a, b",
        f"{name} keepalive_seconds": "25",
        f"{name} endpoint": "203.0.113.2:1",
        f"{other} public_key": OTHER,
        f"{other} allowed_ips": "",
        f"{other} keepalive_seconds": "off",
    }


def test_details_stay_short() -> None:
    """Of many peers some are told and the rest counted."""
    many = tuple(peer(4000.0, key=base64.b64encode(bytes([n]) * 32).decode()) for n in range(9))
    assert seen(WG0, (0.0, many)).detail.endswith("; 4 more")


FLOWS = {
    "an interface of the kernel": (Settings(target="wg0"), "netlink", "wg0"),
    "a socket": (Settings(target="/var/run/wireguard/wg0.sock"), "unix", "/var/run/wireguard/wg0.sock"),
    "a socket as a URL": (Settings(target="unix:///run/wg0.sock"), "unix", "/run/wg0.sock"),
}


@pytest.mark.parametrize("case", FLOWS)
def test_it_asks_this_host_only(case: str) -> None:
    """Nothing leaves the host."""
    settings, protocol, host = FLOWS[case]
    expected = Flow(host=host, protocol=protocol, function="wireguard", connect_bytes=0, carry_bytes=0)
    assert flow(settings) == expected
    assert flow(settings).local


WRONG = {
    "a name that is too long": (Settings(target="wireguard-to-the-site"), "neither an interface"),
    "nothing": (Settings(target=""), "neither an interface"),
    "a path that is too long": (Settings(target="/" + "x" * 120), "longer"),
    "an endpoint without a port": (Settings(target="wg0", endpoint="203.0.113.2"), "endpoint:"),
    "an endpoint by name": (Settings(target="wg0", endpoint="site.example:51820"), "endpoint:"),
    "a peer that is no key": (Settings(target="wg0", peer="site"), "peer:"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_setting_is_said(case: str) -> None:
    """The file's author reads which key is wrong."""
    settings, text = WRONG[case]
    with pytest.raises(ValueError, match=text):
        flow(settings)
