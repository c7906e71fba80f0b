"""What an agent costs while nothing happens, beside blackbox_exporter for the same targets at the same rate.

In the lab; the agent runs with everything on: ledger, store, metrics, page.
"""

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from lab.agents import Agent, Agents
from lab.api import Lab
from lab.topology import ADDRESSES
from tools.bench import blackbox
from tools.bench.table import Row

IDLE_SECONDS = 30.0


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


def exporter_cost() -> tuple[float, float] | None:
    """Return blackbox_exporter's CPU share and RSS in MB for sixteen of the same targets a second."""
    if not blackbox.installed():
        return None
    a = ADDRESSES
    targets = [
        f"module=icmp&target={a['cloud-gw']}",
        f"module=icmp&target={a['onprem-gw-outer']}",
        f"module=tcp&target={a['erp']}:443",
        f"module=http&target=https://{a['erp']}/health",
    ]
    with Lab.up("bench") as lab, tempfile.TemporaryDirectory() as folder:
        exporter = lab.popen("cloud-host", blackbox.order(Path(folder)), stderr=subprocess.DEVNULL)
        time.sleep(1.5)
        urls = [f"http://127.0.0.1:9115/probe?{t}" for t in targets * 4]
        asking = lab.popen("cloud-host", blackbox.driver(IDLE_SECONDS + 4, urls))
        time.sleep(2)
        process = blackbox.process_of(exporter)
        before = sum(process.cpu_times()[:2])
        time.sleep(IDLE_SECONDS)
        found = (sum(process.cpu_times()[:2]) - before) / IDLE_SECONDS, process.memory_info().rss / 1e6
        asking.wait(20)
        exporter.terminate()
        exporter.wait(5)
        return found


def measure() -> list[Row]:
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
    peer = exporter_cost()
    if peer is not None:
        ratio = (share / count) / (peer[0] / 16)
        rows.append(
            Row(
                what="blackbox_exporter, 16 of the same targets a second, driven over HTTP",
                measured=f"{peer[0]:.2%}, {peer[1]:.1f} MB; CPU a probe, demarc to it: {ratio:.2f}",
            )
        )
    return rows
