"""Two agents and one real Alertmanager: each party is paged by one of them, and the other takes over its silence."""

import json
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from lab.agents import Agent, Agents, console_command
from lab.api import Lab
from lab.chainfile import Pace
from lab.topology import ADDRESSES
from tests.lab.conftest import unique_name

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab_possible")]

QUICK = Pace(interval=0.3, slow_interval=0.6, entra_interval=2.0, spacing=0.3, timeout=0.4, skew=0.3)
URL = f"http://{ADDRESSES['cloud-host-oob']}:9093"


@contextmanager
def alertmanager(lab: Lab, folder: Path) -> Iterator[None]:
    """Run Alertmanager on the cloud's demarcation host; both agents push to it."""
    file = folder / "alertmanager.yml"
    file.write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
    listen = URL.removeprefix("http://")
    command = [
        "prometheus-alertmanager",
        f"--config.file={file}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={listen}",
        "--cluster.listen-address=",
    ]
    with (folder / "log").open("wb") as log:
        running = lab.popen("cloud-host", command, stdout=log, stderr=subprocess.STDOUT)
    for vantage in ("cloud", "onprem"):
        file = lab.run_dir / vantage / "agent.yml"
        file.write_text(file.read_text() + f'alertmanagers: ["{URL}"]\n')
    try:
        yield
    finally:
        running.terminate()
        running.wait(10)


def handed_over(lab: Lab, vantage: str) -> list[dict[str, Any]]:
    """Return what an agent's ledger says that the Alertmanager took from it."""
    command = [console_command(), "ledger", "export", str(lab.run_dir / vantage / "data")]
    result = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
    entries = [json.loads(line) for line in result.stdout.splitlines()]
    bodies = [json.loads(entry["body"]) for entry in entries if "body" in entry]
    return [body for body in bodies if body["kind"] == "escalation"]


def incident_told(agent: Agent) -> bool:
    """Return whether the agent has a confirmed incident."""
    return bool(agent.confirmed_now())


def test_one_of_two_agents_pages(tmp_path: Path) -> None:
    """Both find the fault; the director's operator's agent pages, the other leaves it to it and records nothing."""
    with Lab.up(unique_name("p"), pace=QUICK) as lab, alertmanager(lab, tmp_path), Agents(lab) as agents:
        agents.wait_healthy()
        time.sleep(QUICK.spacing * 6)  # a window of passes for every probe
        lab.break_("app-stopped")
        for agent in agents.by_vantage.values():
            agent.wait(incident_told, 25.0, "a finding")
        agents["cloud"].wait(lambda _: len(handed_over(lab, "cloud")) >= 2, 10.0, "two pages")
        assert {page["to"] for page in handed_over(lab, "cloud")} == {"msp", "incumbent"}
        assert handed_over(lab, "onprem") == []


@pytest.mark.soak
def test_the_other_takes_over(tmp_path: Path) -> None:
    """When the agent that pages is dead, the other pages after half a minute of its silence."""
    with Lab.up(unique_name("p"), pace=QUICK) as lab, alertmanager(lab, tmp_path), Agents(lab) as agents:
        agents.wait_healthy()
        time.sleep(QUICK.spacing * 6)
        agents["cloud"].stop(signal.SIGKILL)
        lab.break_("app-stopped")
        onprem = agents["onprem"]
        onprem.wait(incident_told, 25.0, "a finding")
        assert handed_over(lab, "onprem") == []
        onprem.wait(lambda _: bool(handed_over(lab, "onprem")), 45.0, "pages of its own")
