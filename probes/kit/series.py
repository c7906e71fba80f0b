"""What readings say of an agreed series: one number or several, their age or their rate, against conditions.

Pure. What must stay true: absence, ambiguity, NaN, staleness and a rate without a beginning are
`unknown`, never `ok`; a state that is not as agreed may have any cause on the declared path, so it
accuses the whole path (stage `connect`; a later stage would accuse the exporter's segment alone).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import msgspec

from probes.kit.condition import Condition
from probes.kit.exposition import Missing, Reading, Several, Wanted, choose, fitting, selector
from probes.kit.result import Outcome, Result, Stage, failed, unknown

# Two clocks may differ a little; a time further in the future is none, or not in seconds.
FUTURE_SECONDS: Final = 300.0
# Two scrapes that lie nearer together make no rate: a counter that grows in steps would make it jump.
LEAST_RATE_SECONDS: Final = 0.5

Many = Literal["ambiguous", "any", "all", "sum", "min", "max", "count"]
_AGGREGATES: Final[Mapping[str, Callable[[list[float]], float]]] = {
    "ambiguous": lambda numbers: numbers[0],  # the only one
    "sum": sum,
    "min": min,
    "max": max,
    "count": lambda numbers: float(len(numbers)),
}


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """What was agreed of which series; `fresh` is the series that tells when it was read."""

    series: Wanted
    ok: Condition
    degraded: Condition | None = None
    several: Many = "ambiguous"
    age: bool = False
    rate: bool = False
    fresh: Wanted | None = None
    fresh_within: float


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Counters at one moment (boot-time seconds), by their labels."""

    at: float
    values: Mapping[frozenset[tuple[str, str]], float]


def snapshot(readings: Iterable[Reading], agreed: Agreement, at: float) -> Snapshot:
    """Return the agreed series as a beginning or end of a rate."""
    return Snapshot(at=at, values={_key(one): one.value for one in fitting(readings, agreed.series)})


def _rates(found: Iterable[Reading], agreed: Agreement, before: Snapshot | None, at: float) -> tuple[Reading, ...]:
    """Return the agreed series' readings with their values replaced by the increase a second since `before`.

    A counter that is lower than before began again at zero, as Prometheus takes it. A series that was not
    there before, or only too long or too short a time ago, has no rate and is left out.
    """
    if before is None or not LEAST_RATE_SECONDS <= at - before.at <= agreed.fresh_within:
        return ()
    kept = []
    for one in found:
        was = before.values.get(_key(one))
        if was is not None:
            grown = one.value - was if one.value >= was else one.value
            kept.append(msgspec.structs.replace(one, value=grown / (at - before.at)))
    return tuple(kept)


def _key(reading: Reading) -> frozenset[tuple[str, str]]:
    return frozenset(reading.labels.items())


def judge(readings: tuple[Reading, ...], agreed: Agreement, now: float, before: Snapshot | None, at: float) -> Result:
    """Return what the readings say at `now` (UTC epoch seconds, the exporter's clock where it gave one).

    `at` is the boot time of the same moment, for rates since `before`.
    """
    found = _found(readings, agreed)
    if isinstance(found, Result):
        return found
    read_at = _read_at(readings, found, agreed)
    if isinstance(read_at, Result):
        return read_at
    values = {} if agreed.rate else _shown(agreed, found)  # a counter is not what is judged
    if read_at is not None:
        old = now - read_at
        values |= _age(old)
        if old < -FUTURE_SECONDS:
            return unknown("timestamp-future", f"read {-old:.0f} s in the future", values=values)
        if old > agreed.fresh_within:
            within = f"wanted within {agreed.fresh_within:.0f} s"
            return unknown("reading-stale", f"read {old:.0f} s ago, {within}", values=values)
    if agreed.rate:
        found = _rates(found, agreed, before, at)
        if not found:
            return unknown("no-rate", "a rate needs two scrapes of the same series")
        values |= _shown(agreed, found)
    if not agreed.age:
        return _verdict([one.value for one in found], "a second" if agreed.rate else "value", agreed, values)
    ages = [now - one.value for one in found]
    values |= _age(max(ages))
    if min(ages) < -FUTURE_SECONDS:
        shown = f"{agreed.series.name} lies {-min(ages):.0f} s in the future"
        return unknown("timestamp-future", shown, values=values)
    return _verdict([max(age, 0.0) for age in ages], "age in seconds", agreed, values)


def _found(readings: tuple[Reading, ...], agreed: Agreement) -> tuple[Reading, ...] | Result:
    """Return the agreed series' readings: at least one, only one unless several are provided for, none of them NaN."""
    if agreed.several == "ambiguous":
        single = _single(readings, agreed.series)
        if isinstance(single, Result):
            return single
        found: tuple[Reading, ...] = (single,)
    else:
        found = fitting(readings, agreed.series)
    if not found:
        return _absent(agreed.series)
    if any(math.isnan(one.value) for one in found):
        return unknown("not-a-number", f"{agreed.series.name} is NaN")
    return found


def _absent(wanted: Wanted) -> Result:
    return unknown("no-series", f"no series {selector(wanted)}"[:400])


def _single(readings: tuple[Reading, ...], wanted: Wanted) -> Reading | Result:
    found = choose(readings, wanted)
    if isinstance(found, Missing):
        return _absent(wanted)
    if isinstance(found, Several):
        differing = f"they differ in {', '.join(found.labels[:8])}" if found.labels else "they are the same"
        return unknown("ambiguous", f"{found.count} series {selector(wanted)}; {differing}"[:400])
    return found


def _read_at(readings: tuple[Reading, ...], found: tuple[Reading, ...], agreed: Agreement) -> float | Result | None:
    """Return when the oldest value was read (UTC epoch seconds): by time stamps and by the series that tells it."""
    times = [one.timestamp for one in found if one.timestamp is not None]
    if agreed.fresh is not None:
        told = _single(readings, agreed.fresh)
        if isinstance(told, Result):
            return told
        if math.isnan(told.value):
            return unknown("not-a-number", f"{told.name} is NaN")
        times.append(told.value)
    return min(times, default=None)


def _shown(agreed: Agreement, found: tuple[Reading, ...]) -> dict[str, float]:
    """Return the number (where there is one) and how many series it is made of, as metrics."""
    values = {} if agreed.several == "ambiguous" else {"metric_series": float(len(found))}
    aggregate = _AGGREGATES.get(agreed.several)
    number = math.nan if aggregate is None else aggregate([one.value for one in found])
    return values | ({"metric_value": number} if math.isfinite(number) else {})


def _age(seconds: float) -> dict[str, float]:
    return {"metric_age_seconds": max(seconds, 0.0)} if math.isfinite(seconds) else {}


def _verdict(numbers: list[float], what: str, agreed: Agreement, values: dict[str, float]) -> Result:
    """Return what the conditions say of `numbers`, none of which is NaN."""
    aggregate = _AGGREGATES.get(agreed.several)
    if aggregate is not None:
        number = aggregate(numbers)
        if math.isnan(number):  # the sum of two infinities
            return unknown("not-a-number", f"the {agreed.several} of {agreed.series.name} is NaN", values=values)
        made = "" if agreed.several == "ambiguous" else f"{agreed.several} of {len(numbers)}: "
    else:
        decide = min if agreed.several == "all" else max
        number = decide(numbers, key=lambda one: _rank(one, agreed))
        met = sum(agreed.ok.holds(one) for one in numbers)
        made = f"{met} of {len(numbers)} series as agreed; {'worst' if agreed.several == 'all' else 'best'}: "
    rank = _rank(number, agreed)
    shown = f"{made}{what} {number:.10g}"
    if rank == _OK:
        return Result(outcome=Outcome.OK, detail=f"{shown}, as agreed: {agreed.ok.text}", values=values)
    detail = f"{shown}, agreed: {agreed.ok.text}"
    if rank == _DEGRADED:
        return Result(outcome=Outcome.DEGRADED, fault="condition-degraded", detail=detail, values=values)
    return failed(Stage.CONNECT, "condition", detail=detail, values=values)


_BAD, _DEGRADED, _OK = range(3)


def _rank(number: float, agreed: Agreement) -> int:
    if agreed.ok.holds(number):
        return _OK
    return _DEGRADED if agreed.degraded is not None and agreed.degraded.holds(number) else _BAD
