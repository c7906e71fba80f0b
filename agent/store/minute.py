"""One-minute rollups of one probe: counts by outcome and the distribution of durations. Pure."""

from bisect import bisect_left

import msgspec

from agent.observation import Observation
from probes.kit.result import Outcome

BUCKET_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper bounds; a twelfth bucket takes the rest. From a LAN's round trip to a slow web page."""


class Minute(msgspec.Struct, frozen=True, kw_only=True):
    """What a minute holds. Durations in integer microseconds, of `timed` results that passed."""

    ok: int = 0
    degraded: int = 0
    failed: int = 0
    unknown: int = 0
    timed: int = 0
    sum: int = 0
    min: int | None = None
    max: int | None = None
    buckets: tuple[int, ...] = (0,) * (len(BUCKET_SECONDS) + 1)


_ONE = {
    Outcome.OK: Minute(ok=1),
    Outcome.DEGRADED: Minute(degraded=1),
    Outcome.FAILED: Minute(failed=1),
    Outcome.UNKNOWN: Minute(unknown=1),
}


def minute_of(observation: Observation) -> Minute:
    """Return the minute that holds this one result; failures have no duration here."""
    one = _ONE[observation.outcome]
    seconds = observation.seconds
    if seconds is None or observation.outcome not in {Outcome.OK, Outcome.DEGRADED}:
        return one
    micro, place = round(seconds * 1_000_000), bisect_left(BUCKET_SECONDS, seconds)
    buckets = tuple(int(number == place) for number in range(len(BUCKET_SECONDS) + 1))
    return msgspec.structs.replace(one, timed=1, sum=micro, min=micro, max=micro, buckets=buckets)


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
        buckets=tuple(a + b for a, b in zip(one.buckets, other.buckets, strict=True)),
    )
