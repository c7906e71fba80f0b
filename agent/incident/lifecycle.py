"""The book of open incidents: suspected, confirmed, recovering, closed.

One incident per root cause. What was once proven of an incident stays: later evidence narrows it
or adds to it, a weaker finding of the same probes never takes it back. When its proof is gone and
something still fails, that is another incident, for its own time; so is what fails later and cannot
be explained by what an incident has been narrowed to.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from math import inf

import msgspec

from agent.availability.fold import Availability
from agent.diagnosis.finding import Finding
from agent.diagnosis.roles import Model, Verdict
from agent.incident.cause import Onset, may_be
from agent.incident.ground import Ground, SavedGround, ground_of
from agent.incident.matching import Matching
from agent.incident.memory import Memory, Track
from agent.incident.recovery import ending, masked
from agent.incident.value import Event, Incident, Kind, Standing, State, Support, Transition
from agent.observation import SELF

_KIND_STRENGTH = {Kind.CONTRADICTION: 0, Kind.UNDETERMINED: 1, Kind.ATTRIBUTED: 2, Kind.MONITOR: 3}
_STANDING_STRENGTH = {None: 0, Standing.SELF_MEASURED: 1, Standing.SINGLE_SIDED: 2, Standing.CORROBORATED: 3}
# A change in any of these is told; a new fault text or witness alone is not.
_TOLD = ("kind", "parties", "candidates", "segments", "services", "standing", "rests_on", "mover")


class Saved(msgspec.Struct, kw_only=True):
    """What survives a restart."""

    incidents: tuple[Incident, ...] = ()
    tracks: dict[str, Track] = {}
    availability: dict[str, Availability] = {}
    grounds: dict[str, SavedGround] = {}
    excesses: tuple[Incident, ...] = ()


class Book:
    """Keeps the open incidents of one engine; every method returns the transitions it made."""

    def __init__(
        self, model: Model, memory: Memory, incidents: Iterable[Incident], grounds: Mapping[str, Ground]
    ) -> None:
        self.model = model
        self.memory = memory
        self.open: dict[str, Incident] = {i.id: i for i in incidents}
        self.grounds = {name: ground for name, ground in grounds.items() if name in self.open}
        self.matching = Matching(memory, self.open, self.grounds)

    @property
    def confirmed_probes(self) -> frozenset[str]:
        """Return the probes of incidents that are confirmed and go on."""
        return frozenset(k for i in self.open.values() if i.state is State.CONFIRMED for k in i.faults)

    def ordered(self) -> tuple[Incident, ...]:
        """Return the open incidents, oldest first."""
        return tuple(sorted(self.open.values(), key=lambda i: (i.opened, i.id)))

    # -- one change -----------------------------------------------------------------------------

    def _enter(self, event: Event, incident: Incident, now: float, before: Incident | None = None) -> Transition:
        if event in (Event.CLOSED, Event.DISMISSED, Event.MERGED):
            self.open.pop(incident.id, None)
            self.grounds.pop(incident.id, None)
        else:
            self.open[incident.id] = incident
        return Transition(event=event, at=now, incident=incident, before=before)

    def _identify(self, opened: float, segments: Sequence[str]) -> str:
        """Return the id: derived from chain hash, opening and segments; the same in every replay."""
        text = f"{self.model.chain.hash}|{round(opened * 1e9)}|{','.join(segments)}"
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        while name in self.open:
            name = hashlib.sha256(name.encode()).hexdigest()[:16]
        return name

    def _mover(self, kind: Kind, parties: Sequence[str], segments: Sequence[str]) -> str:
        """Return whose move it is: never evidence of fault."""
        chain = self.model.chain
        if kind is Kind.ATTRIBUTED:
            return parties[0]
        leads = {chain.segments[s].lead if len(chain.segments[s].owners) > 1 else None for s in segments}
        lead = leads.pop() if len(leads) == 1 and kind is Kind.UNDETERMINED else None
        return lead or chain.director

    def _side(self, segments: Sequence[str]) -> str:
        """Return the side that all segments share, or nothing."""
        sides = {self.model.chain.segments[s].side for s in segments}
        return sides.pop() if len(sides) == 1 else ""

    def _services(self, keys: Iterable[str]) -> tuple[str, ...]:
        hit = {self.model.probes[k].service for k in keys if k in self.model.probes}
        return tuple(s for s in self.model.chain.services if s in hit)

    def _bad_since(self, keys: Iterable[str]) -> float | None:
        times = (self.memory.tracks[k].bad_since for k in keys if k in self.memory.tracks)
        return min((t for t in times if t is not None), default=None)

    def _faults(self, keys: Iterable[str]) -> dict[str, str]:
        return {k: self.memory.tracks[k].fault for k in keys if k in self.memory.tracks}

    # -- suspicion ------------------------------------------------------------------------------

    def suspicions(self, now: float) -> tuple[Transition, ...]:
        """Open a suspicion for failing probes that no incident holds; dismiss those that passed."""
        passed = [i for i in self.open.values() if i.state is State.SUSPECTED and self._bad_since(i.faults) is None]
        made = [self._enter(Event.DISMISSED, incident, now, incident) for incident in passed]
        held = {k for i in self.open.values() if i.state is not State.RECOVERING for k in i.faults}
        recovering = [i for i in self.open.values() if i.state is State.RECOVERING]
        for key, track in self.memory.tracks.items():
            since = track.bad_since
            if since is None or key in held or key.endswith(f">{SELF}"):
                continue
            # What has failed since before its incident recovered has yet to pass, or to be told by a finding.
            if not any(key in i.faults and since < (i.recovered or 0.0) for i in recovering):
                made += self._suspect(key, since, now)
        return tuple(made)

    def _suspect(self, key: str, since: float, now: float) -> tuple[Transition, ...]:
        """Add `key` to the suspicion that shares its segments, or open one.

        What a confirmed incident explains is no suspicion of its own.
        """
        segments, owners = self._accusable(key)
        told = [i for i in self.open.values() if i.state is State.CONFIRMED and i.kind is not Kind.MONITOR]
        if any(set(segments) & set(i.segments) for i in told):
            return ()
        for incident in self.open.values():
            if incident.state is State.SUSPECTED and set(segments) & set(incident.segments):
                faults = incident.faults | self._faults([key])
                self.open[incident.id] = msgspec.structs.replace(
                    incident,
                    faults=faults,
                    services=self._services(faults),
                    support=Support(failing=tuple(faults)),
                )
                return ()
        incident = Incident(
            id=self._identify(since, segments),
            state=State.SUSPECTED,
            kind=Kind.UNDETERMINED,
            candidates=owners,
            segments=segments,
            services=self._services([key]),
            side=self._side(segments),
            mover=self.model.chain.director,
            support=Support(failing=(key,)),
            faults=self._faults([key]),
            opened=since,
        )
        return (self._enter(Event.SUSPECTED, incident, now),)

    def _accusable(self, key: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the segments (without the vantage's own) and owners that `key` may accuse."""
        probe, chain = self.model.probes[key], self.model.chain
        resolving = self.memory.tracks[key].fault.startswith(Verdict.RESOLVE.value)
        names = probe.resolve if resolving else (*probe.path, *probe.back)
        home = self.model.home[probe.vantage]
        segments = tuple(dict.fromkeys(s for s in names if s != home)) or (home,)
        owners = {o for s in segments for o in chain.segments[s].owners}
        return segments, tuple(p for p in (*chain.parties, *sorted(owners - set(chain.parties))) if p in owners)

    # -- confirmation ---------------------------------------------------------------------------

    def findings(self, found: Sequence[Finding], current: Mapping[str, float], now: float) -> tuple[Transition, ...]:
        """Enter what a window proved: strongest findings first, each into at most one incident.

        `current` are the probes that fail up to now in the same run, and since when they do in the
        window. A finding without any of them speaks of what is over: it may strengthen an open
        incident and opens none.
        """
        made: list[Transition] = []
        claimed: set[str] = set()
        failing = frozenset(k for finding in found for k in finding.failing)
        for finding in sorted(found, key=lambda f: -_KIND_STRENGTH[f.kind]):
            if finding.kind is not Kind.ATTRIBUTED and self.matching.absorbed(finding, current):
                continue
            if known := self.matching.behind(finding):
                made += self._strengthen(known, finding, now)
                continue
            seen = min((current[k] for k in finding.failing if k in current), default=-inf)
            begun = self.matching.onset(finding, current)._replace(failing=failing, seen=seen)
            incident = self.matching.match(finding, begun, claimed)
            if current.keys().isdisjoint(finding.failing):
                made += self._strengthen(incident, finding, now) if incident else ()
                continue
            made += self._confirm(incident, finding, begun, now) if incident else self._new(finding, begun, now)
            name = made[-1].incident.id if incident is None else incident.id
            self._prove(name, finding, now)
            claimed.add(name)
            made += self._merge(name, finding, begun, claimed, now)
        return tuple(made)

    def _prove(self, name: str, finding: Finding, now: float) -> None:
        """Note that `finding` has proven an incident at `now`: of an open cause less remains, a proven one has more."""
        known = self.grounds.get(name)
        fresh = ground_of(finding, now)
        if known is not None and finding.kind is not self.open[name].kind:
            fresh = msgspec.structs.replace(known, proven=now, masked=None)
        elif known is not None and known.kind is finding.kind:
            proven = finding.kind is Kind.ATTRIBUTED
            both = known.roles | fresh.roles if proven else self._in_both(known.roles, fresh.roles)
            proving = tuple(dict.fromkeys((*known.proving, *fresh.proving))) if proven else fresh.proving
            fresh = msgspec.structs.replace(fresh, roles=both or fresh.roles, proving=proving)
        self.grounds[name] = fresh

    def _in_both(self, known: frozenset[int], fresh: frozenset[int]) -> frozenset[int]:
        """Return the roles of the segments that are in both: one cause often takes several roles of a segment."""
        segment_of = self.model.segment_of
        segments = {segment_of[n] for n in known} & {segment_of[n] for n in fresh}
        return frozenset(n for n in known | fresh if segment_of[n] in segments)

    def _new(self, finding: Finding, begun: Onset, now: float) -> tuple[Transition, ...]:
        opened = now if begun.opened is None else begun.opened
        incident = Incident(
            id=self._identify(opened, finding.segments),
            state=State.CONFIRMED,
            kind=finding.kind,
            mover="",
            opened=opened,
            confirmed=now,
        )
        return (self._enter(Event.CONFIRMED, self._told(incident, finding), now),)

    def _told(self, incident: Incident, finding: Finding) -> Incident:
        """Return `incident` with all that `finding` says; probes that it held before stay in it."""
        faults = {**incident.faults, **self._faults(finding.failing)}
        return msgspec.structs.replace(
            incident,
            kind=finding.kind,
            parties=finding.parties,
            candidates=finding.candidates,
            segments=finding.segments,
            side=self._side(finding.segments),
            mover=self._mover(finding.kind, finding.parties, finding.segments),
            standing=finding.standing,
            rests_on=finding.rests_on,
            margin=finding.margin,
            decide_with=finding.decide_with,
            simplest=finding.simplest,
            support=finding.support,
            faults=faults,
            services=self._services(faults),
        )

    def _confirm(self, incident: Incident, finding: Finding, begun: Onset, now: float) -> tuple[Transition, ...]:
        """Confirm a suspicion, bring a recovering incident back, or add to a confirmed one."""
        if incident.state is State.SUSPECTED:
            fresh = msgspec.structs.replace(
                incident,
                state=State.CONFIRMED,
                confirmed=now,
                faults={},
                opened=incident.opened if begun.opened is None else begun.opened,
            )
            return (self._enter(Event.CONFIRMED, self._told(fresh, finding), now, incident),)
        if incident.state is State.RECOVERING:
            if begun.seen < (incident.recovered or 0.0):  # rounds of before it recovered
                return ()
            relapsed = self._relapse(incident, now)
            return (*relapsed, *self._confirm(relapsed[0].incident, finding, begun, now))
        return self._strengthen(incident, finding, now)

    def _relapse(self, incident: Incident, now: float) -> tuple[Transition, ...]:
        """Bring a recovering incident back."""
        back = msgspec.structs.replace(incident, state=State.CONFIRMED, recovered=None)
        return (self._enter(Event.RELAPSED, back, now, incident),)

    def _strengthen(self, incident: Incident, finding: Finding, now: float) -> tuple[Transition, ...]:
        """Let a finding add to a confirmed incident; what it told before is never taken back."""
        if incident.state is State.SUSPECTED:
            return ()
        if self._stronger(finding, incident):
            changed = self._told(incident, finding)
        else:
            faults = {**incident.faults, **self._faults(finding.failing)}
            changed = msgspec.structs.replace(incident, faults=faults, services=self._services(faults))
        self.open[incident.id] = changed
        if all(getattr(changed, name) == getattr(incident, name) for name in _TOLD):
            return ()
        return (self._enter(Event.CHANGED, changed, now, incident),)

    def _stronger(self, finding: Finding, incident: Incident) -> bool:
        """Return whether `finding` says more than the incident does."""
        gain = _KIND_STRENGTH[finding.kind] - _KIND_STRENGTH[incident.kind]
        if gain:
            return gain > 0
        new, old = set(finding.candidates), set(incident.candidates)
        if finding.kind is not Kind.ATTRIBUTED:
            return new < old or not new & old
        standing = _STANDING_STRENGTH[finding.standing] - _STANDING_STRENGTH[incident.standing]
        if standing:
            return standing > 0
        if (finding.margin or 0) != (incident.margin or 0):
            return (finding.margin or 0) > (incident.margin or 0)
        return set(finding.segments) < set(incident.segments)

    def _merge(
        self, kept: str, finding: Finding, begun: Onset, claimed: set[str], now: float
    ) -> tuple[Transition, ...]:
        """End incidents that turn out to be the one that `finding` told."""
        made = []
        for incident in self.ordered():
            if (
                incident.id in claimed
                or incident.kind in (Kind.ATTRIBUTED, Kind.MONITOR)
                or incident.state is State.RECOVERING
                or incident.id == kept
            ):
                continue
            if set(incident.faults) <= set(finding.failing) and may_be(
                incident, self.grounds.get(incident.id), finding, begun, self.memory
            ):
                suspected = incident.state is State.SUSPECTED
                made.append(self._enter(Event.DISMISSED if suspected else Event.MERGED, incident, now, incident))
        return tuple(made)

    # -- our own vantages -----------------------------------------------------------------------

    def monitors(self, now: float) -> tuple[Transition, ...]:
        """Open an incident for every vantage whose self-check failed: it cannot look."""
        made: list[Transition] = []
        held = {i.vantage: i for i in self.open.values() if i.kind is Kind.MONITOR}
        blinded, self.memory.blinded = self.memory.blinded, {}
        for key, since in blinded.items():
            vantage = key.partition(">")[0]
            home = self.model.home[vantage]
            if vantage in held:
                made += self._relapse(held[vantage], now) if held[vantage].state is State.RECOVERING else ()
                continue
            incident = Incident(
                id=self._identify(since, [home]),
                state=State.CONFIRMED,
                kind=Kind.MONITOR,
                segments=(home,),
                side=self._side([home]),
                mover=self.model.chain.director,
                vantage=vantage,
                support=Support(failing=(key,)),
                faults=self._faults([key]),
                opened=since,
                confirmed=now,
            )
            made.append(self._enter(Event.CONFIRMED, incident, now))
        return tuple(made)

    # -- recovery -------------------------------------------------------------------------------

    def settle(self, now: float) -> tuple[Transition, ...]:
        """Move confirmed incidents to recovering and to their end.

        A probe that fails again while its incident recovers is a new suspicion: only a finding of
        the same cause makes it a relapse, and another cause ends the incident where it recovered.
        """
        made: list[Transition] = []
        for incident in tuple(self.open.values()):
            if incident.state is not State.SUSPECTED:
                made += self._settle(incident, now)
        return tuple(made)

    def _settle(self, incident: Incident, now: float) -> tuple[Transition, ...]:
        if not any(k in self.memory.tracks for k in incident.faults):  # every probe of it has left the chain file
            return self._close(incident, now, now)
        others = [i for i in self.open.values() if i.state is State.CONFIRMED]
        end = ending(incident, others, self.memory, self._hidden(incident, others, now), now)
        if end is None:
            return ()
        made: tuple[Transition, ...] = ()
        if incident.state is State.CONFIRMED:
            recovering = msgspec.structs.replace(incident, state=State.RECOVERING, recovered=end.recovered)
            made = (self._enter(Event.RECOVERING, recovering, now, incident),)
            incident = recovering
        return (*made, *self._close(incident, end.recovered, now)) if end.over else made

    def _hidden(self, incident: Incident, others: Sequence[Incident], now: float) -> Ground | None:
        """Return the ground of `incident` with since when it is hidden behind others, until its proof comes back."""
        ground = self.grounds.get(incident.id)
        if ground is None:
            return None
        hidden = masked(incident, others, self.memory, ground, now)
        if hidden is not None:
            ground = self.grounds[incident.id] = msgspec.structs.replace(ground, masked=hidden)
        return ground

    def _close(self, incident: Incident, closed: float, now: float) -> tuple[Transition, ...]:
        ended = msgspec.structs.replace(incident, state=State.CLOSED, closed=closed)
        return (self._enter(Event.CLOSED, ended, now, incident),)
