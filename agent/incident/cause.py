"""When the cause of a finding began, and whether an open incident can be the same cause.

A finding is proven by some of its failing probes; the others are merely explained by it, and may
have failed long before for another reason. The cause is no older than the last pass of the proving
probe that failed first: what failed before that is not its doing.
"""

from collections.abc import Iterable, Mapping
from math import inf
from typing import NamedTuple

from agent.diagnosis.finding import Finding
from agent.diagnosis.roles import Model
from agent.incident.memory import Track
from agent.incident.value import Incident, State


class Onset(NamedTuple):
    """The first observation of a cause, and the last moment at which it was not there yet.

    `failing` are the probes that fail now, by whichever cause.
    """

    opened: float | None
    after: float
    failing: frozenset[str] = frozenset()


def onset(
    finding: Finding,
    tracks: Mapping[str, Track],
    since: Mapping[str, float],
    held: frozenset[str],
    skew: float,
) -> Onset:
    """Return when the cause of `finding` began (UTC epoch seconds; `opened` None: nothing fails now).

    `held` are probes whose fails an open incident explained already: they speak of this cause only
    from the rounds that prove it on, which `since` gives per probe. `skew` is how far the clocks of
    two vantages may be apart.
    """
    bad = {key: found for key in finding.failing if (found := _bad_since(key, tracks, since, held)) is not None}
    first = min((key for key in finding.proving if key in bad), key=lambda key: (bad[key], key), default=None)
    if first is None:
        return Onset(min(bad.values(), default=None), -inf)
    passed = tracks[first].passed
    after = bad[first] if first in held else (-inf if passed is None else passed)
    slack = {key: 0.0 if _vantage(key) == _vantage(first) else skew for key in bad}
    own = [time for key, time in bad.items() if key == first or time > after - slack[key]]
    return Onset(min(own), after - skew)


def _vantage(key: str) -> str:
    return key.partition(">")[0]


def _bad_since(key: str, tracks: Mapping[str, Track], since: Mapping[str, float], held: frozenset[str]) -> float | None:
    """Return since when a probe fails by this cause as far as is known; None when it does not fail."""
    bad = tracks[key].bad_since if key in tracks else None
    if bad is None or key not in held:
        return bad
    return max(bad, since.get(key, bad))


def may_be(incident: Incident, finding: Finding, begun: Onset, model: Model) -> bool:
    """Return whether an open incident that proves nobody may have the cause of `finding`.

    They share a probe, and once the incident is confirmed also a segment; no probe of the incident
    has come to pass that the finding's segments could not have made fail; and either what proves
    the finding failed in the incident already, or the incident began when the cause could have.
    """
    keys = set(incident.faults)
    if keys.isdisjoint(finding.failing):
        return False
    if incident.state is State.SUSPECTED:
        return True
    segments = set(finding.segments)
    if segments.isdisjoint(incident.segments):
        return False
    probes = (model.probes[key] for key in keys - begun.failing if key in model.probes)
    if any(segments.isdisjoint((*p.path, *p.back, *p.resolve)) for p in probes):
        return False
    return incident.opened > begun.after or not keys.isdisjoint(finding.proving)


def explained(incident: Incident, others: Iterable[Incident], tracks: Mapping[str, Track]) -> frozenset[str]:
    """Return the incident's probes that fail while another confirmed incident holds them too."""
    told = {key for other in others if other.id != incident.id for key in other.faults}
    return frozenset(k for k in incident.faults if k in told and k in tracks and tracks[k].bad_since is not None)


__all__ = ["Onset", "explained", "may_be", "onset"]
