"""Every fault has the physical effect that its table row says, no other, and heals without a trace."""

import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.api import Lab
from lab.faults import FAULTS, Block, Commands
from lab.topology import NODES
from lab.tunnel import GATEWAYS

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
    "selectors": {**BEHIND_TUNNEL},
    "selectors-narrowed": {"erp": "connect", "hr": "connect"},
    "return-route-lost": {**BEHIND_TUNNEL},
    "cloud-gw-no-forward": {
        **BEHIND_TUNNEL,
        "saas": "connect",
        "carrier-edge": "connect",
        "underlay": "connect",
    },
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


SHOW = "ip -br link; ip -br addr; ip rule; ip route show table all; nft list ruleset"
# Interface numbers, link-local neighbours and the kernel's caches are nobody's configuration.
NOISE = re.compile(r"@if\d+|@\w+")


def configuration(lab: Lab, nodes: Iterable[str]) -> dict[str, list[str]]:
    """Return devices, addresses, rules, routes and filters of these nodes."""
    nodes = list(nodes)

    def show(node: str) -> list[str]:
        return sorted(NOISE.sub("", lab.run(node, ["sh", "-c", SHOW]).stdout).splitlines())

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(nodes, pool.map(show, nodes), strict=True))


@pytest.fixture(scope="session")
def untouched(session_lab: Lab) -> dict[str, list[str]]:
    """The configuration of the lab without any fault."""
    session_lab.heal()
    return configuration(session_lab, NODES)


@pytest.mark.parametrize("fault", EFFECTS)
def test_a_fault_breaks_what_it_says_and_heals(
    lab: Lab, survey: Survey, untouched: dict[str, list[str]], fault: str
) -> None:
    """Exactly the named measurements fail, at the named stage; after healing everything passes again."""
    lab.break_(fault)
    broken = {name: SILENCE.get(how, how) for name, how in survey(lab).items() if how != "ok"}
    began = time.monotonic()
    healed = lab.heal()
    took = time.monotonic() - began
    assert broken == EFFECTS[fault]
    assert healed.tunnel
    assert not healed.faults
    assert took < 3
    assert {name: how for name, how in survey(lab).items() if how != "ok"} == {}
    nodes = {*GATEWAYS, *(effect.node for effect in FAULTS[fault].effects if isinstance(effect, Block | Commands))}
    assert configuration(lab, nodes) == {node: untouched[node] for node in nodes}


# What each gateway holds while the fault lasts: (cloud, on-premise) child SAs.
HELD = {
    "esp-dropped": (1, 1),
    "one-sided-delete": (1, 0),
    "wrong-psk": (0, 0),
    "ike-proposals": (0, 0),
    "selectors": (0, 0),
    "rekey-fails": (0, 0),
    "onprem-gw-dead": (0, 0),
    "near-cut": (0, 0),
}


@pytest.mark.parametrize("fault", HELD)
def test_the_gateways_word_while_a_fault_lasts(lab: Lab, survey: Survey, fault: str) -> None:
    """After dead peer detection had its time, the SAs are as a real pair of gateways would report them."""
    lab.break_(fault)
    deadline = time.monotonic() + 4  # dpd_delay 1 s, three transmissions of 0.5 s, and some
    while (held := tuple(lab.status().associations.values())) != (0, 0) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert held == HELD[fault]
    assert survey(lab)["anchor"] != "ok"


def test_faults_add_up_and_heal_one_by_one(lab: Lab, survey: Survey) -> None:
    """A tunnel fault healed under another fault leaves that one; the last heal brings everything back."""
    lab.break_("wrong-psk")
    lab.break_("app-stopped")
    lab.break_("last-mile-cut")
    lab.heal("wrong-psk")
    assert survey(lab)["underlay"] == "connect"
    lab.heal("last-mile-cut")
    assert survey(lab)["erp-local"] == "refused"
    reply = lab.heal()
    assert reply.tunnel
    assert {name: how for name, how in survey(lab).items() if how != "ok"} == {}


def test_wrong_keys_are_what_the_gateway_complains_of(lab: Lab) -> None:
    """The answering side's log says that the shared key does not fit, as facts of strongSwan say it does."""
    lab.break_("wrong-psk")
    log = (lab.run_dir / "log" / "onprem-gw.charon.log").read_text()
    assert "MAC mismatched" in log
