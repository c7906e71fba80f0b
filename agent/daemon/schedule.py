"""When each steady probe runs: one heap of due times, staggered by a hash of the probe's name.

What must stay true: the k-th run of a probe is due at `k * interval + phase` on boot time, whatever
happened before, so nothing drifts and nothing bunches; a run that was missed is skipped and counted,
never made up for; the same name and interval give the same phase on every start (on another grid when
the number of probes passes FEW).
"""

import hashlib
import heapq
import math
from collections.abc import Mapping

import msgspec

# Due times lie on a grid, so that several probes share one wake-up: wake-ups dominate the idle cost (a
# timer wake costs 91 us in asyncio [measured]), and the loop beats every 100 ms anyway. Beyond FEW probes
# that grid would send bursts that queue at the responders; then 20 ms, as cheap as a batch needs.
COARSE_GRID_SECONDS = 0.1
FINE_GRID_SECONDS = 0.02
FEW = 200
# asyncio rounds a timer up to 1 ms; what is due within it need not wait for another wake-up.
SLACK_SECONDS = 0.001
# First attempts after a start spread over this many a second, so that a big chain does not burst.
FIRST_PER_SECOND = 500
FIRST_SPREAD_SECONDS = 0.3
# A run that is later than this comes after a standstill; the same bound as the watchdog's.
LATE_SECONDS = 0.25


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """One run that is due; `planned` in boot-time seconds."""

    probe: str
    planned: float


def fraction(name: str) -> float:
    """Return where in its interval `name` runs, in 0..1; stable over hosts, versions and restarts."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64


def grid(probes: int) -> float:
    """Return the grid in seconds for so many probes."""
    return COARSE_GRID_SECONDS if probes <= FEW else FINE_GRID_SECONDS


def phase(name: str, interval: float, grid_seconds: float) -> float:
    """Return the offset in seconds of the runs of `name` within its interval, on the grid."""
    return math.floor(fraction(name) * interval / grid_seconds) * grid_seconds


def first_run(name: str, interval: float, now: float, probes: int) -> float:
    """Return when to run `name`, one of `probes`, first after a start or a standstill at `now`."""
    spread = max(FIRST_SPREAD_SECONDS, probes / FIRST_PER_SECOND)
    return now + fraction(name) * min(interval, spread)


class Schedule:
    """Due times of the steady probes, in boot-time seconds."""

    def __init__(self) -> None:
        self._intervals: dict[str, float] = {}
        self._phases: dict[str, float] = {}
        self._heap: list[tuple[float, str, int]] = []
        self._missed = 0

    def replace(self, intervals: Mapping[str, float], now: float) -> None:
        """Take up new intervals (seconds, by probe name); unchanged probes keep their next run."""
        unchanged = {name for name, value in intervals.items() if self._intervals.get(name) == value}
        self._heap = [entry for entry in self._heap if entry[1] in unchanged]
        self._intervals = dict(intervals)
        step = grid(len(intervals))
        self._phases = {name: phase(name, interval, step) for name, interval in intervals.items()}
        for name, interval in intervals.items():
            if name not in unchanged:
                first = first_run(name, interval, now, len(intervals))
                self._heap.append((first, name, self._tick(name, interval, first)))
        heapq.heapify(self._heap)

    def next(self) -> float | None:
        """Return when the next run is due, or None when there is nothing to run."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> tuple[Due, ...]:
        """Return the runs that are due at `now`, earliest first, each probe at most once.

        What is later than LATE_SECONDS is not run at once with all the others, but as after a start.
        """
        ready: list[Due] = []
        while self._heap and self._heap[0][0] <= now + SLACK_SECONDS:
            planned, name, tick = self._heap[0]
            interval, offset = self._intervals[name], self._phases[name]
            latest = max(tick, self._tick(name, interval, now + SLACK_SECONDS))
            following = (latest + 1) * interval + offset
            if now - planned > LATE_SECONDS:
                again = first_run(name, interval, now, len(self._heap))
                # A run that would come shortly before the next one is not worth its packets.
                late_run = again < following - interval / 2
                entry = (again, name, latest) if late_run else (following, name, latest + 1)
                heapq.heapreplace(self._heap, entry)
                self._missed += latest - tick + (0 if late_run else 1)
            else:
                heapq.heapreplace(self._heap, (following, name, latest + 1))
                ready.append(Due(probe=name, planned=planned))
        return tuple(ready)

    def take_missed(self) -> int:
        """Return how many runs were left out since the last call."""
        missed, self._missed = self._missed, 0
        return missed

    def _tick(self, name: str, interval: float, at: float) -> int:
        """Return the number of the last run of `name` that was due by `at`."""
        # A millionth keeps a due time, computed as tick * interval + phase, from counting as the tick before.
        return math.floor((at - self._phases[name]) / interval + 1e-6)
