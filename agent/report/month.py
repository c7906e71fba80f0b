"""The monthly report as a pure function: states of the probes, incidents and agreements in, figures out.

What must stay true: same input, same report; for every service the classes add up to the period, and
the shares of the down seconds to down. Nothing here reads a clock, a file or a ledger.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil

import msgspec

from agent.availability.calendar import open_seconds
from agent.availability.fold import Span, State, covering
from agent.availability.partition import Partition, in_state, masked, partition, together
from agent.availability.seconds import Seconds, difference, intersection, total, union
from agent.drift.beside import beside
from agent.drift.value import Change
from agent.incident.value import Incident, Kind
from agent.incident.value import State as IncidentState
from agent.model import Chain, Probe, Service
from agent.report.shares import covered, shares
from agent.report.value import (
    STATEMENT,
    Availability,
    Basis,
    Classes,
    Comparison,
    Excluded,
    IncidentRow,
    MonthReport,
    Norm,
    Outage,
    ServiceReport,
)

LOOKBACK_SECONDS = 3600
"""Give spans from so long before the period, so that an outage which began earlier is known as such."""

MINIMUM_COVERAGE = Fraction(9, 10)
"""Below this part of the service seconds measured, a norm is not assessable."""


class Maintenance(msgspec.Struct, frozen=True, kw_only=True):
    """An agreed window [start, stop) in UTC seconds of one party; `services` empty means all.

    `agreed` says who agreed to it and when.
    """

    party: str
    start: int
    stop: int
    agreed: str
    services: tuple[str, ...] = ()


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """The month: [start, stop) in UTC seconds; counted until `until` (a month that is not over)."""

    month: str
    start: int
    stop: int
    until: int


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """All that a report is a function of.

    `spans` are the states by probe key (`vantage>probe`), from `LOOKBACK_SECONDS` before the period on;
    `incidents` may come in any order, suspected ones are left out. `changes` of configurations stand beside
    incidents and change no figure. `baseline` is shown beside the figures and changes none.
    """

    chain: Chain
    period: Period
    spans: Mapping[str, tuple[Span, ...]]
    incidents: Sequence[Incident]
    maintenance: Sequence[Maintenance] = ()
    changes: Sequence[Change] = ()
    baseline: Comparison | None = None
    basis: Basis


def month_report(given: Given) -> MonthReport:
    """Return the report."""
    period = given.period
    told = [one for one in given.incidents if one.state is not IncidentState.SUSPECTED and _touches(one, period)]
    told.sort(key=lambda one: (one.opened, one.id))
    given = msgspec.structs.replace(given, incidents=told)
    return MonthReport(
        month=period.month,
        timezone=given.chain.timezone,
        start=period.start,
        stop=period.stop,
        until=period.until,
        statement=STATEMENT,
        services=tuple(_service(given, service) for service in given.chain.services.values()),
        incidents=tuple(_incident_row(given, one) for one in told),
        basis=given.basis,
        baseline=given.baseline,
    )


def _service(given: Given, service: Service) -> ServiceReport:
    chain, period, incidents = given.chain, given.period, given.incidents
    probes = tuple(probe for probe in chain.probes.values() if probe.service == service.id)
    states = _states(probes, given.spans, incidents, period)
    hours = open_seconds(service.hours, chain.timezone, period.start, period.until)
    windows = [one for one in given.maintenance if not one.services or service.id in one.services]
    affecting = [one for one in incidents if _affects(one, service, probes)]
    down = in_state(states, State.DOWN)
    excused = union(*(_excused(chain, one, down, affecting, period) for one in windows))
    parts = partition(states, hours, excused, period.start, period.until)
    before = partition(states, hours, (), period.start, period.until)
    outages = _outages(states, parts.down, probes, affecting, period)
    count = sum(not one.carried for one in outages)
    return ServiceReport(
        id=service.id,
        name=service.name,
        hours=service.hours or "24/7",
        probes=tuple(probe.key for probe in probes),
        availability=_availability(parts),
        before=_availability(before),
        classes=Classes(
            **{one.value: number for one, number in parts.counts().items()},
            degraded=total(parts.degraded),
            errored=total(parts.errored),
        ),
        norm=_norm(service, parts),
        outages=outages,
        outage_count=count,
        mttr=total(parts.down) // count if count else None,
        mtbf=total(parts.up) // count if count else None,
        shares=shares(parts.down, affecting, period.until, edge_seconds(probes)),
        exclusions=tuple(_excluded(chain, one, before, affecting, period) for one in windows),
    )


def _states(
    probes: Iterable[Probe], spans: Mapping[str, tuple[Span, ...]], incidents: Sequence[Incident], period: Period
) -> tuple[Span, ...]:
    """Return the state of a service in every second, from the look-back on."""
    start = period.start - LOOKBACK_SECONDS
    seen = []
    for probe in probes:
        blinding = (one for one in incidents if one.kind is Kind.MONITOR and one.vantage in (probe.vantage, None))
        blind = union(*(covered(one, period.until) for one in blinding))
        seen.append(masked(covering(spans.get(probe.key, ()), start, period.until), blind))
    return together(seen, start, period.until)


def _affects(incident: Incident, service: Service, probes: Sequence[Probe]) -> bool:
    """Say whether an incident can be why the service was down: it names it, or lies on the way to it.

    A fault in a segment that the service's probes cross is enough to bring them down, whichever probes
    it was proven with.
    """
    if incident.kind is Kind.MONITOR or incident.excess is not None:
        return False
    ways = {segment for probe in probes for segment in (*probe.path, *probe.back, *probe.resolve)}
    return service.id in incident.services or not ways.isdisjoint(incident.segments)


def _touches(incident: Incident, period: Period) -> bool:
    ended = incident.closed is not None and incident.closed < period.start
    return incident.opened < period.until and not ended


def _excused(
    chain: Chain, window: Maintenance, down: Seconds, incidents: Sequence[Incident], period: Period
) -> Seconds:
    """Return the window less the down seconds whose finding lies outside the maintaining party's segments."""
    elsewhere = (
        covered(one, period.until)
        for one in incidents
        if not one.segments or any(chain.segments[name].owners != (window.party,) for name in one.segments)
    )
    return difference(((window.start, window.stop),), intersection(down, union(*elsewhere)))


def _excluded(
    chain: Chain, window: Maintenance, before: Partition, incidents: Sequence[Incident], period: Period
) -> Excluded:
    excused = _excused(chain, window, before.down, incidents, period)
    inside = union(before.down, before.unmeasured, before.up)
    return Excluded(
        party=window.party,
        start=window.start,
        stop=window.stop,
        agreed=window.agreed,
        seconds=total(intersection(excused, inside)),
        down=total(intersection(excused, before.down)),
    )


def _outages(
    states: tuple[Span, ...], down: Seconds, probes: Sequence[Probe], incidents: Sequence[Incident], period: Period
) -> tuple[Outage, ...]:
    """Return the outages with counted seconds. Unmeasured seconds do not end one; measured good ones do."""
    runs: list[tuple[int, int]] = []
    joined = False
    for span in states:
        if span.state is State.DOWN:
            runs = [*runs[:-1], (runs[-1][0], span.stop)] if joined else [*runs, (span.start, span.stop)]
            joined = True
        elif span.state is not State.UNMEASURED:
            joined = False
    found = []
    edge = edge_seconds(probes)
    for start, stop in runs:
        seconds = total(intersection(down, ((start, stop),)))
        if seconds:
            found.append(
                Outage(
                    start=start,
                    stop=stop,
                    seconds=seconds,
                    carried=start < period.start,
                    uncertainty=max(probe.interval for probe in probes),
                    incidents=tuple(
                        one.id for one in incidents if intersection(covered(one, period.until, edge), ((start, stop),))
                    ),
                )
            )
    return tuple(found)


def edge_seconds(probes: Iterable[Probe]) -> int:
    """Return how far a service's own probes may lie behind those that an incident was found with."""
    return ceil(max((probe.interval + probe.timeout for probe in probes), default=0.0))


def percentage(part: int, whole: int) -> str:
    """Return part of whole in per cent with three decimals, truncated."""
    thousandths = part * 100_000 // whole
    return f"{thousandths // 1000}.{thousandths % 1000:03}"


def _availability(parts: Partition) -> Availability:
    up, down, unmeasured = total(parts.up), total(parts.down), total(parts.unmeasured)
    measured, served = up + down, up + down + unmeasured
    return Availability(
        lower=percentage(up, served) if measured else None,
        observed=percentage(up, measured) if measured else None,
        upper=percentage(up + unmeasured, served) if measured else None,
        coverage=percentage(measured, served) if served else percentage(0, 1),
    )


def _norm(service: Service, parts: Partition) -> Norm | None:
    if service.availability_norm is None:
        return None
    norm = Fraction(round(service.availability_norm * 1_000_000), 1_000_000)  # as written, to 0.0001 %
    up, down, unmeasured = total(parts.up), total(parts.down), total(parts.unmeasured)
    assessable = up + down > 0 and Fraction(up + down, up + down + unmeasured) >= MINIMUM_COVERAGE
    met = assessable and Fraction(up, up + down) >= norm
    return Norm(
        norm=percentage(norm.numerator, norm.denominator),
        judged_on="observed",
        minimum_coverage=percentage(MINIMUM_COVERAGE.numerator, MINIMUM_COVERAGE.denominator),
        result="met" if met else "missed" if assessable else "not assessable",
    )


def _incident_row(given: Given, incident: Incident) -> IncidentRow:
    period = given.period
    failing = (given.chain.probes.get(key.partition(">")[2]) for key in incident.support.failing)
    within = intersection(covered(incident, period.until), ((period.start, period.until),))
    return IncidentRow(
        id=incident.id,
        kind=incident.kind.value,
        state=incident.state.value,
        party=incident.party,
        candidates=incident.candidates,
        segments=incident.segments,
        services=incident.services,
        standing=incident.standing.value if incident.standing else None,
        rests_on=incident.rests_on,
        margin=incident.margin,
        opened=incident.opened,
        closed=incident.closed,
        excess=incident.excess.what if incident.excess else None,
        seconds=total(within),
        uncertainty=max((probe.interval for probe in failing if probe), default=0.0),
        last_changes=beside(incident, given.changes),
    )
