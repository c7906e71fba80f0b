"""`make bench`: how soon a fault is noticed, what watching costs, how fast the diagnosis is.

Several runs, medians and maxima. Detection and cost are measured in the lab at the product's default timing,
on a real chain; the cost stands beside blackbox_exporter's for the same targets at the same rate in the same
run. Nothing here passes or fails: it prints figures, and `--write` puts them into docs/benchmarks.md.
"""

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil

from agent.diagnosis.evidence import Window
from agent.diagnosis.proof import Prover
from agent.diagnosis.roles import Model
from agent.model import Chain, Confirm, Party, Probe, Segment, Vantage
from lab.agents import Agent, Agents, console_command
from lab.api import Lab
from lab.topology import ADDRESSES
from probes.kit.spec import Flow

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
# Faults that a one-second ICMP probe sees.
DETECTED = ("near-cut", "esp-dropped", "onprem-gw-dead")
IDLE_SECONDS = 30.0
BLACKBOX = "prometheus-blackbox-exporter"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    what: str
    measured: str
    goal: str = ""


def spread(values: list[float], unit: str = "s", scale: float = 1.0) -> str:
    """Return median and maximum of several runs."""
    middle, top = statistics.median(values) * scale, max(values) * scale
    return f"median {middle:.2f} {unit}, max {top:.2f} {unit} (n={len(values)})"


def detection(runs: int) -> list[Row]:
    """Break a healthy chain at a random moment, several times; return seconds to suspected and to confirmed."""
    seen: dict[str, list[float]] = {"suspected": [], "confirmed": []}
    with Lab.up("bench") as lab, Agents(lab) as agents:
        agents.wait_healthy()
        cloud = agents["cloud"]
        for run in range(runs):
            fault = DETECTED[run % len(DETECTED)]
            cloud.wait(Agent.healthy, 60, "a healthy chain")
            time.sleep(2 + random.random())
            broken = time.time()
            lab.break_(fault)
            cloud.wait(lambda a: bool(a.confirmed_now()), 20, "a confirmed finding")
            lab.heal(fault)
            journal = [json.loads(line) for line in cloud.log.read_text().splitlines() if line.startswith("{")]
            mine = [entry for entry in journal if entry["time"] >= broken]
            for event, times in seen.items():
                times.append(next(e["time"] for e in mine if e["event"] == event) - broken)
    return [
        Row(
            what="fault to suspected, 1 s probes",
            measured=spread(seen["suspected"]),
            goal="median 1.6 s, max 2.2 s",
        ),
        Row(what="fault to confirmed, 1 s probes", measured=spread(seen["confirmed"]), goal="max 7.5 s"),
    ]


def twenty(icmp: int, https: int) -> Callable[[Lab], None]:
    """Return what rewrites the lab's chain file to twenty probes of one second, the rest tcp and dns in halves."""
    a = ADDRESSES
    far = "cloud-host, cloud-gw, carrier, vpn, onprem-gw"

    def prepare(lab: Lab) -> None:
        ping = (
            f"{{type: icmp, target: {a['cloud-gw']}, path: [cloud-host, cloud-gw]",
            f"{{type: icmp, target: {a['onprem-gw-outer']}, path: [cloud-host, cloud-gw, carrier, onprem-gw]",
        )
        page = f'{{type: http, target: "https://{a["erp"]}/health", ca_file: {lab.run_dir}/ca.pem'
        other = (
            f'{{type: tcp, target: "{a["erp"]}:443", path: [{far}, onprem-fw, erp-app]',
            f"{{type: dns, target: {a['dns']}, name: erp.corp.lab, path: [cloud-host, dns]",
        )
        kinds = [ping[n % 2] for n in range(icmp)] + [f"{page}, path: [{far}, onprem-fw, erp-app]"] * https
        kinds += [other[n % 2] for n in range(20 - len(kinds))]
        head, _, _ = (lab.run_dir / "chain.yml").read_text().partition("probes:\n")
        lines = [f"  p{n}: {kind}, from: cloud, interval: 1s}}\n" for n, kind in enumerate(kinds)]
        (lab.run_dir / "chain.yml").write_text(head + "probes:\n" + "".join(lines))
        agent = lab.run_dir / "cloud" / "agent.yml"
        agent.write_text("".join(x for x in agent.read_text().splitlines(keepends=True) if not x.startswith("peers")))

    return prepare


def as_it_is(lab: Lab) -> None:
    """Leave the lab's chain file as the demo runs it: every probe type, 1 s and 5 s."""


def product(agent: Agent) -> psutil.Process:
    """Return the agent's own process, below whatever entered the namespace."""
    process = psutil.Process(agent.process.pid)
    return next((p for p in (process, *process.children(recursive=True)) if "demarc" in " ".join(p.cmdline())), process)


def cost(prepare: Callable[[Lab], None], vantages: tuple[str, ...]) -> tuple[float, float, float, int]:
    """Return an agent's CPU share, RSS in MB, seconds from start to its first observation, and its probes."""
    with Lab.up("bench") as lab:
        prepare(lab)
        started = time.time()
        with Agents(lab, vantages) as agents:
            cloud = agents["cloud"]
            cloud.wait(lambda a: bool(a.observations()), 10, "a first observation")
            first = min(o["time"] for o in cloud.observations()) - started
            time.sleep(8)
            process = product(cloud)
            before, begin = sum(process.cpu_times()[:2]), time.monotonic()
            time.sleep(IDLE_SECONDS)
            share = (sum(process.cpu_times()[:2]) - before) / (time.monotonic() - begin)
            mine = [p for p in cloud.ask("/api/v1/probes") if p["vantage"] == "cloud"]
            return share, process.memory_info().rss / 1e6, first, len(mine)


BLACKBOX_CONFIG = """modules:
  icmp: {prober: icmp, timeout: 1s}
  tcp: {prober: tcp, timeout: 1s}
  http: {prober: http, timeout: 1s, http: {tls_config: {insecure_skip_verify: true}}}
"""
DRIVER = """
import sys, time, urllib.request
urls, seconds = sys.argv[2:], float(sys.argv[1])
end = time.monotonic() + seconds
while time.monotonic() < end:
    tick = time.monotonic()
    for url in urls:
        urllib.request.urlopen(url, timeout=3).read()
    time.sleep(max(0, 1 - (time.monotonic() - tick)))
"""


def blackbox() -> tuple[float, float] | None:
    """Return blackbox_exporter's CPU share and RSS in MB for sixteen of the same targets a second."""
    if shutil.which(BLACKBOX) is None:
        return None
    a = ADDRESSES
    targets = [
        f"module=icmp&target={a['cloud-gw']}",
        f"module=icmp&target={a['onprem-gw-outer']}",
        f"module=tcp&target={a['erp']}:443",
        f"module=http&target=https://{a['erp']}/health",
    ]
    with Lab.up("bench") as lab, tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "blackbox.yml"
        config.write_text(BLACKBOX_CONFIG)
        order = [BLACKBOX, f"--config.file={config}", "--web.listen-address=127.0.0.1:9115", "--log.level=error"]
        exporter = lab.popen("cloud-host", order, stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        urls = [f"http://127.0.0.1:9115/probe?{t}" for t in targets * 4]
        driver = lab.popen("cloud-host", [sys.executable, "-c", DRIVER, str(IDLE_SECONDS + 4), *urls])
        time.sleep(2)
        process = psutil.Process(exporter.pid)
        process = next((p for p in (process, *process.children(recursive=True)) if "blackbox" in p.name()), process)
        before = sum(process.cpu_times()[:2])
        time.sleep(IDLE_SECONDS)
        found = (sum(process.cpu_times()[:2]) - before) / IDLE_SECONDS, process.memory_info().rss / 1e6
        driver.wait(20)
        exporter.terminate()
        exporter.wait(5)
        return found


def idle() -> list[Row]:
    """Return what an agent costs while nothing happens."""
    light, size, first, _ = cost(twenty(16, 2), ("cloud",))
    share, _, _, count = cost(twenty(8, 4), ("cloud",))
    share_all, size_all, _, count_all = cost(as_it_is, ("cloud", "onprem"))
    rows = [
        Row(
            what=f"CPU of one core, the demo's cloud agent as it runs: {count_all} probes of every type, with a peer",
            measured=f"{share_all:.2%}",
            goal="2 %",
        ),
        Row(
            what="CPU of one core, 20 probes at 1 s: 16 icmp, 2 https, 1 tcp, 1 dns (the demo's proportion)",
            measured=f"{light:.2%}",
            goal="2 %",
        ),
        Row(
            what="CPU of one core, 20 probes at 1 s: 8 icmp, 4 https, 4 tcp, 4 dns",
            measured=f"{share:.2%}",
        ),
        Row(what="RSS, icmp, tcp, http and dns alone", measured=f"{size:.1f} MB", goal="56 MB"),
        Row(what="RSS, every probe type of the demo", measured=f"{size_all:.1f} MB", goal="72 MB"),
        Row(what="start to first observation", measured=f"{first:.2f} s", goal="1 s"),
    ]
    peer = blackbox()
    if peer is not None:
        ratio = (share / count) / (peer[0] / 16)
        rows.append(
            Row(
                what="blackbox_exporter, 16 of the same targets a second, driven over HTTP",
                measured=f"{peer[0]:.2%}, {peer[1]:.1f} MB; CPU a probe, demarc to it: {ratio:.2f}",
            )
        )
    return rows


def large_chain(segments: int, probes: int) -> Chain:
    """Return a random chain: paths of eight segments, six parties, one vantage."""
    pick = random.Random(1)
    names = [f"s{n}" for n in range(segments)]
    made = {}
    for n in range(probes):
        address = f"10.{n // 65536}.{n // 256 % 256}.{n % 256}"
        flow = Flow(host=address, protocol="icmp", function="echo", connect_bytes=84, carry_bytes=84)
        path = ("s0", *pick.sample(names[1:], 7))
        common: dict[str, Any] = {"interval": 1.0, "timeout": 1.0, "settings": None, "target": address, "flow": flow}
        made[f"p{n}"] = Probe(id=f"p{n}", type="icmp", vantage="v", path=path, **common)
    return Chain(
        version=1,
        effective="2026-01-01T00:00",
        timezone="UTC",
        director="o0",
        parties={f"o{n}": Party(id=f"o{n}", name=f"O{n}") for n in range(6)},
        segments={s: Segment(id=s, owners=(f"o{n % 6}",), side="cloud") for n, s in enumerate(names)},
        vantages={"v": Vantage(id="v", segment="s0", operator="o0")},
        services={},
        confirm=Confirm(),
        probes=made,
        hash="0" * 64,
    )


def diagnosis(runs: int) -> list[Row]:
    """Return how long one diagnosis of a large chain takes."""
    model = Model(large_chain(200, 5000))
    prover, rows = Prover(model), []
    for what, broken, goal in (("one segment broken", {"s7"}, "10 ms"), ("everything failing", None, "25 ms")):
        failing = {k for k, p in model.probes.items() if broken is None or broken & set(p.path)}
        window = Window(
            "v",
            {k: frozenset(model.failing(k).accused) for k in failing},
            {k: frozenset(model.passing(k).cleared) for k in model.probes if k not in failing},
        )
        prover.findings([window])
        took = []
        for _ in range(runs):
            begin = time.perf_counter()
            prover.findings([window])
            took.append(time.perf_counter() - begin)
        rows.append(
            Row(what=f"diagnosis, 200 segments x 5,000 probes, {what}", measured=spread(took, "ms", 1e3), goal=goal)
        )
    return rows


def command(runs: int) -> list[Row]:
    """Return how long the command takes to answer."""
    took = []
    for _ in range(runs):
        begin = time.perf_counter()
        subprocess.run([console_command(), "--help"], stdout=subprocess.DEVNULL, check=True)
        took.append(time.perf_counter() - begin)
    return [Row(what="`demarc --help`", measured=spread(took), goal="0.3 s")]


def table(rows: list[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = ["| what | measured | goal |", "|---|---|---|"]
    return "\n".join([*lines, *(f"| {r.what} | {r.measured} | {r.goal} |" for r in rows)]) + "\n"


HEAD = """# Benchmarks

Measured by `make bench` on real parts in the lab (`python -m tools.bench --write` renews this page). Machines are
shared and noisy: ratios and medians travel, single figures do not. Goals are those of the issues. In the lab a packet's
whole way through the virtual devices runs in the sender's system calls: the CPU shares hold work that others do on
real hosts.

"""


def main() -> int:
    """Run the benchmarks and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=12, help="faults to break (default 12)")
    parser.add_argument("--only", choices=["detection", "idle", "diagnosis", "command"], help="one group")
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    given = parser.parse_args()
    groups: dict[str, Callable[[], list[Row]]] = {
        "command": lambda: command(9),
        "diagnosis": lambda: diagnosis(9),
        "idle": idle,
        "detection": lambda: detection(given.runs),
    }
    rows: list[Row] = []
    for name, group in groups.items():
        if given.only in (None, name):
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            rows += group()
    made = table(rows)
    print(made)
    if given.write:
        where = (
            f"Python {platform.python_version()}, Linux {platform.release().split('-')[0]}, {os.cpu_count()} cores.\n\n"
        )
        DOCUMENT.write_text(HEAD + where + made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
