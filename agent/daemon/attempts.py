"""Runs attempts so that no probe can hurt another: deadline, hang, exception and number are bounded here.

An attempt is a task, or, where its runner has the batch form, an entry that the runner settles when the
wheel turns it. What must stay true for both: every attempt that is launched is delivered exactly once, at
the latest `GRACE` after its deadline; whatever a runner raises is our bug and becomes `unknown`, with its
traceback in the log; a task that ignores its cancellation is left alone and its probe is not started
again until it has gone.
"""

import asyncio
import heapq
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, Protocol

import msgspec

from agent.clock import Clock
from agent.model import Probe
from probes.kit.result import Result, unknown
from probes.kit.spec import BatchRunner, Runner

# A runner ends by its deadline; what is later than this hangs. Several wake-ups of a busy loop fit in.
GRACE_SECONDS = 0.1
# Attempts are looked after together in steps of this; what hangs is ended up to one step before its grace is over.
STEP_SECONDS = 0.05
# Bound on attempts in flight: 5,000 probes of 1 s that all time out, and their grace; twice, since after a start
# the first run and the one on the grid may come close together.
IN_FLIGHT = 12_000

HUNG = "probe-hung"
ERROR = "probe-error"


class Attempt(msgspec.Struct, kw_only=True, eq=False):
    """One attempt in flight. `started` is boot time, `time` the wall time of the start (UTC epoch)."""

    probe: Probe
    round: int
    started: float
    time: float
    confirming: bool
    task: asyncio.Task[None] | None = None
    done: bool = False
    reprieved: bool = False

    @property
    def deadline(self) -> float:
        """Return when the attempt must have ended, in boot-time seconds."""
        return self.started + self.probe.timeout


class Log(Protocol):
    """The part of a structured logger that is used here."""

    def info(self, event: str, **fields: Any) -> Any:
        """Log what is good to know."""
        ...

    def warning(self, event: str, **fields: Any) -> Any:
        """Log what needs attention."""
        ...

    def error(self, event: str, **fields: Any) -> Any:
        """Log what went wrong in us."""
        ...


class Spawn(Protocol):
    """How a task is made: `TaskGroup.create_task`, so that one owner holds them all."""

    def __call__(self, coroutine: Coroutine[Any, Any, None], /) -> asyncio.Task[None]:
        """Start the coroutine."""
        ...


class Flying:
    """The attempts in flight, by the step in which they hang unless they have ended."""

    def __init__(self) -> None:
        self._steps: dict[int, list[Attempt]] = {}
        self._order: list[int] = []
        self.number = 0

    def add(self, attempt: Attempt) -> None:
        """Take up an attempt; it hangs up to one step before GRACE after its deadline."""
        self.number += 1
        self.look_again(attempt, attempt.deadline + GRACE_SECONDS)

    def look_again(self, attempt: Attempt, at: float) -> None:
        """Have `attempt` come up at `at` at the latest."""
        step = math.floor(at / STEP_SECONDS)
        if step not in self._steps:
            self._steps[step] = []
            heapq.heappush(self._order, step)
        self._steps[step].append(attempt)

    def next(self) -> float | None:
        """Return when the next attempt hangs unless it ends before; None when none is in flight."""
        while self._order:
            attempts = self._steps[self._order[0]]
            while attempts and attempts[-1].done:
                attempts.pop()
            if attempts:
                return self._order[0] * STEP_SECONDS
            del self._steps[heapq.heappop(self._order)]
        return None

    def take(self, now: float) -> list[Attempt]:
        """Remove and return those that hang at `now`."""
        found: list[Attempt] = []
        while (at := self.next()) is not None and at <= now:
            found += [attempt for attempt in self._steps.pop(heapq.heappop(self._order)) if not attempt.done]
        return found

    def under_way(self) -> list[Attempt]:
        """Return all that have not ended."""
        return [attempt for attempts in self._steps.values() for attempt in attempts if not attempt.done]


class Batch(msgspec.Struct, eq=False):
    """An open runner with the batch form; it is turned while it is `busy`, with something under way.

    `silenced` are the calls that raised last time: a series is logged once.
    """

    kind: str
    runner: BatchRunner
    busy: bool = False
    silenced: set[str] = msgspec.field(default_factory=set)


class Attempts:
    """Launches attempts and delivers their results; counts what went wrong. At most `room` are in flight."""

    def __init__(
        self,
        *,
        clock: Clock,
        spawn: Spawn,
        runners: Callable[[str], tuple[Runner | None, str]],
        deliver: Callable[[Attempt, Result], None],
        bug: Callable[[str], None],
        log: Log,
        room: int = IN_FLIGHT,
    ) -> None:
        """`runners` gives the open runner of a type, or None and why there is none."""
        self._clock = clock
        self._spawn = spawn
        self._runners = runners
        self._deliver = deliver
        self._bug = bug
        self._log = log
        self._room = room
        self._flying = Flying()
        self._stuck: dict[str, asyncio.Task[None]] = {}
        # What the open runner of each type turned out to be; looked at once for each runner.
        self._met: dict[str, tuple[Runner, Batch | None]] = {}
        self._due: float | None = None
        self.refused = 0

    def launch(self, attempt: Attempt) -> bool:
        """Start `attempt` now; say whether there was room. Without a runner it is `unknown` at once."""
        if self._flying.number >= self._room:
            self.refused += 1
            return False
        kind = attempt.probe.type
        runner, why_not = self._runners(kind)
        self._flying.add(attempt)
        if runner is None:
            self._finish(attempt, unknown(ERROR, why_not or "the probe type did not open"))
        elif attempt.probe.id in self._stuck:
            self._finish(attempt, unknown(HUNG, "an earlier attempt still hangs"))
        else:
            batch = self._batch(kind, runner)
            if attempt.confirming or batch is None or not self._launched_in(batch, attempt):
                attempt.task = self._spawn(self._run(attempt, runner))
        return True

    def harvest(self) -> None:
        """Let every batch runner deliver what has arrived and what is past its deadline."""
        deadlines: list[float] = []
        for kind, (runner, batch) in tuple(self._met.items()):
            if self._runners(kind)[0] is not runner:
                self._closed(kind)
            elif batch is not None and batch.busy:
                try:
                    deadline = batch.runner.harvest()
                except Exception as error:
                    self._raised(batch, "harvest", error)
                    continue
                batch.silenced.discard("harvest")
                batch.busy = deadline is not None
                if deadline is not None:
                    deadlines.append(deadline)
        self._due = min(deadlines, default=None)

    def flush(self) -> None:
        """Let every batch runner send what was launched since the last flush."""
        for _, batch in tuple(self._met.values()):
            if batch is not None and batch.busy:
                try:
                    due = batch.runner.flush()
                except Exception as error:
                    self._raised(batch, "flush", error)
                    continue
                batch.silenced.discard("flush")
                if due is not None:
                    self._due = due if self._due is None else min(due, self._due)

    def sweep(self, now: float) -> None:
        """End what hangs at `now`."""
        for attempt in self._flying.take(now):
            if now - attempt.deadline - GRACE_SECONDS > GRACE_SECONDS / 2 and not attempt.reprieved:
                # We were late, not the probe: its answer or its own timer may be waiting in the loop.
                attempt.reprieved = True
                self._flying.look_again(attempt, now + GRACE_SECONDS)
            else:
                self._end_hung(attempt)

    def next(self, now: float) -> float | None:
        """Return when to harvest and sweep again at the latest (boot-time seconds), None when nothing flies."""
        hangs = self._flying.next()
        # A runner that leaves an attempt under way past its deadline must not make the wheel spin.
        due = None if self._due is None else self._due if self._due > now else now + STEP_SECONDS
        return min((at for at in (hangs, due) if at is not None), default=None)

    def stop(self) -> None:
        """Cancel everything in flight; nothing of it is delivered any more."""
        for attempt in self._flying.under_way():
            attempt.done = True
            if attempt.task is not None:
                attempt.task.cancel()

    async def _run(self, attempt: Attempt, runner: Runner) -> None:
        try:
            result = await runner.attempt(attempt.probe.settings, attempt.deadline, fresh=attempt.confirming)
        except Exception as error:
            self._bug(attempt.probe.id)
            self._log.error("probe-error", probe=attempt.probe.id, exc_info=error)
            result = after(error)
        finally:
            self._stuck.pop(attempt.probe.id, None)
        self._finish(attempt, result)

    def _finish(self, attempt: Attempt, result: Result) -> None:
        """Deliver an attempt that ended; what comes after its end is late and ignored."""
        if attempt.done:
            return
        attempt.done = True
        self._flying.number -= 1
        try:
            self._deliver(attempt, result)
        except Exception as error:
            # Neither the runner that calls nor the attempts behind this one shall suffer from a bug of ours.
            self._log.error("delivery-failed", probe=attempt.probe.id, exc_info=error)

    def _end_hung(self, attempt: Attempt) -> None:
        self._bug(attempt.probe.id)
        if attempt.task is not None:
            self._stuck[attempt.probe.id] = attempt.task
            attempt.task.cancel()
        self._log.warning("probe-hung", probe=attempt.probe.id, timeout_seconds=attempt.probe.timeout)
        self._finish(attempt, unknown(HUNG, "the probe did not end by its deadline"))

    def _batch(self, kind: str, runner: Runner) -> Batch | None:
        met = self._met.get(kind)
        if met is None or met[0] is not runner:
            self._closed(kind)
            batch = Batch(kind, runner) if isinstance(runner, BatchRunner) else None
            met = self._met[kind] = (runner, batch)
        return met[1]

    def _launched_in(self, batch: Batch, attempt: Attempt) -> bool:
        """Say whether `batch` took the attempt; one that raises has spoilt this attempt only."""
        batch.busy = True
        try:
            return batch.runner.launch(attempt.probe.settings, attempt.deadline, partial(self._finish, attempt))
        except Exception as error:
            self._complain(batch, "launch", error)
            self._bug(attempt.probe.id)
            self._finish(attempt, after(error))
            return True

    def _raised(self, batch: Batch, call: str, error: Exception) -> None:
        """End all that is under way on a batch runner that raised: what it has lost may have been answers."""
        self._complain(batch, call, error)
        for attempt in self._batched(batch.kind):
            self._bug(attempt.probe.id)
            self._finish(attempt, after(error))

    def _closed(self, kind: str) -> None:
        """Forget the runner of a type that closed, and end what is under way on it."""
        _, batch = self._met.pop(kind, (None, None))
        if batch is not None:
            for attempt in self._batched(kind):
                self._finish(attempt, unknown(ERROR, "the probe type closed while the attempt ran"))

    def _batched(self, kind: str) -> list[Attempt]:
        return [a for a in self._flying.under_way() if a.task is None and a.probe.type == kind]

    def _complain(self, batch: Batch, call: str, error: Exception) -> None:
        if call not in batch.silenced:
            batch.silenced.add(call)
            self._log.error("probe-error", type=batch.kind, call=call, exc_info=error)


def after(error: Exception) -> Result:
    """Return the result of an attempt in which our own code raised."""
    return unknown(ERROR, f"{type(error).__name__} in the probe, see the log")
