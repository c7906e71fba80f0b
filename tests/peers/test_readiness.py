"""Many sockets behind one watch: who is told, when, and what is left behind."""

import asyncio
import socket

import pytest

from probes.kit.clock import SystemClock
from probes.kit.readiness import READ, Readiness
from tests.peers.probing import open_descriptors

pytestmark = pytest.mark.peer
CLOCK = SystemClock()


class Waiting:
    """A waiter that notes what it is told, and drops itself when its deadline has passed."""

    def __init__(self, readiness: Readiness, sock: socket.socket, seconds: float) -> None:
        self.deadline = CLOCK.boot() + seconds
        self.told: list[str] = []
        self._readiness = readiness
        self._sock = sock
        readiness.add(sock.fileno(), self, READ)

    def ready(self) -> None:
        """Read what there is."""
        self.told.append(self._sock.recv(10).decode())

    def expired(self) -> None:
        """Leave."""
        self.told.append("late" if CLOCK.boot() >= self.deadline else "early")
        self._readiness.drop(self._sock.fileno())


def test_each_is_told_of_its_own() -> None:
    """Twenty sockets at once, more than one turn serves; each hears its own word and its own deadline, once."""

    async def scenario() -> list[list[str]]:
        pairs = [socket.socketpair() for _ in range(20)]
        with Readiness(CLOCK).opened() as readiness:
            waiting = [Waiting(readiness, ours, 0.05 + 0.002 * n) for n, (ours, _) in enumerate(pairs)]
            sooner = Waiting(readiness, socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0.001)
            for n, (_, theirs) in enumerate(pairs):
                theirs.send(str(n).encode())
            while any(len(one.told) < 2 for one in waiting):  # noqa: ASYNC110 - what is waited for has no event
                await asyncio.sleep(0.005)
            await asyncio.sleep(0.03)
        for sock in (*(one for pair in pairs for one in pair), sooner._sock):
            sock.close()
        assert sooner.told == ["late"]
        return [one.told for one in waiting]

    before = open_descriptors()

    assert asyncio.run(scenario()) == [[str(n), "late"] for n in range(20)]
    assert open_descriptors() == before


def test_who_is_dropped_is_told_nothing() -> None:
    """Neither of a word that was there already nor of the deadline; closing ends the timer."""

    async def scenario() -> list[str]:
        ours, theirs = socket.socketpair()
        with ours, theirs, Readiness(CLOCK).opened() as readiness:
            waiting = Waiting(readiness, ours, 0.01)
            theirs.send(b"x")
            readiness.drop(ours.fileno())
            ours.recv(1)
            await asyncio.sleep(0.05)
            Waiting(readiness, theirs, 60.0)
        return waiting.told

    assert asyncio.run(scenario()) == []
