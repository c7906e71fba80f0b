"""Turns an EchoPort for single attempts: by its readiness and one timer, only while an attempt is under way."""

import asyncio

from probes.kit.echo_burst import Burst
from probes.kit.echo_port import EchoPort
from probes.kit.result import Result
from probes.kit.spec import Clock


class EchoPump:
    """One port under the running loop. It has a reader and a timer while something is under way, else neither."""

    def __init__(self, port: EchoPort, clock: Clock) -> None:
        self._port = port
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._listening = False
        self._timer: asyncio.TimerHandle | None = None

    def start(self, burst: Burst) -> None:
        """Begin an attempt; its result comes by its `done`."""
        self._port.add(burst)
        self._turn()

    def stop(self, burst: Burst) -> None:
        """Forget an attempt, over or not."""
        if not burst.over:
            self._port.abandon(burst)
            self._turn()

    def close(self) -> None:
        """Close the port; results of what is under way never come."""
        self._rest()
        self._port.close()

    def _turn(self) -> None:
        self._port.flush()
        earliest = self._port.harvest()
        self._rest(listen=earliest is not None)
        if earliest is not None:
            self._timer = self._loop.call_later(max(0.0, earliest - self._clock.boot()), self._turn)

    def _rest(self, *, listen: bool = False) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if listen and not self._listening:
            self._loop.add_reader(self._port.fileno(), self._turn)
        elif self._listening and not listen:
            self._loop.remove_reader(self._port.fileno())
        self._listening = listen


def settle(future: "asyncio.Future[Result]", result: Result) -> None:
    """Hand `result` to whoever still waits for it."""
    if not future.done():
        future.set_result(result)
