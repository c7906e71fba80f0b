"""Record each of the lab's faults as a replay file: `python -m tools.record_replays [FAULT …]`.

Writes tests/data/replays/FAULT.jsonl (both vantages, from six rounds before the fault until both agents agree
on it) and the lab's chain file beside them, at the product's default timing. Needs what the lab needs.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from lab.agents import Agents
from lab.api import Lab
from lab.faults import FAULTS
from tests.lab.test_scenarios import agrees

FOLDER = Path(__file__).parents[1] / "tests" / "data" / "replays"
ROUNDS_BEFORE = 6
# One interval of the slower probes more: each vantage shall also have its own proof on record.
SECONDS_AFTER = 6.0
KEPT = (
    "time",
    "round",
    "vantage",
    "probe",
    "outcome",
    "stage",
    "fault",
    "seconds",
    "answered",
    "by",
    "packet_bytes",
    "as_of",
)


def line(observation: dict[str, Any]) -> str:
    """Return an observation without what the diagnosis does not read."""
    kept = {key: observation[key] for key in KEPT if observation.get(key) not in (None, False)}
    for key, digits in (("time", 3), ("seconds", 4)):
        if key in kept:
            kept[key] = round(kept[key], digits)
    return json.dumps(kept, separators=(",", ":"))


def record(name: str) -> None:
    """Break one lab by fault `name` and keep what both agents observed."""
    fault = FAULTS[name]
    with Lab.up(f"record-{name}"[:32].strip("-")) as lab, Agents(lab) as agents:
        agents.wait_healthy()
        time.sleep(ROUNDS_BEFORE + 2)
        begin = time.time() - ROUNDS_BEFORE
        lab.break_(name)
        if name == "agent-suspended":
            time.sleep(3)
            lab.heal(name)
        expected = fault.both
        assert expected is not None
        for agent in agents.by_vantage.values():
            agent.wait(lambda a: agrees(a.confirmed(), expected), 30, f"the finding {expected}")
        time.sleep(SECONDS_AFTER)
        seen = [o for agent in agents.by_vantage.values() for o in agent.observations() if o["time"] >= begin]
        seen.sort(key=lambda o: o["time"])
        (FOLDER / f"{name}.jsonl").write_text("".join(line(o) + "\n" for o in seen))
        chain = (lab.run_dir / "chain.yml").read_text().replace(str(lab.run_dir), "/run/lab")
        (FOLDER / "chain.yml").write_text(chain)
    print(f"{name}: {len(seen)} observations", flush=True)


def main() -> None:
    """Record the faults named on the command line, or every row of the table."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[1:] or [n for n, fault in FAULTS.items() if fault.row]:
        record(name)


if __name__ == "__main__":
    main()
