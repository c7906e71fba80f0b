"""The duties beside the incidents: one at a time, never in the loop's way."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from agent.daemon.clerk import REST_SECONDS, Clerk
from tests.agent.daemon.world import FakeLog, VirtualClock


class FakeDuty:
    """Is due when told so."""

    def __init__(self) -> None:
        self.wanted = True
        self.broken = False
        self.done = 0

    def due(self, now: float) -> bool:
        """Say what the test says."""
        return self.wanted

    def do(self, now: float) -> None:
        """Count."""
        self.done += 1
        if self.broken:
            raise OSError("disk full")


def test_what_is_due_is_done_and_a_failure_rests() -> None:
    """A duty that fails is told once and tried again after a rest; the others go on."""
    clock, log, good, bad = VirtualClock(), FakeLog(), FakeDuty(), FakeDuty()
    bad.broken = True

    async def scene() -> None:
        tasks: list[asyncio.Task[None]] = []

        def spawn(coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
            tasks.append(asyncio.ensure_future(coroutine))
            return tasks[-1]

        clerk = Clerk({"bad": bad, "good": good}, clock, log, spawn)
        clerk.turn()
        clerk.turn()
        assert len(tasks) == 1
        await tasks[-1]
        assert (bad.done, good.done) == (1, 1)
        clerk.turn()
        await tasks[-1]
        assert (bad.done, good.done) == (1, 2)
        clock.now += REST_SECONDS
        clerk.turn()
        await tasks[-1]
        assert (bad.done, len(log.lines)) == (2, 1)
        bad.broken, clock.now = False, clock.now + REST_SECONDS
        clerk.turn()
        await tasks[-1]
        clerk.turn()
        await tasks[-1]
        assert bad.done == 4
        assert clerk.failures == {"bad": 2, "good": 0}
        good.wanted = bad.wanted = False
        clerk.turn()
        assert len(tasks) == 5

    asyncio.run(scene())
