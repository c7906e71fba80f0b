"""The runner of a type whose attempt is one datagram and its answer: in turns of the wheel, or alone.

A type gives a `Plan` for its settings; the rest is the same for all. What must stay true: both ways
end alike, by the same judge; silence is a fault of the connect stage, since nothing tells how far
the datagram came.
"""

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

import msgspec

from probes.kit.address import KEPT, Endpoint
from probes.kit.datagram import Batch, Datagram, Heard, exchange
from probes.kit.resolver import ResolveError, locate, resolve_result
from probes.kit.result import Result, Stage
from probes.kit.spec import Kit
from probes.kit.trouble import Trouble, result_of

T = TypeVar("T")


class Plan(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """How to ask: where, `ask(address)` makes a datagram for one attempt, and `judge` says what an answer means.

    The judge gets the phases that were reached, the answer's included.
    """

    end: Endpoint
    ask: Callable[[str], Datagram[T]]
    judge: Callable[[Heard[T], dict[str, float]], Result]


class DatagramRunner(Generic[T]):
    """All probes of one such type; see `BatchRunner`."""

    def __init__(self, kit: Kit, plan: Callable[[Any], Plan[T]]) -> None:
        self._kit = kit
        self._plan = lru_cache(KEPT)(plan)
        self._batch: Batch[T] = Batch(kit.clock)

    def close(self) -> None:
        """Give up what is under way."""
        self._batch.close()

    def harvest(self) -> float | None:
        """End what has its answer or is late; return the earliest deadline under way."""
        return self._batch.harvest()

    def launch(self, settings: Any, deadline: float, done: Callable[[Result], None]) -> bool:
        """Send now; False for a name that must be asked for."""
        plan = self._plan(settings)
        address = self._kit.resolver.known(plan.end.host, plan.end.family) if plan.end.named else plan.end.host
        if address is None:
            return False
        self._batch.launch(plan.ask(address), deadline, partial(self._end, plan, self._kit.clock.boot(), done))
        return True

    def flush(self) -> float | None:
        """Tell those whose datagram could not be sent; return the earliest deadline under way."""
        return self._batch.flush()

    async def attempt(self, settings: Any, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Ask once; every attempt is `fresh`."""
        clock = self._kit.clock
        start = clock.boot()
        plan = self._plan(settings)
        phases: dict[str, float] = {}
        try:
            address = await locate(self._kit, plan.end, deadline, phases)
        except ResolveError as error:
            return resolve_result(error, clock.boot() - start)
        outcome = await exchange(plan.ask(address), deadline=deadline, clock=clock)
        return self._result(outcome, plan, start, phases)

    def _end(self, plan: Plan[T], start: float, done: Callable[[Result], None], outcome: Heard[T] | Trouble) -> None:
        done(self._result(outcome, plan, start, {}))

    def _result(self, outcome: Heard[T] | Trouble, plan: Plan[T], start: float, phases: dict[str, float]) -> Result:
        if isinstance(outcome, Trouble):
            stage = Stage.ANSWER if outcome.answered else Stage.CONNECT
            return result_of(outcome, stage, self._kit.clock.boot() - start, phases)
        return plan.judge(outcome, {**phases, "answer": outcome.seconds})
