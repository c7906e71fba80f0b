"""Observations gathered into windows of unanimous rounds: the evidence that a proof may use.

Only what every round of a window says counts. A probe that is absent from a round, that changed
its mind, or that could not look neither accuses nor clears. Rounds are compared within one
vantage only; across vantages wall time is used, widened by the guard band `confirm.skew`.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import ceil
from typing import NamedTuple, TypeVar

from agent.diagnosis.cells import SILENT_CELL, Cell, Round, Says, cell, joined
from agent.diagnosis.roles import Model
from agent.diagnosis.slow import Fail, Slow, common
from agent.observation import SELF, Observation
from probes.kit.result import Outcome
from probes.kit.spec import Pace

# Two vantages speak of the same moment only while both still report: Y.1563's ten seconds.
STALE_SECONDS = 10.0
# However long the timeouts: rounds older than this are finished.
MOST_UNFINISHED = 8
# However wide the guard band: rounds kept of one vantage, for memory and time.
MOST_KEPT = 600
# Answers remembered, in probes each: in a steady outage the same few rounds say the same for hours.
REMEMBERED = 100_000
FEWEST_REMEMBERED = 20


Answer = TypeVar("Answer")
Clearing = Mapping[str, frozenset[int]]


class Window(NamedTuple):
    """Unanimous evidence of one vantage, with what the others' evidence of that time clears.

    `failing` maps probe keys to accused roles; `clearing` maps probe keys (and `vantage>self`) to
    cleared roles, own and peers' alike. `since` says when each failing probe's attempt in the first
    round started (UTC epoch seconds). A slow source has a window of its own.
    """

    vantage: str
    failing: Mapping[str, frozenset[int]]
    clearing: Mapping[str, frozenset[int]]
    since: Mapping[str, float] = {}


class Run(NamedTuple):
    """Successive rounds of one vantage, and what its probes say in all of them."""

    rounds: Sequence[Round]
    failing: Mapping[str, frozenset[int]]
    clearing: Mapping[str, frozenset[int]]

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
        self.slow = Slow(self.length)
        self._said: dict[tuple[object, ...], Cell] = {}
        self._profiles: dict[tuple[object, ...], int] = {}
        self._numbered = 0
        self._runs: dict[tuple[object, ...], tuple[Clearing, Clearing]] = {}
        self._chosen: dict[tuple[object, ...], tuple[int, Clearing, Clearing]] = {}
        self._cleared: dict[tuple[object, ...], Clearing] = {}
        self._most = max(REMEMBERED // (1 + len(self.model.probes)), FEWEST_REMEMBERED)

    def add(self, observation: Observation) -> Cell:
        """Enter one observation of a known probe or self-check, and return what it says by itself.

        One older than the kept rounds is ignored; a self-check says nothing of any probe.
        """
        said = SILENT_CELL if observation.probe == SELF else self._cell(observation)
        self._enter(observation, said)
        return said

    def _enter(self, observation: Observation, said: Cell) -> None:
        entry = self._round(observation)
        if entry is None:
            return
        if observation.probe == SELF:
            outcome = observation.outcome
            entry.check(None if outcome is Outcome.UNKNOWN else outcome is not Outcome.FAILED)
            return
        key = observation.key
        probe = self.model.probes[key]
        if probe.pace is Pace.OWN:
            self.slow.add(key, entry.number, observation.time, observation.time + probe.timeout, said)
        else:
            entry.add(key, said, observation.time)

    def _cell(self, o: Observation) -> Cell:
        """Return what an observation says; equal ones share one value."""
        key = (o.vantage, o.probe, o.outcome, o.stage, o.fault, o.answered, o.by, o.packet_bytes, o.verified)
        found = self._said.get(key)
        if found is None:
            found = cell(o, self.model.effect(o))
            _keep(self._said, key, found, REMEMBERED)
        return found

    def _profile(self, vantage: str, entry: Round) -> int:
        """Return the number of what a round says; no number is ever given twice."""
        if entry.profile is None:
            key = (vantage, entry.clear_self, frozenset(entry.cells.items()))
            found = self._profiles.get(key)
            if found is None:
                found = self._numbered = self._numbered + 1
                _keep(self._profiles, key, found, self._most)
            entry.profile = found
        return entry.profile

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
        self.slow.judge(self._blind, lambda fail: self._over(fail, now), self._at)
        found: list[Window | None] = list(self._slow_windows())
        if any(r.failed for rounds in self.rounds.values() for r in rounds[-recent:]):
            found += (self._window(vantage, now) for vantage in self.rounds)
        return tuple(window for window in found if window is not None)

    def _window(self, vantage: str, now: float) -> Window | None:
        rounds = self.rounds[vantage]
        if not rounds or not self._speaks(rounds, now):
            return None
        chosen, failing, clearing = self._guarded(vantage, now, self._fullest(vantage, rounds))
        if not failing:
            return Window(vantage, failing, clearing)
        since = {key: chosen[0].times[key] for key in failing}
        start, end = min(r.start for r in chosen), max(r.end for r in chosen)
        everything = {**clearing, **self.slow.clearing(start, start)}
        for other in self.rounds:
            if other != vantage:
                everything |= self.clearing(other, start, end)
        return Window(vantage, failing, everything, since)

    # -- slow sources ---------------------------------------------------------------------------

    def _slow_windows(self) -> Iterator[Window]:
        """Yield a window for every slow source that failed in all of its own last results."""
        for key, fails in self.slow.confirmed().items():
            clearing = common([fail.clearing for fail in fails]) | self.slow.clearing(fails[0].start, fails[-1].start)
            accused = joined(fail.said for fail in fails).accused
            yield Window(key.partition(">")[0], {key: accused}, clearing, {key: fails[0].start})

    def _blind(self, key: str, fail: Fail) -> bool:
        """Return whether the self-check of a slow source's round failed."""
        rounds = self.rounds[key.partition(">")[0]]
        place = bisect_left(rounds, fail.number, key=lambda r: r.number)
        return place < len(rounds) and rounds[place].number == fail.number and rounds[place].clear_self is False

    def _over(self, fail: Fail, now: float) -> bool:
        """Return whether every vantage that still reports has finished its rounds of a fail's seconds."""
        confirm = self.model.chain.confirm
        wait = confirm.skew + (self.unfinished + 1) * confirm.spacing
        newest = [rounds[-1].start for rounds in self.rounds.values() if rounds and self._speaks(rounds, now)]
        return min(newest, default=now) > fail.end + wait or now > fail.end + wait + STALE_SECONDS

    def _at(self, fail: Fail) -> dict[str, frozenset[int]]:
        """Return what the rounds of all vantages cleared while a slow source failed."""
        found: dict[str, frozenset[int]] = {}
        for vantage in self.rounds:
            found |= self.clearing(vantage, fail.start, fail.end)
        return found

    # -- rounds ---------------------------------------------------------------------------------

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
        recent = rounds[-self.length - self.unfinished :]
        key = (vantage, *[entry.profile or self._profile(vantage, entry) for entry in recent])
        found = self._chosen.get(key)
        if found is None:
            found = self._most_said(vantage, recent)
            _keep(self._chosen, key, found, self._most)
        late, failing, clearing = found
        return Run(recent[max(len(recent) - late - self.length, 0) : len(recent) - late], failing, clearing)

    def _most_said(self, vantage: str, recent: Sequence[Round]) -> tuple[int, Clearing, Clearing]:
        """Return by how many rounds the best run is older than the newest one of `recent`, and what it says."""
        best, place = Run((), {}, {}), len(recent)
        for late in range(self.unfinished + 1):
            run = recent[max(len(recent) - late - self.length, 0) : len(recent) - late]
            if len(run) < self.length:
                break
            found = self._run(vantage, run)
            more = len(found.failing) - len(best.failing) if self.complete else 0
            if (more, found.fullness) > (0, best.fullness):
                best, place = found, late
        return place, best.failing, best.clearing

    def _speaks(self, rounds: Sequence[Round], now: float) -> bool:
        """Return whether a vantage with these rounds still speaks of `now`."""
        return now - rounds[-1].end <= self._patience(rounds[-self.length :])

    def _patience(self, rounds: Sequence[Round]) -> float:
        """Return for how many seconds a vantage's newest window still speaks of now."""
        spacing = (rounds[-1].start - rounds[0].start) / max(len(rounds) - 1, 1)
        return max(STALE_SECONDS, 3 * spacing)

    def _run(self, vantage: str, rounds: Sequence[Round]) -> Run:
        """Return what `rounds` say unanimously."""
        key = (vantage, *(self._profile(vantage, entry) for entry in rounds))
        found = self._runs.get(key)
        if found is None:
            found = self._together(vantage, rounds)
            _keep(self._runs, key, found, self._most)
        return Run(rounds, *found)

    def _together(self, vantage: str, rounds: Sequence[Round]) -> tuple[Clearing, Clearing]:
        failing: dict[str, frozenset[int]] = {}
        clearing: dict[str, frozenset[int]] = {}
        for key in rounds[0].cells:
            whole = joined(entry.says(key) for entry in rounds)
            if whole.says is Says.FAIL:
                failing[key] = whole.accused
            if whole.says is not Says.NEITHER and whole.cleared:
                clearing[key] = whole.cleared
        if all(entry.clear_self for entry in rounds):
            clearing[f"{vantage}>{SELF}"] = frozenset(self.model.home_roles(vantage))
        return failing, clearing

    def clearing(self, vantage: str, start: float, end: float) -> Clearing:
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
        # No earlier round can have a say: every later one that may be passed over is among these.
        low = max(0, min(first, last - self.length) - max(0, last - finished))
        places = (first - low, renewed - low, finished - low)
        key = (vantage, *places, *[e.profile or self._profile(vantage, e) for e in rounds[low:last]])
        found = self._cleared.get(key)
        if found is None:
            found = self._agreement(vantage, rounds[low:last], *places)
            _keep(self._cleared, key, found, self._most)
        return found

    def _agreement(
        self, vantage: str, rounds: Sequence[Round], first: int, renewed: int, finished: int
    ) -> dict[str, frozenset[int]]:
        """Return what `rounds` clear together; the places are those in `rounds`."""
        found: dict[str, frozenset[int]] = {}
        backwards = [(place, rounds[place]) for place in range(len(rounds) - 1, -1, -1)]
        for key in sorted(frozenset().union(*(r.cells for r in rounds[first:]))):
            cells = ((place, e.says(key)) for place, e in backwards if place < finished or key in e.cells)
            whole = self._agreed(cells, first, renewed)
            if whole.says is not Says.NEITHER and whole.cleared:
                found[key] = whole.cleared
        checks = [e.clear_self for place, e in backwards if place < finished or e.clear_self is not None]
        enough = max(self.length, len(rounds) - first)
        if len(rounds) > renewed and len(checks) >= self.length and all(checks[:enough]):
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
        return joined(chosen) if len(chosen) >= self.length else SILENT_CELL


def _keep(memory: dict[tuple[object, ...], Answer], key: tuple[object, ...], value: Answer, most: int) -> None:
    """Remember an answer; start anew when there are too many."""
    if len(memory) >= most:
        memory.clear()
    memory[key] = value
