"""Which alerts fire and which end, given the open incidents: pure, one step at a time.

An alert is its labels (alertname, to, incident, severity), and these never change while it fires.
What must stay true: only confirmed incidents fire; the director's alert fires from confirmation to
closure; the mover's own alert fires while it is its move; every alert that fires ends exactly
once, and only recovery ends it as recovered. A page (severity critical) that becomes due later, by
`after`, when service hours begin or when the addressee's announced work should be over, is an alert
of its own beside the warning.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from agent.config.hours import parse_hours
from agent.incident.value import Incident, State
from agent.model import Chain, Service

CONFIRMED = (State.CONFIRMED, State.RECOVERING)


class Severity(StrEnum):
    """`critical` pages: a service that pages is affected, inside its hours; else `warning`."""

    CRITICAL = "critical"
    WARNING = "warning"


class End(StrEnum):
    """Why an alert ended; only `recovered` may be told as resolved.

    `merged`: it turned out to be part of another incident, which has its own alerts. `untracked`: after
    a restart the agent no longer knows the incident (state lost, another chain).
    """

    RECOVERED = "recovered"
    REASSIGNED = "reassigned"
    MERGED = "merged"
    UNTRACKED = "untracked"


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """The labels of an alert; alertname is always the same."""

    incident: str
    to: str
    severity: Severity


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """Maintenance that `party` announced before it began, in [opened, closed) (UTC epoch seconds).

    It is of all the party's segments; with `services`, for these services only.
    """

    party: str
    opened: float
    closed: float
    services: tuple[str, ...] = ()

    def explains(self, incident: Incident, now: float) -> bool:
        """Tell whether the incident began in this work, which is not over, and is attributed to whoever works."""
        return (
            self.opened <= incident.opened
            and now < self.closed
            and incident.parties == (self.party,)
            and (not self.services or set(incident.services) <= set(self.services))
        )


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """An alert that fired from `starts` to `ends` (UTC epoch seconds), and what is last known of it."""

    key: Key
    starts: float
    ends: float
    reason: End
    incident: Incident


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What fires after a step (with when it began to) and what that step ended."""

    firing: dict[Key, float]
    ended: tuple[Ended, ...]


def open_hours(service: Service, timezone: str, at: float) -> bool:
    """Tell whether `at` (UTC epoch seconds) lies in the service's hours, in the chain's local time."""
    local = datetime.fromtimestamp(at, UTC).astimezone(ZoneInfo(timezone))
    minute = local.hour * 60 + local.minute
    return any(o.day == local.weekday() and o.start <= minute < o.end for o in parse_hours(service.hours))


def pages(incident: Incident, chain: Chain, now: float) -> bool:
    """Tell whether a service that pages is affected, long enough and at an hour when it pages.

    Delay and loss page only where the chain file says so (`degraded`).
    """
    affected = (chain.services[name] for name in incident.services if name in chain.services)
    return any(
        now - incident.opened >= service.page.after
        and (incident.excess is None or service.page.degraded)
        and (service.page.when != "hours" or open_hours(service, chain.timezone, now))
        for service in affected
    )


def addressed(incident: Incident, chain: Chain) -> tuple[str, ...]:
    """Return whom the incident's alerts go to: the director, and the mover where that is another."""
    mover = incident.mover if incident.mover in chain.parties else chain.director
    return tuple(dict.fromkeys((chain.director, mover)))


def plan(
    chain: Chain,
    incidents: Mapping[str, Incident],
    firing: Mapping[Key, float],
    gone: Mapping[str, tuple[End, Incident]],
    now: float,
    *,
    waits: Callable[[Incident, str], bool] = lambda _incident, _to: False,
    works: Collection[Work] = (),
) -> Plan:
    """Take one step at `now` (UTC epoch seconds).

    `waits` says of an incident and a party whether its page is left to another agent for now; who announced the
    work (`works`) that explains an incident is warned of it and not paged until the work should be over.

    `incidents` are the confirmed ones that are open, by id; `gone` says for every other incident
    that still fires why it ended and how it was last known.
    """
    after: dict[Key, float] = {}
    for incident in incidents.values():
        working = {work.party for work in works if work.explains(incident, now)}
        for key in _keys(incident, chain, firing, now, working):
            if key in firing or not waits(incident, key.to):
                after[key] = firing.get(key, now)
    ended = []
    for key, starts in firing.items():
        if key in after:
            continue
        known = incidents.get(key.incident)
        reason, last = (End.REASSIGNED, known) if known else gone[key.incident]
        ended.append(Ended(key=key, starts=starts, ends=now, reason=reason, incident=last))
    return Plan(firing=after, ended=tuple(ended))


def _keys(
    incident: Incident, chain: Chain, firing: Mapping[Key, float], now: float, working: Collection[str]
) -> list[Key]:
    """Return the alerts of one incident: what fires stays, a page that is due now comes on top."""
    own = [key for key in firing if key.incident == incident.id]
    critical = any(key.severity is Severity.CRITICAL for key in own) or pages(incident, chain, now)
    keys = []
    for party in addressed(incident, chain):
        severities = {key.severity for key in own if key.to == party}
        due = critical and party not in working
        if due or not severities:
            severities.add(Severity.CRITICAL if due else Severity.WARNING)
        keys += [Key(incident=incident.id, to=party, severity=s) for s in Severity if s in severities]
    return keys
