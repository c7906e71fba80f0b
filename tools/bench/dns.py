"""DNS questions over a cable between two network namespaces, beside blackbox_exporter: CPU time and truth.

The same name server (dnsmasq) and name at the same rate, in turns. The kernel's work for our packets and for the far
end's runs in the caller's system calls, so it is in both CPU figures. The distance is that of the reported duration
(blackbox_exporter's phase `request`) from question to answer as a tap on the cable saw them, in rounds of their own.
Ours runs as the agent's wheel turns it: launched when due, harvested every 20 ms; each with a socket of its own.
"""

import asyncio
import http.client
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil

from probes import dns
from probes.kit.clock import SystemClock
from probes.kit.resolver import SystemResolver
from probes.kit.result import Result
from tools.bench import blackbox
from tools.bench.table import Row, ratios, spread
from tools.bench.tcp import distance
from tools.bench.wire import Seen, Tap, apart

RUNS = 5
SECONDS = 4.0
TAPPED_SECONDS = 2.0
RATES = (200, 500, 2000)
PEER_RATE = 500
TICK = 0.02
PEER = "10.77.0.2"
IPV4 = 0x0800  # EtherType
OURS = "ip link set lo up; ip addr add 10.77.0.1/24 dev c0; ip link set c0 up"
THEIRS = f"ip link set lo up; ip addr add {PEER}/24 dev r0; ip link set r0 up"
SERVER = (
    "dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --pid-file --user= "
    f"--listen-address={PEER} --bind-interfaces --host-record={blackbox.NAME},10.20.0.20"
).split()


class Kit:
    """The real clock and resolver."""

    clock = SystemClock()
    resolver = SystemResolver(clock)


def measure() -> list[Row]:
    """Return the rows of this group; needs root for its namespaces and its tap, and dnsmasq."""
    order = ["unshare", "--net", sys.executable, "-m", "tools.bench.dns"]
    found = json.loads(subprocess.run(order, stdout=subprocess.PIPE, check=True).stdout)
    cpu, error = found["cpu"], found["error"]
    rows = [
        Row(what=f"CPU a question, {rate}/s", measured=spread([x * 1e6 for x in cpu[str(rate)]], "us"))
        for rate in RATES
    ]
    rows.append(Row(what="answer, distance from the wire", measured=distance(error["ours"]), goal="p99 30 us"))
    if "blackbox" in cpu:
        theirs = [x * 1e6 for x in cpu["blackbox"]]
        middles = [statistics.median(error[who]) for who in ("ours", "blackbox")]
        rows += [
            Row(what=f"blackbox_exporter: CPU, {PEER_RATE}/s", measured=spread(theirs, "us")),
            Row(what="blackbox_exporter: distance from the wire", measured=distance(error["blackbox"])),
            Row(
                what=f"CPU a question at {PEER_RATE}/s, ours to blackbox_exporter's",
                measured=ratios(cpu[str(PEER_RATE)], cpu["blackbox"]),
            ),
            Row(
                what="median distance from the wire, ours to blackbox_exporter's",
                measured=f"{middles[0] / middles[1]:.3f}",
            ),
        ]
    return rows


async def questions(rate: int, seconds: float) -> tuple[float, list[Result | None]]:
    """Ask `rate` times a second as the wheel does; return CPU seconds a question and the results as launched."""
    async with dns.open(Kit()) as runner:
        settings = dns.Settings(target=PEER, name=blackbox.NAME, expect=("10.20.0.20",))
        results: list[Result | None] = []
        began, cpu, tick = time.monotonic(), time.process_time(), 0
        while (now := time.monotonic() - began) < seconds:
            runner.harvest()
            while len(results) < now * rate:
                runner.launch(settings, Kit.clock.boot() + 1, partial(results.__setitem__, len(results)))
                results.append(None)
            runner.flush()
            tick += 1
            time.sleep(max(0.0, began + tick * TICK - time.monotonic()))  # noqa: ASYNC251 - nothing else runs here
        took = time.process_time() - cpu
        while runner.harvest() is not None:
            time.sleep(TICK)  # noqa: ASYNC251
        return took / len(results), results


def asked(process: psutil.Process, rate: int, seconds: float) -> tuple[float, list[float | None]]:
    """Have blackbox_exporter ask; return its CPU seconds a question and the durations that it reports."""
    connection = http.client.HTTPConnection("127.0.0.1", 9115)
    found: list[float | None] = []
    began, cpu = time.monotonic(), sum(process.cpu_times()[:2])
    while time.monotonic() - began < seconds:
        connection.request("GET", f"/probe?module=dns&target={PEER}")
        text = connection.getresponse().read().decode()
        if "\nprobe_success 1" not in text:
            raise RuntimeError("blackbox_exporter had no answer")
        found.append(float(text.partition('\nprobe_dns_duration_seconds{phase="request"} ')[2].split()[0]))
        time.sleep(max(0.0, began + len(found) / rate - time.monotonic()))
    return (sum(process.cpu_times()[:2]) - cpu) / len(found), found


def exchanges(seen: list[Seen]) -> list[float | None]:
    """Return the seconds from each question to its answer, None without one, in the order of the questions."""
    took: list[float | None] = []
    last: dict[bytes, tuple[int, int]] = {}
    for packet in seen:
        if packet.protocol != IPV4 or packet.head[9] != socket.IPPROTO_UDP:
            continue
        ident = packet.head[28:30]  # behind IP and UDP headers
        if packet.outgoing:
            last[packet.head[20:22] + ident] = len(took), packet.stamp
            took.append(None)
        else:
            index, stamp = last[packet.head[22:24] + ident]
            took[index] = (packet.stamp - stamp) / 1e9
    return took


def distances(reported: list[float | None], tap: Tap) -> list[float]:
    """Return how far each reported duration is from the wire's."""
    return apart(reported, exchanges(tap.take()))


def costs(process: psutil.Process | None) -> dict[str, list[float]]:
    """Return CPU seconds a question by rate, and of the peer, taking turns."""
    cpu: dict[str, list[float]] = {str(rate): [] for rate in RATES}
    for _ in range(RUNS):
        for rate in RATES:
            cpu[str(rate)].append(asyncio.run(questions(rate, SECONDS))[0])
        if process is not None:
            cpu.setdefault("blackbox", []).append(asked(process, PEER_RATE, SECONDS)[0])
    return cpu


def truths(process: psutil.Process | None) -> dict[str, list[float]]:
    """Return distances from the wire by who reported, taking turns."""
    found: dict[str, list[float]] = {"ours": [], "blackbox": []}
    with Tap("c0") as tap:
        for _ in range(RUNS):
            _, results = asyncio.run(questions(PEER_RATE, TAPPED_SECONDS))
            reported = [None if result is None or result.fault else result.seconds for result in results]
            found["ours"] += distances(reported, tap)
            if process is not None:
                found["blackbox"] += distances(asked(process, PEER_RATE, TAPPED_SECONDS)[1], tap)
    return found


def main() -> None:
    """Run in a network namespace of our own: lay the cable, take turns, print JSON."""
    if shutil.which(SERVER[0]) is None:
        raise SystemExit("dnsmasq is not installed")
    with tempfile.TemporaryDirectory() as folder:
        far = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        children = [far]
        try:
            while Path(f"/proc/{far.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
                time.sleep(0.01)
            enter = ["nsenter", "-t", str(far.pid), "-n"]
            cable = ["ip", "link", "add", "c0", "type", "veth", "peer", "name", "r0", "netns", str(far.pid)]
            subprocess.run(cable, check=True)
            subprocess.run([*enter, "sh", "-ec", THEIRS], check=True)
            subprocess.run(["sh", "-ec", OURS], check=True)
            children.append(subprocess.Popen([*enter, *SERVER], stderr=subprocess.DEVNULL))
            process = None
            if blackbox.installed():
                children.append(subprocess.Popen(blackbox.order(Path(folder)), stderr=subprocess.DEVNULL))
                process = blackbox.process_of(children[-1])
            time.sleep(1.5)
            json.dump({"cpu": costs(process), "error": truths(process)}, sys.stdout)
        finally:
            for child in children:
                child.kill()
                child.wait()


if __name__ == "__main__":
    main()
