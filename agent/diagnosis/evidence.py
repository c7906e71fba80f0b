"""Observations gathered into windows of unanimous rounds: the evidence that a proof may use.

Only what every round of a window says counts. A probe that is absent from a round, that changed
its mind, or that could not look neither accuses nor clears. Rounds are compared within one
vantage only; across vantages wall time is used, widened by the guard band `confirm.skew`.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from math import ceil
from typing import NamedTuple

from agent.diagnosis.roles import Effect, Model
from agent.observation import SELF, Observation
from probes.kit.result import Outcome
from probes.kit.spec import Pace

# Two vantages speak of the same moment only while both still report: Y.1563's ten seconds.
STALE_SECONDS = 10.0
# However long the timeouts: rounds older than this are finished.
MOST_UNFINISHED = 8


class Says(Enum):
    """What a probe said in one round, all its attempts of that round together."""

    PASS = "pass"  # noqa: S105 - an outcome, no secret
    FAIL = "fail"
    NEITHER = "neither"


class Cell(NamedTuple):
    """A probe in a round: what it said, accused (union) and cleared (intersection)."""

    says: Says
    accused: frozenset[int]
    cleared: frozenset[int]

    def joined(self, other: "Cell") -> "Cell":
        """Return both together: unanimous or neither; accuses the union, clears the intersection."""
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


class Round:
    """One round of one vantage. `clear_self` is None without a self-check, False when it failed."""

    __slots__ = ("cells", "clear_self", "end", "failed", "number", "start")

    def __init__(self, number: int, time: float) -> None:
        self.number = number
        self.start = self.end = time
        self.cells: dict[str, Cell] = {}
        self.clear_self: bool | None = None
        self.failed = False

    def add(self, key: str, said: Cell, time: float) -> None:
        """Enter one attempt of probe `key` started at `time` (UTC epoch seconds)."""
        self.start, self.end = min(self.start, time), max(self.end, time)
        self.failed |= said.says is Says.FAIL
        before = self.cells.get(key)
        self.cells[key] = said if before is None else before.joined(said)

    def check(self, passed: bool | None) -> None:
        """Enter a self-check; one that failed makes the whole round unknown."""
        self.clear_self = passed if self.clear_self is None else (self.clear_self and bool(passed))

    def says(self, key: str) -> Cell:
        """Return the probe's cell; nothing is known in a round whose self-check failed."""
        if self.clear_self is False:
            return SILENT_CELL
        return self.cells.get(key, SILENT_CELL)


class Window(NamedTuple):
    """Unanimous evidence of one vantage, with what the others' evidence of that time clears.

    `failing` maps probe keys to accused roles; `clearing` maps probe keys (and `vantage>self`) to
    cleared roles, own and peers' alike. `begun` is when the last attempt of its first round
    started (UTC epoch seconds; 0 for slow sources alone).
    """

    vantage: str
    failing: Mapping[str, frozenset[int]]
    clearing: Mapping[str, frozenset[int]]
    begun: float = 0.0


class History:
    """The recent rounds of every vantage, bounded; the only mutable part of the diagnosis."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.length = model.chain.confirm.rounds
        self.kept = max(4 * self.length, 40)
        confirm = model.chain.confirm
        slowest = max((p.timeout for p in model.probes.values() if p.pace is Pace.ROUND), default=0.0)
        # Rounds that may still wait for results: the running one and those that a timeout spans.
        self.unfinished = min(1 + ceil(slowest / confirm.spacing), MOST_UNFINISHED)
        self.rounds: dict[str, list[Round]] = {v: [] for v in model.home}
        self._own: dict[str, deque[Cell]] = {}

    def add(self, observation: Observation) -> None:
        """Enter one observation of a known probe or self-check; older than the kept rounds: ignored."""
        entry = self._round(observation)
        if entry is None:
            return
        if observation.probe == SELF:
            said = observation.outcome
            entry.check(None if said is Outcome.UNKNOWN else said is not Outcome.FAILED)
            return
        probe = self.model.probes[observation.key]
        said_cell = cell(observation, self.model.effect(observation))
        if probe.pace is Pace.OWN:
            self._remember_own(probe.key, said_cell)
        else:
            entry.add(probe.key, said_cell, observation.time)

    def _remember_own(self, key: str, said: Cell) -> None:
        """Keep a slow source's cells from its first fail on, until it passes or is unknown."""
        if said.says is Says.FAIL:
            self._own.setdefault(key, deque(maxlen=self.length)).append(said)
        else:
            self._own.pop(key, None)

    def _round(self, observation: Observation) -> Round | None:
        rounds = self.rounds[observation.vantage]
        number = observation.round
        if rounds and rounds[-1].number == number:
            return rounds[-1]
        place = bisect_left(rounds, number, key=lambda r: r.number)
        if place < len(rounds) and rounds[place].number == number:
            return rounds[place]
        if place == 0 and len(rounds) >= self.kept:
            return None
        entry = Round(number, observation.time)
        insort(rounds, entry, key=lambda r: r.number)
        if len(rounds) > self.kept:
            del rounds[0]
        return entry

    def run(self, key: str, vantage: str) -> tuple[Says, int]:
        """Return what a probe says in the newest rounds, and for how many rounds on end.

        The newest rounds may still be going on: a probe absent from them is judged from before.
        """
        rounds = self.rounds[vantage]
        says, length = Says.NEITHER, 0
        for late, entry in enumerate(reversed(rounds)):
            if not length and late < self.unfinished and key not in entry.cells:
                continue
            said = entry.says(key).says
            if length and said is not says:
                break
            says, length = said, length + 1
        return says, length

    def windows(self, now: float) -> tuple[Window, ...]:
        """Return the newest window of every vantage that still reports at `now`.

        Nothing is gathered while no recent round of any vantage holds a fail.
        """
        recent = self.length + self.unfinished
        if not self._own and not any(r.failed for rounds in self.rounds.values() for r in rounds[-recent:]):
            return ()
        found = (self._window(vantage, now) for vantage in self.rounds)
        return tuple(window for window in found if window is not None)

    def _window(self, vantage: str, now: float) -> Window | None:
        rounds = self.rounds[vantage]
        if not rounds or now - rounds[-1].end > self._patience(rounds[-self.length :]):
            return None
        chosen, failing, clearing = self._fullest(vantage, rounds)
        failing.update(self._own_failing(vantage))
        if failing and chosen:
            start, end = min(r.start for r in chosen), max(r.end for r in chosen)
            for other in self.rounds:
                if other != vantage:
                    clearing.update(self.clearing(other, start, end))
        return Window(vantage, failing, clearing, chosen[0].end if chosen else 0.0)

    def _fullest(
        self, vantage: str, rounds: Sequence[Round]
    ) -> tuple[Sequence[Round], dict[str, frozenset[int]], dict[str, frozenset[int]]]:
        """Return the newest run of rounds in which the most probes are unanimous, and what it says.

        Any run of unanimous rounds counts; the very newest rounds may lack results still to come.
        """
        best: tuple[Sequence[Round], dict[str, frozenset[int]], dict[str, frozenset[int]]] = ((), {}, {})
        for late in range(self.unfinished + 1):
            run = rounds[max(len(rounds) - late - self.length, 0) : len(rounds) - late]
            if len(run) < self.length:
                break
            failing: dict[str, frozenset[int]] = {}
            clearing: dict[str, frozenset[int]] = {}
            self._gather(vantage, run, failing, clearing)
            if len(failing) + len(clearing) > len(best[1]) + len(best[2]):
                best = (run, failing, clearing)
        return best

    def _patience(self, rounds: Sequence[Round]) -> float:
        """Return for how many seconds a vantage's newest window still speaks of now."""
        spacing = (rounds[-1].start - rounds[0].start) / max(len(rounds) - 1, 1)
        return max(STALE_SECONDS, 3 * spacing)

    def _own_failing(self, vantage: str) -> dict[str, frozenset[int]]:
        """Return slow sources that failed in all of their own last rounds."""
        found = {}
        for key, cells in self._own.items():
            if self.model.probes[key].vantage == vantage and len(cells) == self.length:
                found[key] = _joined(cells).accused
        return found

    def _gather(
        self,
        vantage: str,
        rounds: Sequence[Round],
        failing: dict[str, frozenset[int]],
        clearing: dict[str, frozenset[int]],
    ) -> None:
        """Fill in what `rounds` say unanimously."""
        for key in rounds[0].cells:
            whole = _joined(entry.says(key) for entry in rounds)
            if whole.says is Says.FAIL:
                failing[key] = whole.accused
            if whole.says is not Says.NEITHER and whole.cleared:
                clearing[key] = whole.cleared
        if all(entry.clear_self for entry in rounds):
            clearing[f"{vantage}>{SELF}"] = frozenset(self.model.home_roles(vantage))

    def clearing(self, vantage: str, start: float, end: float) -> dict[str, frozenset[int]]:
        """Return what `vantage` cleared over `start`..`end` of another vantage's clock.

        Every round within the guard band must agree, at least `confirm.rounds` of them; where the
        band holds fewer, the neighbouring earlier rounds must agree as well.
        """
        rounds, skew = self.rounds[vantage], self.model.chain.confirm.skew
        if not rounds or rounds[-1].end < end - skew:
            return {}
        first = bisect_left(rounds, start - skew, key=lambda r: r.end)
        last = bisect_right(rounds, end + skew, key=lambda r: r.start)
        finished = len(rounds) - self.unfinished
        found: dict[str, frozenset[int]] = {}
        for key in frozenset().union(*(r.cells for r in rounds[first:last])):
            cells = (
                (place, entry.says(key))
                for place, entry in _backwards(rounds, last)
                if place < finished or key in entry.cells
            )
            whole = self._agreed(cells, first)
            if whole.says is not Says.NEITHER and whole.cleared:
                found[key] = whole.cleared
        checks = [e.clear_self for p, e in _backwards(rounds, last) if p < finished or e.clear_self is not None]
        if len(checks) >= self.length and all(checks[: max(self.length, last - first)]):
            found[f"{vantage}>{SELF}"] = frozenset(self.model.home_roles(vantage))
        return found

    def _agreed(self, cells: Iterable[tuple[int, Cell]], first: int) -> Cell:
        """Join cells, newest first, back to round `first` and to at least a window's length."""
        chosen: list[Cell] = []
        for place, said in cells:
            if place < first and len(chosen) >= self.length:
                break
            chosen.append(said)
        return _joined(chosen) if len(chosen) >= self.length else SILENT_CELL


def _backwards(rounds: Sequence[Round], last: int) -> Iterable[tuple[int, Round]]:
    """Yield places and rounds before `last`, newest first."""
    return ((place, rounds[place]) for place in range(last - 1, -1, -1))


def _joined(cells: Iterable[Cell]) -> Cell:
    """Return several rounds as one cell."""
    whole: Cell | None = None
    for said in cells:
        whole = said if whole is None else whole.joined(said)
        if whole.says is Says.NEITHER:
            return SILENT_CELL
    return whole or SILENT_CELL
