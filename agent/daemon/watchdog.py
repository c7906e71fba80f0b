"""Notices a blocked event loop from a thread of its own, and tells systemd that the loop lives.

What must stay true: the pings to systemd come from the loop, so that a loop that hangs stops them and
systemd restarts the agent; the thread only looks, it never touches the loop's values.
"""

import contextlib
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping

from agent.clock import Clock
from agent.daemon.selfcheck import STALL_SECONDS


class Watchdog:
    """Calls `blocked(seconds, stack)` from its own thread, once per block.

    `last_beat` returns the boot time of the loop's last beat; it must be safe to call in any thread.
    """

    def __init__(
        self, *, clock: Clock, last_beat: Callable[[], float], blocked: Callable[[float, str], None], watched: int
    ) -> None:
        self._clock = clock
        self._last_beat = last_beat
        self._blocked = blocked
        self._watched = watched
        # Held while it runs: a bare lock is the cheapest thing to wait for, and every wait is a wake-up.
        self._running = threading.Lock()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._running.acquire()
        self._thread.start()

    def stop(self) -> None:
        """Stop within one look."""
        self._running.release()
        self._thread.join(timeout=1.0)

    def _watch(self) -> None:
        reported, wait = -1.0, STALL_SECONDS
        while not self._running.acquire(timeout=wait):
            beat = self._last_beat()
            age = self._clock.boot() - beat
            if age > STALL_SECONDS and beat != reported:
                reported = beat
                self._blocked(age, stack_of(self._watched))
            # The loop is blocked when its last beat is this old: not a moment before is worth a look.
            wait = STALL_SECONDS - age + 0.01 if age < STALL_SECONDS else STALL_SECONDS / 2


def stack_of(thread: int) -> str:
    """Return the stack of a thread (`threading.get_ident()`), innermost call last; empty when it has gone."""
    frame = sys._current_frames().get(thread)  # noqa: SLF001 - the only way to see another thread's stack
    return "" if frame is None else "".join(traceback.format_stack(frame))


def ping(age_seconds: float, patience_seconds: float) -> tuple[bool, float]:
    """Return whether a loop whose last beat has this age may tell systemd that it lives, and when to look again (s).

    Five times as often as systemd must hear, and at once when a loop that stood still goes on, whose beat is still old
    at the first look: no standstill of less than three quarters of the patience ends the process.
    """
    lives = age_seconds < patience_seconds / 2
    return lives, patience_seconds / (5 if lives else 50)


class Systemd:
    """sd_notify(3) by hand: datagrams to the socket that systemd names in NOTIFY_SOCKET.

    Without the variable every method does nothing. Never raises: the notification is not our work.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        environment = os.environ if environment is None else environment
        self._address = environment.get("NOTIFY_SOCKET", "")
        microseconds = environment.get("WATCHDOG_USEC", "")
        mine = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.watchdog_seconds = int(microseconds) / 1e6 if microseconds.isdigit() and mine else None
        self._socket: socket.socket | None = None
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def tell(self, *lines: str) -> None:
        """Send assignments such as READY=1, one a line."""
        if self._socket is None:
            return
        # An abstract socket is written with @ and starts with a zero byte.
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError):
            self._socket.sendto("\n".join(lines).encode(), address)

    def close(self) -> None:
        """Release the socket."""
        if self._socket is not None:
            self._socket.close()
