"""Feeds the engine and hands what it finds to the sinks.

What passes while nothing is open changes no finding: such results are handed on together, once a round or
WAITING at a time, since code that runs once a second stays warm for all of them. A failure, and whoever
asks, has everything handed on at once.

What must stay true: each result reaches every sink once and in order; no sink can stop probing or
diagnosing; what a sink raises is counted and logged, and a ledger that fails is shown as not recording. The
ledger comes first, with the engine's state, so that nothing is told to anybody that a restart would forget.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Protocol

import msgspec

from agent.clock import Clock
from agent.daemon.attempts import Log
from agent.daemon.picture import Picture
from agent.daemon.recent import Recent
from agent.incident.engine import Engine
from agent.incident.value import Incident, State, Transition
from agent.observation import Observation
from agent.snapshot import Snapshot
from probes.kit.result import Outcome, Result

# Share of the loop that the diagnosis may take while a big chain fails: one part in five.
REST_FACTOR = 4.0
# Results that are handed on together at most: 32 of 15 us hold the loop up for half a millisecond.
WAITING = 32
NO_VALUES: Mapping[str, float] = MappingProxyType({})


class Record(Protocol):
    """The ledger as the daemon uses it: the transition and the engine's state in one transaction."""

    def transition(self, transition: Transition, state: bytes) -> None:
        """Record; does not block, raises when recording has stopped."""
        ...


TransitionSink = Callable[[Transition], None]
ObservationSink = Callable[[Observation, Mapping[str, float]], None]


class Diagnosing:
    """The loop's side of the engine. All methods run in the loop's thread."""

    def __init__(
        self,
        *,
        engine: Engine,
        vantage: str,
        clock: Clock,
        picture: Picture,
        log: Log,
        record: Record | None,
        transition_sinks: Mapping[str, TransitionSink],
        observation_sinks: Mapping[str, ObservationSink],
    ) -> None:
        self.engine = engine
        self.recent = Recent()
        self.picture = picture
        self._vantage = vantage
        self._clock = clock
        self._log = log
        self._record = record
        self._transition_sinks = dict(transition_sinks)
        self._observation_sinks = dict(observation_sinks)
        self._waiting: list[tuple[Observation, Mapping[str, float]]] = []
        self._silenced: set[str] = set()
        self._evaluating: asyncio.TimerHandle | None = None
        self._busy_until = 0.0
        self._suspected: frozenset[str] = frozenset()
        self._open = False
        self.sink_errors: Counter[str] = Counter(dict.fromkeys(("engine", "ledger"), 0))
        self.sink_errors.update(dict.fromkeys((*transition_sinks, *observation_sinks), 0))
        self.on_round: tuple[Callable[[int], None], ...] = ()
        self.on_evaluated: tuple[Callable[[tuple[Incident, ...]], None], ...] = ()

    def publish(self, observation: Observation, result: Result) -> None:
        """Take one observation of this vantage."""
        self._waiting.append((observation, result.values))
        urgent = self._open or observation.outcome is Outcome.FAILED
        if urgent or len(self._waiting) >= WAITING or not self.picture.has_observation:
            self.hand_on()
        if urgent:
            self.evaluate_soon()

    def hand_on(self) -> None:
        """Hand every result that waits to the engine, the picture and the sinks."""
        waiting, self._waiting = self._waiting, []
        self._each("engine", self._observe, waiting)
        self._each("recent", self._remember, waiting)
        self._each("picture", self.picture.observation, waiting)
        for name, sink in self._observation_sinks.items():
            self._each(name, sink, waiting)

    def take(self, observation: Observation) -> None:
        """Take one observation of a peer's vantage."""
        one = ((observation, NO_VALUES),)
        self._each("engine", self._observe, one)
        self._each("picture", self.picture.observation, one)
        if self._open or observation.outcome is Outcome.FAILED:
            self.evaluate_soon()

    def recently(self, round_number: int) -> tuple[Observation, ...]:
        """Return our observations of rounds after `round_number`, in the order in which they came in."""
        self.hand_on()
        return self.recent.since(round_number)

    def suspected(self) -> frozenset[str]:
        """Return the names of our failing probes in incidents that are only suspected."""
        return self._suspected

    def round(self, number: int) -> None:
        """Evaluate at least once a round."""
        self.hand_on()
        self.evaluate_soon()
        for callback in self.on_round:
            callback(number)

    def evaluate_soon(self) -> None:
        """Evaluate in the next turn of the loop; later while the diagnosis itself is a burden."""
        if self._evaluating is None:
            delay = max(0.0, self._busy_until - self._clock.boot())
            self._evaluating = asyncio.get_running_loop().call_later(delay, self.evaluate)

    def evaluate(self) -> None:
        """Evaluate now and hand every transition to the sinks."""
        if self._evaluating is not None:
            self._evaluating.cancel()
            self._evaluating = None
        self.hand_on()
        begin = self._clock.boot()
        transitions: list[Transition] = []
        self._guarded("engine", lambda: transitions.extend(self.engine.evaluate(self._clock.wall())))
        incidents = self.engine.incidents()
        # What is only late is weighed by the round: a delay that lasts for days is no reason to hurry.
        self._open = any(incident.excess is None for incident in incidents)
        own = f"{self._vantage}>"
        self._suspected = frozenset(
            key.removeprefix(own)
            for incident in incidents
            if incident.state is State.SUSPECTED
            for key in incident.support.failing
            if key.startswith(own)
        )
        for transition in transitions:
            self._hand_out(transition)
        for callback in self.on_evaluated:
            callback(incidents)
        end = self._clock.boot()
        self._busy_until = end + REST_FACTOR * (end - begin)

    def snapshot(self) -> Snapshot:
        """Return the present picture."""
        self.hand_on()
        now = self._clock.wall()
        picture = self.picture.snapshot(
            now,
            incidents=self.engine.incidents(),
            segments=self.engine.segment_states(now),
            services=self.engine.service_states(now),
        )
        return msgspec.structs.replace(picture, single_faults=self.engine.single_faults)

    def stop(self) -> None:
        """Evaluate no more; what waits is kept."""
        self.hand_on()
        if self._evaluating is not None:
            self._evaluating.cancel()

    def _hand_out(self, transition: Transition) -> None:
        self.picture.transition(transition)
        if self._record is not None:
            try:
                self._record.transition(transition, self.engine.save())
            except Exception as error:
                self.picture.record(ledger=False, detail=str(error))
                self._complain("ledger", error)
        for name, sink in self._transition_sinks.items():
            self._guarded(name, partial(sink, transition))

    def _observe(self, observation: Observation, _: Mapping[str, float]) -> None:
        # Looked up each time: a reload puts another engine in its place.
        self.engine.observe(observation)

    def _remember(self, observation: Observation, _: Mapping[str, float]) -> None:
        self.recent.observation(observation)

    def _each(
        self, part: str, call: ObservationSink, waiting: Iterable[tuple[Observation, Mapping[str, float]]]
    ) -> None:
        """Give a part every observation; one that it cannot take is no reason to keep the next from it."""
        for observation, values in waiting:
            try:
                call(observation, values)
            except Exception as error:
                self._complain(part, error)
            else:
                if self._silenced:
                    self._silenced.discard(part)

    def _guarded(self, part: str, call: Callable[[], object]) -> None:
        """Call a part that must not stop the others."""
        try:
            call()
        except Exception as error:
            self._complain(part, error)
        else:
            self._silenced.discard(part)

    def _complain(self, part: str, error: Exception) -> None:
        """Count every failure of a part, log the first of a series."""
        self.sink_errors[part] += 1
        if part not in self._silenced:
            self._silenced.add(part)
            self._log.error("part-failed", part=part, exc_info=error)
