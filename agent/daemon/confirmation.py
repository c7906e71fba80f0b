"""Which probes confirm a failure, and when: any FAIL starts rounds at once, `spacing` apart.

What must stay true: no probe runs twice in one round for confirmation, however many failures share
the round; a round holds at most `LIMIT` attempts; a probe that stays failing without change is not
confirmed again before it has rested; while paused no round is used up.
Time is an argument (boot-time seconds); nothing here runs a probe.
"""

from collections.abc import Collection, Iterable

import msgspec

from agent.daemon.schedule import SLACK_SECONDS

# Design, Time: at most 50 attempts a round per vantage.
LIMIT = 50
REST_SECONDS = 30.0
# A suspicion that is not unanimous yet goes on for this many times the rounds that were asked for.
PATIENCE = 3


class Running(msgspec.Struct, kw_only=True):
    """One confirmation: what runs, the round in which it last ran, and how often it ran."""

    members: tuple[str, ...]
    rounds: int = 0
    last: int | None = None


class Confirmations:
    """The confirmations that run, keyed by the probe whose failure started each."""

    def __init__(self, rounds: int, spacing: float) -> None:
        self._rounds = rounds
        self._spacing = spacing
        self._running: dict[str, Running] = {}
        self._rested: dict[str, float] = {}
        self._next: float | None = None
        self._round = -1
        self._ran: set[str] = set()

    @property
    def covered(self) -> frozenset[str]:
        """Return every probe that takes part in the confirmations that run."""
        return frozenset(name for running in self._running.values() for name in running.members)

    def wants(self, probe: str, now: float) -> bool:
        """Say whether a failure of `probe` at `now` starts a confirmation."""
        covered = self.covered
        return probe not in covered and len(covered) < LIMIT and self._rested.get(probe, now) <= now

    def begin(self, triggers: Iterable[str], members: tuple[str, ...], now: float) -> None:
        """Start one confirmation for `triggers`: its first round is due at `now`."""
        for trigger in triggers:
            self._running[trigger] = Running(members=(trigger, *(m for m in members if m != trigger)))
        if self._next is None:
            self._next = now

    def passed(self, probe: str) -> None:
        """Forget that `probe` rests: it changed."""
        self._rested.pop(probe, None)

    def wake(self) -> None:
        """Forget every rest: new evidence can decide what was undetermined (a peer came back)."""
        self._rested.clear()

    def keep(self, probes: Collection[str]) -> None:
        """Drop probes that are gone after a reload."""
        self._rested = {name: until for name, until in self._rested.items() if name in probes}
        for trigger, running in list(self._running.items()):
            running.members = tuple(name for name in running.members if name in probes)
            if trigger not in probes:
                del self._running[trigger]
        self._next = self._next if self._running else None

    def next(self) -> float | None:
        """Return when the next shared round is due, or None while nothing runs."""
        return self._next

    def due(
        self, now: float, round_number: int, *, suspected: Collection[str], paused: bool = False
    ) -> tuple[str, ...]:
        """Return the probes to run at this instant, all at once, in round `round_number`.

        Call it when `next()` is due and right after `begin`. `suspected` are the failing probes of
        incidents that are only suspected: their confirmation goes on past its rounds, within PATIENCE.
        """
        if round_number != self._round:
            self._round, self._ran = round_number, set()
        if self._next is None:
            return ()
        shared = now + SLACK_SECONDS >= self._next
        if shared:
            self._end_finished(now, suspected)
            self._next = self._next + self._spacing if self._running else None
            if self._next is not None and self._next <= now + SLACK_SECONDS:
                self._next = now + self._spacing
        if paused:
            return ()
        # Between two shared rounds only a confirmation that has just begun may run.
        return self._start_round(round_number, [r for r in self._running.values() if shared or r.last is None])

    def _end_finished(self, now: float, suspected: Collection[str]) -> None:
        for trigger, running in list(self._running.items()):
            rounds = self._rounds * PATIENCE if trigger in suspected else self._rounds
            if running.rounds >= rounds:
                del self._running[trigger]
                self._rested[trigger] = now + REST_SECONDS

    def _start_round(self, round_number: int, takers: Iterable[Running]) -> tuple[str, ...]:
        start: dict[str, None] = {}
        for running in takers:
            if running.last == round_number:
                continue
            running.last = round_number
            running.rounds += 1
            start.update(dict.fromkeys(name for name in running.members if name not in self._ran))
        chosen = tuple(start)[: LIMIT - len(self._ran)]
        self._ran.update(chosen)
        return chosen
