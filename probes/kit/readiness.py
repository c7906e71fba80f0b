"""Many sockets behind one epoll that the loop watches: no reader, task or timer of the loop's for each attempt.

What must stay true: a waiter is told of its socket until it is dropped, and once of its deadline; one turn serves a
bounded number of sockets, so that others of the loop have theirs; dropping costs no system call, since a socket
leaves the epoll when it is closed (epoll(7)).
"""

import asyncio
import contextlib
import math
import select
import socket
from collections.abc import Iterator
from typing import Final, Protocol

from probes.kit.spec import Clock

READ: Final = select.EPOLLIN
WRITE: Final = select.EPOLLOUT
_TURN: Final = 8  # sockets served before the loop sees to others: some ms when each has a TLS handshake to do

# In an outage every attempt ends by its deadline, and a sweep looks at all that are under way: not for each of them.
_SWEEP_SECONDS: Final = 0.02


class Waiter(Protocol):
    """Who waits for a socket until `deadline` (boot time)."""

    @property
    def deadline(self) -> float:
        """Return the boot time at which `expired` is called."""
        ...

    def ready(self) -> None:
        """Go on: the socket is readable or writable, or was a moment ago."""
        ...

    def expired(self) -> None:
        """End: the deadline has passed."""
        ...


class Readiness:
    """The waiters of one runner. Use `opened`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._waiting: dict[int, Waiter] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._armed = math.inf  # when the timer fires (boot time)

    @contextlib.contextmanager
    def opened(self) -> Iterator["Readiness"]:
        """Watch from the running loop."""
        loop = asyncio.get_running_loop()
        # The kernel stamps arriving packets while any socket asks for it, and switching that on and off rewrites
        # its code (net/core/dev.c netstamp_needed_key): this socket keeps it on between attempts.
        with self._epoll, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as keeper:
            ask_for_stamps(keeper)
            loop.add_reader(self._epoll.fileno(), self._turn)
            try:
                yield self
            finally:
                loop.remove_reader(self._epoll.fileno())
                if self._timer is not None:
                    self._timer.cancel()

    def add(self, number: int, waiter: Waiter, events: int) -> None:
        """Watch descriptor `number` for `events` on behalf of `waiter`; errors and hang-ups always count."""
        self._epoll.register(number, events)
        self._waiting[number] = waiter
        if waiter.deadline < self._armed:
            self._arm(waiter.deadline)

    def change(self, number: int, events: int) -> None:
        """Watch for other events from now on."""
        self._epoll.modify(number, events)

    def drop(self, number: int) -> None:
        """Forget `number`; the caller closes it."""
        self._waiting.pop(number, None)

    def _turn(self) -> None:
        for number, _ in self._epoll.poll(0, _TURN):
            waiter = self._waiting.get(number)
            if waiter is not None:
                waiter.ready()

    def _arm(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._armed = moment
        wait = max(moment - self._clock.boot(), 0.0)
        self._timer = asyncio.get_running_loop().call_later(wait, self._expire)

    def _expire(self) -> None:
        """End who is late; the timer was armed for the earliest of then, who may have ended long ago."""
        self._timer, self._armed = None, math.inf
        now = self._clock.boot()
        for waiter in [waiter for waiter in self._waiting.values() if waiter.deadline <= now]:
            waiter.expired()
        if self._waiting:
            earliest = min(waiter.deadline for waiter in self._waiting.values())
            self._arm(max(earliest, now + _SWEEP_SECONDS))


# asm-generic/socket.h: time stamps of arrival as two 64-bit numbers on every machine (since Linux 5.1).
SO_TIMESTAMPNS_NEW: Final = 64


def ask_for_stamps(sock: socket.socket) -> None:
    """Have `recvmsg` tell when the last packet of what it returns arrived; an older kernel is not asked."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS_NEW, 1)
