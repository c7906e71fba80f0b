"""Slow sources: probes that confirm at their own pace, and never join the rounds.

Five results of their own can span half an hour, while the rounds speak of seconds. So each of their
fails is judged by what the rounds cleared at *its* moment: what works now says nothing of a fail of
five minutes ago. A pass clears between the first and the last of a run of passes only.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from agent.diagnosis.cells import Cell, Says

Clearing = Mapping[str, frozenset[int]]
# Results kept beyond a confirmation's: those of a quick source of which evidence may still come.
MOST_UNSETTLED = 64


class Fail:
    """A slow source's failed result: the seconds it speaks of, and what was cleared in them.

    `settled` once no evidence of these seconds is still to come.
    """

    __slots__ = ("clearing", "end", "number", "said", "settled", "start")

    def __init__(self, number: int, start: float, end: float, said: Cell) -> None:
        self.number = number
        self.start = start
        self.end = end
        self.said = said
        self.clearing: Clearing = {}
        self.settled = False


class Passes(NamedTuple):
    """A run of passes: how many, when the first and the newest started, and what all of them clear."""

    number: int
    since: float
    last: float
    cleared: frozenset[int]


class Slow:
    """The present run of every slow source: of fails, or of passes."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.fails: dict[str, deque[Fail]] = {}
        self.passes: dict[str, Passes] = {}

    def add(self, key: str, number: int, start: float, end: float, said: Cell) -> None:
        """Enter a result of round `number` whose attempt lasted from `start` to `end` at most."""
        if said.says is Says.FAIL:
            self.passes.pop(key, None)
            self.fails.setdefault(key, deque(maxlen=self.length + MOST_UNSETTLED)).append(
                Fail(number, start, end, said)
            )
            return
        self.fails.pop(key, None)
        if said.says is Says.NEITHER:
            self.passes.pop(key, None)
            return
        known = self.passes.get(key, Passes(0, start, start, said.cleared))
        self.passes[key] = Passes(known.number + 1, known.since, start, known.cleared & said.cleared)

    def judge(
        self, blind: Callable[[str, Fail], bool], settled: Callable[[Fail], bool], clearing: Callable[[Fail], Clearing]
    ) -> None:
        """Let the rounds speak of every fail not yet settled; one of a blind round ends its run."""
        for key, run in list(self.fails.items()):
            if any(not fail.settled and blind(key, fail) for fail in run):
                del self.fails[key]
                continue
            for fail in run:
                if not fail.settled:
                    fail.clearing, fail.settled = clearing(fail), settled(fail)

    def confirmed(self) -> dict[str, Sequence[Fail]]:
        """Return the sources that failed in as many results on end as a confirmation has rounds.

        The newest of which no evidence is still to come speak, else the newest.
        """
        found: dict[str, Sequence[Fail]] = {}
        for key, run in self.fails.items():
            settled = [fail for fail in run if fail.settled]
            chosen = settled if len(settled) >= self.length else list(run)
            if len(chosen) >= self.length:
                found[key] = tuple(chosen[-self.length :])
        return found

    def settled(self, key: str) -> bool:
        """Return whether no evidence is still to come on what `confirmed` gives of `key`."""
        return all(fail.settled for fail in self.confirmed().get(key, self.fails.get(key, ())))

    def clearing(self, start: float, end: float) -> dict[str, frozenset[int]]:
        """Return what runs of passes clear that began before `start` and were renewed after `end`."""
        return {
            key: run.cleared
            for key, run in self.passes.items()
            if run.cleared and run.number >= self.length and run.since <= start and run.last >= end
        }


def common(clearings: Sequence[Clearing]) -> dict[str, frozenset[int]]:
    """Return what every one of `clearings` clears, by probe."""
    first, *others = clearings
    shared = {key: roles.intersection(*(c.get(key, frozenset()) for c in others)) for key, roles in first.items()}
    return {key: roles for key, roles in shared.items() if roles}


__all__ = ["Fail", "Slow", "common"]
