"""Questions asked once for several askers, in a loop without a network."""

import asyncio
from collections.abc import Awaitable, Callable

from hypothesis import given
from hypothesis import strategies as st

from probes.kit.shared import Shared


def always(_: int) -> bool:
    """Take every outcome."""
    return True


def answering(asked: list[str], name: str, value: int, turns: int) -> Callable[[], Awaitable[int]]:
    """Return a question that notes who asked it and is answered after so many turns of the loop."""

    async def question() -> int:
        asked.append(name)
        for _ in range(turns):
            await asyncio.sleep(0)
        return value

    return question


def test_one_asks_and_all_hear() -> None:
    """Whoever comes while a question is under way gets its outcome; another key and a later one ask anew."""

    async def scenario() -> None:
        shared: Shared[str, int] = Shared()
        asked: list[str] = []

        async def ask(name: str, key: str, value: int) -> int | None:
            question = answering(asked, name, value, 3)
            return await shared.ask(key, question, seconds=lambda: 1.0, good_enough=always)

        assert [*await asyncio.gather(ask("a", "x", 1), ask("b", "x", 2), ask("c", "y", 3))] == [1, 1, 3]
        assert await ask("d", "x", 4) == 4
        assert asked == ["a", "c", "d"]

    asyncio.run(scenario())


def test_an_outcome_that_is_not_good_enough_is_asked_for_again() -> None:
    """Each asker judges for itself, and asks only when nobody else does."""

    async def scenario() -> None:
        shared: Shared[str, int] = Shared()
        asked: list[str] = []

        async def ask(name: str, value: int, least: int) -> int | None:
            question = answering(asked, name, value, 2)
            return await shared.ask("x", question, seconds=lambda: 1.0, good_enough=lambda found: found >= least)

        assert [*await asyncio.gather(ask("a", 1, 0), ask("b", 5, 2), ask("c", 9, 3))] == [1, 5, 5]
        assert asked == ["a", "b"]

    asyncio.run(scenario())


def test_nobody_waits_longer_than_it_can() -> None:
    """An asker without time hears nothing, and the question goes on for the others."""

    async def scenario() -> None:
        shared: Shared[str, int] = Shared()
        asked: list[str] = []
        patient = asyncio.create_task(
            shared.ask("x", answering(asked, "a", 1, 50), seconds=lambda: 1.0, good_enough=always)
        )
        await asyncio.sleep(0)
        hasty = await shared.ask("x", answering(asked, "b", 2, 0), seconds=lambda: -1.0, good_enough=always)
        assert (hasty, await patient, asked) == (None, 1, ["a"])

    asyncio.run(scenario())


@given(st.lists(st.booleans(), min_size=1, max_size=6))
def test_a_cancelled_asker_takes_nobody_along(cancelled: list[bool]) -> None:
    """Whoever is cancelled, before or while asking, all others have an answer, and one question at a time is asked."""

    async def scenario() -> None:
        shared: Shared[str, int] = Shared()
        under_way = 0

        async def question() -> int:
            nonlocal under_way
            under_way += 1
            assert under_way == 1
            try:
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            finally:
                under_way -= 1
            return 7

        tasks = [
            asyncio.create_task(shared.ask("x", question, seconds=lambda: 1.0, good_enough=always)) for _ in cancelled
        ]
        await asyncio.sleep(0)
        for task, stop in zip(tasks, cancelled, strict=True):
            if stop:
                task.cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert [one for one, stop in zip(found, cancelled, strict=True) if not stop] == [7] * cancelled.count(False)

    asyncio.run(scenario())
