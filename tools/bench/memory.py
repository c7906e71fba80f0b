"""RSS with 500 targets of 1 s (250 icmp, 100 tcp, 100 http, 50 dns), well and in an outage, beside two peers.

In a network namespace: healthy targets on loopback, the outage's behind an interface that drops every packet. Two
minutes each, so that everything which is kept for a time has filled up. blackbox_exporter is asked for icmp, tcp and
http of the same black holes, all 500 once a second; its peak counts. smokeping pings 500 healthy targets.
"""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from lab.agents import console_command
from tools.bench import blackbox, smokeping
from tools.bench.table import Row

FILL_SECONDS = 135.0
COUNTS = {"icmp": 250, "tcp": 100, "http": 100, "dns": 50}
HTTP_PORT, DNS_PORT, EXPORTER_PORT = 18080, 18053, 19115
HEAD = """version: 1
effective: 2027-01-15T00:00
timezone: Europe/Amsterdam
director: msp
parties: {msp: {name: MSP}, carrier: {name: Carrier}}
segments:
  host: {owner: msp, side: cloud}
  far: {owner: carrier, side: transit}
vantages: {cloud: {segment: host, operator: msp}}
services: {}
probes:
"""


def chain(network: str) -> str:
    """Return a chain file of all targets in `network` (the first two numbers of an address)."""
    lines, number = [], 0
    for kind, count in COUNTS.items():
        for _ in range(count):
            number += 1
            address = f"{network}.{number // 250 + 1}.{number % 250 + 1}"
            settings = {
                "icmp": f"target: {address}",
                "tcp": f'target: "{address}:{HTTP_PORT}"',
                "http": f'target: "http://{address}:{HTTP_PORT}/"',
                "dns": f'target: "{address}:{DNS_PORT}", name: www.example',
            }[kind]
            lines.append(f"  p{number}: {{type: {kind}, {settings}, from: cloud, interval: 1s, path: [host, far]}}\n")
    return HEAD + "".join(lines)


def demarc(network: str) -> tuple[float, float]:
    """Return RSS in MB after two minutes, and the CPU share in the last of them."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "data").mkdir()
        (folder / "chain.yml").write_text(chain(network))
        (folder / "agent.yml").write_text(f"vantage: cloud\nchain: chain.yml\ndata: {folder}/data\n")
        order = [console_command(), "run", f"--config.file={folder}/agent.yml", "--web.listen-address=127.0.0.1:0"]
        with subprocess.Popen(order, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as agent:
            process = psutil.Process(agent.pid)
            time.sleep(FILL_SECONDS - 60)
            before = sum(process.cpu_times()[:2])
            time.sleep(60)
            found = process.memory_info().rss / 1e6, (sum(process.cpu_times()[:2]) - before) / 60
            agent.terminate()
            agent.wait(10)
            return found


def exporter(network: str) -> float:
    """Return the exporter's peak RSS in MB while it is asked for all targets once a second."""
    with tempfile.TemporaryDirectory() as folder:
        order = blackbox.order(Path(folder), f"127.0.0.1:{EXPORTER_PORT}")
        with subprocess.Popen(order, stderr=subprocess.DEVNULL) as started:
            time.sleep(1.5)
            asyncio.run(ask_all(network))
            peak = int(Path(f"/proc/{started.pid}/status").read_text().split("VmHWM:")[1].split()[0]) * 1024 / 1e6
            started.terminate()
            started.wait(5)
            return peak


async def ask_all(network: str) -> None:
    """Ask for every target once a second until the time is over, as Prometheus does: spread, on kept connections."""
    names = ["icmp"] * 300 + ["tcp"] * 100 + ["http"] * 100
    end = time.monotonic() + 30

    async def follow(number: int, module: str) -> None:
        await asyncio.sleep(number / len(names))
        reader, writer = await asyncio.open_connection("127.0.0.1", EXPORTER_PORT)
        port = "" if module == "icmp" else f":{HTTP_PORT}"
        target = f"{'http://' if module == 'http' else ''}{network}.{number // 250 + 1}.{number % 250 + 1}{port}"
        while time.monotonic() < end:
            writer.write(f"GET /probe?module={module}&target={target} HTTP/1.1\r\nHost: exporter\r\n\r\n".encode())
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if b"content-length:" in head:
                await reader.readexactly(int(head.split(b"content-length:")[1].split()[0]))
            else:
                await reader.readuntil(b"0\r\n\r\n")
        writer.close()

    await asyncio.gather(*(follow(number, module) for number, module in enumerate(names)))


ANSWERING = f"""
import asyncio, socketserver, threading
class Answer(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport = transport
    def datagram_received(self, data, address):
        tail = bytes.fromhex("c00c00010001000000780004c0000201")
        end = data.index(b"\\0", 12) + 5
        self.transport.sendto(data[:2] + b"\\x81\\x80\\0\\1\\0\\1\\0\\0\\0\\0" + data[12:end] + tail, address)
async def page(reader, writer):
    try:
        if await asyncio.wait_for(reader.read(4096), 2):
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
            await writer.drain()
    except (OSError, TimeoutError):
        pass
    writer.close()
async def main():
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(Answer, local_addr=("0.0.0.0", {DNS_PORT}))
    server = await asyncio.start_server(page, "0.0.0.0", {HTTP_PORT}, backlog=1024)
    await server.serve_forever()
asyncio.run(main())
"""


@contextmanager
def answering() -> Iterator[None]:
    """Answer on every loopback address while the block lasts."""
    with subprocess.Popen([sys.executable, "-c", ANSWERING]) as servers:
        time.sleep(1)
        try:
            yield
        finally:
            servers.terminate()
            servers.wait(5)


def inside() -> None:
    """Measure; this runs in a network namespace of its own. Prints JSON."""
    for order in (
        "ip link set lo up",
        "ip link add hole type veth peer name nobody",
        "ip link set hole arp off",
        "ip address add 10.9.255.1/16 dev hole",
        "ip link set hole up",
        "ip link set nobody up",
    ):
        subprocess.run(order.split(), check=True)
    with answering():
        healthy, share = demarc("127.9")
        beside = smokeping.measure("127.9") if smokeping.installed() else (float("nan"), float("nan"))
    outage, outage_share = demarc("10.9")
    peak = exporter("10.9") if blackbox.installed() else float("nan")
    print(healthy, share, outage, outage_share, peak, *beside)


def measure() -> list[Row]:
    """Return the rows."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        return [Row(what="RSS with 500 targets", measured="needs root for a network namespace")]
    order = ["unshare", "--net", sys.executable, "-m", "tools.bench.memory"]
    text = subprocess.run(order, capture_output=True, check=True, text=True).stdout
    healthy, share, outage, outage_share, peak, theirs, echo = map(float, text.split())
    return [
        Row(what="RSS, 500 targets of 1 s, healthy", measured=f"{healthy:.1f} MB, CPU {share:.1%}", goal="64 MB (52)"),
        Row(what="RSS, 500 targets of 1 s, all silent", measured=f"{outage:.1f} MB, CPU {outage_share:.1%}"),
        Row(
            what="blackbox_exporter's peak for 500 silent targets",
            measured=f"{peak:.1f} MB; ratio healthy {healthy / peak:.2f}, in the outage {outage / peak:.2f}",
            goal="0.55 (0.4)",
        ),
        Row(
            what="smokeping with 500 targets, five echoes in 30 s",
            measured=f"{theirs:.1f} MB; CPU an echo {echo * 1e6:.0f} us; ratio of RSS {healthy / theirs:.2f}",
        ),
    ]


if __name__ == "__main__":
    inside()
