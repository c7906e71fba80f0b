"""What the evidence proves: conflicts, findings, and on whose word they rest.

A failing probe's conflict is what it accuses minus what passing probes clear: at least one of
these roles is broken. A party is named if and only if some conflict holds only segments that it
owns alone; this holds for any number of simultaneous faults (de Kleer's and Reiter's consistency-
based diagnosis). Everything else is said as it is: undetermined with candidates, or a
contradiction when nothing is left to accuse. No probabilities.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain as joined
from itertools import islice
from typing import TypedDict

import msgspec

from agent.diagnosis.conflict import NO_TIMES, Conflict, Group, Sharing, Since, common, conflicts, groups
from agent.diagnosis.evidence import Window
from agent.diagnosis.finding import Finding, Kind, Standing, Support
from agent.diagnosis.roles import Model

# A margin beyond this says nothing more to a reader and costs time to count.
MARGIN_CAP = 5
# Passing probes named per cleared segment: enough to check by hand.
NAMED_WITNESSES = 4
# Deciding measurements offered for an undetermined finding.
DECIDERS = 3


def simplest(conflicts_: Sequence[Conflict]) -> tuple[str, ...]:
    """Return a small set of segments that would explain every conflict (greedy hitting set).

    An explanation, not a proof: it names nobody.
    """
    left, chosen = [c.segments for c in conflicts_], []
    while left:
        count = Counter(joined.from_iterable(left))
        most = max(count.values())
        best = min(segment for segment, times in count.items() if times == most)
        chosen.append(best)
        left = [segments for segments in left if best not in segments]
    return tuple(sorted(chosen))


class Grounds(TypedDict):
    """The fields of a finding that say what it rests on."""

    proving: tuple[str, ...]
    proof: dict[str, frozenset[int]]
    roles: frozenset[int]


class Clearers:
    """Which passing probes clear a role, looked up once and at most so many as anyone counts."""

    def __init__(self, windows: Iterable[Window]) -> None:
        self._clearing = [tuple(window.clearing.items()) for window in windows]
        self._known: dict[tuple[int, int], tuple[str, ...]] = {}

    def any(self, window: int) -> bool:
        """Return whether anything at all is cleared for failing probes of a window."""
        return bool(self._clearing[window])

    def of(self, window: int, role: int) -> tuple[str, ...]:
        """Return up to MARGIN_CAP probes that clear `role` for failing probes of a window."""
        found = self._known.get((window, role))
        if found is None:
            keys = (key for key, roles in self._clearing[window] if role in roles)
            found = self._known[window, role] = tuple(islice(keys, MARGIN_CAP))
        return found


class Prover:
    """Turns windows into findings; holds only the compiled chain."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._order = {name: place for place, name in enumerate(model.chain.segments)}
        self._parties = {name: place for place, name in enumerate(model.chain.parties)}

    def findings(self, windows: Sequence[Window], since: Mapping[str, Since] = NO_TIMES) -> tuple[Finding, ...]:
        """Return every finding of the moment: attributed, undetermined and contradictions.

        `since` tells fails of one cause from those of a later one, where it is known.
        """
        found = conflicts(self.model, windows)
        if not found:
            return ()
        proven, open_ = groups(found, Sharing(self.model, since))
        empty = [c for c in found if not c.segments]
        named = [self._proven(group, windows) for group in proven]
        held = [self._hold(f, empty) for f in named]
        # A contradiction that touches an accusation has been told with it.
        loose = [c for c in empty if not any(c.probe in f.failing for f in held)]
        return (
            *held,
            *(self._open(group, windows, found) for group in open_),
            *(self._contradiction(c) for c in loose),
        )

    def _segments(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(names, key=lambda s: self._order[s]))

    def _owners(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(names, key=lambda p: self._parties.get(p, len(self._parties))))

    def _proven(self, group: Group, windows: Sequence[Window]) -> Finding:
        """Return the finding of a proven group: one party, or one jointly owned segment."""
        clearers = Clearers(windows)
        party = group.proving[0].party
        segments = common(group.proving)
        failing = tuple(dict.fromkeys(c.probe for c in group.conflicts))
        support = Support(failing=failing, exonerating=self._witnesses(group.conflicts, segments, clearers))
        if party is None:
            owners = frozenset().union(*(c.owners for c in group.proving))
            return Finding(
                kind=Kind.UNDETERMINED,
                candidates=self._owners(owners),
                segments=self._segments(segments),
                failing=failing,
                **self._grounds(group, segments),
                simplest=self._segments(segments),
                support=support,
            )
        standing, rests_on = self._standing(party, group, windows)
        return Finding(
            kind=Kind.ATTRIBUTED,
            parties=(party,),
            candidates=(party,),
            segments=self._segments(segments),
            failing=failing,
            **self._grounds(group, segments),
            standing=standing,
            rests_on=rests_on,
            margin=self._margin(party, group.proving, clearers),
            simplest=simplest(group.proving),
            support=support,
        )

    def _grounds(self, group: Group, segments: frozenset[str] | None = None) -> Grounds:
        """Return what a finding of `group` rests on, in `segments` only when they are given."""
        roles: frozenset[int] = frozenset().union(*[c.roles for c in group.conflicts])
        if segments is not None:
            roles = frozenset([n for n in roles if self.model.segment_of[n] in segments])
        proof = {conflict.probe: conflict.roles for conflict in group.proving}
        return {"proving": tuple(proof), "proof": proof, "roles": roles}

    def _open(self, group: Group, windows: Sequence[Window], found: Sequence[Conflict]) -> Finding:
        """Return the finding of conflicts that prove nobody: every owner in them is a candidate."""
        segments = frozenset().union(*(c.segments for c in group.proving))
        owners = frozenset().union(*(c.owners for c in group.proving))
        failing = tuple(c.probe for c in group.proving)
        clearers = Clearers(windows)
        return Finding(
            kind=Kind.UNDETERMINED,
            candidates=self._owners(owners),
            segments=self._segments(segments),
            failing=failing,
            **self._grounds(group),
            decide_with=self._deciders(group.proving, windows, {c.probe for c in found}),
            simplest=simplest(group.proving),
            support=Support(failing=failing, exonerating=self._witnesses(group.proving, segments, clearers)),
        )

    def _contradiction(self, conflict: Conflict) -> Finding:
        """Return the finding of a probe that failed although all that it accuses was cleared."""
        segments = {self.model.segment_of[n] for n in conflict.accused}
        owners = frozenset().union(*(self.model.owners_of[n] for n in conflict.accused))
        return Finding(
            kind=Kind.CONTRADICTION,
            candidates=self._owners(owners),
            segments=self._segments(segments),
            failing=(conflict.probe,),
            proving=(conflict.probe,),
            proof={conflict.probe: conflict.accused},
            roles=conflict.accused,
            support=Support(failing=(conflict.probe,)),
        )

    def _hold(self, finding: Finding, empty: Sequence[Conflict]) -> Finding:
        """Hold an accusation that a contradiction touches, unless its margin is two or more."""
        touching = [c for c in empty if {self.model.segment_of[n] for n in c.accused} & set(finding.segments)]
        if not touching or (finding.margin or 0) >= 2:
            return finding
        owners = set(finding.candidates).union(*(self.model.owners_of[n] for c in touching for n in c.accused))
        return msgspec.structs.replace(
            finding,
            kind=Kind.CONTRADICTION,
            parties=(),
            candidates=self._owners(owners),
            failing=(*finding.failing, *(c.probe for c in touching)),
            standing=None,
            rests_on=(),
            margin=None,
        )

    def _standing(self, party: str, group: Group, windows: Sequence[Window]) -> tuple[Standing, tuple[str, ...]]:
        """Recompute without each operator; see design.md's vocabulary for the three standings."""
        core = frozenset().union(*(c.segments for c in group.proving))
        operators = sorted({self.model.operator[w.vantage] for w in windows} | self._tellers(windows))

        def proven(left: Sequence[Window], without: str | None) -> bool:
            return any(c.party == party and c.segments & core for c in conflicts(self.model, left, without))

        rests_on = tuple(o for o in operators if o != party and not proven(windows, o))
        if rests_on:
            return Standing.SINGLE_SIDED, self._owners(rests_on)
        if party in operators and not proven(windows, party):
            return Standing.SELF_MEASURED, ()
        return Standing.CORROBORATED, ()

    def _tellers(self, windows: Sequence[Window]) -> set[str]:
        """Return who else's word the windows hold: of states that others tell."""
        told = self.model.teller
        return {told[key] for w in windows for key in told if key in w.failing or key in w.clearing}

    def _margin(self, party: str, proving: Sequence[Conflict], clearers: Clearers) -> int:
        """Return r: at least r failing probes, each with every foreign role cleared r times over."""
        strengths = []
        for conflict in proving:
            foreign = [n for n in conflict.accused if self.model.owners_of[n] != {party}]
            counts = (len(clearers.of(conflict.window, n)) for n in foreign)
            strengths.append(min(counts, default=MARGIN_CAP))
        strengths.sort(reverse=True)
        return max(min(place, strength) for place, strength in enumerate(strengths, 1))

    def _witnesses(
        self, found: Sequence[Conflict], left: frozenset[str], clearers: Clearers
    ) -> dict[str, tuple[str, ...]]:
        """Return what worked at the same moment: per segment on a failing path some passing probes.

        A refusal accuses few segments; the others on its path are told as well. `left` are the
        finding's own segments: nothing is said in their favour.
        """
        names: dict[str, dict[str, None]] = defaultdict(dict)
        seen = [c for c in found if clearers.any(c.window)]
        for window, number in {(c.window, n) for c in seen for n in self._on_path(c) - c.roles}:
            segment = self.model.segment_of[number]
            if segment not in left:
                names[segment].update(dict.fromkeys(clearers.of(window, number)))
        return {s: tuple(sorted(names[s])[:NAMED_WITNESSES]) for s in self._segments(names) if names[s]}

    def _on_path(self, conflict: Conflict) -> frozenset[int]:
        """Return what the conflict accuses and what silence on its path would accuse."""
        return conflict.accused.union(self.model.failing(conflict.probe).accused)

    def _deciders(self, found: Sequence[Conflict], windows: Sequence[Window], failing: set[str]) -> tuple[str, ...]:
        """Return the measurements that would settle `found`: by passing, by failing, or by both."""
        decided = failing.union(*(w.clearing for w in windows))
        cleared: dict[str, set[int]] = defaultdict(set)
        for window in windows:
            cleared[window.vantage].update(*window.clearing.values())
        scores = {}
        for key, probe in self.model.probes.items():
            if key in decided:
                continue
            proves = frozenset(self.model.passing(key).cleared)
            passing = any(self._single(c.roles - proves, c.vantage) for c in found if proves & c.roles)
            left = frozenset(self.model.failing(key).accused) - cleared[probe.vantage]
            left -= frozenset(self.model.home_roles(probe.vantage))
            touched = any(self.model.remains(probe.vantage, left).mask & c.remains.mask for c in found)
            score = passing + (touched and self._single(left, probe.vantage))
            if score:
                scores[key] = score
        return tuple(sorted(scores, key=lambda k: (-scores[k], k))[:DECIDERS])

    def _single(self, roles: frozenset[int], vantage: str) -> bool:
        """Return whether `roles` are all one assigned party's alone, seen from `vantage`."""
        return self.model.remains(vantage, roles).party is not None


__all__ = ["Prover", "Since", "conflicts", "simplest"]
