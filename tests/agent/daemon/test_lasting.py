"""A part that must not end."""

import asyncio
from contextlib import suppress

from agent.daemon.lasting import lasting
from tests.agent.daemon.world import FakeLog


def test_a_part_that_fails_or_ends_begins_anew() -> None:
    """Each failure is logged under the part's name; a cancellation ends it."""
    log, runs = FakeLog(), list[int]()
    third = asyncio.Event()

    async def part() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise OSError("the disk is gone")
        if len(runs) == 3:
            third.set()
            await asyncio.Event().wait()

    async def scene() -> None:
        task = asyncio.create_task(lasting(part, log, "part-of-ours-failed", again_seconds=0.0))
        async with asyncio.timeout(5):
            await third.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        assert task.cancelled()

    asyncio.run(scene())
    assert runs == [0, 1, 2]
    assert [event for _, event, _ in log.lines] == ["part-of-ours-failed"]
