"""From 20 targets that fall silent to each one's confirmed finding, beside Prometheus with blackbox_exporter.

In a network namespace, both watch the same 20 targets once a second and lose them at the same random moment, several
times. demarc: ICMP, timeout 50 ms (a Dutch WAN answers within 15), three rounds 50 ms apart, from the fault to the
journal's `confirmed`. The peer: ICMP with the same timeout, scrape and evaluation every second,
`probe_success == 0` with `for: 2s`, until it fires.
"""

import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from lab.agents import console_command
from tools.bench import blackbox
from tools.bench.table import Row, spread

RUNS = 6
TARGETS = 20
EXPORTER, PROMETHEUS = "127.0.0.1:19115", "127.0.0.1:19090"
CONFIRM_WITHIN = 20.0
TIMEOUT = "50ms"
CHAIN = """version: 1
effective: 2027-01-15T00:00
timezone: Europe/Amsterdam
director: msp
parties:
  msp: {{name: MSP}}
{parties}
segments:
  host: {{owner: msp, side: cloud}}
{segments}
vantages: {{cloud: {{segment: host, operator: msp}}}}
services: {{}}
confirm: {{rounds: 3, spacing: 50ms, skew: 100ms}}
probes:
{probes}
"""
SCRAPES = """global: {{scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}}
rule_files: [{folder}/rules.yml]
scrape_configs:
  - job_name: targets
    metrics_path: /probe
    params: {{module: [icmp]}}
    static_configs: [{{targets: [{targets}]}}]
    relabel_configs:
      - {{source_labels: [__address__], target_label: __param_target}}
      - {{source_labels: [__param_target], target_label: instance}}
      - {{target_label: __address__, replacement: "{exporter}"}}
"""
RULES = """groups:
  - name: targets
    rules: [{alert: Silent, expr: probe_success == 0, for: 2s}]
"""


def address(number: int) -> str:
    """Return a target's address, all on loopback."""
    return f"127.9.1.{number + 1}"


@contextlib.contextmanager
def running(order: list[str], log: Path) -> Iterator[None]:
    """Run a program while the block lasts."""
    with log.open("wb") as out, subprocess.Popen(order, stdout=out, stderr=subprocess.STDOUT) as started:
        try:
            yield
        finally:
            started.terminate()
            started.wait(10)


@contextlib.contextmanager
def agent(folder: Path) -> Iterator[Path]:
    """Run the agent; yields its log."""
    numbers = range(TARGETS)
    text = CHAIN.format(
        parties="\n".join(f"  owner-{n}: {{name: Owner {n}}}" for n in numbers),
        segments="\n".join(f"  far-{n}: {{owner: owner-{n}, side: onprem}}" for n in numbers),
        probes="\n".join(
            f"  p{n}: {{type: icmp, target: {address(n)}, from: cloud, interval: 1s, timeout: {TIMEOUT},"
            f" path: [host, far-{n}]}}"
            for n in numbers
        ),
    )
    (folder / "chain.yml").write_text(text)
    (folder / "agent.yml").write_text(f"vantage: cloud\nchain: chain.yml\ndata: {folder}/data\n")
    (folder / "data").mkdir()
    log = folder / "agent.log"
    config, listen = f"--config.file={folder}/agent.yml", "--web.listen-address=127.0.0.1:0"
    with running([console_command(), "run", config, listen, "--log.format=json"], log):
        yield log


@contextlib.contextmanager
def peer(folder: Path) -> Iterator[None]:
    """Run Prometheus and the exporter, where they are installed."""
    if not (blackbox.installed() and shutil.which("prometheus")):
        yield
        return
    (folder / "blackbox.yml").write_text(f"modules: {{icmp: {{prober: icmp, timeout: {TIMEOUT}}}}}\n")
    (folder / "rules.yml").write_text(RULES)
    targets = ", ".join(f'"{address(n)}"' for n in range(TARGETS))
    (folder / "prometheus.yml").write_text(SCRAPES.format(folder=folder, targets=targets, exporter=EXPORTER))
    exporter = [blackbox.BLACKBOX, f"--config.file={folder}/blackbox.yml", f"--web.listen-address={EXPORTER}"]
    prometheus = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    with (
        running(exporter, folder / "exporter.log"),
        running([*prometheus, f"--web.listen-address={PROMETHEUS}"], folder / "prometheus.log"),
    ):
        yield


def firing() -> set[str]:
    """Return the targets whose alert fires."""
    try:
        with urllib.request.urlopen(f"http://{PROMETHEUS}/api/v1/alerts", timeout=2) as answer:
            alerts = json.load(answer)["data"]["alerts"]
    except OSError:
        return set()
    return {alert["labels"]["instance"] for alert in alerts if alert["state"] == "firing"}


def confirmed(log: Path, since: float) -> dict[str, float]:
    """Return when each segment's finding was confirmed, in seconds after `since`."""
    lines = (json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
    events = (line for line in lines if line.get("event") == "confirmed" and line["time"] >= since)
    return {segment: event["time"] - since for event in events for segment in event["segments"]}


def break_once(log: Path) -> tuple[list[float], list[float]]:
    """Let all targets fall silent; return our seconds to each finding, and the peer's to each alert."""
    time.sleep(random.random())
    rule = "add rule inet bench drop_in ip daddr 127.9.1.0/24 drop"
    begin = time.time()
    subprocess.run(["nft", *rule.split()], check=True)
    theirs: dict[str, float] = {}
    expected = TARGETS if shutil.which("prometheus") and blackbox.installed() else 0
    while time.time() - begin < CONFIRM_WITHIN:
        for target in firing():
            theirs.setdefault(target, time.time() - begin)
        if len(theirs) >= expected and len(confirmed(log, begin)) >= TARGETS:
            break
        time.sleep(0.02)
    ours = confirmed(log, begin)
    subprocess.run(["nft", "flush", "chain", "inet", "bench", "drop_in"], check=True)
    if len(ours) < TARGETS:
        raise AssertionError(f"only {sorted(ours)} were found")
    time.sleep(16)  # ten good seconds close an incident; the alerts resolve meanwhile
    return list(ours.values()), list(theirs.values())


def inside() -> None:
    """Measure; this runs in a network namespace of its own. Prints JSON."""
    for order in (
        "ip link set lo up",
        "nft add table inet bench",
        "nft add chain inet bench drop_in { type filter hook input priority 0 ; }",
    ):
        subprocess.run(order.split(), check=True)
    with tempfile.TemporaryDirectory() as name, agent(Path(name)) as log, peer(Path(name)):
        time.sleep(10)
        runs = [break_once(log) for _ in range(RUNS)]
    print(json.dumps([[each for run in runs for each in run[side]] for side in (0, 1)]))


def measure() -> list[Row]:
    """Return the rows."""
    if os.geteuid() != 0 or not (shutil.which("unshare") and shutil.which("nft")):
        return [Row(what="20 targets fall silent", measured="needs root, unshare and nft")]
    order = ["unshare", "--net", sys.executable, "-m", "tools.bench.outage"]
    ours, theirs = json.loads(subprocess.run(order, capture_output=True, check=True, text=True).stdout)
    rows = [Row(what="fault to confirmed finding, demarc", measured=spread(ours))]
    if theirs:
        ratio = statistics.median(ours) / statistics.median(theirs)
        worst = max(ours) / max(theirs)
        rows.append(
            Row(what="fault to firing alert, Prometheus and blackbox_exporter, `for: 2s`", measured=spread(theirs))
        )
        rows.append(
            Row(what="demarc to the peer", measured=f"median {ratio:.2f}, maxima {worst:.2f}", goal="0.3 (0.2)")
        )
    return rows


if __name__ == "__main__":
    inside()
