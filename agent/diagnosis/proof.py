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
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from agent.diagnosis.evidence import Window
from agent.diagnosis.finding import Finding, Kind, Standing, Support
from agent.diagnosis.roles import Model, Remains

# A margin beyond this says nothing more to a reader and costs time to count.
MARGIN_CAP = 5
# Passing probes named per cleared segment: enough to check by hand.
NAMED_WITNESSES = 4
# Deciding measurements offered for an undetermined finding.
DECIDERS = 3


NO_TIMES: Mapping[str, "Since"] = MappingProxyType({})


class Conflict(NamedTuple):
    """A failing probe, seen from `vantage` in the window of that place: what it accused, what remains of that."""

    probe: str
    vantage: str
    window: int
    accused: frozenset[int]
    roles: frozenset[int]
    remains: Remains

    @property
    def segments(self) -> frozenset[str]:
        """Return the segments of the roles that remain."""
        return self.remains.segments

    @property
    def owners(self) -> frozenset[str]:
        """Return every owner of the roles that remain, as this vantage may name them."""
        return self.remains.owners

    @property
    def party(self) -> str | None:
        """Return the one party that this conflict proves, or None."""
        return self.remains.party


class Group(NamedTuple):
    """Conflicts with one cause: those that prove it, and those that it explains."""

    proving: tuple[Conflict, ...]
    explained: tuple[Conflict, ...]

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Return all conflicts, the proving ones first."""
        return (*self.proving, *self.explained)


def conflicts(model: Model, windows: Iterable[Window], without: str | None = None) -> list[Conflict]:
    """Return the conflict of every failing probe, leaving out what operator `without` measured."""
    found = []
    for place, window in enumerate(windows):
        if model.operator[window.vantage] == without:
            continue
        cleared: set[int] = set()
        for key, roles in window.clearing.items():
            if without is None or model.operator[key.partition(">")[0]] != without:
                cleared.update(roles)
        for probe, accused in window.failing.items():
            roles = accused if cleared.isdisjoint(accused) else accused - cleared
            remains = model.remains(window.vantage, roles)
            found.append(Conflict(probe, window.vantage, place, accused, roles, remains))
    return found


def _components(conflicts_: Sequence[Conflict]) -> list[list[Conflict]]:
    """Split conflicts into sets that share no segment."""
    sets: list[tuple[int, list[Conflict]]] = []
    for conflict in conflicts_:
        mask = conflict.remains.mask
        apart = [known for known in sets if not known[0] & mask]
        met = sorted((known for known in sets if known[0] & mask), key=lambda known: -len(known[1]))
        # The largest list grows in place: joining stays linear over all conflicts.
        members = met[0][1] if met else []
        for _, theirs in met[1:]:
            members.extend(theirs)
        members.append(conflict)
        for other, _ in met:
            mask |= other
        sets = [*apart, (mask, members)]
    return [members for _, members in sets]


def _minimal(conflicts_: Sequence[Conflict]) -> list[Conflict]:
    """Leave out conflicts that hold all of another one's segments: that one explains them."""
    least: list[int] = []
    for mask in sorted({c.remains.mask for c in conflicts_}, key=int.bit_count):
        if not any(mask & smaller == smaller for smaller in least):
            least.append(mask)
    kept = set(least)
    return [c for c in conflicts_ if c.remains.mask in kept]


class Since(NamedTuple):
    """When a probe's present run of fails began, and its last pass before (UTC epoch seconds)."""

    failed: float
    passed: float


class Sharing:
    """Whether a proven cause explains another fail.

    One cause often takes several roles of a segment, so that a fail which needs the segment counts as
    explained. Not so when its probe still passed while the cause was there: then only the very role
    explains it, and anything else is a cause of its own.
    """

    def __init__(self, model: Model, since: Mapping[str, Since]) -> None:
        self._model = model
        self._since = since

    def explains(self, proving: Sequence[Conflict], other: Conflict) -> bool:
        """Return whether what `proving` proves to be broken can be why `other` failed."""
        if not any(other.segments & c.segments for c in proving):
            return False
        if (other.party is not None and other.party == proving[0].party) or not self._passed_meanwhile(proving, other):
            return True
        broken = frozenset().union(*(c.roles for c in proving))
        return not other.roles.isdisjoint(self._model.implied(broken))

    def _passed_meanwhile(self, proving: Sequence[Conflict], other: Conflict) -> bool:
        """Return whether `other` still passed when every probe of `proving` had failed already."""
        known = [self._since[c.probe].failed for c in proving if c.probe in self._since]
        if not known or other.probe not in self._since:
            return False
        # An attempt that began before the fault may end after it.
        slack = 2 * self._model.probes[other.probe].timeout + self._model.chain.confirm.skew
        return self._since[other.probe].passed > max(known) + slack


def _groups(found: Sequence[Conflict], sharing: Sharing) -> tuple[list[Group], list[Group]]:
    """Return proven groups (one party, or one segment) and the open ones that they leave over."""
    by_party: dict[str, list[Conflict]] = defaultdict(list)
    for conflict in found:
        if conflict.party is not None:
            by_party[conflict.party].append(conflict)
    proven = [tuple(part) for mine in by_party.values() for part in _components(_minimal(mine))]
    named = {s for part in proven for c in part for s in c.segments}
    # A single segment that is all that remains is proven broken, whoever owns it jointly.
    single = [c for c in found if c.party is None and len(c.segments) == 1 and not c.segments & named]
    proven += [tuple(part) for part in _components(single)] if single else []
    taken = {c.probe for part in proven for c in part}
    rest = [c for c in found if c.segments and c.probe not in taken]
    groups: list[Group] = []
    explained: set[str] = set()
    for part in proven:
        mine = tuple(c for c in rest if sharing.explains(part, c))
        explained.update(c.probe for c in mine)
        groups.append(Group(part, mine))
    left = [c for c in rest if c.probe not in explained]
    return groups, [Group(tuple(part), ()) for part in _components(left)] if left else []


def _common(parts: Sequence[Conflict]) -> frozenset[str]:
    """Return the segments common to all conflicts: one fault explains them; otherwise all of them."""
    shared = frozenset.intersection(*(c.segments for c in parts))
    return shared or frozenset().union(*(c.segments for c in parts))


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
        proven, open_ = _groups(found, Sharing(self.model, since))
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
        segments = _common(group.proving)
        failing = tuple(dict.fromkeys(c.probe for c in group.conflicts))
        support = Support(failing=failing, exonerating=self._witnesses(group.conflicts, segments, clearers))
        if party is None:
            owners = frozenset().union(*(c.owners for c in group.proving))
            return Finding(
                kind=Kind.UNDETERMINED,
                candidates=self._owners(owners),
                segments=self._segments(segments),
                failing=failing,
                proving=tuple(c.probe for c in group.proving),
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
            proving=tuple(c.probe for c in group.proving),
            standing=standing,
            rests_on=rests_on,
            margin=self._margin(party, group.proving, clearers),
            simplest=simplest(group.proving),
            support=support,
        )

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
            proving=failing,
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
        operators = sorted({self.model.operator[w.vantage] for w in windows})

        def proven(left: Sequence[Window], without: str | None) -> bool:
            return any(c.party == party and c.segments & core for c in conflicts(self.model, left, without))

        rests_on = tuple(o for o in operators if o != party and not proven(windows, o))
        if rests_on:
            return Standing.SINGLE_SIDED, self._owners(rests_on)
        if party in operators and not proven(windows, party):
            return Standing.SELF_MEASURED, ()
        return Standing.CORROBORATED, ()

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
