"""Every metric family of the agent as one table: name, kind, labels, help and where it is read.

The reference in docs/metrics.md and the exposition come from the same rows. Names and labels are
public (design.md, *Metrics*). No row puts free text, an SPI or a cookie into a label.
"""

from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum

import msgspec

from agent.incident.value import Incident, State
from agent.metrics.tally import DURATION_BOUNDS, LAG_BOUNDS, Histogram
from agent.metrics.view import View
from agent.model import Segment
from agent.observation import SELF
from probes.kit.result import Outcome

SEGMENT_STATES = ("ok", "degraded", "failed", "suspected", "masked", "unknown")
SERVICE_STATES = ("up", "degraded", "down", "excused", "unobserved")
# Only confirmed incidents leave the agent; a recovering one has been confirmed.
PAGED_STATES = (State.CONFIRMED, State.RECOVERING)

Row = tuple[tuple[str, ...], "float | Histogram"]


class FamilyKind(StrEnum):
    """The types of the exposition format that the agent uses."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Family(msgspec.Struct, frozen=True, kw_only=True):
    """One family. `name` is what a query uses (a counter's ends in `_total`)."""

    name: str
    kind: FamilyKind = FamilyKind.GAUGE
    labels: tuple[str, ...] = ()
    help: str
    read: Callable[[View], Iterable[Row]]
    bounds: tuple[float, ...] = ()


def owner_label(segment: Segment) -> str:
    """Return the label of a segment's owners; joint owners are never named alone: `msp+incumbent`."""
    return "+".join(segment.owners)


def _results(view: View) -> Iterator[Row]:
    for probe, tally in view.tallies.items():
        for outcome, number in tally.outcomes.items():
            yield (probe, outcome.value), number


def _success(view: View) -> Iterator[Row]:
    for probe in view.tallies:
        tally = view.fresh(probe)
        if tally is not None and tally.last is not None and tally.last.outcome is not Outcome.UNKNOWN:
            yield (probe,), float(tally.last.outcome is not Outcome.FAILED)


def _verified(view: View) -> Iterator[Row]:
    for probe, tally in view.tallies.items():
        if tally.last is not None:
            yield (probe,), float(tally.last.verified)


def _durations(view: View) -> Iterator[Row]:
    for probe, tally in view.tallies.items():
        if probe != SELF:
            yield (probe,), tally.durations


def _phases(view: View) -> Iterator[Row]:
    for probe in view.tallies:
        tally = view.fresh(probe)
        if tally is not None and tally.last is not None:
            for phase, seconds in tally.last.phases.items():
                yield (probe, phase), seconds


def _last_result(view: View) -> Iterator[Row]:
    for probe, tally in view.tallies.items():
        if tally.last is not None:
            yield (probe,), tally.last.time


def _probe_info(view: View) -> Iterator[Row]:
    for probe, rest in view.types().items():
        yield (probe, *rest), 1.0


def _probe_segments(view: View) -> Iterator[Row]:
    for probe in view.chain.probes_of(view.vantage):
        for segment in probe.path:
            role = "answers" if segment == probe.path[-1] else "crossed"
            yield (probe.id, segment, role), 1.0


def _bugs(view: View) -> Iterator[Row]:
    for probe in view.tallies:
        yield (probe,), view.bugs.get(probe, 0)


def _segment_info(view: View) -> Iterator[Row]:
    for segment in view.chain.segments.values():
        yield (segment.id, owner_label(segment), segment.side), 1.0


def _segment_state(view: View) -> Iterator[Row]:
    states = view.snapshot.segments if view.snapshot else {}
    for segment in view.chain.segments:
        now = states.get(segment, "unknown")
        for state in SEGMENT_STATES:
            yield (segment, state), float(state == now)


def _service_state(view: View) -> Iterator[Row]:
    states = view.snapshot.services if view.snapshot else {}
    for service in view.chain.services:
        now = states.get(service, "unobserved")
        for state in SERVICE_STATES:
            yield (service, state), float(state == now)


def _open(view: View) -> tuple[Incident, ...]:
    return tuple(i for i in view.snapshot.incidents if i.state in PAGED_STATES) if view.snapshot else ()


def _incident_open(view: View) -> Iterator[Row]:
    for incident in _open(view):
        yield (incident.id, incident.kind.value, incident.party or "", incident.side), 1.0


def _incident_segments(view: View) -> Iterator[Row]:
    for incident in _open(view):
        for segment in incident.segments:
            yield (incident.id, segment), 1.0


def _incident_services(view: View) -> Iterator[Row]:
    for incident in _open(view):
        for service in incident.services:
            yield (incident.id, service), 1.0


def _suspected(view: View) -> Iterator[Row]:
    incidents = view.snapshot.incidents if view.snapshot else ()
    yield (), float(sum(i.state is State.SUSPECTED for i in incidents))


def _recording(view: View, part: str) -> Iterator[Row]:
    if view.snapshot is not None:
        yield (), float(getattr(view.snapshot.recording, part))


def _peer_up(view: View) -> Iterator[Row]:
    for peer in view.snapshot.peers if view.snapshot else ():
        yield (peer.vantage,), float(peer.reachable)


def _peer_chain(view: View) -> Iterator[Row]:
    for peer in view.snapshot.peers if view.snapshot else ():
        if peer.same_chain is not None:
            yield (peer.vantage,), float(peer.same_chain)


def _optional(value: float | None) -> Iterator[Row]:
    if value is not None:
        yield (), float(value)


_TIMER = "Probes run on their own timer, not at the scrape; demarc_probe_last_result_timestamp_seconds says when."

FAMILIES: tuple[Family, ...] = (
    Family(
        name="demarc_probe_results_total",
        kind=FamilyKind.COUNTER,
        labels=("probe", "outcome"),
        help=f"Results by outcome (ok, degraded, failed, unknown). {_TIMER}",
        read=_results,
    ),
    Family(
        name="demarc_probe_success",
        labels=("probe",),
        help=f"Last result: 1 ok or degraded, 0 failed; absent while unknown or overdue. {_TIMER}",
        read=_success,
    ),
    Family(
        name="demarc_probe_duration_seconds",
        kind=FamilyKind.HISTOGRAM,
        labels=("probe",),
        help=f"Duration of the whole attempt, failed ones included, unknown ones not. {_TIMER}",
        read=_durations,
        bounds=DURATION_BOUNDS,
    ),
    Family(
        name="demarc_probe_phase_seconds",
        labels=("probe", "phase"),
        help=f"Phases of the last attempt; only those that were reached. {_TIMER}",
        read=_phases,
    ),
    Family(
        name="demarc_probe_last_result_timestamp_seconds",
        labels=("probe",),
        help="When the last attempt started (UTC epoch seconds).",
        read=_last_result,
    ),
    Family(
        name="demarc_probe_verified",
        labels=("probe",),
        help="1 once the probe has passed with its present settings; until then it accuses nobody.",
        read=_verified,
    ),
    Family(
        name="demarc_probe_info",
        labels=("probe", "type", "target", "svc"),
        help="The agent's own probes, to join by probe.",
        read=_probe_info,
    ),
    Family(
        name="demarc_probe_segment_info",
        labels=("probe", "segment", "role"),
        help="The segments of a probe's path: crossed, or the one that answers.",
        read=_probe_segments,
    ),
    Family(
        name="demarc_probe_bugs_total",
        kind=FamilyKind.COUNTER,
        labels=("probe",),
        help="Attempts that ended in a defect of the agent itself; their result is unknown.",
        read=_bugs,
    ),
    Family(
        name="demarc_segment_info",
        labels=("segment", "party", "side"),
        help="The chain's segments and their owners; joint owners are joined by a plus sign.",
        read=_segment_info,
    ),
    Family(
        name="demarc_segment_state",
        labels=("segment", "state"),
        help=f"1 for the segment's present state, 0 for the others: {', '.join(SEGMENT_STATES)}.",
        read=_segment_state,
    ),
    Family(
        name="demarc_service_state",
        labels=("svc", "state"),
        help=f"1 for the service's present state, 0 for the others: {', '.join(SERVICE_STATES)}.",
        read=_service_state,
    ),
    Family(
        name="demarc_incident_open",
        labels=("incident", "kind", "party", "side"),
        help="1 for each confirmed incident that is open; party is empty unless one party is proven.",
        read=_incident_open,
    ),
    Family(
        name="demarc_incident_segment_info",
        labels=("incident", "segment"),
        help="The segments of an open incident, to join by incident.",
        read=_incident_segments,
    ),
    Family(
        name="demarc_incident_service_info",
        labels=("incident", "svc"),
        help="The services that an open incident disturbs, to join by incident.",
        read=_incident_services,
    ),
    Family(
        name="demarc_incident_addressed",
        labels=("incident", "to", "severity"),
        help="1 for each alert that the agent keeps firing: the party addressed, by incident.",
        read=lambda view: ((alert, 1.0) for alert in view.firing),
    ),
    Family(
        name="demarc_incidents_suspected",
        help="Suspicions that are not confirmed; shown, never paged.",
        read=_suspected,
    ),
    Family(
        name="demarc_incidents_total",
        kind=FamilyKind.COUNTER,
        labels=("kind", "party"),
        help="Confirmed incidents, by kind and proven party at confirmation.",
        read=lambda view: view.incidents.items(),
    ),
    Family(
        name="demarc_agent_info",
        labels=("vantage", "operator"),
        help="The vantage that this agent measures from, and the party that operates it.",
        read=lambda view: [((view.vantage, view.operator), 1.0)],
    ),
    Family(
        name="demarc_build_info",
        labels=("version",),
        help="The version of the agent.",
        read=lambda view: [((view.version,), 1.0)],
    ),
    Family(
        name="demarc_chain_info",
        labels=("hash",),
        help="SHA-256 of the canonical chain in use; agents with another one do not merge observations.",
        read=lambda view: [((view.chain.hash,), 1.0)],
    ),
    Family(
        name="demarc_config_last_reload_successful",
        help="1 when the last (re)load of the configuration was taken, 0 when it was refused.",
        read=lambda view: [((), float(view.reload_successful))],
    ),
    Family(
        name="demarc_config_last_reload_success_timestamp_seconds",
        help="When a configuration was last taken (UTC epoch seconds).",
        read=lambda view: _optional(view.reload_at),
    ),
    Family(
        name="demarc_scheduler_lag_seconds",
        kind=FamilyKind.HISTOGRAM,
        help="How much later than planned probes started.",
        read=lambda view: [((), view.lag)],
        bounds=LAG_BOUNDS,
    ),
    Family(
        name="demarc_loop_stalls_total",
        kind=FamilyKind.COUNTER,
        help="How often the watchdog found the event loop blocked; the rounds of that time are unknown.",
        read=lambda view: [((), view.stalls)],
    ),
    Family(
        name="demarc_observations_dropped_total",
        kind=FamilyKind.COUNTER,
        labels=("sink",),
        help="Observations that a full queue did not take; incidents are never dropped.",
        read=lambda view: (((sink,), number) for sink, number in view.dropped.items()),
    ),
    Family(
        name="demarc_ledger_recording",
        help="1 while the ledger records, 0 when it stopped; probing and paging go on.",
        read=lambda view: _recording(view, "ledger"),
    ),
    Family(
        name="demarc_ledger_entries",
        help="Entries in the ledger.",
        read=lambda view: _optional(view.ledger_entries),
    ),
    Family(
        name="demarc_store_recording",
        help="1 while observations are stored, 0 when storing stopped.",
        read=lambda view: _recording(view, "store"),
    ),
    Family(
        name="demarc_notify_up",
        help="1 while an Alertmanager takes the agent's alerts; absent when none is configured.",
        read=lambda view: _optional(view.notify_up),
    ),
    Family(
        name="demarc_notify_last_success_timestamp_seconds",
        help="When an Alertmanager last took the agent's alerts (UTC epoch seconds).",
        read=lambda view: _optional(view.notify_at),
    ),
    Family(
        name="demarc_peer_up",
        labels=("peer",),
        help="1 while the peer's observations arrive; without them each agent diagnoses alone.",
        read=_peer_up,
    ),
    Family(
        name="demarc_peer_same_chain",
        labels=("peer",),
        help="1 when the peer runs the same chain; absent until it has answered.",
        read=_peer_chain,
    ),
)
