"""The VPN's rows of the failure catalogue beyond the first issue's table, and what its gateways' word adds.

The rows that the table has already (1, 3, 4, 9, 13) are in test_scenarios; what the lab cannot inject: docs/vpn.md.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.agents import Agent, Agents, console_command
from lab.api import Lab
from lab.faults import FAULTS
from lab.topology import ADDRESSES
from tests.lab.conftest import unique_name
from tests.lab.test_scenarios import QUICK, scenario

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab_possible")]

ROWS = [name for name, fault in FAULTS.items() if fault.catalogue and not fault.row]


@pytest.mark.soak
@pytest.mark.parametrize("name", ROWS)
def test_finding(name: str, tmp_path: Path) -> None:
    """Two agents find what the table says, one of them alone no more than it can know."""
    scenario(name, QUICK, tmp_path)


SIZES = """
  size-in: {{type: pmtu, from: cloud, target: {inner}, expect: 1400, timeout: 2s,
    path: [cloud-host, cloud-gw, carrier, vpn, onprem-gw]}}
  size-out: {{type: pmtu, from: cloud, target: {outer}, expect: 1500, timeout: 2s,
    path: [cloud-host, cloud-gw, carrier, onprem-gw]}}
"""
# What swallows large packets, and what the sizes inside the tunnel and outside it say.
TUNNEL_HOLE = (
    "add table ip f; add chain ip f c { type filter hook input priority -10; }; "
    'add rule ip f c iifname "ipsec0" ip length > 1100 drop'
)


@pytest.mark.soak
def test_a_hole_in_the_tunnel_and_one_on_the_line_come_apart() -> None:
    """Large packets are lost inside only, or inside and outside: two sizes tell which."""
    with Lab.up(unique_name("v"), pace=QUICK) as lab:
        chain = lab.run_dir / "chain.yml"
        inner, outer = ADDRESSES["onprem-gw"], ADDRESSES["onprem-gw-outer"]
        chain.write_text(chain.read_text() + SIZES.format(inner=inner, outer=outer))
        assert (once(lab, "size-in"), once(lab, "size-out")) == ("ok", "ok")
        lab.break_("mtu-hole")
        assert (once(lab, "size-in"), once(lab, "size-out")) == ("mtu-hole", "mtu-hole")
        lab.heal()
        assert lab.run("onprem-gw", ["nft", TUNNEL_HOLE]).returncode == 0
        assert (once(lab, "size-in"), once(lab, "size-out")) == ("mtu-hole", "ok")


# Both gateways have had the time to call their inbound side silent, and the page to say so.
ENOUGH_SECONDS = 45.0


@pytest.mark.soak
@pytest.mark.parametrize(("name", "heard_at"), [("esp-one-way", "onprem"), ("esp-dropped", None)])
def test_loss_in_one_direction_is_told_where_both_look(name: str, heard_at: str | None) -> None:
    """The words of both gateways tell that packets arrive there and nothing comes back, and not of loss both ways."""
    with Lab.up(unique_name("v"), pace=QUICK) as lab, Agents(lab) as agents:
        agents.wait_healthy()
        lab.break_(name)
        seen = set()

        def told(agent: Agent) -> bool:
            (own,) = (one for one in agent.ask("/api/v1/status")["tunnels"] if one["vantage"] == "cloud")
            seen.add(own["heard_at"] if own["fault"] == "inbound-silent" else None)
            return bool((own["unanswered_seconds"] or 0.0) > ENOUGH_SECONDS)

        agents["cloud"].wait(told, 90.0, "a tunnel out of which nothing comes")
        assert seen == {None, heard_at}


IKE = """
  peer: {{type: ike, from: cloud, target: {gateway}, timeout: 1s, path: {path}}}
  peer-4500: {{type: ike, from: cloud, target: {gateway}, nat_traversal: true, timeout: 1s, path: {path}}}
"""


@pytest.fixture
def watched() -> Iterator[tuple[Lab, Agent]]:
    """Give a lab whose cloud agent asks the far gateway's IKE daemon too, with its tunnel seen up."""
    with Lab.up(unique_name("v"), pace=QUICK) as lab:
        chain = lab.run_dir / "chain.yml"
        path = "[cloud-host, cloud-gw, carrier, onprem-gw]"
        chain.write_text(chain.read_text() + IKE.format(gateway=ADDRESSES["onprem-gw-outer"], path=path))
        agent = Agent(lab, "cloud")
        try:
            agent.wait(lambda a: tunnel(a) == ("ok", ""), 20.0, "a tunnel that is up")
            yield lab, agent
        finally:
            agent.stop()


def tunnel(agent: Agent) -> tuple[str, str]:
    """Return outcome and fault of the last look at the tunnel's gateway."""
    last = [one for one in agent.observations() if one["probe"] == "tunnel"][-1:]
    return (last[0]["outcome"], last[0].get("fault", "")) if last else ("", "")


def once(lab: Lab, name: str) -> str:
    """Make one attempt from the cloud's host; return `ok` or the fault."""
    command = [console_command(), "probe", name, "--config.file", str(lab.run_dir / "cloud" / "agent.yml")]
    done: subprocess.CompletedProcess[str] = lab.run("cloud-host", command, seconds=60.0)
    words = dict(line.split(None, 1) for line in done.stdout.splitlines() if line.startswith("outcome"))
    outcome = words["outcome"]
    return "ok" if outcome.startswith("ok") else outcome.split(": ")[1].split()[0]


def test_a_dead_peer_a_filtered_port_and_a_wrong_key_come_apart(watched: tuple[Lab, Agent]) -> None:
    """The gateway's word, and the far daemon's on both ports, tell the three apart while the tunnel's probes cannot."""
    lab, agent = watched
    lab.break_("wrong-psk")
    agent.wait(lambda a: tunnel(a) == ("failed", "auth-refused"), 20.0, "a refused key")
    assert (once(lab, "peer"), once(lab, "peer-4500")) == ("ok", "ok")
    lab.heal()
    agent.wait(lambda a: tunnel(a) == ("ok", ""), 20.0, "a tunnel that is up")
    block = (
        "add table ip f; add chain ip f c { type filter hook forward priority 0; }; add rule ip f c udp dport 500 drop"
    )
    assert lab.run("carrier-core", ["nft", block]).returncode == 0
    assert (once(lab, "peer"), once(lab, "peer-4500")) == ("timeout", "ok")
    assert tunnel(agent) == ("ok", "")
    assert lab.run("carrier-core", ["nft", "delete table ip f"]).returncode == 0
    lab.break_("onprem-gw-dead")
    agent.wait(lambda a: tunnel(a) == ("failed", "peer-silent"), 20.0, "a silent peer")
    assert once(lab, "peer") == "timeout"


# The cloud gateway's word in the table of docs/vpn.md.
WORDS = {
    "last-mile-cut": ("failed", "peer-silent"),
    "onprem-gw-dead": ("failed", "peer-silent"),
    "wrong-psk": ("failed", "auth-refused"),
    "ike-proposals": ("failed", "no-proposal"),
    "rekey-fails": ("failed", "no-proposal"),
    "selectors": ("failed", "selectors-mismatch"),
    "selectors-narrowed": ("degraded", "selectors-narrowed"),
    "return-route-lost": ("degraded", "inbound-silent"),
    "esp-one-way": ("degraded", "inbound-silent"),
    "one-sided-delete": ("degraded", "inbound-silent"),
}


@pytest.mark.soak
def test_the_gateways_word_is_what_the_documents_say(watched: tuple[Lab, Agent]) -> None:
    """Each fault of the tunnel, broken for real, is told by its own name, and the tunnel is well again after it."""
    lab, agent = watched
    for name, word in WORDS.items():
        lab.break_(name)
        agent.wait(lambda a, word=word: tunnel(a) == word, 60.0, f"{name}: {word}")  # type: ignore[misc]
        lab.heal()
        agent.wait(lambda a: tunnel(a) == ("ok", ""), 30.0, f"a tunnel that is up after {name}")
