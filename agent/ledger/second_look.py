"""Whether all results of an incident, late ones included, say more than was found while it lasted. Pure.

What must stay true: an entry of the second look stands beside the first finding and replaces nothing; one
that says the same, or less, is not written.
"""

import msgspec

from agent.incident.value import Incident, Kind, Standing, State

_KIND = {Kind.MONITOR: 0, Kind.CONTRADICTION: 0, Kind.UNDETERMINED: 1, Kind.ATTRIBUTED: 2}
_STANDING = {None: 0, Standing.SELF_MEASURED: 1, Standing.SINGLE_SIDED: 1, Standing.CORROBORATED: 2}
NEAR_SECONDS = 30.0
"""A replay may open an incident with another of its probes, at most some intervals earlier or later."""


def worth_it(incident: Incident, vantages: int) -> bool:
    """Say whether results that came in late could say more: there is another vantage, and room for more."""
    settled = incident.kind is Kind.ATTRIBUTED and incident.standing is Standing.CORROBORATED
    return vantages > 1 and incident.kind is not Kind.MONITOR and not settled


def second_finding(first: Incident, found: tuple[Incident, ...]) -> Incident | None:
    """Return the incident among those of a replay that is `first`, told anew; None when nothing is gained."""
    failing = set(first.faults) | set(first.support.failing)
    same = [
        one
        for one in found
        if one.kind is not Kind.MONITOR
        and abs(one.opened - first.opened) <= NEAR_SECONDS
        and failing & set(one.support.failing)
    ]
    best = max(same, key=lambda one: (_KIND[one.kind], _STANDING[one.standing]), default=None)
    if best is None or not _says_more(best, first):
        return None
    return msgspec.structs.replace(
        best,
        id=first.id,
        state=State.CLOSED,
        mover=best.party or first.mover,
        opened=first.opened,
        confirmed=first.confirmed,
        closed=first.closed,
    )


def _says_more(new: Incident, old: Incident) -> bool:
    if _KIND[new.kind] != _KIND[old.kind]:
        return _KIND[new.kind] > _KIND[old.kind]
    if new.kind is Kind.ATTRIBUTED:
        return new.parties != old.parties or _STANDING[new.standing] > _STANDING[old.standing]
    return bool(new.candidates) and set(new.candidates) < set(old.candidates)
