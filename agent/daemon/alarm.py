"""Wakes the wheel at a moment of boot time.

What must stay true: an alarm rings once for each `set`, never before its moment and in the loop's thread;
a later `set` replaces the one before. asyncio rounds its timers up to a millisecond and counts on a clock
that stands still while the host is suspended; the kernel's own timer does neither.
"""

import asyncio
import contextlib
import ctypes
import os
import struct
import time
from collections.abc import Callable
from typing import Protocol

from agent.clock import Clock

# linux/timerfd.h, linux/time.h; os.timerfd_create comes with Python 3.13.
_TFD_TIMER_ABSTIME = 1
_TFD_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
# struct itimerspec: interval and value, each seconds and nanoseconds; a value of zero would disarm the timer.
_ITIMERSPEC = struct.Struct("@qqqq")


class Alarm(Protocol):
    """One moment to wake up at."""

    def set(self, at: float) -> None:
        """Ring at `at` (boot-time seconds), at once when that is past, and at no moment set before."""
        ...

    def close(self) -> None:
        """Ring no more."""
        ...


AlarmMaker = Callable[[Callable[[], None]], Alarm]
"""What to call when it rings -> the alarm. Needs a running loop."""


class LoopAlarm:
    """The loop's own timer."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock = clock
        self._ring = ring
        self._timer: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        """Ring at `at`."""
        self.close()
        delay = max(0.0, at - self._clock.boot())
        self._timer = asyncio.get_running_loop().call_later(delay, self._ring)

    def close(self) -> None:
        """Ring no more."""
        if self._timer is not None:
            self._timer.cancel()


class KernelAlarm:
    """A timerfd(2) on CLOCK_BOOTTIME. OSError where the kernel or a filter of system calls refuses it."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        library = ctypes.CDLL(None, use_errno=True)
        self._settime = library.timerfd_settime
        self._fd: int = library.timerfd_create(time.CLOCK_BOOTTIME, _TFD_FLAGS)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._fd, self._on_readable)

    def set(self, at: float) -> None:
        """Ring at `at`."""
        seconds, nanoseconds = divmod(max(1, round(at * 1e9)), 1_000_000_000)
        if self._settime(self._fd, _TFD_TIMER_ABSTIME, _ITIMERSPEC.pack(0, 0, seconds, nanoseconds), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def close(self) -> None:
        """Ring no more; the descriptor is given back."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _on_readable(self) -> None:
        # Set anew since it expired: then there is nothing to read, and nothing to ring for.
        with contextlib.suppress(BlockingIOError):
            os.read(self._fd, 8)
            self._ring()


def alarm_of(clock: Clock, ring: Callable[[], None]) -> Alarm:
    """Return the kernel's alarm, the loop's where there is none."""
    try:
        return KernelAlarm(ring)
    except (OSError, AttributeError):
        return LoopAlarm(clock, ring)
