"""Echoes over a cable between two network namespaces, beside fping, ping and blackbox_exporter: CPU time and truth.

The same targets at the same rates, in turns. The kernel's work for our packets, and for the far end's, runs in the
sender's system calls: it is in every CPU figure. The distance is that of the reported round trip from the one that a
tap on the cable saw. Ours runs as the agent's wheel turns it for so many probes of 1 s; last, the whole agent with 500
of them.
"""

import asyncio
import gc
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from agent.daemon.interpreter import COLLECT_AFTER
from agent.daemon.schedule import FINEST_SECONDS, grid
from probes import icmp, tcp
from probes.kit.clock import SystemClock
from probes.kit.resolver import SystemResolver
from probes.kit.result import Result
from tools.bench import blackbox, echo_peers
from tools.bench.table import Row, ratios, spread
from tools.bench.wire import Tap

RUNS = 5
SECONDS = 3.0
RATES = (500, 5000)
SAMPLES = 500  # echoes of each error measurement
LOAD = 2000  # TCP connects a second in the same process
FLOOD = 256  # echoes of a turn of the wheel when there is no waiting
AGENT_PROBES = 500


class Kit:
    """The real clock and resolver."""

    clock = SystemClock()
    resolver = SystemResolver(clock)


def measure() -> list[Row]:
    """Return the rows of this group; needs root for its namespaces and its tap."""
    order = ["unshare", "--net", sys.executable, "-m", "tools.bench.icmp"]
    found = json.loads(subprocess.run(order, stdout=subprocess.PIPE, check=True).stdout)
    cpu, error, most = found["cpu"], found["error"], found["most"]
    ours = {rate: cpu[f"ours {rate}"] for rate in RATES}
    rows = [Row(what=f"CPU an echo, {rate}/s", measured=spread(ours[rate], "us", 1e6)) for rate in RATES]
    rows += [
        Row(what=f"{name}, distance from the wire", measured=distance(values), goal="p99 30 us; 10 us")
        for name, values in error.items()
        if name.startswith("ours")
    ]
    rows.append(Row(what="echoes/s on one core, none lost", measured=f"{statistics.median(most['ours']):.0f}"))
    if "fping 500" in cpu:
        for rate, goal in zip(RATES, ("0.9; 0.6", "0.5; 0.35"), strict=True):
            theirs = cpu[f"fping {rate}"]
            rows.append(Row(what=f"fping: CPU an echo, {rate}/s", measured=spread(theirs, "us", 1e6)))
            what = f"CPU an echo at {rate}/s, ours to fping's"
            rows.append(Row(what=what, measured=ratios(ours[rate], theirs), goal=goal))
    rows.append(Row(what="ping: distance from the wire", measured=distance(error["ping"])))
    what = "median distance from the wire, ours to ping's"
    rows.append(Row(what=what, measured=ratios(error["ours"], error["ping"]), goal="0.25; 0.1"))
    if "blackbox 500" in cpu:
        rows += beside_blackbox(cpu, error, most)
    what = f"CPU of the whole agent for an echo: {AGENT_PROBES} probes of 1 s"
    return [*rows, Row(what=what, measured=spread(cpu["agent"], "us", 1e6))]


def beside_blackbox(
    cpu: dict[str, list[float]], error: dict[str, list[float]], most: dict[str, list[float]]
) -> list[Row]:
    """Return the rows that compare with blackbox_exporter."""
    rows = [
        Row(what="blackbox_exporter: CPU an echo, 500/s", measured=spread(cpu["blackbox 500"], "us", 1e6)),
        Row(
            what="CPU an echo at 500/s, ours to blackbox_exporter's",
            measured=ratios(cpu["ours 500"], cpu["blackbox 500"]),
            goal="0.08; 0.04",
        ),
        Row(
            what="CPU an echo at 500/s, the whole agent to blackbox_exporter's",
            measured=ratios(cpu["agent"], cpu["blackbox 500"]),
            goal="0.08; 0.04",
        ),
        Row(what="blackbox_exporter under load: distance from the wire", measured=distance(error["blackbox, loaded"])),
    ]
    ratio = last_percent(error["ours, loaded"]) / last_percent(error["blackbox, loaded"])
    rows.append(Row(what="p99 under load, ours to blackbox_exporter's", measured=f"{ratio:.4f}", goal="0.03; 0.01"))
    rows.append(Row(what="blackbox_exporter: echoes/s on two cores", measured=f"{max(most['blackbox']):.0f}"))
    times = statistics.median(most["ours"]) / max(most["blackbox"])
    rows.append(Row(what="echoes/s, ours to blackbox_exporter's best", measured=f"{times:.1f}", goal="9; 16"))
    return rows


def distance(errors: list[float]) -> str:
    """Return median and p99 of errors in seconds."""
    return f"median {statistics.median(errors) * 1e6:.1f} us, p99 {last_percent(errors) * 1e6:.0f} us (n={len(errors)})"


def last_percent(errors: list[float]) -> float:
    """Return the 99th percentile."""
    return sorted(errors)[len(errors) * 99 // 100]


class Tally:
    """Counts answers and forgets them, as the agent does once they are told."""

    def __init__(self) -> None:
        self.answered = 0

    def __call__(self, result: Result) -> None:
        """Take a result."""
        self.answered += result.fault is None


def paced(rate: int, seconds: float, load: int = 0, tap: Tap | None = None) -> tuple[float, list[Result | None]]:
    """Send `rate` echoes a second as the wheel does, beside `load` TCP connects a second.

    Return CPU seconds an echo and, for a `tap`, which then holds what went over the wire, the results as launched.
    """

    async def turn() -> tuple[float, list[Result | None]]:
        async with icmp.open(Kit()) as pings, tcp.open(Kit()) as connects:
            targets = [icmp.Settings(target=target) for target in echo_peers.targets(rate)]
            door = tcp.Settings(target=f"{echo_peers.FAR}:{echo_peers.PORT}")
            results: list[Result | None] = []
            tally = Tally()
            step, loaded, tick, launched = grid(rate), 0, 0, 0
            for place, settings in enumerate(targets):  # what is prepared once for each target, before the clock runs
                pings.launch(settings, Kit.clock.boot() + 1, lambda _: None)
                if place % FLOOD == 0 or place == len(targets) - 1:
                    pings.flush()
                    time.sleep(FINEST_SECONDS)  # noqa: ASYNC251
                    pings.harvest()
            if tap is not None:
                tap.take()
            began, cpu = time.monotonic(), time.process_time()
            while (now := time.monotonic() - began) < seconds:
                pings.harvest()
                connects.harvest()
                deadline = Kit.clock.boot() + 1
                while launched < now * rate:
                    done: Callable[[Result], None] = tally
                    if tap is not None:
                        results.append(None)
                        done = partial(results.__setitem__, launched)
                    pings.launch(targets[launched % len(targets)], deadline, done)
                    launched += 1
                while loaded < now * load:
                    connects.launch(door, deadline, lambda _: None)
                    loaded += 1
                pings.flush()
                connects.flush()
                tick += 1
                time.sleep(max(0.0, began + tick * step - time.monotonic()))  # noqa: ASYNC251 - nothing else runs here
            took = time.process_time() - cpu
            while pings.harvest() is not None or connects.harvest() is not None:
                time.sleep(FINEST_SECONDS)  # noqa: ASYNC251
            return took / launched, results

    return asyncio.run(turn())


def most_ours(seconds: float) -> float:
    """Return how many echoes a second come back without a pause; RuntimeError when one was lost."""

    async def turn() -> float:
        async with icmp.open(Kit()) as pings:
            targets = [icmp.Settings(target=target) for target in echo_peers.targets(500)]
            sent, tally = 0, Tally()
            began = time.monotonic()
            while time.monotonic() - began < seconds:
                for _ in range(FLOOD):
                    pings.launch(targets[sent % len(targets)], Kit.clock.boot() + 1, tally)
                    sent += 1
                pings.flush()
                pings.harvest()
            took = time.monotonic() - began
            while pings.harvest() is not None:
                time.sleep(FINEST_SECONDS)  # noqa: ASYNC251
            if tally.answered < sent:
                raise RuntimeError(f"{sent - tally.answered} of {sent} echoes were lost")
            return sent / took

    return asyncio.run(turn())


def reported(results: list[Result | None]) -> list[float | None]:
    """Return the round trips of results, None where there was no answer."""
    return [None if result is None or result.fault else result.seconds for result in results]


def rounds(exporter: echo_peers.Exporter | None, tap: Tap) -> dict[str, Any]:
    """Take turns; return CPU seconds an echo, distances from the wire and most echoes a second, by whose they are."""
    cpu: dict[str, list[float]] = {}
    error: dict[str, list[float]] = {}
    most: dict[str, list[float]] = {}
    for _ in range(RUNS):
        for rate in RATES:
            cpu.setdefault(f"ours {rate}", []).append(paced(rate, SECONDS)[0])
            if shutil.which("fping"):
                cpu.setdefault(f"fping {rate}", []).append(echo_peers.fping(rate, SECONDS))
        most.setdefault("ours", []).append(most_ours(SECONDS))
        tap.take()
        for name, load in (("ours", 0), ("ours, loaded", LOAD)):
            _, results = paced(SAMPLES, 1.0, load, tap)
            error.setdefault(name, []).extend(echo_peers.distances(reported(results), tap))
        error.setdefault("ping", []).extend(echo_peers.distances(echo_peers.ping(SAMPLES), tap))
        if exporter is not None:
            cpu.setdefault("blackbox 500", []).append(exporter.cpu(500, SECONDS))
            most.setdefault("blackbox", []).append(exporter.most(SECONDS))
            tap.take()
            error.setdefault("blackbox, loaded", []).extend(
                echo_peers.distances([*exporter.round_trips(SAMPLES, loaded=True)], tap)
            )
        cpu.setdefault("agent", []).append(echo_peers.agent(AGENT_PROBES, SECONDS * 2))
        tap.take()
    return {"cpu": cpu, "error": error, "most": most}


def main() -> None:
    """Run in a network namespace of our own: lay the cable, take turns, print JSON."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connect a descriptor, for a tick
    gc.freeze()  # as the agent does with what lives for ever
    gc.set_threshold(COLLECT_AFTER)
    with tempfile.TemporaryDirectory() as folder, echo_peers.cable() as near:
        exporter = echo_peers.Exporter(Path(folder)) if blackbox.installed() else None
        try:
            with Tap(near) as tap:
                json.dump(rounds(exporter, tap), sys.stdout)
        finally:
            if exporter is not None:
                exporter.stop()


if __name__ == "__main__":
    main()
