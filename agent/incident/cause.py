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
from agent.incident.value import Incident, Kind, State
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

    They share a probe, and once the incident is confirmed also a role that may be broken; see `_in_pieces` for
    those that share none. No probe of the incident has come to pass that the finding's roles could not have made
    fail; what the finding may be was not seen to work while the incident lasted; it explains nothing that came
    later and that the incident cannot be; and either what proves the finding failed in the incident already, or the
    incident began when the cause could have.
    """
    keys, model = set(incident.faults), memory.model
    if keys.isdisjoint(finding.failing):
        return finding.kind is Kind.ATTRIBUTED and _in_pieces(incident, ground, finding, begun, memory)
    if incident.state is State.SUSPECTED:
        return True
    if not _shares(incident, ground, finding):
        return False
    broken = model.implied(finding.roles)
    gone = (key for key in keys - begun.failing if key in model.probes and _passes(key, memory))
    if any(broken.isdisjoint(model.accusable(key)) for key in gone):
        return False
    there = incident.opened + _slack(incident, model)
    if begun.worked > there or (ground is not None and _second(ground, finding, memory, keys, there)):
        return False
    return incident.opened > begun.after or not keys.isdisjoint(finding.proving)


def explains(incident: Incident, ground: Ground, finding: Finding, memory: Memory) -> bool:
    """Return whether a proven incident that goes on can be why the probes of an open `finding` fail.

    Each of them needs a segment of the incident and began to fail no earlier than its proof did; one that
    still passed while the incident was there needs the very role that is broken.
    """
    model, tracks = memory.model, memory.tracks
    passed = (tracks[key].passed for key in ground.proving if key in tracks)
    after = min((time for time in passed if time is not None), default=-inf) - model.chain.confirm.skew
    bad = [tracks[key].bad_since for key in finding.failing if key in tracks]
    needed = ({model.segment_of[n] for n in finding.proof[key]} for key in finding.failing)
    return (
        all(not segments.isdisjoint(incident.segments) for segments in needed)
        and all(since is None or since > after for since in bad)
        and not _second(ground, finding, memory, set(incident.faults), incident.opened + _slack(incident, model))
    )


def _passes(key: str, memory: Memory) -> bool:
    """Return whether the newest that is known of a probe is not a fail: one that nobody could look at still fails."""
    return key not in memory.tracks or memory.tracks[key].bad_since is None


def _shares(incident: Incident, ground: Ground | None, finding: Finding) -> bool:
    """Return whether incident and finding can be one broken role; of old incidents only segments are known."""
    if ground is None or not ground.roles:
        return not set(finding.segments).isdisjoint(incident.segments)
    return not ground.roles.isdisjoint(finding.roles)


def _in_pieces(incident: Incident, ground: Ground | None, finding: Finding, begun: Onset, memory: Memory) -> bool:
    """Return whether a proven finding is the cause of an open incident of other probes: a host that stalls sees pieces.

    It is a segment of what the incident has been narrowed to, it can have been there when the incident
    began, and nothing of the incident has passed since.
    """
    if ground is None or incident.opened <= begun.after:
        return False
    tracks, model = memory.tracks, memory.model
    meets = any(model.segment_of[n] in finding.segments for n in ground.roles)
    return meets and all(tracks[key].bad_since is not None for key in incident.faults if key in tracks)


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


__all__ = ["Onset", "explains", "may_be", "onset"]
