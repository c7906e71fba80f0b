"""Every fault has the physical effect that its table row says, no other, and heals without a trace."""

import time
from collections.abc import Callable

import pytest

from lab.api import Lab

pytestmark = pytest.mark.lab

Survey = Callable[[Lab], dict[str, str]]

# An ICMP error of a gateway (its `unreachable` route once the SA is gone) may or may not reach a socket that does
# not ask for such errors: both are silence here.
SILENCE = {"unreachable": "connect"}
BEHIND_TUNNEL = {"anchor": "connect", "erp": "connect", "hr": "connect"}
# What fails, and how; whatever is not named must pass.
EFFECTS: dict[str, dict[str, str]] = {
    "app-stopped": {"erp": "refused", "erp-local": "refused"},
    "app-slow": {"erp": "answer", "erp-local": "answer"},
    "fw-drops-port": {"erp": "connect"},
    "onprem-gw-no-forward": {
        "erp": "connect",
        "hr": "connect",
        "o-carrier-edge": "connect",
        "o-underlay": "connect",
        "o-saas": "connect",
    },
    "cloud-gw-dead": {
        **BEHIND_TUNNEL,
        "gw": "connect",
        "gw-outer": "connect",
        "saas": "connect",
        "carrier-edge": "connect",
        "underlay": "connect",
        "o-underlay": "connect",
    },
    "near-cut": {**BEHIND_TUNNEL, "carrier-edge": "connect", "underlay": "connect", "o-underlay": "connect"},
    "carrier-core-dead": {**BEHIND_TUNNEL, "underlay": "connect", "o-underlay": "connect", "o-saas": "connect"},
    "last-mile-cut": {
        **BEHIND_TUNNEL,
        "underlay": "connect",
        "o-carrier-edge": "connect",
        "o-underlay": "connect",
        "o-saas": "connect",
    },
    "wrong-psk": {**BEHIND_TUNNEL},
    "esp-dropped": {**BEHIND_TUNNEL},
    "one-sided-delete": {**BEHIND_TUNNEL},
    "onprem-gw-dead": {
        **BEHIND_TUNNEL,
        "underlay": "connect",
        "o-gw": "connect",
        "o-gw-outer": "connect",
        "o-carrier-edge": "connect",
        "o-underlay": "connect",
        "o-saas": "connect",
    },
    "dns-stopped": {"dns": "refused", "erp": "resolve", "hr": "resolve"},
    "mtu-hole": {"erp": "secure", "hr": "secure", "o-saas": "secure"},
    "own-link-down": {
        **dict.fromkeys(("gw", "gw-outer", "saas", "carrier-edge", "underlay", "anchor", "dns"), "connect"),
        "erp": "resolve",
        "hr": "resolve",
    },
    "own-route-lost": {
        **dict.fromkeys(("gw-outer", "saas", "carrier-edge", "underlay", "anchor", "erp", "hr"), "connect"),
    },
}


@pytest.mark.parametrize("fault", EFFECTS)
def test_a_fault_breaks_what_it_says_and_heals(lab: Lab, survey: Survey, fault: str) -> None:
    """Exactly the named measurements fail, at the named stage; after healing everything passes again."""
    lab.break_(fault)
    broken = {name: SILENCE.get(how, how) for name, how in survey(lab).items() if how != "ok"}
    began = time.monotonic()
    healed = lab.heal()
    took = time.monotonic() - began
    assert broken == EFFECTS[fault]
    assert healed.tunnel
    assert not healed.faults
    assert took < 2.5
    assert {name: how for name, how in survey(lab).items() if how != "ok"} == {}
