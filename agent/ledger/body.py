"""What the ledger records: one struct per kind of entry, and the way to and from canonical bodies.

FORMAT.md, section Kinds, is the specification. Pure. What must stay true: a kind's meaning never
changes; a key may be added if it is optional, a new meaning gets a new kind. Times are integers in
nanoseconds UTC, at microsecond resolution (a float of epoch seconds holds no more). Absent means
empty: no key is written with its default.
"""

from collections.abc import Mapping
from typing import Any, Final, Literal, TypeAlias

import msgspec

from agent.incident.value import Event, Excess, Incident, Kind, Standing, State, Support, Transition
from agent.ledger import baseline, changes, dossier, testimony
from agent.ledger.entry import Entry, Hash


class ExcessBody(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An excess of `delay` in nanoseconds, or of `loss` in parts per million."""

    what: Literal["delay", "loss"]
    low: int
    part: int = 0
    margin: int


class Finding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """An incident as it stood, `agent.incident.value.Incident` in integers and strings."""

    id: str
    state: State
    kind: Kind
    mover: str
    opened: int
    parties: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    segments: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    side: str = ""
    standing: Standing | msgspec.UnsetType = msgspec.UNSET
    rests_on: tuple[str, ...] = ()
    margin: int | msgspec.UnsetType = msgspec.UNSET
    decide_with: tuple[str, ...] = ()
    simplest: tuple[str, ...] = ()
    failing: tuple[str, ...] = ()
    exonerating: dict[str, tuple[str, ...]] = {}
    faults: dict[str, str] = {}
    vantage: str = ""
    confirmed: int | msgspec.UnsetType = msgspec.UNSET
    closed: int | msgspec.UnsetType = msgspec.UNSET
    excess: ExcessBody | msgspec.UnsetType = msgspec.UNSET


class IncidentEntry(Entry, frozen=True, kw_only=True, tag="incident"):
    """An incident changed: why (`event`), when, and what stands from then on, under this chain."""

    event: Event
    chain: Hash
    vantage: str
    incident: Finding


class AgentStart(Entry, frozen=True, kw_only=True, tag="agent-start"):
    """The agent began to record. `key` is the verifier key that signs this log."""

    agent: str
    vantage: str
    key: str = ""


class AgentStop(Entry, frozen=True, kw_only=True, tag="agent-stop"):
    """The agent stopped in an orderly way. A start without a stop before it tells of the other way."""

    vantage: str
    reason: str


class ChainEntry(Entry, frozen=True, kw_only=True, tag="chain"):
    """This chain file is in force from now on; its bytes may be bound as the detail `source`."""

    hash: Hash
    effective: str
    vantage: str


class Configuration(Entry, frozen=True, kw_only=True, tag="configuration"):
    """A configuration was loaded, or refused and the running one kept (`result`: loaded, refused)."""

    hash: Hash
    vantage: str
    result: str
    reason: str = ""


class Gap(Entry, frozen=True, kw_only=True, tag="gap"):
    """Nothing was recorded by `what` (ledger, store, probing) in [opened, closed)."""

    what: str
    vantage: str
    opened: int
    closed: int
    reason: str
    dropped: int = 0


class Escalation(Entry, frozen=True, kw_only=True, tag="escalation"):
    """An alert about an incident was handed to `via` (an Alertmanager), addressed to `to`.

    `state`: firing or resolved; `ended` says why a resolved one ended (recovered, reassigned).
    """

    incident: str
    vantage: str
    to: str
    via: str
    alertname: str
    severity: str
    state: str
    ended: str = ""


class Reattribution(Entry, frozen=True, kw_only=True, tag="reattribution"):
    """What all results say of an ended incident, those that came in late included.

    It stands beside what was found while the incident lasted. `evidence` are the entries it rests on.
    """

    chain: Hash
    vantage: str
    incident: Finding
    evidence: tuple[int, ...]


AnyEntry: TypeAlias = (
    IncidentEntry
    | AgentStart
    | AgentStop
    | ChainEntry
    | Configuration
    | Gap
    | Escalation
    | Reattribution
    | dossier.AnyDossierEntry
    | testimony.AnyTestimony
    | changes.AnyChangeEntry
    | baseline.Baseline
)

KINDS: dict[str, type[Entry]] = {
    "incident": IncidentEntry,
    "agent-start": AgentStart,
    "agent-stop": AgentStop,
    "chain": ChainEntry,
    "configuration": Configuration,
    "gap": Gap,
    "escalation": Escalation,
    "reattribution": Reattribution,
    **dossier.KINDS,
    **testimony.KINDS,
    **changes.KINDS,
    **baseline.KINDS,
}

_NANO = 1_000_000_000


def nanoseconds(seconds: float) -> int:
    """Return UTC epoch seconds as integer nanoseconds, at microsecond resolution."""
    return round(seconds * 1_000_000) * 1000


def seconds(nano: int) -> float:
    """Return integer nanoseconds as UTC epoch seconds."""
    return nano / _NANO


def write(entry: Entry) -> tuple[str, dict[str, Any]]:
    """Return the kind and the body of `entry`, as `Ledger.append` takes them."""
    body = msgspec.to_builtins(entry)
    return body["kind"], body


def read(body: Mapping[str, Any]) -> AnyEntry | None:
    """Return the entry that a body holds, None if its kind is not known; ValueError if it is misshapen."""
    kind = KINDS.get(body["kind"]) if isinstance(body.get("kind"), str) else None
    if kind is None:
        return None
    try:
        # The one struct, not the union of all: msgspec would prepare that anew for each body (20 us).
        entry: AnyEntry = msgspec.convert(body, kind)  # type: ignore[assignment]  # KINDS holds the union's members
    except msgspec.ValidationError as error:
        raise ValueError(f"a body of kind {body['kind']}: {error}") from error
    return entry


def from_transition(transition: Transition, *, chain: str, vantage: str) -> IncidentEntry:
    """Return the entry of one transition under the chain with this hash, recorded by `vantage`."""
    return IncidentEntry(
        time=nanoseconds(transition.at),
        event=transition.event,
        chain=chain,
        vantage=vantage,
        incident=finding_of(transition.incident),
    )


def to_transition(entry: IncidentEntry) -> Transition:
    """Return the transition that an entry records; `before` is not recorded and stays None."""
    return Transition(event=entry.event, at=seconds(entry.time), incident=incident_of(entry.incident))


def finding_of(incident: Incident) -> Finding:
    """Return an incident in integers and strings."""
    return Finding(
        id=incident.id,
        state=incident.state,
        kind=incident.kind,
        mover=incident.mover,
        opened=nanoseconds(incident.opened),
        parties=incident.parties,
        candidates=incident.candidates,
        segments=incident.segments,
        services=incident.services,
        side=incident.side,
        standing=msgspec.UNSET if incident.standing is None else incident.standing,
        rests_on=incident.rests_on,
        margin=msgspec.UNSET if incident.margin is None else incident.margin,
        decide_with=incident.decide_with,
        simplest=incident.simplest,
        failing=incident.support.failing,
        exonerating=incident.support.exonerating,
        faults=incident.faults,
        vantage=incident.vantage or "",
        confirmed=msgspec.UNSET if incident.confirmed is None else nanoseconds(incident.confirmed),
        closed=msgspec.UNSET if incident.closed is None else nanoseconds(incident.closed),
        excess=msgspec.UNSET if incident.excess is None else _excess_body(incident.excess),
    )


# A share in parts per million, a delay in nanoseconds at microsecond resolution: as exact as it is measured.
_UNITS: Final = {"delay": _NANO, "loss": 1_000_000}


def _excess_body(excess: Excess) -> ExcessBody:
    def whole(value: float) -> int:
        return nanoseconds(value) if excess.what == "delay" else round(value * _UNITS["loss"])

    return ExcessBody(what=excess.what, low=whole(excess.low), part=whole(excess.part), margin=whole(excess.margin))


def _excess(body: ExcessBody) -> Excess:
    unit = _UNITS[body.what]
    return Excess(what=body.what, low=body.low / unit, part=body.part / unit, margin=body.margin / unit)


def incident_of(finding: Finding) -> Incident:
    """Return the incident that a finding tells, the inverse of `finding_of`."""
    return Incident(
        id=finding.id,
        state=finding.state,
        kind=finding.kind,
        mover=finding.mover,
        opened=seconds(finding.opened),
        parties=finding.parties,
        candidates=finding.candidates,
        segments=finding.segments,
        services=finding.services,
        side=finding.side,
        standing=None if finding.standing is msgspec.UNSET else finding.standing,
        rests_on=finding.rests_on,
        margin=None if finding.margin is msgspec.UNSET else finding.margin,
        decide_with=finding.decide_with,
        simplest=finding.simplest,
        support=Support(failing=finding.failing, exonerating=finding.exonerating),
        faults=finding.faults,
        vantage=finding.vantage or None,
        confirmed=None if finding.confirmed is msgspec.UNSET else seconds(finding.confirmed),
        closed=None if finding.closed is msgspec.UNSET else seconds(finding.closed),
        excess=None if finding.excess is msgspec.UNSET else _excess(finding.excess),
    )
