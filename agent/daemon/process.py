"""The agent as one process: builds the parts, owns every task, stops in order.

What must stay true: one TaskGroup owns all tasks; whatever fails in a sink, a peer or the web server,
probing goes on; a stop ends within `STOP_SECONDS` and leaves an `agent-stop` in the ledger.
"""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from agent import __version__
from agent.clock import Clock
from agent.config import ConfigError, load_host_and_chain
from agent.daemon.alarm import alarm_of
from agent.daemon.attempts import Log
from agent.daemon.diagnosing import Diagnosing
from agent.daemon.errors import EX_SOFTWARE
from agent.daemon.host_sight import HostSight
from agent.daemon.interpreter import settle_interpreter
from agent.daemon.measurement import Measurement
from agent.daemon.memory import Memory
from agent.daemon.options import Options
from agent.daemon.peers import Peers
from agent.daemon.picture import Picture
from agent.daemon.place import CONTROL, open_data
from agent.daemon.runners import Runners, SharedKit
from agent.daemon.serving import Surface, serving
from agent.daemon.sinks import Sinks
from agent.daemon.usual import Usual
from agent.daemon.watchdog import Systemd, Watchdog, ping
from agent.daemon.witnesses import Witnesses
from agent.diagnosis.confirm import confirmation_set
from agent.incident.engine import Engine
from agent.incident.value import Incident, State
from agent.metrics.view import Running
from agent.model import Chain, Host
from agent.observation import Observation
from probes.kit.resolver import SystemResolver

# House rule: a shutdown has 5 s.
STOP_SECONDS = 5.0
# Runners open within milliseconds; one that waits for something else must not hold up the others.
OPEN_SECONDS = 0.3
# While routes keep changing, the probes that watch them run at most so often beside their schedule.
ROUTES_AGAIN_SECONDS = 1.0


class Agent:
    """One running agent. Make it, then `run` it once."""

    def __init__(
        self, options: Options, host: Host, chain: Chain, *, clock: Clock, log: Log, write_line: Callable[[str], object]
    ) -> None:
        self._options, self._host, self._chain = options, host, chain
        self._clock, self._log = clock, log
        self._write_line = write_line
        self._stop_wanted = asyncio.Event()
        self._stop_reason = ""
        self._reloading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._systemd = Systemd()
        self._routes_looked_at = 0.0
        self._folder = Path(host.data)

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT; raises StartError when it cannot begin."""
        lock = open_data(self._folder)
        try:
            async with contextlib.AsyncExitStack() as stack:
                await self._run(stack)
        finally:
            os.close(lock)

    def stop(self, reason: str) -> None:
        """Ask for an orderly stop."""
        if not self._stop_wanted.is_set():
            self._stop_reason = reason
            self._stop_wanted.set()

    async def reload(self) -> tuple[str, ...]:
        """Load the files again; return what is wrong with them when the running configuration stays."""
        async with self._reloading:
            try:
                host, chain = await asyncio.to_thread(load_host_and_chain, self._options.config_file)
            except ConfigError as error:
                problems = tuple(str(problem) for problem in error.problems)
            else:
                problems = needs_restart(self._host, host)
                if not problems:
                    await self._take_up(host, chain)
                    return ()
            self._sinks.refuse(problems)
            return problems

    async def _run(self, stack: contextlib.AsyncExitStack) -> None:
        self._build()
        await self._serve(stack)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._loop_failed)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for number in (signal.SIGTERM, signal.SIGINT):
                    loop.add_signal_handler(number, self.stop, signal.Signals(number).name)
                loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
                await self._start()
                await self._stop_wanted.wait()
                self._end(stack)
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)

    def _confirmation_set(
        self, chain: Chain, vantage: str, failing: Iterable[str], last_passed: Mapping[str, float]
    ) -> tuple[str, ...]:
        """Plan with the engine's compiled chain: compiling a large one anew would hold the loop up."""
        model = self._diagnosing.engine.model
        return confirmation_set(model if model.chain is chain else chain, vantage, failing, last_passed)

    def _build(self) -> None:
        """Make every part; nothing runs yet."""
        self._picture = Picture(self._chain, self._host.vantage, self._clock.wall())
        self._memory = Memory(self._folder, self._clock, self._log, self._spawn)
        self._usual = Usual(self._folder, self._clock, self._log, self._spawn)
        self._sinks = Sinks(
            self._host,
            self._chain,
            clock=self._clock,
            log=self._log,
            spawn=self._spawn,
            picture=self._picture,
            write_line=self._write_line,
        )
        self._diagnosing = Diagnosing(
            engine=self._first_engine(self._chain),
            vantage=self._host.vantage,
            clock=self._clock,
            picture=self._picture,
            log=self._log,
            record=self._sinks.recorder,
            transition_sinks=self._sinks.transition_sinks,
            observation_sinks=self._sinks.observation_sinks,
        )
        self._diagnosing.on_round = (self._each_round,)
        self._diagnosing.on_evaluated = (self._set_pace,)
        self._build_measurement()
        self._build_others()

    def _build_measurement(self) -> None:
        """Make what measures, and what watches over it."""
        loop = asyncio.get_running_loop()
        kit = SharedKit(self._clock, SystemResolver(self._clock))
        self._runners = Runners(
            kit,
            self._spawn,
            self._log,
            changed=lambda host: self._measurement.run_now(host=host),
            opened=lambda kind: self._measurement.run_now(kind=kind),
        )
        self._sight = HostSight(self._clock, self._log, self._host_changed)
        self._measurement = Measurement(
            clock=self._clock,
            spawn=self._spawn,
            reader=self._sight.reader,
            diagnosis=self._diagnosing,
            confirmation_set=self._confirmation_set,
            runners=self._runners.get,
            instruments=self._sinks.metrics,
            log=self._log,
            first_round=self._memory.first_round(self._chain.confirm.spacing),
            alarm=partial(alarm_of, self._clock),
            facts=self._sinks.drift.look,
        )
        self._measurement.verified.update(self._memory.verified)
        self._watchdog = Watchdog(
            clock=self._clock,
            last_beat=lambda: self._measurement.heartbeat.last,
            blocked=lambda seconds, stack: void(loop.call_soon_threadsafe(self._blocked, seconds, stack)),
            watched=threading.get_ident(),
        )

    def _build_others(self) -> None:
        """Make what speaks with the agents at other vantages."""
        self._peers = Peers(
            clock=self._clock,
            spawn=self._spawn,
            log=self._log,
            take=self._take_from_peer,
            show=self._picture.peer,
            back=self._measurement.wake_confirmations,
            pages=self._sinks.peer_pages,
            changes=self._sinks.drift.others,
        )
        self._witnesses = Witnesses(
            self._sinks.cosigning,
            self._host.vantage,
            clock=self._clock,
            spawn=self._spawn,
            log=self._log,
            show=self._picture.witness,
            enter=self._sinks.recorder.enter,
            recall=self._sinks.recorder.witness_entries,
        )

    def _first_engine(self, chain: Chain) -> Engine:
        saved = self._sinks.recorder.saved_state
        try:
            engine = Engine(chain, saved)
        except ValueError as error:
            self._log.error("saved-incidents-unreadable", problem=str(error), remedy="starting without open incidents")
            engine = Engine(chain)
        self._usual.recall(engine)
        return engine

    async def _serve(self, stack: contextlib.AsyncExitStack) -> None:
        surface = Surface(
            metrics=self._sinks.metrics,
            snapshot=self._diagnosing.snapshot,
            ready=lambda: self._picture.has_observation,
            reload=self.reload,
            recent=self._diagnosing.recently,
            voice=self._sinks.voice,
            submit=self._sinks.books.entering.submit,
            approver=self._sinks.drift,
            witness=self._sinks.cosigning,
        )
        served = await stack.enter_async_context(serving(surface, self._options, self._folder / CONTROL, self._clock))
        self._log.info("listening", address=served.host, port=served.port, tls=served.tls)

    async def _start(self) -> None:
        self._sinks.start(self._diagnosing.engine.incidents())
        self._measurement.configure(self._chain, self._host.vantage)
        self._sight.configure(self._chain, self._host.vantage)
        await self._runners.configure(self._types(), OPEN_SECONDS)
        settle_interpreter()
        self._watchdog.start()
        self._measurement.start()
        self._sight.start()
        self._peers.configure(self._host, self._chain)
        self._witnesses.configure(self._host, self._chain)
        self._systemd.tell("READY=1", f"STATUS=measuring from {self._host.vantage}")
        if self._systemd.watchdog_seconds is not None:
            self._spawn(self._ping(self._systemd.watchdog_seconds))
        self._log.info(
            "started",
            version=__version__,
            vantage=self._host.vantage,
            probes=len(self._chain.probes_of(self._host.vantage)),
            chain=self._chain.hash,
        )

    def _end(self, stack: contextlib.AsyncExitStack) -> None:
        """Stop in order: measure no more, record the stop, then let go of every task."""
        self._systemd.tell("STOPPING=1")
        self._log.info("stopping", reason=self._stop_reason)
        # A task that ignores its cancellation would hold up the group for ever.
        overdue = threading.Timer(STOP_SECONDS, os._exit, (EX_SOFTWARE,))
        overdue.daemon = True
        overdue.start()
        stack.callback(overdue.cancel)
        self._measurement.stop()
        self._diagnosing.stop()
        self._watchdog.stop()
        self._runners.stop()
        self._memory.save(self._measurement.round_now(), self._measurement.verified)
        self._usual.save(self._diagnosing.engine)
        self._sinks.stop(self._stop_reason)
        self._sight.close()
        self._systemd.close()
        for task in tuple(self._tasks):
            task.cancel()

    def _spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._group.create_task(self._guarded(coroutine))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guarded(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Let no task's bug end the others."""
        try:
            await coroutine
        except Exception as error:
            self._log.error("task-failed", exc_info=error)

    def _loop_failed(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._log.error("callback-failed", what=context.get("message"), exc_info=context.get("exception"))

    def _types(self) -> frozenset[str]:
        return frozenset(probe.type for probe in self._chain.probes_of(self._host.vantage))

    def _set_pace(self, incidents: tuple[Incident, ...]) -> None:
        suspected = any(incident.state is State.SUSPECTED for incident in incidents)
        self._peers.pace(suspected=suspected, something_open=any(i.excess is None for i in incidents))

    def _take_from_peer(self, observation: Observation) -> None:
        self._sinks.peer_observation(observation)
        self._diagnosing.take(observation)

    def _each_round(self, number: int) -> None:
        self._memory.round(number, self._measurement.verified)
        self._usual.round(self._diagnosing.engine)
        counts = self._measurement.counts
        running = Running(
            missed=counts.missed,
            refused=self._measurement.attempts.refused,
            confirmations=counts.confirmations,
            host_events=self._sight.watch.events,
            host_overruns=self._sight.watch.overruns,
            sink_errors=dict(self._diagnosing.sink_errors),
        )
        self._sinks.each_round(self._diagnosing.snapshot(), running)

    def _host_changed(self) -> None:
        """Look again at what the kernel says has changed: the host itself, and the routes that probes watch."""
        self._measurement.look_at_self()
        now = self._clock.boot()
        if now - self._routes_looked_at >= ROUTES_AGAIN_SECONDS:
            self._routes_looked_at = now
            self._measurement.run_now(protocol="netlink")

    def _reload_soon(self) -> None:
        self._spawn(self._reload_and_log())

    async def _reload_and_log(self) -> None:
        try:
            await self.reload()
        except Exception as error:
            self._sinks.metrics.reloaded(successful=False)
            self._log.error("reload-failed", exc_info=error)

    async def _take_up(self, host: Host, chain: Chain) -> None:
        """Put a new configuration in force; what did not change goes on undisturbed."""
        self._systemd.tell("RELOADING=1", f"MONOTONIC_USEC={round(self._clock.boot() * 1e6)}")
        changed = chain.hash != self._chain.hash
        self._host, self._chain = host, chain
        if changed:
            self._diagnosing.engine = self._diagnosing.engine.renewed(chain)
        self._picture.configure(chain)
        self._picture.keep_peers(frozenset(peer.vantage for peer in host.peers))
        await self._runners.configure(self._types(), OPEN_SECONDS)
        self._measurement.configure(chain, host.vantage)
        self._sight.configure(chain, host.vantage)
        self._peers.configure(host, chain)
        self._witnesses.configure(host, chain)
        self._sinks.configure(host, chain, self._diagnosing.engine.incidents())
        self._systemd.tell("READY=1")
        self._log.info("reloaded", chain=chain.hash, changed=changed)

    async def _ping(self, patience_seconds: float) -> None:
        """Tell systemd that the loop lives, as long as the measuring in it does."""
        while True:
            lives, wait = ping(self._clock.boot() - self._measurement.heartbeat.last, patience_seconds)
            if lives:
                self._systemd.tell("WATCHDOG=1")
            await asyncio.sleep(wait)

    def _blocked(self, seconds: float, stack: str) -> None:
        self._sinks.metrics.stalled()
        self._log.error("loop-blocked", seconds=round(seconds, 3), stack=stack)


def needs_restart(before: Host, after: Host) -> tuple[str, ...]:
    """Return what a reload cannot change."""
    fixed = (("vantage", before.vantage, after.vantage), ("data", before.data, after.data))
    return tuple(
        f"`{key}` changed from {old} to {new}: restart the agent for that" for key, old, new in fixed if old != new
    )


def void(_: object) -> None:
    """Make a callback of an expression."""
