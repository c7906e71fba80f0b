"""States that bear a date: what they tell of the way that they came, at that moment.

Somebody's word about a state proves nothing of now, since it lags. But where it says when something last came the
whole way ("synchronised at 14:31"), that way carried then; and a fault that was seen without a break from before
that moment until after it lies elsewhere. So each date is judged by what was seen around it, as a round is by its own
probes: only fails that go on over the whole moment, cleared only by passes that do.

What must stay true: the date is the teller's word, so what rests on it rests on the teller too (`told_by`); nothing
is concluded of the time before or after; a probe that could not look in between has no run; where measurements prove
the very way broken that the date is said to have come, it came another way (a second line), and nothing is concluded.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple

from agent.diagnosis.cells import Cell, Says
from agent.diagnosis.evidence import Window
from agent.diagnosis.roles import Model
from agent.observation import SELF, Observation
from probes.kit.result import Outcome
from probes.kit.spec import Evidence

# What came the way came at most so long before its date: books are written after the event, and a cycle of
# synchronisation takes minutes (Microsoft alerts on one that takes longer than its 30 minutes).
BEFORE_SECONDS = 300.0
# Two clocks, and an attempt that was under way.
AFTER_SECONDS = 60.0
# Fails of a probe that looks less often than outages are counted by (Y.1563's ten seconds) may be several, with the
# date in a gap between them.
LOOKS_SECONDS = 10.0


class Run(NamedTuple):
    """A probe's results of one kind on end: when the first to come in and the newest started, how many, and the roles.

    The roles are all that some of the fails accused, or what every one of the passes cleared.
    """

    since: float
    last: float
    number: int
    roles: frozenset[int]

    def spans(self, date: float, least: int) -> bool:
        """Return whether it goes on over all of the moment of `date`, in `least` results or more."""
        return self.since <= date - BEFORE_SECONDS and self.last >= date + AFTER_SECONDS and self.number >= least


class Dated:
    """The present runs of all probes, and the newest date of every state; nothing where no state is told of."""

    def __init__(self, model: Model) -> None:
        """Start empty."""
        self._model = model
        self._came = {key: roles for key in model.probes if (roles := model.came(key))}
        self.fails: dict[str, Run] = {}
        self.passes: dict[str, Run] = {}
        self.dates: dict[str, float] = {}

    def add(self, observation: Observation, said: Cell) -> None:
        """Enter one observation of a known probe or self-check, and what it says by itself."""
        if not self._came:
            return
        key = observation.key
        if observation.probe == SELF:
            self._check(observation)
        elif said.says is Says.FAIL:
            self.passes.pop(key, None)
            self.fails[key] = _longer(self.fails.get(key), observation.time, said.accused, union=True)
        else:
            self.fails.pop(key, None)
            if said.says is Says.PASS:
                self.passes[key] = _longer(self.passes.get(key), observation.time, said.cleared, union=False)
            else:
                self.passes.pop(key, None)
        if observation.as_of is not None and key in self._came:
            self.dates[key] = observation.as_of

    def _check(self, observation: Observation) -> None:
        """Enter a self-check: while it fails, nothing that its vantage saw counts."""
        key = observation.key
        if observation.outcome in (Outcome.OK, Outcome.DEGRADED):
            home = frozenset(self._model.home_roles(observation.vantage))
            self.passes[key] = _longer(self.passes.get(key), observation.time, home, union=False)
            return
        self.passes.pop(key, None)
        if observation.outcome is Outcome.FAILED:
            for runs in (self.fails, self.passes):
                for mine in [k for k in runs if k.partition(">")[0] == observation.vantage]:
                    del runs[mine]

    def carry(self, before: "Dated", same: Collection[str], roles: Callable[[Iterable[int]], frozenset[int]]) -> None:
        """Go on with what the probes in `same` showed under an earlier chain; `roles` gives its roles' numbers here."""
        if not self._came:
            return
        for mine, theirs in ((self.fails, before.fails), (self.passes, before.passes)):
            mine.update({key: run._replace(roles=roles(run.roles)) for key, run in theirs.items() if key in same})
        self.dates = {key: date for key, date in before.dates.items() if key in same}

    def windows(self) -> tuple[Window, ...]:
        """Return the evidence of each date, by vantage: fails that it places, and what passed meanwhile.

        What it leaves open is left out: beside what is seen now it would only add to what is possible.
        """
        if not self.fails:
            return ()
        return tuple(window for key, date in self.dates.items() for window in self._at(key, date))

    def _at(self, teller: str, date: float) -> list[Window]:
        model, came = self._model, self._came[teller]
        least = model.chain.confirm.rounds
        fails = {key: run.roles for key, run in self.fails.items() if run.spans(date, least)}
        fails = {key: roles for key, roles in fails.items() if model.probes[key].evidence is Evidence.PATH}
        if all(came.isdisjoint(roles) for roles in fails.values()):
            return []
        clearing = {key: run.roles for key, run in self.passes.items() if run.roles and run.spans(date, least)}
        cleared, way = frozenset().union(*clearing.values()), self._segments(came)
        if any(self._segments(roles - cleared) <= way for roles in fails.values()):
            return []
        clearing[teller] = clearing.get(teller, frozenset()) | came
        failing: dict[str, dict[str, frozenset[int]]] = defaultdict(dict)
        for key, roles in fails.items():
            probe = model.probes[key]
            left = model.remains(probe.vantage, roles - cleared - came)
            if probe.interval <= LOOKS_SECONDS and (left.party is not None or len(left.segments) == 1):
                failing[probe.vantage][key] = roles
        return [Window(vantage, accused, clearing) for vantage, accused in failing.items()]

    def _segments(self, roles: frozenset[int]) -> frozenset[str]:
        return frozenset([self._model.segment_of[n] for n in roles])


def _longer(run: Run | None, time: float, roles: frozenset[int], *, union: bool) -> Run:
    """Return `run` with one result more; one that comes in late does not let it begin earlier."""
    if run is None:
        return Run(time, time, 1, roles)
    kept = run.roles if roles is run.roles else run.roles | roles if union else run.roles & roles
    return Run(run.since, max(run.last, time), run.number + 1, kept)


__all__ = ["AFTER_SECONDS", "BEFORE_SECONDS", "Dated"]
