"""One-minute rollups of one probe: counts by outcome and the distribution of durations. Pure."""

from bisect import bisect_left

import msgspec

from agent.observation import Observation
from probes.kit.result import Outcome

BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds; a twelfth bucket takes the rest. From a LAN's round trip to a slow web page."""


class Minute(msgspec.Struct, kw_only=True):
    """What a minute holds so far. Durations in integer microseconds, of `timed` results that passed."""

    ok: int = 0
    degraded: int = 0
    failed: int = 0
    unknown: int = 0
    timed: int = 0
    sum: int = 0
    min: int | None = None
    max: int | None = None
    buckets: list[int] = msgspec.field(default_factory=lambda: [0] * (len(BUCKET_SECONDS) + 1))

    def take(self, observation: Observation) -> None:
        """Count one result; failures have no duration here."""
        match observation.outcome:
            case Outcome.OK:
                self.ok += 1
            case Outcome.DEGRADED:
                self.degraded += 1
            case Outcome.FAILED:
                self.failed += 1
                return
            case _:
                self.unknown += 1
                return
        seconds = observation.seconds
        if seconds is None:
            return
        micro = round(seconds * 1_000_000)
        self.timed += 1
        self.sum += micro
        self.min = micro if self.min is None or micro < self.min else self.min
        self.max = micro if self.max is None or micro > self.max else self.max
        self.buckets[bisect_left(BUCKET_SECONDS, seconds)] += 1


def add(one: Minute, other: Minute) -> Minute:
    """Return both together; the order does not matter."""
    lows = [low for low in (one.min, other.min) if low is not None]
    highs = [high for high in (one.max, other.max) if high is not None]
    return Minute(
        ok=one.ok + other.ok,
        degraded=one.degraded + other.degraded,
        failed=one.failed + other.failed,
        unknown=one.unknown + other.unknown,
        timed=one.timed + other.timed,
        sum=one.sum + other.sum,
        min=min(lows, default=None),
        max=max(highs, default=None),
        buckets=[a + b for a, b in zip(one.buckets, other.buckets, strict=True)],
    )
