"""What a probe measured over a long time, beside what the baseline says of it. Pure.

What must stay true: it compares and judges nothing; a quantile is given as the bounds that it lies between,
since counts in buckets hold no more.
"""

from collections.abc import Mapping, Sequence

import msgspec

from agent.report.month import percentage
from agent.report.value import BaselineRow, Comparison, Level


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """Results of one probe by outcome (unknown ones left out), and how many durations lie in each bucket."""

    passed: int
    failed: int
    buckets: tuple[int, ...] = ()


class Fixed(msgspec.Struct, frozen=True, kw_only=True):
    """A baseline of [opened, closed), fixed at `fixed` (UTC seconds) for `party`; and the same probes in the period."""

    opened: int
    closed: int
    fixed: int
    party: str
    then: Mapping[str, Measured]
    now: Mapping[str, Measured]
    bounds: Sequence[float]


def comparison(given: Fixed, services: Mapping[str, str]) -> Comparison:
    """Return the rows of the probes that belong to a service (`services`: probe key to service), in their order."""
    rows = tuple(
        BaselineRow(
            probe=probe,
            service=service,
            then=_level(given.then[probe], given.bounds),
            now=_level(given.now.get(probe, Measured(passed=0, failed=0)), given.bounds),
        )
        for probe, service in services.items()
        if probe in given.then
    )
    return Comparison(opened=given.opened, closed=given.closed, fixed=given.fixed, party=given.party, probes=rows)


def _level(one: Measured, bounds: Sequence[float]) -> Level:
    results = one.passed + one.failed
    return Level(
        results=results,
        passed=percentage(one.passed, results) if results else None,
        median=_between(one.buckets, bounds, 50),
        p95=_between(one.buckets, bounds, 95),
    )


def _between(buckets: Sequence[int], bounds: Sequence[float], per_cent: int) -> tuple[float, float | None] | None:
    """Return the bounds (s) that the quantile lies between; None above the last bound, or without a duration."""
    wanted, below = -(-sum(buckets) * per_cent // 100), 0
    for place, count in enumerate(buckets):
        below += count
        if count and below >= wanted:
            return (bounds[place - 1] if place else 0.0, bounds[place] if place < len(bounds) else None)
    return None
