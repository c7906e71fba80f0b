"""Questions that several probes have at the same moment, asked once.

What must stay true: for one key at most one question is under way; who comes meanwhile gets its
outcome; a cancelled asker takes nobody along, the next one asks in its place; nobody waits past the
time that it has.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Shared(Generic[K, V]):
    """The questions under way, by key."""

    def __init__(self) -> None:
        self._flying: dict[K, asyncio.Future[V | None]] = {}

    async def ask(
        self,
        key: K,
        question: Callable[[], Awaitable[V]],
        *,
        seconds: Callable[[], float],
        good_enough: Callable[[V], bool],
    ) -> V | None:
        """Return the outcome of the question under way, else of `question`; None when no `seconds` are left.

        An outcome that is not `good_enough` for this asker (one that had less time to wait) makes it ask itself.
        """
        while (flying := self._flying.get(key)) is not None:
            await asyncio.wait((flying,), timeout=max(seconds(), 0.0))
            if not flying.done():
                return None
            outcome = flying.result()
            if outcome is not None and good_enough(outcome):
                return outcome
        future = self._flying[key] = asyncio.get_running_loop().create_future()
        answer: V | None = None
        try:
            answer = await question()
        finally:
            del self._flying[key]
            future.set_result(answer)  # None: the asker was cancelled, or has a bug
        return answer
