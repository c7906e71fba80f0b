"""What echoes are measured against: a cable with thousands of addresses at its far end, the wire, and the peers."""

import http.client
import re
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lab.agents import console_command
from tools.bench import blackbox
from tools.bench.wire import Tap, apart

NEAR, FAR, PORT = "10.76.0.1", "10.77.0.1", 8080
IPV4 = 0x0800  # EtherType
LOADERS = 4
OURS = f"""
ip link set lo up; ip link set c0 up; ip addr add {NEAR}/32 dev c0
ip route add {FAR} dev c0; ip route add 10.77.0.0/16 via {FAR} src {NEAR}; sysctl -qw net.core.somaxconn=4096
"""
# A local route makes every address of the prefix answer.
THEIRS = f"""
ip link set lo up; ip link set r0 up; ip addr add {FAR}/32 dev r0; ip route add {NEAR} dev r0
ip route add local 10.77.0.0/16 dev lo; sysctl -qw net.ipv4.icmp_ratelimit=0 net.core.somaxconn=4096
"""
SERVER = f"""
import asyncio
async def hold(reader, writer):
    await reader.read()
    writer.close()
async def main():
    server = await asyncio.start_server(hold, "{FAR}", {PORT}, backlog=4096)
    print(flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
CHAIN = """version: 1
effective: 2027-01-15T00:00
timezone: Europe/Amsterdam
director: msp
parties: {msp: {name: M}, far: {name: F}}
segments: {host: {owner: msp, side: cloud}, there: {owner: far, side: onprem}}
vantages: {cloud: {segment: host, operator: msp}}
probes:
"""


def targets(count: int) -> list[str]:
    """Return `count` addresses at the far end."""
    return [f"10.77.{1 + n // 250}.{1 + n % 250}" for n in range(count)]


@contextmanager
def cable() -> Iterator[str]:
    """Lay a cable from this namespace to a new one where a server listens; yield the near interface."""
    far = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
    children = [far]
    try:
        while Path(f"/proc/{far.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            time.sleep(0.01)
        link = ["ip", "link", "add", "c0", "type", "veth", "peer", "name", "r0", "netns", str(far.pid)]
        subprocess.run(link, check=True)
        enter = ["nsenter", "-t", str(far.pid), "-n"]
        subprocess.run([*enter, "sh", "-ec", THEIRS], check=True)
        subprocess.run(["sh", "-ec", OURS], check=True)
        server = subprocess.Popen([*enter, sys.executable, "-c", SERVER], stdout=subprocess.PIPE)
        children.append(server)
        assert server.stdout is not None
        server.stdout.readline()
        yield "c0"
    finally:
        for child in children:
            child.kill()
            child.wait()


def distances(reported: list[float | None], tap: Tap) -> list[float]:
    """Return how far each reported round trip (in the order of the requests) is from the wire's."""
    wire: list[float | None] = []
    asked: dict[bytes, tuple[int, int]] = {}
    for packet in tap.take():
        head = packet.head
        if packet.protocol != IPV4 or head[9] != socket.IPPROTO_ICMP:
            continue
        if packet.outgoing and head[20] == 8:
            asked[head[16:20] + head[24:28]] = len(wire), packet.stamp
            wire.append(None)
        elif not packet.outgoing and head[20] == 0 and (place := asked.get(head[12:16] + head[24:28])):
            wire[place[0]] = (packet.stamp - place[1]) / 1e9
    return apart(reported, wire)


def fping(rate: int, seconds: float) -> float:
    """Ping `rate` targets once a second; return fping's CPU seconds an echo."""
    count = round(seconds)
    order = ["fping", "-q", "-c", str(count), "-p", "1000", "-i", str(1000 / rate), *targets(rate)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(order, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / (rate * count)


def ping(count: int) -> list[float | None]:
    """Ping one target; return what ping reports, in order."""
    order = ["ping", "-c", str(count), "-i", "0.002", targets(1)[0]]
    said = subprocess.run(order, capture_output=True, text=True, check=False).stdout
    found = {int(n): float(ms) / 1e3 for n, ms in re.findall(r"icmp_seq=(\d+) .*time=([0-9.]+) ms", said)}
    return [found.get(n) for n in range(1, count + 1)]


class Exporter:
    """blackbox_exporter in this namespace, and who asks it."""

    def __init__(self, folder: Path) -> None:
        self._started = subprocess.Popen(blackbox.order(folder), stderr=subprocess.DEVNULL)
        self._process = blackbox.process_of(self._started)
        time.sleep(1.5)

    def stop(self) -> None:
        """End it."""
        self._started.kill()
        self._started.wait()

    def cpu(self, rate: int, seconds: float) -> float:
        """Have it ping `rate` targets a second; return its CPU seconds an echo."""
        connection, to = http.client.HTTPConnection("127.0.0.1", 9115), targets(rate)
        asked = 0
        began, before = time.monotonic(), sum(self._process.cpu_times()[:2])
        while time.monotonic() - began < seconds:
            _ask(connection, "icmp", to[asked % rate])
            asked += 1
            time.sleep(max(0.0, began + asked / rate - time.monotonic()))
        return (sum(self._process.cpu_times()[:2]) - before) / asked

    def round_trips(self, count: int, *, loaded: bool) -> list[float]:
        """Return the round trips that it reports; `loaded` has it connect to a server all the while."""
        over = threading.Event()
        loaders = [threading.Thread(target=_ask_until, args=(over, "tcp", f"{FAR}:{PORT}")) for _ in range(LOADERS)]
        for loader in loaders if loaded else ():
            loader.start()
        connection, found = http.client.HTTPConnection("127.0.0.1", 9115), []
        for _ in range(count):
            text = _ask(connection, "icmp", targets(1)[0])
            found.append(float(text.partition('phase="rtt"} ')[2].split()[0]))
        over.set()
        for loader in loaders if loaded else ():
            loader.join()
        return found

    def most(self, seconds: float) -> float:
        """Return how many echoes a second it makes when asked over several connections at once."""
        over, counts = threading.Event(), [0] * LOADERS * 2
        askers = [
            threading.Thread(target=_ask_until, args=(over, "icmp", targets(1)[0], counts, n))
            for n in range(len(counts))
        ]
        began = time.monotonic()
        for asker in askers:
            asker.start()
        time.sleep(seconds)
        over.set()
        for asker in askers:
            asker.join()
        return sum(counts) / (time.monotonic() - began)


def _ask(connection: http.client.HTTPConnection, module: str, target: str) -> str:
    connection.request("GET", f"/probe?module={module}&target={target}")
    return connection.getresponse().read().decode()


def _ask_until(
    over: threading.Event, module: str, target: str, counts: list[int] | None = None, place: int = 0
) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", 9115)
    while not over.is_set():
        _ask(connection, module, target)
        if counts is not None:
            counts[place] += 1


def agent(probes: int, seconds: float) -> float:
    """Run an agent with so many icmp probes of 1 s; return its CPU seconds an echo."""
    lines = [
        f"  p{n}: {{type: icmp, from: cloud, target: {target}, interval: 1s, path: [host, there]}}\n"
        for n, target in enumerate(targets(probes))
    ]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "chain.yml").write_text(CHAIN + "".join(lines))
        file = Path(folder) / "agent.yml"
        file.write_text(f"vantage: cloud\nchain: chain.yml\ndata: {folder}/data\n")
        order = [console_command(), "run", f"--config.file={file}"]
        started = subprocess.Popen(order, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            process = psutil.Process(started.pid)
            time.sleep(6)  # it has started, and every probe has run several times
            before, began = sum(process.cpu_times()[:2]), time.monotonic()
            time.sleep(seconds)
            took = sum(process.cpu_times()[:2]) - before
            return took / (probes * (time.monotonic() - began))
        finally:
            started.send_signal(signal.SIGTERM)
            started.wait(20)
