"""Hears the kernel tell of links, addresses and routes, so that a change is noticed within milliseconds.

What must stay true: no timer runs while nothing changes; a storm of changes wakes the loop at most once
in REST_SECONDS, and each wake takes a bounded time; without the right to listen the agent goes on, and
looks at the host once a round.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from agent.daemon.attempts import Log
from probes.kit.netlink_socket import Changes, HostEvents

# Long enough that a storm costs little, short enough that its end is seen in the round in which it falls.
REST_SECONDS = 0.05
# What is waiting after a full drain is read on without that rest, but after others had their turn.
MORE_SECONDS = 0.005


class Events(Protocol):
    """What tells of changes."""

    def fileno(self) -> int:
        """Return the descriptor, readable when something changed."""
        ...

    def drain(self) -> Changes:
        """Return what changed."""
        ...

    def close(self) -> None:
        """Tell no more."""
        ...


class HostWatch:
    """Calls `changed` in the loop's thread after each change, or after a burst of them."""

    def __init__(self, changed: Callable[[Changes], None], log: Log, listen: Callable[[], Events] = HostEvents) -> None:
        """`listen` opens what tells of changes; it raises OSError when that may not be."""
        self._changed = changed
        self._log = log
        self._listen_to = listen
        self._events: Events | None = None
        self._rest: asyncio.TimerHandle | None = None
        self.events = self.overruns = 0

    @property
    def listening(self) -> bool:
        """Say whether the kernel tells us of changes."""
        return self._events is not None

    def start(self) -> None:
        """Begin to listen, if we may."""
        try:
            self._events = self._listen_to()
        except OSError as error:
            self._unheard(error)
        else:
            self._listen()

    def stop(self) -> None:
        """Hear no more."""
        if self._rest is not None:
            self._rest.cancel()
        if self._events is not None:
            asyncio.get_running_loop().remove_reader(self._events.fileno())
            self._events.close()
            self._events = None

    def _listen(self) -> None:
        self._rest = None
        if self._events is not None:
            asyncio.get_running_loop().add_reader(self._events.fileno(), self._readable)

    def _readable(self) -> None:
        if self._events is None:
            return
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._events.fileno())
        try:
            changes = self._events.drain()
        except OSError as error:
            self._events.close()
            self._events = None
            self._unheard(error)
            self._changed(Changes(overrun=True))
            return
        self.events += changes.number
        self.overruns += changes.overrun
        self._rest = loop.call_later(MORE_SECONDS if changes.more else REST_SECONDS, self._listen)
        self._changed(changes)

    def _unheard(self, error: OSError) -> None:
        remedy = (
            "allow AF_NETLINK in RestrictAddressFamilies= of the unit; until then the host is looked at once a round"
        )
        self._log.warning("host-changes-unheard", problem=error.strerror, remedy=remedy)
