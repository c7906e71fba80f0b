"""When each steady probe runs: a wheel of due times, staggered by a hash of the probe's name.

What must stay true: the k-th run of a probe is due at `k * interval + phase` on boot time, whatever
happened before, so nothing drifts and nothing bunches; a run that was missed is skipped and counted,
never made up for; the same name and interval give the same phase on every start (on another grid when
the number of probes passes one of GRIDS).
"""

import hashlib
import heapq
import math
from collections.abc import Mapping
from typing import NamedTuple

# Due times lie on a grid, so that several probes share one wake-up: wake-ups dominate the idle cost (a
# timer wake costs 91 us in asyncio, three times as much when it is rare and finds its caches cold [measured]),
# and the loop beats every 100 ms anyway. With more probes a coarse grid would send bursts that queue at the
# responders: up to so many probes (of 1 s: 10, 20 or 50 come together) so many seconds; beyond them 20 ms are as
# cheap as a batch needs.
GRIDS = ((50, 0.2), (200, 0.1), (1_000, 0.05))
FINEST_SECONDS = 0.02
# asyncio rounds a timer up to 1 ms; what is due within it need not wait for another wake-up.
SLACK_SECONDS = 0.001
# First attempts after a start spread over this many a second, so that a big chain does not burst.
FIRST_PER_SECOND = 500
FIRST_SPREAD_SECONDS = 0.3
# A run that is later than this comes after a standstill; the same bound as the watchdog's.
LATE_SECONDS = 0.25


class Due(NamedTuple):
    """Probes that are due together; `planned` in boot-time seconds."""

    planned: float
    probes: tuple[str, ...]


class _Slot(NamedTuple):
    """When some probes of one interval and phase run next.

    `tick` is the number of that run; a run off the grid, after a start, bears the number of the one before the next.
    """

    planned: float
    interval: float
    phase: float
    tick: int

    def after(self, tick: int) -> "_Slot":
        """Return the slot of the run that follows run `tick`."""
        return _Slot((tick + 1) * self.interval + self.phase, self.interval, self.phase, tick + 1)


def fraction(name: str) -> float:
    """Return where in its interval `name` runs, in 0..1; stable over hosts, versions and restarts."""
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest()) / 2**64


def grid(probes: int) -> float:
    """Return the grid in seconds for so many probes."""
    return next((step for most, step in GRIDS if probes <= most), FINEST_SECONDS)


def phase(name: str, interval: float, grid_seconds: float) -> float:
    """Return the offset in seconds of the runs of `name` within its interval, on the grid."""
    return math.floor(fraction(name) * interval / grid_seconds) * grid_seconds


def first_run(name: str, interval: float, now: float, probes: int) -> float:
    """Return when to run `name`, one of `probes`, first after a start or a standstill at `now`."""
    spread = max(FIRST_SPREAD_SECONDS, probes / FIRST_PER_SECOND)
    return now + fraction(name) * min(interval, spread)


class Schedule:
    """Due times of the steady probes, in boot-time seconds.

    Probes of one interval and phase move together from slot to slot, so that a tick costs by its slots
    and not by its probes.
    """

    def __init__(self) -> None:
        self._intervals: dict[str, float] = {}
        self._slots: dict[_Slot, tuple[str, ...]] = {}
        self._heap: list[_Slot] = []
        self._missed = 0

    def replace(self, intervals: Mapping[str, float], now: float) -> None:
        """Take up new intervals (seconds, by probe name); unchanged probes keep their next run.

        The grid follows the number of probes: a probe that stays moves to it after its next run.
        """
        unchanged = {name for name, value in intervals.items() if self._intervals.get(name) == value}
        step = grid(len(intervals))
        before, self._slots, self._heap = self._slots, {}, []
        self._intervals = dict(intervals)
        for slot, names in before.items():
            for name in names:
                if name in unchanged:
                    self._put(slot._replace(phase=phase(name, slot.interval, step)), (name,))
        for name, interval in intervals.items():
            if name not in unchanged:
                first, offset = first_run(name, interval, now, len(intervals)), phase(name, interval, step)
                slot = _Slot(first, interval, offset, _tick(first, interval, offset))
                # A run that follows the first one shortly after is left out: whom it asks may bear no more (ike).
                soon = slot.after(slot.tick).planned < first + interval / 2
                self._put(slot._replace(tick=slot.tick + soon), (name,))

    def next(self) -> float | None:
        """Return when the next run is due, or None when there is nothing to run."""
        return self._heap[0].planned if self._heap else None

    def due(self, now: float) -> tuple[Due, ...]:
        """Return the runs that are due at `now`, earliest first, each probe at most once.

        What is later than LATE_SECONDS is not run at once with all the others, but as after a start.
        """
        ready: list[Due] = []
        while self._heap and self._heap[0].planned <= now + SLACK_SECONDS:
            slot = heapq.heappop(self._heap)
            names = self._slots.pop(slot)
            latest = max(slot.tick, _tick(now + SLACK_SECONDS, slot.interval, slot.phase))
            if now - slot.planned > LATE_SECONDS:
                for name in names:
                    self._put(self._again(name, slot, latest, now), (name,))
            else:
                self._put(slot.after(latest), names)
                ready.append(Due(slot.planned, names))
        return tuple(ready)

    def take_missed(self) -> int:
        """Return how many runs were left out since the last call."""
        missed, self._missed = self._missed, 0
        return missed

    def _again(self, name: str, slot: _Slot, latest: int, now: float) -> _Slot:
        """Return when `name` runs after a standstill, and count what it missed."""
        following = slot.after(latest)
        again = first_run(name, slot.interval, now, len(self._intervals))
        # A run that would come shortly before the next one is not worth its packets.
        late_run = again < following.planned - slot.interval / 2
        self._missed += latest - slot.tick + (0 if late_run else 1)
        return _Slot(again, slot.interval, slot.phase, latest) if late_run else following

    def _put(self, slot: _Slot, names: tuple[str, ...]) -> None:
        others = self._slots.get(slot)
        if others is None:
            heapq.heappush(self._heap, slot)
        self._slots[slot] = names if others is None else others + names


def _tick(at: float, interval: float, offset: float) -> int:
    """Return the number of the last run of `interval` and phase `offset` that was due by `at`."""
    # A millionth keeps a due time, computed as tick * interval + phase, from counting as the tick before.
    return math.floor((at - offset) / interval + 1e-6)
