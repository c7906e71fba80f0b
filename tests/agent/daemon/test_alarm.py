"""The wheel's alarm: rings at its moment, once for each time that it is set."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest

from agent.clock import SystemClock
from agent.daemon.alarm import Alarm, AlarmMaker, KernelAlarm, LoopAlarm, alarm_of

CLOCK = SystemClock()
MAKERS = {"loop": partial(LoopAlarm, CLOCK), "kernel": KernelAlarm, "chosen": partial(alarm_of, CLOCK)}


class Bell:
    """Counts rings and lets a scene wait for the next one."""

    def __init__(self, maker: AlarmMaker) -> None:
        self.rings: list[float] = []
        self._rung = asyncio.Event()
        self.alarm: Alarm = maker(self._ring)

    def _ring(self) -> None:
        self.rings.append(CLOCK.boot())
        self._rung.set()

    async def next(self) -> None:
        """Wait for a ring."""
        async with asyncio.timeout(5):
            await self._rung.wait()
        self._rung.clear()


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_rings_once_for_each_setting(maker: Callable[[Callable[[], None]], Alarm]) -> None:
    """A moment in the past rings at once, one to come when it comes; a later setting replaces an earlier one."""

    async def scene() -> None:
        bell, other = Bell(maker), Bell(maker)
        bell.alarm.set(0.0)
        await bell.next()
        bell.alarm.set(CLOCK.boot() + 3600)
        moment = CLOCK.boot() + 0.01
        bell.alarm.set(moment)
        await bell.next()
        assert len(bell.rings) == 2
        # A clock that the loop's timers do not count on may be a few microseconds apart from theirs.
        assert bell.rings[1] >= moment - 0.001
        bell.alarm.set(CLOCK.boot())
        bell.alarm.close()
        other.alarm.set(CLOCK.boot() + 0.002)
        await other.next()
        assert len(bell.rings) == 2
        other.alarm.close()
        other.alarm.close()

    asyncio.run(scene())


def test_the_kernels_alarm_is_chosen_where_there_is_one() -> None:
    """On Linux it is the timer of the kernel, which does not round up to a millisecond."""

    async def scene() -> None:
        alarm = alarm_of(CLOCK, lambda: None)
        assert isinstance(alarm, KernelAlarm)
        alarm.close()

    asyncio.run(scene())


def test_ring_that_was_set_anew_rings_for_the_new_moment_only() -> None:
    """Between expiry and the loop's turn the alarm is set to later: the first moment does not ring."""

    async def scene() -> None:
        bell = Bell(KernelAlarm)
        bell.alarm.set(0.0)
        moment = CLOCK.boot() + 0.005
        bell.alarm.set(moment)
        await bell.next()
        assert len(bell.rings) == 1
        assert bell.rings[0] >= moment
        bell.alarm.close()

    asyncio.run(scene())
