"""The families of the chain as this agent diagnoses it: segments, services, incidents."""

from collections.abc import Callable, Iterator

from agent.incident.value import Incident, State
from agent.metrics.family import AnyFamily, Family, FamilyKind, Row
from agent.metrics.view import View
from agent.model import Segment

SEGMENT_STATES = ("ok", "degraded", "failed", "suspected", "masked", "unknown")
SERVICE_STATES = ("up", "degraded", "down", "excused", "unobserved")
# Only confirmed incidents leave the agent; a recovering one has been confirmed.
PAGED_STATES = (State.CONFIRMED, State.RECOVERING)


def owner_label(segment: Segment) -> str:
    """Return the label of a segment's owners; joint owners are never named alone: `msp+incumbent`."""
    return "+".join(segment.owners)


def _segment_info(view: View) -> Iterator[Row]:
    for segment in view.chain.segments.values():
        yield (segment.id, owner_label(segment), segment.side), 1


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
            yield (incident.id, segment), 1


def _incident_services(view: View) -> Iterator[Row]:
    for incident in _open(view):
        for service in incident.services:
            yield (incident.id, service), 1


def _excess(what: str) -> Callable[[View], Iterator[Row]]:
    def read(view: View) -> Iterator[Row]:
        for incident in _open(view):
            excess = incident.excess
            if excess is not None and excess.what == what:
                yield (incident.id, "path"), excess.low
                yield (incident.id, "party"), excess.part

    return read


def _suspected(view: View) -> Iterator[Row]:
    incidents = view.snapshot.incidents if view.snapshot else ()
    yield (), float(sum(i.state is State.SUSPECTED for i in incidents))


CHAIN_FAMILIES: tuple[AnyFamily, ...] = (
    Family(
        name="demarc_segment_info",
        kind=FamilyKind.INFO,
        labels=("segment", "party", "side"),
        help="The chain's segments and their owners; joint owners are joined by a plus sign.",
        read=_segment_info,
        same=lambda view: view.chain,
    ),
    Family(
        name="demarc_segment_state",
        labels=("segment", "state"),
        help=f"1 for the segment's present state, 0 for the others: {', '.join(SEGMENT_STATES)}.",
        read=_segment_state,
        same=lambda view: (view.chain, view.snapshot.segments if view.snapshot else None),
    ),
    Family(
        name="demarc_service_state",
        labels=("svc", "state"),
        help=f"1 for the service's present state, 0 for the others: {', '.join(SERVICE_STATES)}.",
        read=_service_state,
        same=lambda view: (view.chain, view.snapshot.services if view.snapshot else None),
    ),
    Family(
        name="demarc_incident_open",
        labels=("incident", "kind", "party", "side"),
        help="1 for each confirmed incident that is open; party is empty unless one party is proven.",
        read=_incident_open,
    ),
    Family(
        name="demarc_incident_segment_info",
        kind=FamilyKind.INFO,
        labels=("incident", "segment"),
        help="The segments of an open incident, to join by incident.",
        read=_incident_segments,
    ),
    Family(
        name="demarc_incident_service_info",
        kind=FamilyKind.INFO,
        labels=("incident", "svc"),
        help="The services that an open incident disturbs, to join by incident.",
        read=_incident_services,
    ),
    Family(
        name="demarc_incident_delay_seconds",
        labels=("incident", "of"),
        help="What an open incident of delay shows at least beyond the usual: of the whole `path`, of the `party`.",
        read=_excess("delay"),
    ),
    Family(
        name="demarc_incident_loss_ratio",
        labels=("incident", "of"),
        help="The share that an open incident of loss shows at least beyond the usual: of the whole `path`, of the "
        "`party`.",
        read=_excess("loss"),
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
)
