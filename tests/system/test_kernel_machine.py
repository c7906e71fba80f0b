"""Tunnels on a real kernel that has WireGuard and ESP, strongSwan's too, in the virtual machine."""

import base64
from typing import Any

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.soak]

EXPECTED: dict[str, tuple[str, str | None, dict[str, float]]] = {
    "wireguard idle": ("unknown", "idle", {"vpn_tunnels_configured": 1, "vpn_tunnels_established": 0}),
    "wireguard alive": ("ok", None, {"vpn_tunnels_established": 1, "vpn_passing": 1}),
    "wireguard silent": ("failed", "peer-silent", {"vpn_passing": 0}),
    "wireguard no interface": ("failed", "not-configured", {"vpn_tunnels_configured": 0}),
    "wireguard another interface": ("failed", "not-configured", {"vpn_tunnels_configured": 0}),
    "strongswan up": ("ok", None, {"vpn_tunnels_configured": 1, "vpn_tunnels_established": 1}),
    "its kernel up": ("ok", None, {"vpn_tunnels_configured": 1, "vpn_tunnels_established": 1}),
    "strongswan down": ("failed", "child-missing", {"vpn_tunnels_configured": 1, "vpn_tunnels_established": 0}),
    "its kernel down": ("failed", "not-configured", {"vpn_tunnels_configured": 0}),
    "xfrm established": ("ok", None, {"vpn_tunnels_configured": 1, "vpn_tunnels_established": 1}),
    "xfrm passing": ("ok", None, {"vpn_passing": 1}),
    "xfrm nothing back": ("degraded", "unanswered", {"vpn_passing": 0, "vpn_tunnels_established": 1}),
    "xfrm one way": ("failed", "sa-one-way", {"vpn_tunnels_established": 0}),
    "xfrm no state": ("failed", "sa-one-way", {"xfrm_in_no_states_total": 1}),
}


@pytest.mark.parametrize("step", EXPECTED)
def test_a_real_kernel_is_read(step: str, found: dict[str, Any]) -> None:
    """Each state of the kernel's tunnels gives its verdict and its values."""
    outcome, fault, values = EXPECTED[step]
    result = found[step]
    assert (result["outcome"], result["fault"]) == (outcome, fault)
    assert {name: result["values"].get(name) for name in values} == values


def test_daemon_and_kernel_count_alike(found: dict[str, Any]) -> None:
    """The daemon's word over VICI and the kernel's own, of the same tunnel: the same bytes and packets."""
    names = [f"vpn_{way}_{what}_total" for way in ("received", "sent") for what in ("bytes", "packets")]
    daemon, kernel = (found[step]["values"] for step in ("strongswan up", "its kernel up"))
    assert {name: daemon[name] for name in names} == {name: kernel[name] for name in names}
    assert kernel["vpn_received_packets_total"] == 1


def test_the_kernel_tells_of_a_lost_association(found: dict[str, Any]) -> None:
    """The probes of that gateway are woken when one goes."""
    assert found["xfrm event"] == "192.0.2.2"


def test_no_key_leaves_the_guest(found: dict[str, Any], printed: str) -> None:
    """Neither WireGuard's keys nor ESP's stand in any result."""
    told = "\n".join(line for line in printed.splitlines() if not line.startswith('RESULT ["secrets"'))
    keys = [base64.b64decode(secret) for secret in found["secrets"]]
    for key in (
        *keys,
        bytes.fromhex("0102030405060708090a0b0c0d0e0f10"),
        b"\x11" * 32,
        b"\x22" * 16,
        b"canary-psk-5f1e",
    ):
        assert key.decode("latin-1") not in told
        assert key.hex() not in told
        assert base64.b64encode(key).decode() not in told
