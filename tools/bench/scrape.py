"""A scrape of one agent's 296 probes beside `generate_latest` of the same samples, and how late it makes a 5 ms timer.

The peer takes turns with us. Every probe has a new result before each scrape (as at an interval of 1 s, scraped every
15 s), or a fifth of them have. The delay is the latest run of the timer in ten scrapes by another process.
"""

import asyncio
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agent.metrics import Exposition, Metrics
from agent.model import Chain, Confirm, Party, Probe, Segment, Vantage
from agent.observation import Observation
from agent.web.app import build
from agent.web.server import serve
from probes.kit.result import Outcome
from probes.kit.spec import Flow
from tools.bench.table import Row

SERIES = 10_000
PROBES = 296
RUNS = 11
TICK_SECONDS = 0.005
SCRAPES = 10
PATH = ("host", "gateway", "carrier", "vpn", "firewall", "application")
# The client is another process: one thread more in ours would itself be the delay.
CLIENT = """
import sys, time, urllib.request
for _ in range(int(sys.argv[2])):
    request = urllib.request.Request(sys.argv[1], headers={"Accept-Encoding": sys.argv[3]})
    urllib.request.urlopen(request).read()
    time.sleep(0.3)
"""


def chain() -> Chain:
    """Return a chain of one vantage with enough probes."""
    probes = [
        Probe(
            id=f"probe-{number:03}",
            type="http",
            vantage="cloud",
            path=PATH,
            interval=1.0,
            timeout=1.0,
            settings=None,
            target=f"https://application-{number:03}.corp.example/health",
            flow=Flow(host="192.0.2.1", protocol="tcp", function="http"),
        )
        for number in range(PROBES)
    ]
    return Chain(
        version=1,
        effective="2027-01-15T00:00",
        timezone="Europe/Amsterdam",
        director="msp",
        parties={"msp": Party(id="msp", name="MSP")},
        segments={name: Segment(id=name, owners=("msp",), side="cloud") for name in PATH},
        vantages={"cloud": Vantage(id="cloud", segment="host", operator="msp")},
        services={},
        confirm=Confirm(),
        probes={probe.id: probe for probe in probes},
        hash="0" * 64,
    )


def measure_probes(metrics: Metrics, names: Iterable[str]) -> None:
    """Give each probe a result with the durations that a web page has."""
    for name in names:
        parts = {
            phase: random.uniform(0.001, 0.02)
            for phase in ("resolve", "connect", "secure", "processing", "transfer", "unexplained")
        }
        metrics.result(
            name,
            Observation(
                time=time.time(),
                round=1,
                vantage="cloud",
                probe=name,
                outcome=Outcome.OK,
                seconds=sum(parts.values()),
                phases=parts,
            ),
        )


class Families:
    """A collector that gives what was read from our own text: the same samples, in the peer's own form."""

    def __init__(self, text: str) -> None:
        self._families = list(text_string_to_metric_families(text))

    def collect(self) -> Iterable[Metric]:
        """Return the families."""
        return self._families


def spent(act: Callable[[], object]) -> float:
    """Return the processor time of this thread in seconds."""
    begin = time.thread_time()
    act()
    return time.thread_time() - begin


def rendering() -> list[Row]:
    """Render, turn by turn with the peer."""
    whole = chain()
    names = list(whole.probes)
    metrics, exposition = Metrics(whole, "cloud", "msp", "0"), Exposition()
    measure_probes(metrics, names)
    body = exposition.render(metrics.view())
    series = sum(not line.startswith(b"#") for line in body.splitlines())
    registry = CollectorRegistry()
    registry.register(Families(body.decode()))
    rows = []
    for what, number in (("every probe had a new result", PROBES), ("a fifth of the probes had one", PROBES // 5)):
        ours, theirs = [], []
        for _ in range(RUNS):
            measure_probes(metrics, random.sample(names, number))
            ours.append(spent(partial(exposition.render, metrics.view())))
            theirs.append(spent(partial(generate_latest, registry)))
        own, peer = statistics.median(ours), statistics.median(theirs)
        rows.append(
            Row(
                what=f"rendering {series} series, {what}",
                measured=f"{own * 1e3:.2f} ms; generate_latest {peer * 1e3:.1f} ms; ratio {own / peer:.3f} (n={RUNS})",
                goal="0.2, stretch 0.05",
            )
        )
    return rows


async def lateness(url: str, scrapes: int, coding: str) -> float:
    """Return the latest run of a timer in seconds while a client scrapes so often; without one for as long."""
    loop = asyncio.get_running_loop()
    command = [sys.executable, "-c", CLIENT if scrapes else "import time; time.sleep(3)", url, str(scrapes), coding]
    client = subprocess.Popen(command)  # noqa: ASYNC220 - started before anything is timed
    await asyncio.sleep(0.3)  # the start of a process holds the loop up, and is not what is measured
    worst, planned = 0.0, loop.time()
    while client.poll() is None:
        planned += TICK_SECONDS
        await asyncio.sleep(planned - loop.time())
        worst = max(worst, loop.time() - planned)
        planned = max(planned, loop.time() - TICK_SECONDS)
    return worst


async def delays() -> list[Row]:
    """Scrape a served agent whose probes keep having results."""

    async def reload() -> tuple[str, ...]:
        return ()

    whole = chain()
    metrics = Metrics(whole, "cloud", "msp", "0")

    async def probing() -> None:
        while True:
            for name in whole.probes:
                measure_probes(metrics, [name])
                await asyncio.sleep(1 / PROBES)

    found: dict[str, list[float]] = {"": [], "identity": [], "gzip": []}
    app = build(metrics=metrics, ready=lambda: True, reload=reload)
    async with serve(app, "127.0.0.1:0") as served:
        task = asyncio.create_task(probing())
        for _ in range(5):
            for coding, values in found.items():
                url = f"http://127.0.0.1:{served.port}/metrics"
                values.append(await lateness(url, SCRAPES if coding else 0, coding))
        task.cancel()
    without = statistics.median(found.pop("")) * 1e3
    return [
        Row(
            what=f"longest delay of a timer by a scrape of 10,000 series, {coding}",
            measured=f"median {statistics.median(values) * 1e3:.1f} ms, max {max(values) * 1e3:.1f} ms; "
            f"without scrapes {without:.1f} ms (n={len(values)})",
            goal="10 ms, stretch 2 ms",
        )
        for coding, values in found.items()
    ]


def measure() -> list[Row]:
    """Return the table."""
    return [*rendering(), *asyncio.run(delays())]
