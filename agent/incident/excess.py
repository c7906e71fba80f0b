"""Incidents of delay and loss: a service's probe beyond its margin, from notice to end. Pure.

A probe that an outage holds is that incident's business: here only what answers late, or loses a share. What must
stay true: nothing opens without a lasting change (CUSUM) and a lower bound beyond the margin; what was attributed
is never weakened, and ends when the party's part is certainly below the margin; no result is no good one; rounds
whose self-check failed count for nothing.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import inf
from typing import Literal

import msgspec

from agent.diagnosis.finding import Kind, Support
from agent.excess.bounds import Shown, lost
from agent.excess.judge import Excess, Ruling, cleared, rule
from agent.excess.watch import KINDS, LOSS, Watch
from agent.incident.value import Event, Incident, State, Transition
from agent.model import Chain, Probe, Service
from agent.observation import SELF, Observation
from probes.kit.result import Outcome

# Evidence is weighed so often (s): bounds change slowly.
EVERY_SECONDS = 2.0
# The newest attempts that bound a delay: whoever was slow before is not held against who is slow now.
_WINDOW = 60
# Just after the lost attempt with which a sum begins, which is no sample of what follows.
_AFTER = 1e-3
# Nobody is told that a party cannot be named while it could not yet be: nineteen attempts bound what others add
# (`bounds.quarter_at_most`), and those of a peer come a little later.
_RIPE = 24
_FAULT = "excess/"
_AT_ONCE = 2


class _Case(msgspec.Struct, frozen=True, kw_only=True):
    """One probe's excess of one kind at one moment: since when, and what all probes show since then."""

    probe: Probe
    kind: str
    since: float
    began: float
    target: Shown
    shown: tuple[Shown, ...]
    margin: float


class Excesses:
    """The open incidents of delay and loss of one chain."""

    def __init__(self, chain: Chain, incidents: Iterable[Incident]) -> None:
        self.chain = chain
        self.watch = Watch(chain)
        self.open = {i.id: i for i in incidents}
        self.blind: dict[str, int] = {}
        self._held: frozenset[str] = frozenset()
        self._frozen: frozenset[str] = frozenset()
        self._weighed = -inf
        self._weighings = 0
        self._freeze()

    def carry(self, before: "Excesses") -> None:
        """Go on from another chain's: the attempts of probes that measure the same."""
        self.watch.carry(before.watch)
        self.blind = before.blind

    def observe(self, observation: Observation) -> None:
        """Take one observation of any vantage, roughly in time order."""
        if observation.probe == SELF and observation.outcome is Outcome.FAILED:
            self.blind[observation.vantage] = observation.round
        key = observation.key
        seen = self.blind.get(observation.vantage) != observation.round
        if seen and key in self.watch.probes and key not in self._held:
            self.watch.observe(observation, learn=key not in self._frozen)

    def hold(self, keys: frozenset[str]) -> None:
        """Leave the probes in `keys` to the outages that they show, from the first attempt that did on."""
        if keys == self._held or not self.watch.watched:
            return
        for key in keys - self._held:
            for kind in (k for k in KINDS if k != LOSS):
                if (series := self.watch.series(key, kind)) is not None:
                    series.forget_silence()
        self._held = keys
        self._freeze()

    def evaluate(self, now: float) -> tuple[Transition, ...]:
        """Return the transitions that the evidence up to `now` (UTC epoch seconds) makes."""
        if not (self.watch.watched or self.open) or 0.0 <= now - self._weighed < EVERY_SECONDS:
            return ()
        self._weighed = now
        made = [t for incident in tuple(self.open.values()) for t in self._settle(incident, now)]
        told = [
            (case, ruling)
            for probe, kind in self._turn()
            if (case := self._case(probe, kind, now)) is not None and case.target.low >= case.margin
            for ruling in rule(self.chain, self.watch.owners, case.target, case.shown, case.margin)
            if ruling.parties or now - case.since >= _RIPE * case.probe.interval
        ]
        for case, ruling in sorted(told, key=lambda one: not one[1].parties):
            made += self._enter(case, ruling, now)
        if made:
            self._freeze()
        return tuple(made)

    def _freeze(self) -> None:
        """Let nothing be learned from what an open incident may touch."""
        self._frozen = self.watch.touching(self._held.union(*(i.faults for i in self.open.values())))

    def _turn(self) -> list[tuple[Probe, str]]:
        """Return what is weighed now: two of those that are late at most, those that no incident holds first.

        What makes one late makes many late; a large chain must not hold up its own rounds.
        """
        late = [
            (probe, kind)
            for probe in self.watch.watched
            for kind in KINDS
            if probe.key not in self._held and (t := self.watch.trigger(probe.key, kind)) is not None and t.raised
        ]
        if len(late) <= _AT_ONCE:
            return late
        told = {(key, fault.removeprefix(_FAULT)) for i in self.open.values() for key, fault in i.faults.items()}
        fresh = [one for one in late if (one[0].key, one[1]) not in told]
        known = [one for one in late if (one[0].key, one[1]) in told]
        self._weighings += 1
        turned = [
            group[(n + _AT_ONCE * self._weighings) % len(group)]
            for group in (fresh, known)
            for n in range(min(len(group), _AT_ONCE))
        ]
        return turned[:_AT_ONCE]

    # -- one moment's evidence ------------------------------------------------------------------

    def _case(self, probe: Probe, kind: str, now: float) -> _Case | None:
        """Return what shows of one kind of excess of a probe, None while nothing lasting does."""
        trigger, series = self.watch.trigger(probe.key, kind), self.watch.series(probe.key, kind)
        margin = margin_of(self.chain.services[probe.service or ""], kind)
        if margin is None or trigger is None or series is None or trigger.since is None or not trigger.raised:
            return None
        began = series.lossy_since(trigger.since) if kind == LOSS else trigger.since
        since = began + _AFTER if kind == LOSS else max(began, series.newest - _WINDOW * probe.interval)
        shown = self.watch.shown(kind, since, now, near=probe.key)
        target = next((s for s in shown if s.probe == probe.key), None)
        if target is None:
            return None
        return _Case(probe=probe, kind=kind, since=since, began=began, target=target, shown=shown, margin=margin)

    def _enter(self, case: _Case, ruling: Ruling, now: float) -> list[Transition]:
        """Open the incident of a ruling, or add it to the one that it speaks of."""
        told = lost if case.kind == LOSS else float
        what: Literal["delay", "loss"] = "loss" if case.kind == LOSS else "delay"
        # Another probe may show more of the party's part than the service's own does.
        low = max(case.target.low, ruling.part)
        excess = Excess(what=what, low=told(low), part=told(ruling.part), margin=case.margin)
        before = self._same(case, excess, ruling)
        if before is None:
            # What was late before, another open incident holds.
            moved = any(case.probe.key in i.faults for i in self._alike(what))
            opened = case.since if moved else case.began
            name = self._identify(opened, what, ruling.segments)
            fresh = Incident(id=name, state=State.CONFIRMED, kind=ruling.kind, mover="", opened=opened, confirmed=now)
            self.open[name] = self._told(fresh, case, excess, ruling)
            made = [Transition(event=Event.CONFIRMED, at=now, incident=self.open[name])]
            return made + self._merged(self.open[name], now)
        if before.state is State.RECOVERING:  # what is late again has relapsed already, see `_settle`
            return []
        stronger = _stronger(ruling, before)
        incident = (self._told if stronger else self._joined)(before, case, excess, ruling)
        self.open[before.id] = incident
        if not stronger and case.probe.key in before.faults:
            return []
        changed = Transition(event=Event.CHANGED, at=now, incident=incident, before=before)
        return [changed, *self._merged(incident, now)]

    def _same(self, case: _Case, excess: Excess, ruling: Ruling) -> Incident | None:
        """Return the open incident that a ruling speaks of.

        The same party's; or one without a party of the same probe or candidates. What remains open beside a
        proven party that may be all of it says nothing new.
        """
        alike = self._alike(excess.what)
        if ruling.parties:
            mine = (i for i in alike if i.parties == ruling.parties)
            return next(mine, None) or next((i for i in alike if not i.parties and case.probe.key in i.faults), None)
        proven = (i for i in alike if i.parties and set(i.parties) <= set(ruling.candidates))
        explained = next((i for i in proven if not set(i.segments).isdisjoint(ruling.segments)), None)
        held = (i for i in alike if case.probe.key in i.faults or (not i.parties and i.candidates == ruling.candidates))
        return explained or next(held, None)

    def _alike(self, what: str) -> list[Incident]:
        return [i for i in self.open.values() if i.excess is not None and i.excess.what == what]

    def _merged(self, kept: Incident, now: float) -> list[Transition]:
        """End open incidents that turn out to be the one that names a party."""
        if not kept.parties or kept.excess is None:
            return []
        alike = self._alike(kept.excess.what)
        part = [i for i in alike if not i.parties and i.faults.keys() <= kept.faults.keys()]
        for incident in part:
            del self.open[incident.id]
        return [Transition(event=Event.MERGED, at=now, incident=i, before=i) for i in part]

    # -- telling --------------------------------------------------------------------------------

    def _joined(self, incident: Incident, case: _Case, excess: Excess, ruling: Ruling) -> Incident:
        """Return `incident` with the probe in it; figures only ever sharpen.

        `support.failing` of one that names a party are the probes that prove it, `faults` all that it may explain.
        """
        shown_by = (ruling.shown_by,) if ruling.shown_by else ()
        faults = incident.faults | dict.fromkeys((case.probe.key, *shown_by), _FAULT + case.kind)
        failing = {*incident.support.failing, *shown_by} if incident.parties else faults
        hit = {self.watch.probes[k].service for k in faults if k in self.watch.probes}
        known = incident.excess or excess
        return msgspec.structs.replace(
            incident,
            faults=faults,
            services=tuple(s for s in self.chain.services if s in hit),
            support=msgspec.structs.replace(incident.support, failing=tuple(sorted(failing))),
            excess=excess if not known.part or excess.part > known.part else known,
        )

    def _told(self, incident: Incident, case: _Case, excess: Excess, ruling: Ruling) -> Incident:
        """Return `incident` with all that `ruling` says, and with the probe in it."""
        sides = {self.chain.segments[s].side for s in ruling.segments}
        told = msgspec.structs.replace(
            incident,
            kind=ruling.kind,
            parties=ruling.parties,
            candidates=ruling.candidates,
            segments=ruling.segments,
            side=sides.pop() if len(sides) == 1 else "",
            mover=ruling.parties[0] if ruling.parties else self._lead(ruling.segments),
            standing=ruling.standing,
            rests_on=ruling.rests_on,
            excess=excess,
            support=Support(exonerating=ruling.exonerating),
            decide_with=() if ruling.parties else self._settling(case),
        )
        return self._joined(told, case, excess, ruling)

    def _settling(self, case: _Case) -> tuple[str, ...]:
        """Return the probes of the chain file that are not heard now, and would say with whom it lies."""
        from agent.excess.provable import settling  # noqa: PLC0415 - no agent needs it before its first delay

        unheard = self.watch.unheard(case.kind, case.shown, near=case.probe.key)
        return settling(self.chain, self.watch.owners, case.target, case.shown, unheard, case.margin)

    def _lead(self, segments: Sequence[str]) -> str:
        """Return whose move an undetermined finding is: a single joint segment's lead, else the director."""
        lead = self.chain.segments[segments[0]].lead if len(segments) == 1 else None
        return lead or self.chain.director

    def _identify(self, opened: float, what: str, segments: Sequence[str]) -> str:
        """Return the id: derived from chain hash, opening, segments, and what is beyond its usual."""
        text = f"{self.chain.hash}|{round(opened * 1e9)}|{','.join(segments)}|{what}"
        name = hashlib.sha256(text.encode()).hexdigest()[:16]
        while name in self.open:
            name = hashlib.sha256(name.encode()).hexdigest()[:16]
        return name

    # -- the end --------------------------------------------------------------------------------

    def _settle(self, incident: Incident, now: float) -> list[Transition]:
        """Move an incident towards its end: what proves it is within the margin again, or its party is cleared.

        What is late by then and did not prove it is told for itself.
        """
        proof = incident.support.failing if incident.parties else tuple(incident.faults)
        kinds = {k: incident.faults[k].removeprefix(_FAULT) for k in proof if k in self.watch.probes}
        if incident.excess is None or not any(self._margin(k, incident) for k in incident.faults):
            return self._close(incident, now, now)  # every probe or margin of it has left the chain file
        moved = self._moved(incident, kinds, now)
        if moved is not None:
            return self._close(incident, max(moved, incident.opened), now)
        ends = [self._good(key, kind, incident.excess, incident.opened) for key, kind in kinds.items()]
        good = [end for end in ends if end is not None]
        if len(good) < len(ends):
            if incident.state is State.CONFIRMED:
                return []
            back = self.open[incident.id] = msgspec.structs.replace(incident, state=State.CONFIRMED, recovered=None)
            return [Transition(event=Event.RELAPSED, at=now, incident=back, before=incident)]
        since, over = max(end[0] for end in good), all(end[1] for end in good)
        made = []
        if incident.state is State.CONFIRMED:
            fresh = msgspec.structs.replace(incident, state=State.RECOVERING, recovered=since)
            made.append(Transition(event=Event.RECOVERING, at=now, incident=fresh, before=incident))
            self.open[incident.id] = incident = fresh
        return made + (self._close(incident, max(since, incident.opened), now) if over else [])

    def _margin(self, key: str, incident: Incident) -> float | None:
        """Return the margin of the service of a probe, None without one."""
        probe = self.watch.probes.get(key)
        service = self.chain.services.get(probe.service or "") if probe is not None else None
        return None if service is None else margin_of(service, incident.faults[key].removeprefix(_FAULT))

    def _good(self, key: str, kind: str, excess: Excess, opened: float) -> tuple[float, bool] | None:
        """Return since when a probe is within the margin again, and whether for long enough; None while it is not.

        Less than half of what was found at least must be lost, with certainty: a lucky stretch ends nothing.
        """
        series = self.watch.series(key, kind)
        if series is None or key in self._held:
            return None
        if kind != LOSS:
            return series.quick_since(excess.margin)
        since = series.whole_since(max(excess.margin, excess.low / 2), opened)
        return None if since is None else (since, True)

    def _moved(self, incident: Incident, kinds: Mapping[str, str], now: float) -> float | None:
        """Return since when the party of an incident certainly adds less than the margin to what is still late."""
        if not incident.parties:
            return None
        watched = {probe.key for probe in self.watch.watched}
        found = (self._case(self.watch.probes[k], kind, now) for k, kind in kinds.items() if k in watched)
        since, owners = None, self.watch.owners
        for case in found:
            if case is not None:
                if not cleared(incident.parties[0], owners, case.target, case.shown, case.margin):
                    return None
                since = max(since or 0.0, case.since)
        return since

    def _close(self, incident: Incident, closed: float, now: float) -> list[Transition]:
        """End an incident; what it rested on raises no other."""
        for key, fault in incident.faults.items():
            trigger = self.watch.trigger(key, fault.removeprefix(_FAULT))
            if trigger is not None:
                trigger.reset()
        del self.open[incident.id]
        ended = msgspec.structs.replace(incident, state=State.CLOSED, closed=closed)
        return [Transition(event=Event.CLOSED, at=now, incident=ended, before=incident)]


def _stronger(ruling: Ruling, incident: Incident) -> bool:
    """Return whether a ruling says more than an incident does: fewer are possible, or one is proven."""
    if incident.parties or ruling.kind is Kind.CONTRADICTION:
        return False
    narrower = set(ruling.candidates) < set(incident.candidates)
    return ruling.kind is not incident.kind or narrower


def margin_of(service: Service, kind: str) -> float | None:
    """Return a service's margin for a kind of series."""
    return service.loss_margin if kind == LOSS else service.delay_margin


def worse(states: Mapping[str, str], incidents: Collection[Incident]) -> dict[str, str]:
    """Return service states in which what is open here shows as `degraded`."""
    hit = {service for incident in incidents if incident.state is State.CONFIRMED for service in incident.services}
    return {name: "degraded" if name in hit and state == "up" else state for name, state in states.items()}


def slow(states: Mapping[str, str], incidents: Collection[Incident]) -> dict[str, str]:
    """Return segment states in which what is proven to be late or to lose a share shows as `degraded`."""
    hit = {segment for i in incidents if i.parties and i.state is State.CONFIRMED for segment in i.segments}
    return {name: "degraded" if name in hit and state == "ok" else state for name, state in states.items()}
