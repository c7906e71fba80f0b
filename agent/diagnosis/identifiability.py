"""Which single faults a chain file can prove, before any of them happens.

A fault is imagined in one role (or in all roles of a segment) with its weakest symptom, silence; every
probe that needs the role fails, all others pass, every vantage sees itself work. It is provable if and
only if the prover then names its owner: some failing probe's conflict holds nobody else's role
(facts of the proof rule; the property test compares with the prover itself). Probes are bits of an
integer, so that large chains take milliseconds a segment.
"""

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

import msgspec

from agent.diagnosis.role import ON_THE_WAY, Role
from agent.diagnosis.roles import Model, Verdict
from agent.model import UNASSIGNED
from agent.observation import Observation
from probes.kit.result import Outcome, Stage

# Conflicts kept for each fault that is not provable: the smallest say what is missing.
KEPT = 12


class Proof(StrEnum):
    """What a single fault would be: laid with its owner, with a segment of several or no owners, or left open."""

    PROVABLE = "provable"
    LOCATED = "located"
    OPEN = "open"


class SingleFault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault in one role, or (role empty) in a whole segment.

    `place` is `way` or `end` of a path. `apart_from` are the segments that it cannot be told apart
    from at best, `owners` all parties that stay possible then.
    """

    segment: str
    place: str
    role: str
    proof: Proof
    apart_from: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()


class Conflict(NamedTuple):
    """What remains of a failing probe's accusation; the probe by its place."""

    probe: int
    roles: frozenset[int]


class World(NamedTuple):
    """What an imagined fault makes of the probes: masks of those that fail, by symptom, and of those that pass."""

    unresolved: int
    silent: int
    late: int
    passing: int


class Analysis:
    """A compiled chain as bit masks. `active` probes take part; the others are only imagined."""

    def __init__(self, model: Model) -> None:
        self.model = model
        count = len(model.roles)
        self.keys = tuple(model.probes)
        self.everything = (1 << len(self.keys)) - 1
        self._needs = {kind: [0] * count for kind in (Verdict.RESOLVE, Verdict.SILENT, Verdict.LATE)}
        self._passing, self._late = [0] * count, [0] * count
        self.accused = tuple(model.accusations(key) for key in self.keys)
        for place, key in enumerate(self.keys):
            self._enter(1 << place, key)
        homes = set(model.home.values())
        self._homes = [segment in homes for segment in model.segment_of]

    def _enter(self, bit: int, key: str) -> None:
        accused = self.model.accusations(key)
        for kind, needs in self._needs.items():
            for number in accused.get(kind, ()):
                needs[number] |= bit
        for number in self.model.passing(key).cleared:
            self._passing[number] |= bit
        vantage, _, name = key.partition(">")
        late = Observation(time=0, round=0, vantage=vantage, probe=name, outcome=Outcome.FAILED, stage=Stage.ANSWER)
        for number in self.model.effect(late).cleared:
            self._late[number] |= bit

    def faults(self) -> tuple[int, ...]:
        """Return the roles that a fault is imagined in: all but those of the vantages' own segments."""
        return tuple(n for n, home in enumerate(self._homes) if not home)

    def world(self, broken: Iterable[int], active: int) -> World:
        """Return what the broken roles make of the active probes; each shows its first failing stage."""
        numbers = tuple(self.model.implied(broken))
        unresolved, silent, late = (_union(needs[n] for n in numbers) & active for needs in self._needs.values())
        silent &= ~unresolved
        late &= ~(unresolved | silent)
        return World(unresolved, silent, late, active & ~(unresolved | silent | late))

    def is_cleared(self, number: int, world: World) -> bool:
        """Return whether some probe clears a role in `world`; every vantage sees its own segment work."""
        return bool(self._passing[number] & world.passing or self._late[number] & world.late or self._homes[number])

    def conflicts(self, world: World) -> Iterator[Conflict]:
        """Yield what remains of every accusation in `world`."""
        cleared: dict[int, bool] = {}
        for kind, failing in zip(self._needs, (world.unresolved, world.silent, world.late), strict=True):
            for place in bits(failing):
                left = []
                for number in self.accused[place].get(kind, ()):
                    if number not in cleared:
                        cleared[number] = self.is_cleared(number, world)
                    if not cleared[number]:
                        left.append(number)
                yield Conflict(place, frozenset(left))

    def judge(self, broken: tuple[int, ...], active: int) -> tuple[Proof, tuple[Conflict, ...]]:
        """Return whether a fault in `broken`, roles of one segment, is provable, and its smallest conflicts if not."""
        segment, owners = self.model.segment_of[broken[0]], self.model.owners_of[broken[0]]
        alone = len(owners) == 1 and UNASSIGNED not in owners
        found = []
        for conflict in self.conflicts(self.world(broken, active)):
            if alone and all(self.model.owners_of[n] == owners for n in conflict.roles):
                return Proof.PROVABLE, ()
            found.append(conflict)
        found.sort(key=lambda c: (self.foreign(c, owners), len(c.roles), c.probe))
        located = not alone and any(self.segments(c.roles) == {segment} for c in found)
        return Proof.LOCATED if located else Proof.OPEN, tuple(found[:KEPT])

    def foreign(self, conflict: Conflict, owners: frozenset[str]) -> int:
        """Return how many roles of a conflict have other owners."""
        return sum(self.model.owners_of[n] != owners for n in conflict.roles)

    def segments(self, roles: Iterable[int]) -> set[str]:
        """Return the segments of roles."""
        return {self.model.segment_of[n] for n in roles}


def bits(value: int) -> Iterator[int]:
    """Yield the places of the bits that are set."""
    while value:
        low = value & -value
        yield low.bit_length() - 1
        value ^= low


def _union(masks: Iterable[int]) -> int:
    found = 0
    for one in masks:
        found |= one
    return found


def place_of(role: Role) -> str:
    """Return where on a path a role is: on its `way` or at its `end`."""
    return "way" if isinstance(role, ON_THE_WAY) else "end"


def single_faults(analysis: Analysis) -> tuple[SingleFault, ...]:
    """Return every fault in one role, in the order of `analysis.faults()`."""
    roles = analysis.model.roles
    return tuple(_fault(analysis, (n,), place_of(roles[n]), str(roles[n])) for n in analysis.faults())


def segment_faults(analysis: Analysis) -> tuple[SingleFault, ...]:
    """Return for every probed segment the fault that it does nothing at all any more."""
    model = analysis.model
    roles: dict[str, list[int]] = {name: [] for name in model.chain.segments}
    for number in analysis.faults():
        roles[model.segment_of[number]].append(number)
    return tuple(
        _fault(analysis, tuple(numbers), _places(model.roles[n] for n in numbers), "")
        for numbers in roles.values()
        if numbers
    )


def _places(roles: Iterable[Role]) -> str:
    return "way" if any(place_of(role) == "way" for role in roles) else "end"


def _fault(analysis: Analysis, broken: tuple[int, ...], place: str, role: str) -> SingleFault:
    model = analysis.model
    proof, found = analysis.judge(broken, analysis.everything)
    segment = model.segment_of[broken[0]]
    left = analysis.segments(found[0].roles) - {segment} if found and proof is Proof.OPEN else set()
    owners = {owner for name in (segment, *left) for owner in model.chain.segments[name].owners}
    parties = model.chain.parties
    return SingleFault(
        segment=segment,
        place=place,
        role=role,
        proof=proof,
        apart_from=tuple(name for name in model.chain.segments if name in left),
        owners=(*(p for p in parties if p in owners), *sorted(owners - parties.keys())),
    )


__all__ = ["Analysis", "Conflict", "Proof", "SingleFault", "World", "place_of", "segment_faults", "single_faults"]
