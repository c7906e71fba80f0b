"""What turning 5,000 targets of 1 s costs, and how late attempts start: the agent around runners that answer at once.

`wheel`: the schedule on its alarm. `measuring`: with attempts, rounds, self-check and observations. `everything`:
with diagnosis, picture, metrics and store as well. `sleeper`: no part of the agent, but a bare loop that sleeps until
each tick of the same grid, in turns with the others. What the machine does to it, it does to every process: where
others keep the processors busy, a kernel without preemption lets a process that wakes up wait for the next clock tick
(4 ms at 250 Hz). The medians of the runs.
"""

import json
import statistics
import subprocess
import sys
from typing import Any

from tools.bench.table import Row

RUNS = 5
SECONDS = 10
PARTS = ("sleeper", "wheel", "measuring", "everything")
GOALS = {"wheel": "CPU 3 % (1.5 %)", "measuring": "p99 1 ms (0.4 ms)"}


def once(parts: str, targets: int) -> dict[str, Any]:
    """Return one run of `tools.bench.wheel` in a process of its own."""
    order = [sys.executable, "-m", "tools.bench.wheel", parts, str(targets), str(SECONDS)]
    found: dict[str, Any] = json.loads(subprocess.run(order, capture_output=True, check=True).stdout)
    return found


def measure() -> list[Row]:
    """Return a row for each size and depth."""
    rows = []
    for targets in (500, 5000):
        found: dict[str, list[dict[str, Any]]] = {parts: [] for parts in PARTS}
        for _ in range(RUNS):
            for parts in PARTS:
                found[parts].append(once(parts, targets))
        for parts, runs in found.items():
            share = statistics.median(run["cpu"] for run in runs)
            each = statistics.median(run["cpu"] / run["results"] for run in runs) * 1e6
            middle, late, most = (statistics.median(run["late"][n] for run in runs) * 1e3 for n in range(3))
            rows.append(
                Row(
                    what=f"{targets:,} targets of 1 s, {parts}",
                    measured=f"CPU {share:.2%} of a core, {each:.1f} us a result; started late by"
                    f" {middle:.2f} ms, p99 {late:.2f} ms, at most {most:.1f} ms (n={RUNS})",
                    goal=GOALS.get(parts, "") if targets == 5000 else "",
                )
            )
    return rows
