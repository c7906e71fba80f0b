"""Conflicts of failing probes, and which of them have one cause.

A failing probe's conflict is what it accuses minus what passing probes clear: at least one of these
roles is broken. Conflicts are put together when one cause explains them, never to prove anything.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from agent.diagnosis.evidence import Window
from agent.diagnosis.roles import Model, Remains

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
    """Return the conflict of every failing probe, leaving out what operator `without` measured or told."""
    found = []
    for place, window in enumerate(windows):
        if model.operator[window.vantage] == without:
            continue
        cleared: set[int] = set()
        for key, roles in window.clearing.items():
            if without is None or without not in (model.operator[key.partition(">")[0]], model.teller.get(key)):
                cleared.update(roles)
        for probe, accused in window.failing.items():
            if without is not None and model.teller.get(probe) == without:
                continue
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
        met = other.segments.intersection(frozenset().union(*(c.segments for c in proving)))
        if not met:
            return False
        if (other.party is not None and other.party == proving[0].party) or not self._passed_meanwhile(proving, other):
            return True
        # A pass that does not prove what both need, of an SA that is still established, says nothing of it.
        needed = frozenset(n for n in other.roles if self._model.segment_of[n] in met)
        if needed.isdisjoint(self._model.passing(other.probe).cleared):
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


def groups(found: Sequence[Conflict], sharing: Sharing) -> tuple[list[Group], list[Group]]:
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


def common(parts: Sequence[Conflict]) -> frozenset[str]:
    """Return the segments common to all conflicts: one fault explains them; otherwise all of them."""
    shared = frozenset.intersection(*(c.segments for c in parts))
    return shared or frozenset().union(*(c.segments for c in parts))


__all__ = ["NO_TIMES", "Conflict", "Group", "Sharing", "Since", "common", "conflicts", "groups"]
