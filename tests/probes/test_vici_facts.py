"""The facts of a strongSwan gateway: from what charon 5.9.8 really said, and from anything else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.vici_facts import facts

# As charon-systemd 5.9.8 tells of the tunnel in tests/peers/test_strongswan_charon.py.
AUTH = {"class": b"pre-shared key", "groups": [], "cert_policy": [], "certs": [], "cacerts": []}
CONN: dict[str, Any] = {
    "site": {
        "local_addrs": [b"192.0.2.1"],
        "remote_addrs": [b"192.0.2.2"],
        "version": b"IKEv2",
        "reauth_time": b"0",
        "rekey_time": b"14400",
        "unique": b"UNIQUE_NO",
        "dpd_delay": b"1",
        "local-1": {"id": b"side1", **AUTH},
        "remote-1": {"id": b"side2", **AUTH},
        "children": {
            "net": {
                "mode": b"TUNNEL",
                "rekey_time": b"3600",
                "rekey_bytes": b"0",
                "rekey_packets": b"0",
                "dpd_action": b"start",
                "close_action": b"none",
                "local-ts": [b"10.1.0.0/24"],
                "remote-ts": [b"10.2.0.0/24"],
            }
        },
    }
}
CHILD: dict[str, Any] = {
    "name": b"net",
    "state": b"INSTALLED",
    "spi-in": b"2a5b9fa8",
    "encr-alg": b"AES_GCM_16",
    "encr-keysize": b"128",
    "bytes-in": b"0",
    "local-ts": [b"10.1.0.0/24"],
    "remote-ts": [b"10.2.0.0/24"],
}
SA: dict[str, Any] = {
    "site": {
        "state": b"ESTABLISHED",
        "local-host": b"192.0.2.1",
        "remote-host": b"192.0.2.2",
        "initiator-spi": b"2f866f4508749009",
        "encr-alg": b"AES_GCM_16",
        "encr-keysize": b"128",
        "prf-alg": b"PRF_HMAC_SHA2_256",
        "dh-group": b"CURVE_25519",
        "child-sas": {"net-1": CHILD},
    }
}
CONFIGURED = {
    "connections": "site",
    "site children": "net",
    "site dpd delay seconds": "1",
    "site ike reauth seconds": "0",
    "site ike rekey seconds": "14400",
    "site ike version": "IKEv2",
    "site local addresses": "192.0.2.1",
    "site local authentication": "pre-shared key",
    "site local identity": "side1",
    "site remote addresses": "192.0.2.2",
    "site remote authentication": "pre-shared key",
    "site remote identity": "side2",
    "site unique": "UNIQUE_NO",
    "site/net close action": "none",
    "site/net dpd action": "start",
    "site/net local selectors": "10.1.0.0/24",
    "site/net mode": "TUNNEL",
    "site/net rekey bytes": "0",
    "site/net rekey packets": "0",
    "site/net rekey seconds": "3600",
    "site/net remote selectors": "10.2.0.0/24",
}
NEGOTIATED = {
    "site ike proposal": "AES_GCM_16-128/PRF_HMAC_SHA2_256/CURVE_25519",
    "site local endpoint": "192.0.2.1",
    "site remote endpoint": "192.0.2.2",
    "site/net esp proposal": "AES_GCM_16-128",
    "site/net negotiated local selectors": "10.1.0.0/24",
    "site/net negotiated remote selectors": "10.2.0.0/24",
}
REKEYED = {**CHILD, "dh-group": b"CURVE_25519"}
CASES: dict[str, tuple[list[Any], list[Any], dict[str, str]]] = {
    "configured only": ([CONN], [], CONFIGURED),
    "established": ([CONN], [SA], CONFIGURED | NEGOTIATED),
    "nothing loaded": ([], [], {}),
    "without a child": (
        [{"road": {"version": b"IKEv1"}}],
        [],
        {"connections": "road", "road children": "none", "road ike version": "IKEv1"},
    ),
    "connecting tells no algorithm": ([], [{"site": {"state": b"CONNECTING", "encr-alg": b"X"}}], {}),
    "a child under way": ([], [{"site": {"child-sas": {"net-2": {"state": b"CREATED", "encr-alg": b"X"}}}}], {}),
    "old and new child, the new one with its own group": (
        [],
        [{"site": {"child-sas": {"net-1": CHILD, "net-2": REKEYED}}}],
        {key: value for key, value in NEGOTIATED.items() if "/net" in key} | {"site/net pfs group": "CURVE_25519"},
    ),
    "two algorithms at once": (
        [],
        [
            {"s": {"child-sas": {"n": {"state": b"REKEYING", "encr-alg": b"B"}}}},
            {"s": {"child-sas": {"n": {"state": b"INSTALLED", "encr-alg": b"A"}}}},
        ],
        {"s/n esp proposal": "A, B"},
    ),
    "two rounds of authentication": (
        [{"s": {"remote-1": {"class": b"public key"}, "remote-2": {"class": b"EAP"}}}],
        [],
        {"connections": "s", "s children": "none", "s remote authentication": "public key then EAP"},
    ),
    "lists in any order": (
        [{"s": {"local_addrs": [b"b", b"a"]}}],
        [],
        {"connections": "s", "s children": "none", "s local addresses": "a, b"},
    ),
    "values of another shape": (
        [{"s": {"version": [b"x", {}], "children": b"none", "local-1": b"?"}, "t": b"?"}],
        [],
        {"connections": "s", "s children": "none", "s ike version": "x"},
    ),
}


@pytest.mark.parametrize(("conns", "sas", "wanted"), CASES.values(), ids=CASES)
def test_facts(conns: list[Any], sas: list[Any], wanted: dict[str, str]) -> None:
    """What is configured and what was negotiated are told under stable names; what is not told is absent."""
    assert facts(conns, sas) == wanted


def test_no_secret_leaves() -> None:
    """Whatever keys a daemon might add, only the known names are read."""
    canary = b"canary-psk-77aa"
    more = {"secret": canary, "psk": canary, "private": [canary]}
    conn = {"site": {**CONN["site"], **more, "local-1": {"id": b"side1", **more}, "children": {"net": more}}}
    sa = {"site": {**SA["site"], **more, "child-sas": {"net-1": {**CHILD, **more}}}}
    found = facts([conn], [sa])
    assert found
    assert "canary" not in repr(found)


VALUES = st.recursive(
    st.binary(max_size=8) | st.lists(st.binary(max_size=8), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(["site", "children", "local-1", "child-sas", "state", "x"]), inner),
    max_leaves=12,
)
SECTIONS = st.lists(st.dictionaries(st.sampled_from(["site", "children"]), VALUES, max_size=2), max_size=3)


@given(SECTIONS, SECTIONS)
def test_any_answer(conns: list[Any], sas: list[Any]) -> None:
    """Whatever a daemon answers, the outcome is facts of text."""
    found = facts(conns, sas)
    assert all(isinstance(name, str) and isinstance(value, str) and value for name, value in found.items())
