"""One run of the agent's own machinery around probes that cost nothing; a program of its own, for its own CPU time.

`python -m tools.bench.wheel PARTS TARGETS SECONDS` prints JSON: `cpu` (share of one core), `results` a second,
`late` (p50, p99 and maximum of start lateness, seconds). PARTS: `wheel` (the schedule on its alarm), `measuring`
(with attempts, rounds, self-check, observations), `everything` (with diagnosis, picture, metrics and store); and
`sleeper`, a bare loop that sleeps until each tick of the grid: what this machine does to any process that waits.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from agent.clock import SystemClock
from agent.daemon.alarm import alarm_of
from agent.daemon.diagnosing import Diagnosing
from agent.daemon.host_reader import Reader
from agent.daemon.interpreter import settle_interpreter
from agent.daemon.measurement import Measurement
from agent.daemon.picture import Picture
from agent.daemon.schedule import Schedule, grid
from agent.incident.engine import Engine
from agent.metrics import Metrics
from agent.model import Chain
from agent.observation import Observation
from agent.store import Store
from probes.kit.result import Result, ok
from tools.bench.diagnosis import large_chain

CLOCK = SystemClock()
SEGMENTS = 50
WARM_SECONDS = 4.0


class Echo:
    """A runner with the batch form whose answers are there at the next tick."""

    def __init__(self) -> None:
        self._sent: list[Callable[[Result], None]] = []
        self.results = 0

    async def attempt(self, settings: Any, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002 - the seam's signature
        """Answer at once."""
        return ok(0.0012, {"answer": 0.0012}, packet_bytes=84)

    def harvest(self) -> None:
        """Answer all."""
        sent, self._sent = self._sent, []
        self.results += len(sent)
        for done in sent:
            done(ok(0.0012, {"answer": 0.0012}, packet_bytes=84))

    def launch(self, settings: Any, deadline: float, done: Callable[[Result], None]) -> bool:  # noqa: ARG002
        """Take one."""
        self._sent.append(done)
        return True

    def flush(self) -> None:
        """Send nothing."""


class Lateness:
    """Collects how late starts are."""

    def __init__(self) -> None:
        self.found: list[tuple[float, int]] = []
        self.also: Callable[[float, int], None] = lambda _seconds, _starts: None

    def lag(self, seconds: float, starts: int) -> None:
        """Note a start."""
        self.found.append((seconds, starts))
        self.also(seconds, starts)

    def bug(self, probe: str) -> None:
        """Refuse to measure with a bug inside."""
        raise AssertionError(probe)

    def spread(self) -> tuple[float, float, float]:
        """Return p50, p99 and maximum over starts."""
        rows = sorted(self.found)
        starts = [seconds for seconds, number in rows for _ in range(number)]
        return starts[len(starts) // 2], starts[int(len(starts) * 0.99)], starts[-1]


class Silence:
    """A log that nobody reads; an error in a benchmark is one of the benchmark."""

    def info(self, event: str, **fields: Any) -> None:
        """Take no notice."""

    warning = info

    def error(self, event: str, **fields: Any) -> None:
        """Stop."""
        raise AssertionError(event, fields)


class Nobody:
    """A diagnosis that takes no notice."""

    def publish(self, observation: Observation, result: Result) -> None:
        """Take no notice."""

    def suspected(self) -> frozenset[str]:
        """Suspect nothing."""
        return frozenset()

    def round(self, number: int) -> None:
        """Take no notice."""


def sleeper(targets: int, seconds: float) -> tuple[float, float, Lateness]:
    """Sleep from tick to tick of the grid of so many targets; return CPU share, runs a second and lateness."""
    late, step = Lateness(), grid(targets)
    begin, cpu = time.monotonic(), time.process_time()
    for tick in range(1, round(seconds / step) + 1):
        planned = begin + tick * step
        time.sleep(max(0.0, planned - time.monotonic()))
        late.lag(max(0.0, time.monotonic() - planned), 1)
    took = time.monotonic() - begin
    return (time.process_time() - cpu) / took, len(late.found) / took, late


async def wheel(chain: Chain, seconds: float) -> tuple[float, float, Lateness]:
    """Turn the schedule alone; return CPU share, runs a second and lateness."""
    schedule, late = Schedule(), Lateness()
    schedule.replace({name: probe.interval for name, probe in chain.probes.items()}, CLOCK.boot())
    runs = 0

    def turn() -> None:
        nonlocal runs
        now = CLOCK.boot()
        for due in schedule.due(now):
            late.lag(max(0.0, now - due.planned), len(due.probes))
            runs += len(due.probes)
        alarm.set(schedule.next() or now + 0.1)

    alarm = alarm_of(CLOCK, turn)
    turn()
    await asyncio.sleep(WARM_SECONDS)
    late.found.clear()
    before, cpu, begin = runs, time.process_time(), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - begin
    alarm.close()
    return (time.process_time() - cpu) / took, (runs - before) / took, late


async def measuring(chain: Chain, seconds: float, *, everything: bool) -> tuple[float, float, Lateness]:
    """Measure with the agent's own parts around probes that cost nothing."""
    late, echo = Lateness(), Echo()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder) / "observations.db")
        diagnosis: Any = Nobody()
        if everything:
            metrics = Metrics(chain, "v", "o0", "0", type_metrics={})
            diagnosis = assembled(chain, metrics, store)
            late.also = metrics.lag
        async with asyncio.TaskGroup() as group:
            measurement = Measurement(
                clock=CLOCK,
                spawn=group.create_task,
                reader=Reader(CLOCK),
                diagnosis=diagnosis,
                confirmation_set=lambda *_: (),
                runners=lambda _: (echo, ""),
                instruments=late,
                log=Silence(),
                first_round=1,
                alarm=partial(alarm_of, CLOCK),
            )
            measurement.configure(chain, "v")
            settle_interpreter()
            measurement.start()
            await asyncio.sleep(WARM_SECONDS)
            late.found.clear()
            before, cpu, begin = echo.results, time.process_time(), time.monotonic()
            await asyncio.sleep(seconds)
            took = time.monotonic() - begin
            share, rate = (time.process_time() - cpu) / took, (echo.results - before) / took
            measurement.stop()
        store.close()
    return share, rate, late


def assembled(chain: Chain, metrics: Metrics, store: Store) -> Diagnosing:
    """Return the diagnosis with its sinks as the process has them."""
    diagnosing = Diagnosing(
        engine=Engine(chain),
        vantage="v",
        clock=CLOCK,
        picture=Picture(chain, "v", CLOCK.wall()),
        log=Silence(),
        record=None,
        transition_sinks={},
        observation_sinks=observation_sinks(metrics, store),
    )
    diagnosing.on_round = (lambda _: metrics.update(diagnosing.snapshot()),)
    return diagnosing


def observation_sinks(
    metrics: Metrics, store: Store
) -> Mapping[str, Callable[[Observation, Mapping[str, float]], None]]:
    """Return what hears of every observation."""
    return {
        "metrics": lambda observation, values: metrics.result(observation.probe, observation, values),
        "store": lambda observation, _: store.observation(observation),
    }


def main() -> None:
    """Run once."""
    parts, targets, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    if parts == "sleeper":
        found = sleeper(targets, seconds)
    elif parts == "wheel":
        found = asyncio.run(wheel(large_chain(SEGMENTS, targets), seconds))
    else:
        found = asyncio.run(measuring(large_chain(SEGMENTS, targets), seconds, everything=parts == "everything"))
    share, rate, late = found
    print(json.dumps({"cpu": share, "results": rate, "late": late.spread()}))


if __name__ == "__main__":
    main()
