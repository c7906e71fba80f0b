"""How soon a fault in the lab's chain is suspected and confirmed, at the product's default timing.

The fault comes at a random moment; the times are the journal's.
"""

import json
import random
import time

from lab.agents import Agent, Agents
from lab.api import Lab
from tools.bench.table import Row, spread

RUNS = 12
# Faults that a one-second ICMP probe sees.
DETECTED = ("near-cut", "esp-dropped", "onprem-gw-dead")


def measure() -> list[Row]:
    """Break a healthy chain at a random moment, several times; return seconds to suspected and to confirmed."""
    seen: dict[str, list[float]] = {"suspected": [], "confirmed": []}
    with Lab.up("bench") as lab, Agents(lab) as agents:
        agents.wait_healthy()
        cloud = agents["cloud"]
        for run in range(RUNS):
            fault = DETECTED[run % len(DETECTED)]
            cloud.wait(Agent.healthy, 60, "a healthy chain")
            time.sleep(2 + random.random())
            broken = time.time()
            lab.break_(fault)
            cloud.wait(lambda a: bool(a.confirmed_now()), 20, "a confirmed finding")
            lab.heal(fault)
            journal = [json.loads(line) for line in cloud.log.read_text().splitlines() if line.startswith("{")]
            mine = [entry for entry in journal if entry["time"] >= broken]
            for event, times in seen.items():
                times.append(next(e["time"] for e in mine if e["event"] == event) - broken)
    return [
        Row(
            what="fault to suspected, 1 s probes",
            measured=spread(seen["suspected"]),
            goal="median 1.6 s, max 2.2 s",
        ),
        Row(what="fault to confirmed, 1 s probes", measured=spread(seen["confirmed"]), goal="max 7.5 s"),
    ]
