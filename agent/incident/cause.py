"""When the cause of a finding began, and whether an open incident can be the same cause.

A finding is proven by some of its failing probes; the others are merely explained by it, and may
have failed long before for another reason. The cause is no older than the last pass of the proving
probe that failed first, nor than the last moment at which everything that it can be was seen to
work: what failed before that is not its doing.
"""

from collections.abc import Mapping
from math import inf
from typing import NamedTuple

from agent.diagnosis.finding import Finding
from agent.diagnosis.roles import Model
from agent.incident.ground import Ground
from agent.incident.memory import Memory, Track
from agent.incident.value import Incident, State
from probes.kit.spec import Evidence


class Onset(NamedTuple):
    """The first observation of a cause, and the last moment at which it was not there yet.

    `worked` is the last moment at which all that it can be was seen to work, whatever failed then.
    `failing` are the probes that fail now, by whichever cause; `seen` is when the rounds began that show it.
    """

    opened: float | None
    after: float
    failing: frozenset[str] = frozenset()
    worked: float = -inf
    seen: float = -inf


def onset(finding: Finding, memory: Memory, since: Mapping[str, float], held: frozenset[str]) -> Onset:
    """Return when the cause of `finding` began (UTC epoch seconds; `opened` None: nothing fails now).

    `held` are probes whose fails an open incident explained already: they speak of this cause only
    from the rounds that prove it on, which `since` gives per probe, and only where no other one does.
    """
    tracks, skew = memory.tracks, memory.model.chain.confirm.skew
    bad = {key: found for key in finding.failing if (found := _bad_since(key, tracks, since, held)) is not None}
    first = min((k for k in finding.proving if k in bad), key=lambda key: (key in held, bad[key], key), default=None)
    if first is None:
        return Onset(min(bad.values(), default=None), -inf)
    worked = memory.worked(finding.proof.get(first, frozenset()), _vantage(first))
    # Within the rounds that prove it: these are of two causes, or some passes were luck.
    if worked > since.get(first, inf):
        worked = -inf
    if worked > bad[first]:
        bad[first] = since.get(first, worked)
    passed = tracks[first].passed
    after = bad[first] if first in held else (-inf if passed is None else passed)
    after = max(after, min(worked, bad[first]))
    slack = {key: 0.0 if _vantage(key) == _vantage(first) else skew for key in bad}
    free = bad.keys() - held if first not in held else bad.keys()
    own = [time for key, time in bad.items() if key == first or (key in free and time > after - slack[key])]
    return Onset(min(own), after - skew, worked=worked)


def _vantage(key: str) -> str:
    return key.partition(">")[0]


def _bad_since(key: str, tracks: Mapping[str, Track], since: Mapping[str, float], held: frozenset[str]) -> float | None:
    """Return since when a probe fails by this cause as far as is known; None when it does not fail."""
    bad = tracks[key].bad_since if key in tracks else None
    if bad is None or key not in held:
        return bad
    return max(bad, since.get(key, bad))


def may_be(incident: Incident, ground: Ground | None, finding: Finding, begun: Onset, memory: Memory) -> bool:
    """Return whether an open incident that proves nobody may have the cause of `finding`.

    They share a probe, and once the incident is confirmed also a role that may be broken; no probe of
    the incident has come to pass that the finding's roles could not have made fail; what the finding
    may be was not seen to work while the incident lasted; it explains nothing that came later and that
    the incident cannot be; and either what proves the finding failed in
    the incident already, or the incident began when the cause could have.
    """
    keys, model = set(incident.faults), memory.model
    if keys.isdisjoint(finding.failing):
        return False
    if incident.state is State.SUSPECTED:
        return True
    if not _shares(incident, ground, finding):
        return False
    broken = model.implied(finding.roles)
    gone = (key for key in keys - begun.failing if key in model.probes)
    if any(broken.isdisjoint(model.accusable(key)) for key in gone):
        return False
    there = incident.opened + _slack(incident, model)
    if begun.worked > there or (ground is not None and _second(ground, finding, memory, keys, there)):
        return False
    return incident.opened > begun.after or not keys.isdisjoint(finding.proving)


def _shares(incident: Incident, ground: Ground | None, finding: Finding) -> bool:
    """Return whether incident and finding can be one broken role; of old incidents only segments are known."""
    if ground is None or not ground.roles:
        return not set(finding.segments).isdisjoint(incident.segments)
    return not ground.roles.isdisjoint(finding.roles)


def _second(ground: Ground, finding: Finding, memory: Memory, keys: set[str], there: float) -> bool:
    """Return whether a probe that passed while the incident was `there` fails now by nothing that it can be."""
    possible = memory.model.implied(ground.roles)
    for key in set(finding.failing) - keys:
        track = memory.tracks.get(key)
        lags = memory.model.probes[key].evidence is Evidence.STATE  # an SA stays established for a while
        if track is not None and track.passed is not None and track.passed > there and not lags:
            accused = finding.proof.get(key) or memory.model.accusable(key)
            if possible and possible.isdisjoint(accused):
                return True
    return False


def _slack(incident: Incident, model: Model) -> float:
    """Return how long after the first fail an attempt may still pass that began before the fault."""
    longest = max((model.probes[key].timeout for key in incident.faults if key in model.probes), default=0.0)
    return 2 * longest + model.chain.confirm.skew


__all__ = ["Onset", "may_be", "onset"]
