"""Runs attempts so that no probe can hurt another: deadline, hang, exception and number are bounded here.

What must stay true: every attempt that is launched is delivered exactly once, at the latest `GRACE`
after its deadline; whatever a runner raises is our bug and becomes `unknown`, with its traceback in
the log; a task that ignores its cancellation is left alone and its probe is not started again until
it has gone.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

import msgspec

from agent.clock import Clock
from agent.model import Probe
from probes.kit.result import Result, unknown
from probes.kit.spec import Runner

# A runner ends by its deadline; what is later than this hangs. Several wake-ups of a busy loop fit in.
GRACE_SECONDS = 0.1
# Bound on attempts in flight: 1,000 probes of 1 s that all time out; each holds a descriptor or two.
IN_FLIGHT = 1_000

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
    timer: asyncio.TimerHandle | None = None
    done: bool = False
    reprieved: bool = False


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


class Attempts:
    """Launches attempts and delivers their results; counts what went wrong."""

    def __init__(
        self,
        *,
        clock: Clock,
        spawn: Spawn,
        deliver: Callable[[Attempt, Result], None],
        bug: Callable[[str], None],
        log: Log,
    ) -> None:
        self._clock = clock
        self._spawn = spawn
        self._deliver = deliver
        self._bug = bug
        self._log = log
        self._flying: set[Attempt] = set()
        self._stuck: dict[str, asyncio.Task[None]] = {}
        self.refused = 0

    def launch(self, attempt: Attempt, runner: Runner | None, why_not: str = "") -> bool:
        """Start `attempt` now; say whether there was room. Without a runner it is `unknown` at once."""
        if len(self._flying) >= IN_FLIGHT:
            self.refused += 1
            return False
        if runner is None:
            self._deliver(attempt, unknown(ERROR, why_not or "the probe type did not open"))
        elif attempt.probe.id in self._stuck:
            self._deliver(attempt, unknown(HUNG, "an earlier attempt still hangs"))
        else:
            self._flying.add(attempt)
            deadline = attempt.started + attempt.probe.timeout
            attempt.timer = asyncio.get_running_loop().call_later(
                max(0.0, deadline + GRACE_SECONDS - self._clock.boot()), self._hang, attempt
            )
            attempt.task = self._spawn(self._run(attempt, runner, deadline))
        return True

    def stop(self) -> None:
        """Cancel everything in flight; nothing of it is delivered any more."""
        for attempt in tuple(self._flying):
            attempt.done = True
            self._leave(attempt)
            if attempt.task is not None:
                attempt.task.cancel()

    async def _run(self, attempt: Attempt, runner: Runner, deadline: float) -> None:
        try:
            result = await runner.attempt(attempt.probe.settings, deadline, fresh=attempt.confirming)
        except Exception as error:
            self._bug(attempt.probe.id)
            self._log.error("probe-error", probe=attempt.probe.id, exc_info=error)
            result = unknown(ERROR, f"{type(error).__name__} in the probe, see the log")
        finally:
            self._stuck.pop(attempt.probe.id, None)
        self._finish(attempt, result)

    def _finish(self, attempt: Attempt, result: Result) -> None:
        if not attempt.done:
            attempt.done = True
            self._leave(attempt)
            self._deliver(attempt, result)

    def _hang(self, attempt: Attempt) -> None:
        if attempt.done or attempt.task is None:
            return
        late = self._clock.boot() - (attempt.started + attempt.probe.timeout + GRACE_SECONDS)
        if late > GRACE_SECONDS / 2 and not attempt.reprieved:
            # We were late, not the probe: its answer or its own timer may be waiting in the loop.
            attempt.reprieved = True
            attempt.timer = asyncio.get_running_loop().call_later(GRACE_SECONDS, self._hang, attempt)
            return
        self._bug(attempt.probe.id)
        self._stuck[attempt.probe.id] = attempt.task
        attempt.task.cancel()
        self._log.warning("probe-hung", probe=attempt.probe.id, timeout_seconds=attempt.probe.timeout)
        self._finish(attempt, unknown(HUNG, "the probe did not end by its deadline"))

    def _leave(self, attempt: Attempt) -> None:
        self._flying.discard(attempt)
        if attempt.timer is not None:
            attempt.timer.cancel()
