"""How long the command takes to answer."""

import subprocess
import time

from lab.agents import console_command
from tools.bench.table import Row, spread

RUNS = 9


def measure() -> list[Row]:
    """Return how long the command takes to answer."""
    took = []
    for _ in range(RUNS):
        begin = time.perf_counter()
        subprocess.run([console_command(), "--help"], stdout=subprocess.DEVNULL, check=True)
        took.append(time.perf_counter() - begin)
    return [Row(what="`demarc --help`", measured=spread(took), goal="0.3 s")]
