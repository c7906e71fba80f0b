"""What the agent remembers of one probe between two scrapes, as a value that is replaced, never changed.

A scrape renders in another thread from the values that it found when it began, so no lock stands
between a probe and its result. `unknown` counts as a result and as nothing else: it has no
duration, no success and no phases, since nothing was measured.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

import msgspec

from agent.observation import Observation
from probes.kit.result import Outcome

# Seconds. Eleven bounds and +Inf are the twelve buckets that the contract allows: below 1 ms lie
# neighbours in one data centre, a Dutch WAN round trip is 2 to 15 ms, 1 s is the default timeout.
DURATION_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
# Seconds. The wheel ticks every 20 ms; a watchdog calls the loop blocked after 250 ms.
LAG_BOUNDS = (0.001, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)

# Bound here: in Python 3.11 reading a member from its enumeration costs ten times as much.
_UNKNOWN = Outcome.UNKNOWN


class Histogram(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Counts per bucket (not cumulative, the last one above every bound) and the sum of values."""

    counts: tuple[int, ...]
    total: float = 0.0


class Tally(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One probe so far. `arrived` is boot time in seconds when `last` came in; `faults` counts by fault name."""

    outcomes: dict[str, int]
    durations: Histogram
    faults: dict[str, int] = {}
    bugs: int = 0
    last: Observation | None = None
    values: Mapping[str, float] = {}
    arrived: float = 0.0


def empty_histogram(bounds: Sequence[float]) -> Histogram:
    """Return a histogram without a value."""
    return Histogram(counts=(0,) * (len(bounds) + 1))


def add(histogram: Histogram, bounds: Sequence[float], value: float, times: int = 1) -> Histogram:
    """Return the histogram with `value` added so often; a value on a bound belongs to its bucket."""
    index = bisect_left(bounds, value)
    counts = histogram.counts
    return Histogram(
        counts=(*counts[:index], counts[index] + times, *counts[index + 1 :]), total=histogram.total + value * times
    )


def empty_tally() -> Tally:
    """Return the tally of a probe that has not run: every outcome at zero."""
    return Tally(outcomes={outcome.value: 0 for outcome in Outcome}, durations=empty_histogram(DURATION_BOUNDS))


def count(tally: Tally, observation: Observation, values: Mapping[str, float], arrived: float) -> Tally:
    """Return the tally after `observation`, which came in at boot time `arrived` (seconds)."""
    outcome, fault, seconds, faults = observation.outcome, observation.fault, observation.seconds, tally.faults
    measured = outcome is not _UNKNOWN and seconds is not None
    return Tally(
        outcomes={**tally.outcomes, outcome: tally.outcomes[outcome] + 1},
        durations=add(tally.durations, DURATION_BOUNDS, seconds or 0.0) if measured else tally.durations,
        faults={**faults, fault: faults.get(fault, 0) + 1} if fault else faults,
        bugs=tally.bugs,
        last=observation,
        values=values,
        arrived=arrived,
    )


def count_bug(tally: Tally) -> Tally:
    """Return the tally with one more defect of the agent."""
    return msgspec.structs.replace(tally, bugs=tally.bugs + 1)


def forget_last(tally: Tally) -> Tally:
    """Return the tally without its last result: the probe now measures something else."""
    return msgspec.structs.replace(tally, last=None, values={}, arrived=0.0)
