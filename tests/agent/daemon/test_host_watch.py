"""Hearing of changes: at once, with a rest after each burst, and without timers while nothing happens."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from agent.daemon.host_watch import HostWatch
from probes.kit.netlink_socket import Changes
from tests.agent.daemon.world import FakeLog


class FakeEvents:
    """Changes that the test makes, on a descriptor that is readable while there are any."""

    def __init__(self) -> None:
        self._end, self._other = socket.socketpair()
        self._end.setblocking(False)
        self.error: OSError | None = None
        self.more = False
        self.drains = 0
        self.closed = False

    def happen(self) -> None:
        """Change something."""
        self._other.send(b"!")

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._end.fileno()

    def drain(self) -> Changes:
        """Return what changed."""
        self.drains += 1
        if self.error is not None:
            raise self.error
        more, self.more = self.more, False
        return Changes(number=len(self._end.recv(4 if more else 100)), overrun=more, more=more)

    def close(self) -> None:
        """Release both ends."""
        self.closed = True
        self._end.close()
        self._other.close()


def play(scene: Callable[[FakeEvents, HostWatch, list[Changes], FakeLog], Awaitable[None]]) -> None:
    """Run a scene with a watch that listens."""

    async def run() -> None:
        events, heard, log = FakeEvents(), list[Changes](), FakeLog()
        watch = HostWatch(heard.append, log, lambda: events)
        watch.start()
        try:
            await scene(events, watch, heard, log)
        finally:
            watch.stop()
        assert events.closed

    asyncio.run(run())


async def until(condition: Callable[[], object]) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the condition is a list that only the loop fills
            await asyncio.sleep(0)


def test_a_burst_is_heard_once() -> None:
    """What comes while it rests is told together, after the rest."""

    async def scene(events: FakeEvents, watch: HostWatch, heard: list[Changes], log: FakeLog) -> None:
        events.happen()
        await until(lambda: heard)
        for _ in range(5):
            events.happen()
        await asyncio.sleep(0)
        assert len(heard) == 1
        await until(lambda: len(heard) == 2)
        assert [changes.number for changes in heard] == [1, 5]
        assert watch.events == 6
        assert watch.overruns == 0
        assert not log.events()

    play(scene)


def test_a_storm_is_read_in_parts() -> None:
    """After a full drain the rest is read on, and what was missed is counted."""

    async def scene(events: FakeEvents, watch: HostWatch, heard: list[Changes], log: FakeLog) -> None:
        events.more = True
        for _ in range(10):
            events.happen()
        await until(lambda: len(heard) == 2)
        assert [changes.number for changes in heard] == [4, 6]
        assert watch.overruns == 1
        assert not log.events()

    play(scene)


def test_nothing_happens() -> None:
    """While nothing changes nothing is asked."""

    async def scene(events: FakeEvents, watch: HostWatch, heard: list[Changes], log: FakeLog) -> None:
        for _ in range(10):
            await asyncio.sleep(0)
        assert (events.drains, heard, watch.listening, log.events()) == (0, [], True, [])

    play(scene)


def test_a_source_that_breaks() -> None:
    """It is closed, said once in the log, and told as a change, since nothing more will be."""

    async def scene(events: FakeEvents, watch: HostWatch, heard: list[Changes], log: FakeLog) -> None:
        events.error = OSError(5, "broken")
        events.happen()
        await until(lambda: heard)
        assert not watch.listening
        assert log.events() == ["host-changes-unheard"]

    play(scene)


def test_without_the_right_to_listen() -> None:
    """The agent goes on; the log says what to allow."""

    def refuse() -> FakeEvents:
        raise PermissionError(1, "Operation not permitted")

    async def run() -> None:
        log = FakeLog()
        watch = HostWatch(lambda _: None, log, refuse)
        watch.start()
        watch.stop()
        assert not watch.listening
        assert log.events() == ["host-changes-unheard"]

    asyncio.run(run())
