"""Opens the runner of each configured probe type, by module name, and keeps it open.

What must stay true: a type that does not open, or closes by itself, hurts no other type; it is tried
again, and until then its probes are `unknown` with the reason. A module is imported only when a probe
of its type is configured.
"""

import asyncio
import importlib
from collections.abc import Callable, Iterable
from typing import cast

from agent.clock import Clock
from agent.daemon.attempts import Log, Spawn
from probes.kit.spec import EventRunner, Kit, ProbeModule, Resolver, Runner

# A type that did not open may want the kernel, a daemon or a file that comes later.
RETRY_SECONDS = 10.0


class SharedKit:
    """What every runner borrows."""

    def __init__(self, clock: Clock, resolver: Resolver) -> None:
        self._clock = clock
        self._resolver = resolver

    @property
    def clock(self) -> Clock:
        """Return the clocks."""
        return self._clock

    @property
    def resolver(self) -> Resolver:
        """Return the resolver."""
        return self._resolver


def load_module(type_name: str) -> ProbeModule:
    """Import the module of a probe type; the loader has checked the name."""
    return cast("ProbeModule", importlib.import_module(f"probes.{type_name}"))


class Runners:
    """The open runners. One task per type enters and leaves the runner's context.

    `changed` is called with the host of a flow when a runner hears that its probes are worth an attempt; `opened`
    with a type that opened when nobody waited for it any more: its probes have been tried in vain.
    """

    def __init__(
        self,
        kit: Kit,
        spawn: Spawn,
        log: Log,
        changed: Callable[[str], None] = lambda _: None,
        opened: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._kit = kit
        self._changed = changed
        self._opened = opened
        self._late: set[str] = set()
        self._spawn = spawn
        self._log = log
        self._open: dict[str, Runner] = {}
        self._why_not: dict[str, str] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tried: dict[str, asyncio.Event] = {}

    def get(self, type_name: str) -> tuple[Runner | None, str]:
        """Return the runner of a type, or None and why there is none."""
        return self._open.get(type_name), self._why_not.get(type_name, "the probe type is not open yet")

    async def configure(self, types: Iterable[str], wait_seconds: float) -> None:
        """Open new types, close the others; wait for the new ones up to `wait_seconds`."""
        wanted = frozenset(types)
        for name in self._tasks.keys() - wanted:
            self._tasks.pop(name).cancel()
        new = wanted - self._tasks.keys()
        for name in sorted(new):
            self._tried[name] = asyncio.Event()
            self._tasks[name] = self._spawn(self._keep_open(name))
        if new:
            tried = (asyncio.ensure_future(self._tried[name].wait()) for name in new)
            _, late = await asyncio.wait(tuple(tried), timeout=wait_seconds)
            for waiter in late:
                waiter.cancel()
            self._late |= {name for name in new if name not in self._open}

    def stop(self) -> None:
        """Close every runner."""
        for task in self._tasks.values():
            task.cancel()

    async def _keep_open(self, name: str) -> None:
        while True:
            try:
                async with load_module(name).open(self._kit) as runner:
                    self._open[name] = runner
                    if isinstance(runner, EventRunner):
                        runner.hear(self._changed)
                    self._why_not.pop(name, None)
                    self._tried[name].set()
                    if name in self._late:
                        self._late.discard(name)
                        self._opened(name)
                    await asyncio.Event().wait()
            except Exception as error:
                self._log.error("probe-type-failed", type=name, retry_seconds=RETRY_SECONDS, exc_info=error)
                self._why_not[name] = f"the probe type did not open: {error}"
            finally:
                self._open.pop(name, None)
                self._tried[name].set()
            await asyncio.sleep(RETRY_SECONDS)
