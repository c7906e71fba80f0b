"""When each steady probe runs: one heap of due times, staggered by a hash of the probe's name.

What must stay true: the k-th run of a probe is due at `k * interval + phase` on boot time, whatever
happened before, so nothing drifts and nothing bunches; a run that was missed is skipped and counted,
never made up for; the same name and interval give the same phase on every start.
"""

import hashlib
import heapq
import math
from collections.abc import Mapping

import msgspec

# Due times lie on this grid, so that several probes share one wake-up: a 5 ms timer wake costs
# 91 us in asyncio, batching on about 20 ms is cheaper than C fping [measured].
GRID_SECONDS = 0.02
# asyncio rounds a timer up to 1 ms; what is due within it need not wait for another wake-up.
SLACK_SECONDS = 0.001
# First attempts after a start spread over this many a second, so that a big chain does not burst.
FIRST_PER_SECOND = 500
FIRST_SPREAD_SECONDS = 0.3


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """One run that is due: `planned` in boot-time seconds, and how many runs before it were missed."""

    probe: str
    planned: float
    skipped: int = 0


def fraction(name: str) -> float:
    """Return where in its interval `name` runs, in 0..1; stable over hosts, versions and restarts."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64


def phase(name: str, interval: float) -> float:
    """Return the offset in seconds of the runs of `name` within its interval, on the grid."""
    return math.floor(fraction(name) * interval / GRID_SECONDS) * GRID_SECONDS


class Schedule:
    """Due times of the steady probes. Times are boot-time seconds."""

    def __init__(self) -> None:
        self._intervals: dict[str, float] = {}
        self._phases: dict[str, float] = {}
        self._heap: list[tuple[float, str, int]] = []

    def replace(self, intervals: Mapping[str, float], now: float) -> None:
        """Take up new intervals (seconds, by probe name); unchanged probes keep their next run."""
        unchanged = {name for name, value in intervals.items() if self._intervals.get(name) == value}
        self._heap = [entry for entry in self._heap if entry[1] in unchanged]
        spread = max(FIRST_SPREAD_SECONDS, len(intervals) / FIRST_PER_SECOND)
        for name, interval in intervals.items():
            if name not in unchanged:
                self._phases[name] = phase(name, interval)
                first = now + fraction(name) * min(interval, spread)
                self._heap.append((first, name, self._tick(name, interval, first)))
        self._intervals = dict(intervals)
        self._phases = {name: self._phases[name] for name in intervals}
        heapq.heapify(self._heap)

    def next(self) -> float | None:
        """Return when the next run is due, or None when there is nothing to run."""
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> tuple[Due, ...]:
        """Return the runs that are due at `now`, earliest first, each probe at most once."""
        ready: list[Due] = []
        while self._heap and self._heap[0][0] <= now + SLACK_SECONDS:
            planned, name, tick = self._heap[0]
            interval, offset = self._intervals[name], self._phases[name]
            latest = max(tick, self._tick(name, interval, now + SLACK_SECONDS))
            skipped = latest - tick
            if skipped:
                planned = latest * interval + offset
            following = latest + 1
            heapq.heapreplace(self._heap, (following * interval + offset, name, following))
            ready.append(Due(probe=name, planned=planned, skipped=skipped))
        return tuple(ready)

    def _tick(self, name: str, interval: float, at: float) -> int:
        """Return the number of the last run of `name` that was due by `at`."""
        # A millionth keeps a due time, computed as tick * interval + phase, from counting as the tick before.
        return math.floor((at - self._phases[name]) / interval + 1e-6)
