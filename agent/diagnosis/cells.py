"""What one probe said in one round, and the rounds of a vantage.

Only what all attempts of a round say together counts: unanimous or neither; a fail accuses the union
of what they accused, and what is cleared is the intersection.
"""

from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from agent.diagnosis.roles import Effect
from agent.observation import Observation
from probes.kit.result import Outcome


class Says(IntEnum):
    """What a probe said in one round, all its attempts of that round together."""

    PASS = 1
    FAIL = 2
    NEITHER = 3


class Cell(NamedTuple):
    """A probe in a round: what it said, accused (union) and cleared (intersection)."""

    says: Says
    accused: frozenset[int]
    cleared: frozenset[int]

    def joined(self, other: "Cell") -> "Cell":
        """Return both together: unanimous or neither; accuses the union, clears the intersection."""
        if other is self:
            return self
        says = self.says if self.says is other.says else Says.NEITHER
        return Cell(says, self.accused | other.accused, self.cleared & other.cleared)


SILENT_CELL = Cell(Says.NEITHER, frozenset(), frozenset())


def cell(observation: Observation, effect: Effect) -> Cell:
    """Return what one observation says. Unverified or groundless fails accuse nobody."""
    if observation.outcome in (Outcome.OK, Outcome.DEGRADED):
        return Cell(Says.PASS, frozenset(), frozenset(effect.cleared))
    if observation.outcome is Outcome.FAILED and observation.verified and effect.accused:
        return Cell(Says.FAIL, frozenset(effect.accused), frozenset(effect.cleared))
    return SILENT_CELL


def joined(cells: Iterable[Cell]) -> Cell:
    """Return several rounds as one cell."""
    whole: Cell | None = None
    for said in cells:
        whole = said if whole is None else whole.joined(said)
        if whole.says is Says.NEITHER:
            return SILENT_CELL
    return whole or SILENT_CELL


class Round:
    """One round of one vantage. `clear_self` is None without a self-check, False when it failed.

    `profile` numbers what the round says: rounds of one vantage with equal profiles say the same. It
    is None while nobody has asked since the last change.
    """

    __slots__ = ("cells", "clear_self", "end", "failed", "number", "profile", "start", "times")

    def __init__(self, number: int, time: float) -> None:
        self.number = number
        self.start = self.end = time
        self.cells: dict[str, Cell] = {}
        self.times: dict[str, float] = {}
        self.clear_self: bool | None = None
        self.failed = False
        self.profile: int | None = None

    def add(self, key: str, said: Cell, time: float) -> None:
        """Enter one attempt of probe `key` started at `time` (UTC epoch seconds)."""
        self.start, self.end = min(self.start, time), max(self.end, time)
        self.failed |= said.says is Says.FAIL
        self.times[key] = min(self.times.get(key, time), time)
        before = self.cells.get(key)
        self.cells[key] = said if before is None else before.joined(said)
        self.profile = None

    def check(self, passed: bool | None) -> None:
        """Enter a self-check; one that failed makes the whole round unknown."""
        self.clear_self = passed if self.clear_self is None else (self.clear_self and bool(passed))
        self.profile = None

    def says(self, key: str) -> Cell:
        """Return the probe's cell; nothing is known in a round whose self-check failed."""
        if self.clear_self is False:
            return SILENT_CELL
        return self.cells.get(key, SILENT_CELL)


__all__ = ["SILENT_CELL", "Cell", "Round", "Says", "cell", "joined"]
