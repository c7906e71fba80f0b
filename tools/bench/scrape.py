"""A scrape of one agent's 296 probes beside `generate_latest` of the same samples, and how late it makes a 1 ms timer.

The peer takes turns with us. Every probe has a new result before each scrape (as at an interval of 1 s, scraped every
15 s), or a fifth of them have. The delay is the timer's latest run while another process scrapes once; on a shared
machine timers are late without any scrape too, so windows without one take turns with those.
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from agent.metrics import Exposition, Metrics
from agent.model import Chain, Confirm, Party, Probe, Segment, Vantage
from agent.observation import Observation
from agent.web.app import REUSE_SECONDS, build
from agent.web.server import serve
from probes.kit.result import Outcome
from probes.kit.spec import Flow
from tools.bench.table import Row

SERIES = 10_000
PROBES = 296
RUNS = 11
TICK_SECONDS = 0.001
SCRAPES = 100
WINDOW_SECONDS = 0.03
PATH = ("host", "gateway", "carrier", "vpn", "firewall", "application")
# The client is another process: one thread more in ours would itself be the delay. A line in, a scrape, a line out.
CLIENT = """
import sys, urllib.request
for _ in sys.stdin:
    request = urllib.request.Request(sys.argv[1], headers={"Accept-Encoding": sys.argv[2]})
    urllib.request.urlopen(request).read()
    print(flush=True)
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


async def latest(until: asyncio.Future[object]) -> float:
    """Return by how much (s) the latest run of a timer was late until something happened."""
    loop, worst = asyncio.get_running_loop(), 0.0
    while not until.done():
        planned = loop.time() + TICK_SECONDS
        await asyncio.sleep(TICK_SECONDS)
        worst = max(worst, loop.time() - planned)
    return worst


async def windows(url: str, coding: str, refresh: Callable[[], None]) -> tuple[list[float], list[float]]:
    """Return the latest runs of the timer in scrapes, and in windows without one."""
    client = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CLIENT, url, coding, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert client.stdin is not None
    assert client.stdout is not None
    scraping, idle = [], []
    for turn in range(SCRAPES + 1):
        refresh()
        client.stdin.write(b"\n")
        late = await latest(asyncio.ensure_future(client.stdout.readline()))
        await asyncio.sleep(REUSE_SECONDS)
        without = await latest(asyncio.ensure_future(asyncio.sleep(WINDOW_SECONDS)))
        if turn:  # the first one starts the client and renders everything for the first time
            scraping.append(late)
            idle.append(without)
    client.stdin.close()
    await client.wait()
    return scraping, idle


async def delays() -> list[Row]:
    """Scrape a served agent, every probe with a new result before each scrape."""

    async def reload() -> tuple[str, ...]:
        return ()

    whole = chain()
    metrics = Metrics(whole, "cloud", "msp", "0")
    rows = []
    async with serve(build(metrics=metrics, ready=lambda: True, reload=reload), "127.0.0.1:0") as served:
        for coding in ("identity", "gzip"):
            url = f"http://127.0.0.1:{served.port}/metrics"
            late, without = await windows(url, coding, lambda: measure_probes(metrics, whole.probes))
            rows.append(
                Row(
                    what=f"longest delay by one scrape of 10,000 series, {coding}",
                    measured=f"{_spread(late)}; without a scrape {_spread(without)} (n={len(late)})",
                    goal="10 ms, stretch 2 ms",
                )
            )
    return rows


def _spread(values: list[float]) -> str:
    ordered = sorted(values)
    return f"median {statistics.median(ordered) * 1e3:.1f} ms, p90 {ordered[len(ordered) * 9 // 10] * 1e3:.1f} ms"


def measure() -> list[Row]:
    """Return the table."""
    return [*rendering(), *asyncio.run(delays())]
