"""Does what the ledger needs beside the incidents themselves, when it is due and never in the loop's way.

What must stay true: one duty at a time, each in a thread; a duty that fails is tried again a little later
and told once; the loop only asks whether something is due.
"""

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from agent.clock import Clock
from agent.daemon.attempts import Log, Spawn

# After a failure (a disk, a locked file) a duty rests for so long.
REST_SECONDS = 60.0


class Duty(Protocol):
    """Something to be done from time to time."""

    def due(self, now: float) -> bool:
        """Say whether there is something to do at `now` (UTC epoch seconds); in the loop's thread, at once."""
        ...

    def do(self, now: float) -> None:
        """Do it, in a thread; may raise."""
        ...


class Clerk:
    """The duties of one agent by name; `failures` counts those of each since the start."""

    def __init__(self, duties: Mapping[str, Duty], clock: Clock, log: Log, spawn: Spawn) -> None:
        self._duties = dict(duties)
        self._clock, self._log, self._spawn = clock, log, spawn
        self.failures = Counter(dict.fromkeys(duties, 0))
        self._rests: dict[str, float] = {}
        self._working: asyncio.Task[None] | None = None

    def turn(self) -> None:
        """Begin with what is due; once a round."""
        if self._working is not None and not self._working.done():
            return
        now, moment = self._clock.wall(), self._clock.boot()
        due = [name for name, duty in self._duties.items() if self._rests.get(name, 0.0) <= moment and duty.due(now)]
        if due:
            self._working = self._spawn(self._work(due))

    async def _work(self, due: list[str]) -> None:
        for name in due:
            try:
                await asyncio.to_thread(self._duties[name].do, self._clock.wall())
            except Exception as error:
                self.failures[name] += 1
                if name not in self._rests:
                    self._log.error("duty-failed", duty=name, exc_info=error, remedy="it is tried again every minute")
                self._rests[name] = self._clock.boot() + REST_SECONDS
            else:
                self._rests.pop(name, None)
