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
# However wide the guard band: rounds kept of one vantage, for memory and time.
MOST_KEPT = 600


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

    __slots__ = ("cells", "clear_self", "end", "failed", "number", "start", "times")

    def __init__(self, number: int, time: float) -> None:
        self.number = number
        self.start = self.end = time
        self.cells: dict[str, Cell] = {}
        self.times: dict[str, float] = {}
        self.clear_self: bool | None = None
        self.failed = False

    def add(self, key: str, said: Cell, time: float) -> None:
        """Enter one attempt of probe `key` started at `time` (UTC epoch seconds)."""
        self.start, self.end = min(self.start, time), max(self.end, time)
        self.failed |= said.says is Says.FAIL
        self.times[key] = min(self.times.get(key, time), time)
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
    cleared roles, own and peers' alike. `since` says when each failing probe's attempt in the first
    round started (UTC epoch seconds; slow sources are absent).
    """

    vantage: str
    failing: Mapping[str, frozenset[int]]
    clearing: Mapping[str, frozenset[int]]
    since: Mapping[str, float] = {}


class Run(NamedTuple):
    """Successive rounds of one vantage, and what its probes say in all of them."""

    rounds: Sequence[Round]
    failing: dict[str, frozenset[int]]
    clearing: dict[str, frozenset[int]]

    @property
    def fullness(self) -> int:
        """Return how much is said unanimously."""
        return len(self.failing) + len(self.clearing)


class History:
    """The recent rounds of every vantage, bounded; the only mutable part of the diagnosis."""

    def __init__(self, model: Model, *, complete: bool = False) -> None:
        """Start empty. `complete`: what is evaluated is a record, in which no result is still to come."""
        self.model = model
        self.complete = complete
        self.length = model.chain.confirm.rounds
        confirm = model.chain.confirm
        band = 2 * ceil(min(confirm.skew / confirm.spacing, MOST_KEPT))
        self.kept = max(min(4 * self.length + band, MOST_KEPT), 4 * self.length, 40)
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
        if not rounds or not self._speaks(rounds, now):
            return None
        chosen, failing, clearing = self._guarded(vantage, now, self._fullest(vantage, rounds))
        since = {key: chosen[0].times[key] for key in failing}
        failing.update(self._own_failing(vantage))
        if failing and chosen:
            start, end = min(r.start for r in chosen), max(r.end for r in chosen)
            for other in self.rounds:
                if other != vantage:
                    clearing.update(self.clearing(other, start, end))
        return Window(vantage, failing, clearing, since)

    def _guarded(self, vantage: str, now: float, newest: Run) -> Run:
        """Return `newest`, or an earlier run of which the peers have already passed the guard band.

        With clocks far apart what the peers saw of the newest rounds is still to come. An earlier
        run is taken only where all fails of the newest one are in it.
        """
        skew = self.model.chain.confirm.skew
        peers = [r[-1] for v, r in self.rounds.items() if v != vantage and r and self._speaks(r, now)]
        bound = min((last.start for last in peers), default=now) - skew
        if not newest.failing or not peers or newest.rounds[0].start <= bound:
            return newest
        rounds = self.rounds[vantage]
        place = bisect_right(rounds, bound, key=lambda r: r.start) - 1
        if place < 0:
            return newest
        earlier = self._run(vantage, rounds[place : place + self.length])
        return earlier if newest.failing.keys() <= earlier.failing.keys() else newest

    def _fullest(self, vantage: str, rounds: Sequence[Round]) -> Run:
        """Return the newest run of rounds in which the most probes are unanimous.

        Any run of unanimous rounds counts; the very newest rounds may lack results still to come. In a
        record none is, and a fail that is unanimous in one run only must not be missed: the run with
        the most of them is taken, whatever passes in another.
        """
        best = Run((), {}, {})
        for late in range(self.unfinished + 1):
            run = rounds[max(len(rounds) - late - self.length, 0) : len(rounds) - late]
            if len(run) < self.length:
                break
            found = self._run(vantage, run)
            more = len(found.failing) - len(best.failing) if self.complete else 0
            if (more, found.fullness) > (0, best.fullness):
                best = found
        return best

    def _speaks(self, rounds: Sequence[Round], now: float) -> bool:
        """Return whether a vantage with these rounds still speaks of `now`."""
        return now - rounds[-1].end <= self._patience(rounds[-self.length :])

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

    def _run(self, vantage: str, rounds: Sequence[Round]) -> Run:
        """Return what `rounds` say unanimously."""
        failing: dict[str, frozenset[int]] = {}
        clearing: dict[str, frozenset[int]] = {}
        for key in rounds[0].cells:
            whole = _joined(entry.says(key) for entry in rounds)
            if whole.says is Says.FAIL:
                failing[key] = whole.accused
            if whole.says is not Says.NEITHER and whole.cleared:
                clearing[key] = whole.cleared
        if all(entry.clear_self for entry in rounds):
            clearing[f"{vantage}>{SELF}"] = frozenset(self.model.home_roles(vantage))
        return Run(rounds, failing, clearing)

    def clearing(self, vantage: str, start: float, end: float) -> dict[str, frozenset[int]]:
        """Return what `vantage` cleared over `start`..`end` of another vantage's clock.

        Every round within the guard band must agree, at least `confirm.rounds` of them; where the
        band holds fewer, the neighbouring earlier rounds must agree as well. A pass counts only when
        it was renewed after `start` on whichever clock: with clocks `skew` apart, an earlier one may
        speak of the time before the fault.
        """
        rounds, skew = self.rounds[vantage], self.model.chain.confirm.skew
        if not rounds or rounds[-1].end < end - skew:
            return {}
        renewed = bisect_left(rounds, start + skew, key=lambda r: r.start)
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
            whole = self._agreed(cells, first, renewed)
            if whole.says is not Says.NEITHER and whole.cleared:
                found[key] = whole.cleared
        checks = [e.clear_self for p, e in _backwards(rounds, last) if p < finished or e.clear_self is not None]
        if last > renewed and len(checks) >= self.length and all(checks[: max(self.length, last - first)]):
            found[f"{vantage}>{SELF}"] = frozenset(self.model.home_roles(vantage))
        return found

    def _agreed(self, cells: Iterable[tuple[int, Cell]], first: int, renewed: int) -> Cell:
        """Join cells, newest first, back to round `first` and to at least a window's length.

        Nothing is agreed when the newest of them is older than round `renewed`.
        """
        chosen: list[Cell] = []
        for place, said in cells:
            if place < renewed and not chosen:
                break
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
