"""TCP connects over a cable between two network namespaces, beside blackbox_exporter: CPU time and truth.

The same target at the same rate, in turns. The kernel's work for our packets and for the far end's runs in the
caller's system calls, so it is in both CPU figures. The distance is that of the reported duration from SYN to SYN-ACK
as a tap on the cable saw them, in rounds of their own. Ours runs as the agent's wheel turns it: what is due is
launched, and what has come is harvested, every 20 ms. The far end accepts and waits for the end.
"""

import asyncio
import http.client
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import psutil

from probes import tcp
from probes.kit.clock import SystemClock
from probes.kit.resolver import SystemResolver
from probes.kit.result import Result
from tools.bench import blackbox
from tools.bench.table import Row, ratios, spread
from tools.bench.wire import Seen, Tap, apart

RUNS = 5
SECONDS = 5.0
TAPPED_SECONDS = 2.0
RATES = (200, 500, 2000)
PEER_RATE = 500
TICK = 0.02
PEER, PORT = "10.77.0.2", 8080
IPV4 = 0x0800  # EtherType
SERVER = f"""
import asyncio
async def hold(reader, writer):
    await reader.read()
    writer.close()
async def main():
    server = await asyncio.start_server(hold, "{PEER}", {PORT}, backlog=4096)
    print(flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
OURS = """
ip link set lo up; ip addr add 10.77.0.1/24 dev c0; ip link set c0 up
sysctl -qw net.core.somaxconn=4096
"""
THEIRS = f"ip link set lo up; ip addr add {PEER}/24 dev r0; ip link set r0 up; sysctl -qw net.core.somaxconn=4096"


class Kit:
    """The real clock and resolver."""

    clock = SystemClock()
    resolver = SystemResolver(clock)


def measure() -> list[Row]:
    """Return the rows of this group; needs root for its namespaces and its tap."""
    order = ["unshare", "--net", sys.executable, "-m", "tools.bench.tcp"]
    found = json.loads(subprocess.run(order, stdout=subprocess.PIPE, check=True).stdout)
    cpu, error = found["cpu"], found["error"]
    rows = [
        Row(what=f"CPU a connect, {rate}/s", measured=spread([x * 1e6 for x in cpu[str(rate)]], "us")) for rate in RATES
    ]
    rows.append(Row(what="connect, distance from the wire", measured=distance(error["ours"]), goal="p99 30 us"))
    if "blackbox" in cpu:
        rows += [
            Row(
                what=f"blackbox_exporter: CPU, {PEER_RATE}/s", measured=spread([x * 1e6 for x in cpu["blackbox"]], "us")
            ),
            Row(what="blackbox_exporter: distance from the wire", measured=distance(error["blackbox"])),
            Row(
                what=f"CPU a connect at {PEER_RATE}/s, ours to blackbox_exporter's",
                measured=ratios(cpu[str(PEER_RATE)], cpu["blackbox"]),
                goal="0.2; 0.12",
            ),
            Row(
                what="median distance from the wire, ours to blackbox_exporter's",
                measured=f"{statistics.median(error['ours']) / statistics.median(error['blackbox']):.3f}",
                goal="0.05; 0.02",
            ),
        ]
    return rows


def distance(errors: list[float]) -> str:
    """Return median and p99 of errors in seconds."""
    ordered = sorted(errors)
    return f"median {statistics.median(ordered) * 1e6:.1f} us, p99 {ordered[len(ordered) * 99 // 100] * 1e6:.0f} us"


async def connects(rate: int, seconds: float) -> tuple[float, list[Result | None]]:
    """Connect `rate` times a second as the wheel does; return CPU seconds a connect and the results as launched."""
    async with tcp.open(Kit()) as runner:
        settings = tcp.Settings(target=f"{PEER}:{PORT}")
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


def asked(process: psutil.Process, rate: int, seconds: float) -> tuple[float, list[float]]:
    """Have blackbox_exporter connect; return its CPU seconds a connect and the durations that it reports."""
    connection = http.client.HTTPConnection("127.0.0.1", 9115)
    found: list[float] = []
    began, cpu = time.monotonic(), sum(process.cpu_times()[:2])
    while time.monotonic() - began < seconds:
        connection.request("GET", f"/probe?module=tcp&target={PEER}:{PORT}")
        text = connection.getresponse().read().decode()
        found.append(float(text.partition("\nprobe_duration_seconds ")[2].split()[0]))
        time.sleep(max(0.0, began + len(found) / rate - time.monotonic()))
    return (sum(process.cpu_times()[:2]) - cpu) / len(found), found


def handshakes(seen: list[Seen]) -> list[float | None]:
    """Return the seconds from each SYN to its SYN-ACK, None without one, in the order of the SYNs."""
    took: list[float | None] = []
    last: dict[bytes, tuple[int, int]] = {}
    for packet in seen:
        if packet.protocol != IPV4 or packet.head[9] != socket.IPPROTO_TCP:
            continue
        ports, syn_ack = packet.head[20:24], packet.head[33] & 0x12
        if packet.outgoing and syn_ack == 0x02:
            last[ports] = len(took), packet.stamp
            took.append(None)
        elif not packet.outgoing and syn_ack == 0x12:
            index, stamp = last[ports[2:] + ports[:2]]
            took[index] = (packet.stamp - stamp) / 1e9
    return took


def distances(reported: list[float | None], tap: Tap) -> list[float]:
    """Return how far each reported duration is from the wire's."""
    return apart(reported, handshakes(tap.take()))


def costs(process: psutil.Process | None) -> dict[str, list[float]]:
    """Return CPU seconds a connect by rate, and of the peer, taking turns."""
    cpu: dict[str, list[float]] = {str(rate): [] for rate in RATES}
    for _ in range(RUNS):
        for rate in RATES:
            cpu[str(rate)].append(asyncio.run(connects(rate, SECONDS))[0])
        if process is not None:
            cpu.setdefault("blackbox", []).append(asked(process, PEER_RATE, SECONDS)[0])
    return cpu


def truths(process: psutil.Process | None) -> dict[str, list[float]]:
    """Return distances from the wire by who reported, taking turns."""
    found: dict[str, list[float]] = {"ours": [], "blackbox": []}
    with Tap("c0") as tap:
        for _ in range(RUNS):
            _, results = asyncio.run(connects(PEER_RATE, TAPPED_SECONDS))
            reported = [None if result is None or result.fault else result.seconds for result in results]
            found["ours"] += distances(reported, tap)
            if process is not None:
                found["blackbox"] += distances([*asked(process, PEER_RATE, TAPPED_SECONDS)[1]], tap)
    return found


def main() -> None:
    """Run in a network namespace of our own: lay the cable, take turns, print JSON."""
    with tempfile.TemporaryDirectory() as folder:
        far = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        children = [far]
        try:
            while Path(f"/proc/{far.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
                time.sleep(0.01)
            enter = ["nsenter", "-t", str(far.pid), "-n"]
            subprocess.run(
                ["ip", "link", "add", "c0", "type", "veth", "peer", "name", "r0", "netns", str(far.pid)], check=True
            )
            subprocess.run([*enter, "sh", "-ec", THEIRS], check=True)
            subprocess.run(["sh", "-ec", OURS], check=True)
            server = subprocess.Popen([*enter, sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
            children.append(server)
            assert server.stdout is not None
            server.stdout.readline()
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
