"""The self-check over time: whether this vantage can look, round by round, and what of its results may be believed.

What must stay true: a round is checked once, and once more when it fails after all; a result that was in flight
while this process stood still, or in a round whose self-check failed, is `unknown` whatever the probe said.
"""

from collections import deque
from typing import Protocol

from agent.daemon.attempts import Attempt, Log
from agent.daemon.selfcheck import Heartbeat, Readings, evaluate
from probes.kit.result import Outcome, Result, unknown

# A self-check this old is looked at again before a failure is believed.
FRESH_SECONDS = 0.05


class HostReader(Protocol):
    """Reads the host's state."""

    def read(self) -> Readings:
        """Look once."""
        ...


class SelfWatch:
    """Of one vantage. Times are boot-time seconds."""

    def __init__(self, reader: HostReader, log: Log, now: float) -> None:
        self.heartbeat = Heartbeat(now)
        self.round = -1
        self.fault = ""
        self._reader, self._log = reader, log
        self._detail = ""
        self._readings: Readings | None = None
        # Rounds whose self-check failed; no attempt lasts longer than this many rounds.
        self._blind: deque[int] = deque(maxlen=256)
        self._off_host = self._gateway_known = False
        # Targets whose interface on this host had no carrier, and when that was last seen.
        self._dark: dict[str, float] = {}

    def configure(self, *, off_host: bool) -> None:
        """Take up a chain: whether some probe leaves this host."""
        self._off_host = off_host
        self._dark.clear()

    def start(self, now: float) -> None:
        """Begin: what came before is no standstill of the loop."""
        self.heartbeat.beat(now)
        self.heartbeat.take_longest()

    def stale(self, now: float) -> bool:
        """Say whether the host was not looked at just now."""
        return self._readings is None or now - self._readings.boot > FRESH_SECONDS

    def check(self, now: float, number: int, *, again: bool = False) -> Result | None:
        """Return the self-check of round `number` when it begins, or when it fails after all; else None."""
        stalled = self.heartbeat.beat(now)
        if stalled:
            self._log.warning("loop-stood-still", seconds=round(stalled, 3), round=number)
        begins = number != self.round
        if not (begins or stalled or again):
            return None
        before, self._readings = self._readings, self._reader.read()
        self._gateway_known |= self._readings.gateways > 0
        self._dark.update(dict.fromkeys(self._readings.dark, now))
        result = evaluate(
            self._readings,
            before,
            absent=self.heartbeat.take_longest(),
            off_host=self._off_host,
            off_link=self._gateway_known,
        )
        fault = result.fault or ""
        if not begins and (self.fault or not fault):
            return None
        self.round, self.fault, self._detail = number, fault, result.detail
        if fault:
            self._blind.append(number)
        return result

    def believed(self, attempt: Attempt, result: Result, now: float) -> Result:
        """Return what an attempt's result is worth, given what this host was able to do while it ran."""
        if result.outcome is not Outcome.UNKNOWN and self._could_not_look(attempt, now):
            return unknown("self", self._detail or "the agent stood still while the attempt ran")
        if result.outcome is Outcome.FAILED and self._dark.get(attempt.probe.flow.host, 0.0) >= attempt.started:
            return unknown("self", "this host's own interface to the target had no carrier")
        return result

    def _could_not_look(self, attempt: Attempt, now: float) -> bool:
        if self.heartbeat.stood_still(attempt.started, now):
            return True
        # Numbers rise: while the last blind round is older than the attempt, all are.
        if not self._blind or self._blind[-1] < attempt.round:
            return False
        return any(attempt.round <= number <= self.round for number in self._blind)
