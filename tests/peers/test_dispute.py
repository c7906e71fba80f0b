"""A dispute about an incident of a running agent: with its commands, and with signatures by OpenSSH's ssh-keygen."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.peers.running_agent import CHAIN, CHECKOUT, Listener, RunningAgent, eventually

pytestmark = pytest.mark.peer
PARTIES = ("msp", "incumbent")


class Dispute:
    """An agent that has found an incident, and people with keys of their own."""

    def __init__(self, folder: Path, agent: RunningAgent, chain: Path) -> None:
        self.folder, self.agent, self.chain = folder, agent, chain
        found = eventually(lambda: agent.transitions("confirmed"))
        self.incident: str = found[0]["incident"]

    def demarc(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `demarc ledger`."""
        command = RunningAgent.command("ledger", *words)
        return subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False)

    def enter(self, *words: str) -> str:
        """Run a command that hands something in; it must be recorded."""
        done = self.demarc(*words, "--config.file", str(self.agent.file))
        assert done.returncode == 0, done.stderr
        return done.stdout

    def record(self) -> list[dict[str, Any]]:
        """Return what the agent shows beside the incident."""
        return list(json.loads(self.agent.get(f"/api/v1/incidents/{self.incident}"))["record"])


@pytest.fixture(scope="module")
def dispute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dispute]:
    """Return a dispute about an application that refuses."""
    folder = tmp_path_factory.mktemp("dispute")
    keys = {}
    for party in PARTIES:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / party)], check=True)
        keys[party] = (folder / f"{party}.pub").read_text().strip()
    gateway, application = Listener(), Listener()
    text = CHAIN.format(gateway=gateway.port, application=application.port, more="custodian: msp")
    for party in PARTIES:
        people = f'people: {{boss: {{role: manager, name: J. Jansen, key: "{keys[party]}"}}}}'
        text = text.replace(f"{party}: {{name: ", f"{party}: {{{people}, name: ", 1)
    chain = folder / "chain.yml"
    chain.write_text(text)
    with RunningAgent(folder / "agent", chain) as agent:
        agent.start()
        eventually(lambda: agent.status()["services"][0]["state"] == "up")
        application.stop()
        yield Dispute(folder, agent, chain)
    gateway.stop()


def test_what_people_enter_stands_beside_the_incident(dispute: Dispute) -> None:
    """An acknowledgement, a request and its reply, shown with their entries; what is not in order is refused."""
    dispute.enter("acknowledge", dispute.incident, "--party", "incumbent", "--person", "J. Jansen")
    about = ("--incident", dispute.incident, "--party", "msp")
    said = dispute.enter("request", "incumbent", "explain", "--within", "14d", *about)
    assert said.startswith("Recorded as entry ")
    request = next(one["body"]["id"] for one in dispute.record() if one["kind"] == "request")
    dispute.enter("reply", request, "done", "--text", "a disk was full", "--party", "incumbent")
    asked = ("acknowledgement", "request", "reply")
    assert tuple(one["kind"] for one in dispute.record() if one["kind"] in asked) == asked
    assert "J. Jansen" not in json.dumps(dispute.record())
    refused = dispute.demarc(
        "acknowledge", dispute.incident, "--party", "nobody", "--config.file", str(dispute.agent.file)
    )
    assert refused.returncode != 0
    assert "'nobody' is no party of the chain file; there are msp, carrier, incumbent" in refused.stderr


def test_two_people_correct_with_ssh_keygen(dispute: Dispute) -> None:
    """A proposal, two signatures by OpenSSH, one entry; the same with one signature is refused."""
    data = str(dispute.agent.folder / "data")
    made = dispute.demarc(
        "propose",
        dispute.incident,
        *("--chain", str(dispute.chain), "--ledger", data, "--party", "incumbent", "--reason", "a planned restart"),
        *("--kind", "monitor", "--parties", "none", "--candidates", "none"),
    )
    assert made.returncode == 0, made.stderr
    assert "one of them of msp" in made.stderr
    proposal = dispute.folder / "proposal.json"
    proposal.write_text(made.stdout)
    approvals = []
    for party in PARTIES:
        mine = dispute.folder / f"{party}.json"
        mine.write_text(made.stdout)
        sign = ["ssh-keygen", "-q", "-Y", "sign", "-n", "demarc", "-f", str(dispute.folder / party), str(mine)]
        subprocess.run(sign, check=True, capture_output=True)
        approvals.append(("--approval", party, "boss", f"{mine}.sig"))
    alone = dispute.demarc(
        "correct", str(proposal), *approvals[1], "--party", "incumbent", "--config.file", str(dispute.agent.file)
    )
    assert "it takes two people of different parties" in alone.stderr
    dispute.enter("correct", str(proposal), *approvals[0], *approvals[1], "--party", "incumbent")
    entry = next(one for one in dispute.record() if one["kind"] == "correction")
    assert (entry["body"]["standing"], entry["body"]["change"]["kind"]) == ("signed", "monitor")
    listed = dispute.demarc("details", data).stdout.splitlines()
    assert f"{entry['index']}\tpeople\t{dispute.incident}" in listed
    dispute.enter("erase", str(entry["index"]), "people", "--reason", "asked to", "--party", "msp")
    assert dispute.demarc("verify", data).returncode == 0
