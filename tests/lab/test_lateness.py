"""A slow and a lossy carrier on a real chain: at least so much lies with it, and nobody else is named.

Times are compressed through the chain file; what is usual is learned in seconds.
"""

from pathlib import Path
from typing import Any

import pytest

from lab.agents import Agent, Agents
from lab.api import Lab
from lab.chainfile import Pace
from tests.lab.conftest import unique_name

pytestmark = [pytest.mark.lab, pytest.mark.usefixtures("lab_possible")]

PACE = Pace(interval=0.05, slow_interval=2.0, entra_interval=30.0, spacing=0.5, timeout=0.5, skew=0.5)
# What the cable adds each way, and what is then a disturbance.
DELAY_MS, MARGIN_MS = 30, 15
# 180 attempts, and those of the peer that come a little later.
LEARNING_SECONDS = 180 * 0.05 + 5.0
SERVICE = f"  line: {{name: Line, norm: {{delay: {MARGIN_MS}ms, loss: 5%}}}}\n"


def with_margins(chain_file: Path) -> None:
    """Let the line be a service of its own that has margins, measured by the underlay probe."""
    text = chain_file.read_text()
    text = text.replace("services:\n", f"services:\n{SERVICE}", 1)
    before, underlay, after = text.partition("  underlay: {type: icmp,")
    chain_file.write_text(f"{before}{underlay} service: line,{after}")


def late(agent: Agent) -> list[dict[str, Any]]:
    """Return the open incidents of delay and loss."""
    return [i for i in agent.incidents() if i["excess"] is not None]


def parties(agent: Agent) -> set[str]:
    """Return every party that an incident names, open or ended."""
    return {party for incident in agent.incidents("all") for party in incident["parties"]}


def learned(agent: Agent) -> bool:
    """Return whether enough was measured to know what is usual."""
    status = agent.ask("/api/v1/status")
    return bool(status["at"] - status["started"] > LEARNING_SECONDS)


def test_a_slow_carrier_and_a_lossy_last_mile() -> None:
    """60 ms in the carrier's core lie with it by most of that; loss at the demarcation line names neither side."""
    with Lab.up(unique_name("late"), pace=PACE) as lab:
        with_margins(lab.run_dir / "chain.yml")
        with Agents(lab) as agents:
            agents.wait_healthy()
            cloud = agents["cloud"]
            cloud.wait(learned, 60, "enough to know what is usual")
            assert not late(cloud)
            lab.break_("delay", ms=DELAY_MS, cable="core")
            cloud.wait(lambda agent: any(i["parties"] for i in late(agent)), 60, "a party that is slow")
            (found,) = (i for i in late(cloud) if i["excess"]["what"] == "delay")
            assert found["parties"] == ["carrier"]
            assert found["services"] == ["line"]
            assert 0.6 * 2 * DELAY_MS <= 1000 * found["excess"]["part"] <= 1000 * found["excess"]["low"]
            assert 1000 * found["excess"]["low"] <= 2 * DELAY_MS + 10
            lab.heal("delay")
            lab.break_("loss", percent=12, cable="last-mile")
            cloud.wait(lambda agent: any(i["excess"]["what"] == "loss" for i in late(agent)), 60, "a lossy line")
            (lossy,) = (i for i in late(cloud) if i["excess"]["what"] == "loss")
            assert not lossy["parties"]
            assert {"carrier", "incumbent"} <= set(lossy["candidates"])
            assert parties(cloud) == {"carrier"}
