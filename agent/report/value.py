"""The monthly report as a value: what `--format json` prints, every key always present.

Seconds are integers, times UTC epoch seconds, percentages strings with three decimals, truncated
(never rounded towards a norm) or None where nothing was measured.
"""

import msgspec

from agent.drift.value import Change

STATEMENT = (
    "This report fixes the technical place of each disturbance and how that is known. "
    "It does not decide the legal attribution."
)


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """Three figures that belong together. Unmeasured seconds count as down (lower), not at all, as up (upper)."""

    lower: str | None
    observed: str | None
    upper: str | None
    coverage: str


class Classes(msgspec.Struct, frozen=True, kw_only=True):
    """The partition of the period; the first five add up to it, the last two are rows within `up`."""

    outside: int
    maintenance: int
    down: int
    unmeasured: int
    up: int
    degraded: int
    errored: int


class Norm(msgspec.Struct, frozen=True, kw_only=True):
    """The comparison with the norm: `result` is met, missed or not assessable."""

    norm: str
    judged_on: str
    minimum_coverage: str
    result: str


class Outage(msgspec.Struct, frozen=True, kw_only=True):
    """One outage. `seconds` are those that count (in hours, not in maintenance, in this period).

    `carried` is true when it began before the period: then it is counted in the earlier one.
    `uncertainty` is the interval of the slowest probe in seconds: each edge may lie that far off.
    """

    start: int
    stop: int
    seconds: int
    carried: bool
    uncertainty: float
    incidents: tuple[str, ...]


class PartyRow(msgspec.Struct, frozen=True, kw_only=True):
    """Down seconds attributed to a party: all of them, and those to it alone."""

    party: str
    gross: int
    sole: int


class Shares(msgspec.Struct, frozen=True, kw_only=True):
    """Down seconds by what is known of their cause.

    `sole`, `joint` (names joined by +), `undetermined` and `unexplained` (no incident) add up to down.
    """

    parties: tuple[PartyRow, ...]
    joint: dict[str, int]
    undetermined: int
    unexplained: int


class Excluded(msgspec.Struct, frozen=True, kw_only=True):
    """One agreed maintenance window and what it excluded."""

    party: str
    start: int
    stop: int
    agreed: str
    seconds: int
    down: int


class ServiceReport(msgspec.Struct, frozen=True, kw_only=True):
    """One service in the period. `before` are the figures as if no maintenance had been agreed."""

    id: str
    name: str
    hours: str
    probes: tuple[str, ...]
    availability: Availability
    before: Availability
    classes: Classes
    norm: Norm | None
    outages: tuple[Outage, ...]
    outage_count: int
    mttr: int | None
    mtbf: int | None
    shares: Shares
    exclusions: tuple[Excluded, ...]


class IncidentRow(msgspec.Struct, frozen=True, kw_only=True):
    """One incident, clipped to nothing; `seconds` lie within the period; `excess`: delay or loss, nothing failed."""

    id: str
    kind: str
    state: str
    party: str | None
    candidates: tuple[str, ...]
    segments: tuple[str, ...]
    services: tuple[str, ...]
    standing: str | None
    rests_on: tuple[str, ...]
    margin: int | None
    opened: float
    closed: float | None
    excess: str | None
    seconds: int
    uncertainty: float
    last_changes: tuple[Change, ...] = ()


class Basis(msgspec.Struct, frozen=True, kw_only=True):
    """What the report rests on: the chain, the record and its checkpoint, the tz database."""

    chain: str
    observations: str
    incidents: str
    checkpoint: str
    key: str
    ledger_whole: bool | None
    tzdata: str
    notes: tuple[str, ...] = ()


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """What a probe measured: results, the per cent that passed, and the bounds (s) that quantiles lie between."""

    results: int
    passed: str | None
    median: tuple[float, float | None] | None
    p95: tuple[float, float | None] | None


class BaselineRow(msgspec.Struct, frozen=True, kw_only=True):
    """A probe of a service in the baseline, and in the period."""

    probe: str
    service: str
    then: Level
    now: Level


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The period beside the baseline of [opened, closed), fixed at `fixed` for `party`; it is no norm."""

    opened: int
    closed: int
    fixed: int
    party: str
    probes: tuple[BaselineRow, ...]


class MonthReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of one month: a function of its input only."""

    month: str
    timezone: str
    start: int
    stop: int
    until: int
    statement: str
    services: tuple[ServiceReport, ...]
    incidents: tuple[IncidentRow, ...]
    basis: Basis
    baseline: Comparison | None = None
