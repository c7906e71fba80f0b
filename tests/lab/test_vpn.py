"""The VPN's rows of the failure catalogue beyond the first issue's table, and what its gateways' word adds.

The rows that the table has already (1, 3, 4, 9, 13) are in test_scenarios; what the lab cannot inject: docs/vpn.md.
"""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.agents import Agent, console_command
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


def peer(lab: Lab, name: str) -> str:
    """Ask the far gateway's IKE daemon once; return `ok` or the fault."""
    command = [console_command(), "probe", name, "--config.file", str(lab.run_dir / "cloud" / "agent.yml")]
    done: subprocess.CompletedProcess[str] = lab.run("cloud-host", command)
    words = dict(line.split(None, 1) for line in done.stdout.splitlines() if line.startswith("outcome"))
    outcome = words["outcome"]
    return "ok" if outcome.startswith("ok") else outcome.split("connect: ")[-1].split()[0]


def test_a_dead_peer_a_filtered_port_and_a_wrong_key_come_apart(watched: tuple[Lab, Agent]) -> None:
    """The gateway's word, and the far daemon's on both ports, tell the three apart while the tunnel's probes cannot."""
    lab, agent = watched
    lab.break_("wrong-psk")
    agent.wait(lambda a: tunnel(a) == ("failed", "auth-refused"), 20.0, "a refused key")
    assert (peer(lab, "peer"), peer(lab, "peer-4500")) == ("ok", "ok")
    lab.heal()
    agent.wait(lambda a: tunnel(a) == ("ok", ""), 20.0, "a tunnel that is up")
    block = (
        "add table ip f; add chain ip f c { type filter hook forward priority 0; }; add rule ip f c udp dport 500 drop"
    )
    assert lab.run("carrier-core", ["nft", block]).returncode == 0
    assert (peer(lab, "peer"), peer(lab, "peer-4500")) == ("timeout", "ok")
    assert tunnel(agent) == ("ok", "")
    assert lab.run("carrier-core", ["nft", "delete table ip f"]).returncode == 0
    lab.break_("onprem-gw-dead")
    agent.wait(lambda a: tunnel(a) == ("failed", "peer-silent"), 20.0, "a silent peer")
    assert peer(lab, "peer") == "timeout"
