"""Sets the interpreter up for a process that runs for years: what it has loaded stays, and its loop comes first."""

import gc
import linecache
import sys

# Tracked objects that may come to be before the youngest are looked through: Python's own 700 are two ticks of a big
# chain.
COLLECT_AFTER = 10_000
# After so long the loop takes the interpreter back from a writer's or a scrape's thread; Python's own 5 ms is a quarter
# of a turn of the wheel.
SWITCH_SECONDS = 0.001


def settle_interpreter() -> None:
    """Keep the garbage collector and other threads from holding the loop up.

    What is loaded by now lives as long as the process, so the collector need not look at it again: with 5,000
    probes that took 140 ms of the loop [measured]; of what comes later little is tracked.
    """
    linecache.clearcache()  # source lines that libraries looked up while loading: 0.8 MB
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_SECONDS)
