"""Which open incident a finding speaks of, if any, and whether it says anything new."""

from collections.abc import Mapping
from math import inf

from agent.diagnosis.finding import Finding, Kind
from agent.incident.cause import Onset, explains, may_be, onset
from agent.incident.ground import Ground
from agent.incident.memory import Memory
from agent.incident.recovery import GOOD_SECONDS
from agent.incident.value import Incident, State


class Matching:
    """Looks into the book's open incidents and their grounds; changes nothing."""

    def __init__(self, memory: Memory, open_: Mapping[str, Incident], grounds: Mapping[str, Ground]) -> None:
        self._memory = memory
        self._open = open_
        self._grounds = grounds

    def onset(self, finding: Finding, current: Mapping[str, float]) -> Onset:
        """Return when the cause of `finding` began; what other incidents explain is not held against it."""
        alone = onset(finding, self._memory, current, frozenset())._replace(failing=frozenset(current))
        others = (i for i in self._open.values() if i.confirmed and i.kind is not Kind.MONITOR)
        held = {k for i in others if not self.speaks_of(i, finding, alone) for k in i.faults}
        return onset(finding, self._memory, current, frozenset(held)) if held else alone

    def speaks_of(self, incident: Incident, finding: Finding, begun: Onset) -> bool:
        """Return whether `finding` is of `incident`'s cause, as far as can be told."""
        if incident.kind is not Kind.ATTRIBUTED:
            return may_be(incident, self._grounds.get(incident.id), finding, begun, self._memory)
        return incident.parties == finding.parties and not set(finding.segments).isdisjoint(incident.segments)

    def absorbed(self, finding: Finding, current: Mapping[str, float]) -> bool:
        """Return whether attributed incidents explain all probes of a weaker finding: it says nothing new.

        One whose proof has come to pass explains what began to be seen before that. So does any
        incident of which something has come to pass: rounds before and after that are of two causes.
        """
        failing = set(finding.failing)
        begun = max((current[k] for k in failing if k in current), default=0.0)
        told = (i for i in self._open.values() if i.kind is Kind.ATTRIBUTED and self._explains(i, finding, begun))
        if failing <= {k for i in told for k in i.faults}:
            return True
        open_ = (i for i in self._open.values() if i.confirmed and i.kind is Kind.UNDETERMINED)
        return any(failing < i.faults.keys() and self._changed(i, begun) for i in open_)

    def behind(self, finding: Finding) -> Incident | None:
        """Return the attributed incident that goes on and explains all of an undetermined `finding`, if any."""
        if finding.kind is not Kind.UNDETERMINED:
            return None
        for incident in self._open.values():
            ground = self._grounds.get(incident.id)
            if incident.kind is Kind.ATTRIBUTED and incident.state is State.CONFIRMED and ground is not None:
                proof = (self._memory.tracks.get(key) for key in ground.proving)
                going_on = any(track is not None and track.bad_since is not None for track in proof)
                if going_on and explains(incident, ground, finding, self._memory):
                    return incident
        return None

    def _changed(self, incident: Incident, begun: float) -> bool:
        """Return whether a probe of `incident` that failed at `begun` passes by now."""
        goods = (self._memory.tracks[k].good_since for k in incident.faults if k in self._memory.tracks)
        return any(good is not None and good > begun for good in goods)

    def _explains(self, incident: Incident, finding: Finding, begun: float) -> bool:
        """Return whether an attributed incident can be why the probes of `finding` fail since `begun`."""
        if incident.state is not State.CONFIRMED:
            return incident.recovered is not None and begun < incident.recovered
        ground = self._grounds.get(incident.id)
        if ground is None or not ground.roles:
            return not set(finding.segments).isdisjoint(incident.segments)
        goods = [self._memory.tracks[k].good_since for k in ground.proving if k in self._memory.tracks]
        since = [good for good in goods if good is not None]
        over = len(since) == len(goods) and begun >= max(since, default=inf)
        return not over and not ground.roles.isdisjoint(finding.roles)

    def match(self, finding: Finding, begun: Onset, claimed: set[str]) -> Incident | None:
        """Return the open incident that `finding` speaks of, if any."""

        def rank(i: Incident) -> tuple[bool, bool, float, str]:
            return i.state is State.SUSPECTED, i.kind is not Kind.ATTRIBUTED, i.opened, i.id

        for incident in sorted(self._open.values(), key=rank):
            if incident.kind is Kind.MONITOR or incident.id in claimed:
                continue
            if self.speaks_of(incident, finding, begun) and self._may_relapse(incident, finding, begun):
                return incident
        return None

    def _may_relapse(self, incident: Incident, finding: Finding, begun: Onset) -> bool:
        """Return whether what has recovered may come back as this incident: within the time that would have ended it.

        An open finding comes back on its own segments only: a wider one of the same probes is a new cause
        until it is proven to be the old one.
        """
        if incident.state is not State.RECOVERING:
            return True
        if begun.opened is not None and begun.opened > (incident.recovered or 0.0) + GOOD_SECONDS:
            return False
        return incident.kind is Kind.ATTRIBUTED or set(finding.segments) <= set(incident.segments)


__all__ = ["Matching"]
