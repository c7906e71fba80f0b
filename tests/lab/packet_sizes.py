"""Web servers behind a clamp and behind a hole for large packets, and the probes that ask them.

`serve FOLDER` runs in the server's namespace; without arguments it builds the place, asks and prints
one JSON object: case name -> the probe's result. Started by test_packet_sizes.py only.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec

from probes import http
from probes.kit.clock import SystemClock
from probes.kit.resolver import SystemResolver
from tests.peers.probing import Authority

SMALL = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + b"x" * 20000

# name -> (address, scheme, port, path)
CASES = {
    "open, small": ("10.0.1.1", "http", 80, "/small"),
    "open, large": ("10.0.1.1", "http", 80, "/large"),
    "open, handshake": ("10.0.1.1", "https", 443, "/small"),
    "clamped, large": ("10.0.1.2", "http", 80, "/large"),
    "clamped, handshake": ("10.0.1.2", "https", 443, "/small"),
    "hole, small": ("10.0.1.3", "http", 80, "/small"),
    "hole, large": ("10.0.1.3", "http", 80, "/large"),
    "hole, handshake": ("10.0.1.3", "https", 443, "/small"),
}

SERVER = """
ip link set lo up; ip link set r0 up
for n in 1 2 3; do ip addr add 10.0.1.$n/24 dev r0; done
nft -f - <<END
table ip f {
  chain input { type filter hook input priority 0; ip daddr 10.0.1.2 tcp flags syn tcp option maxseg size set 1360; }
  chain output {
    type filter hook output priority 0
    ip saddr 10.0.1.2 tcp flags syn tcp option maxseg size set 1360
    ip saddr 10.0.1.3 meta length > 1300 drop
  }
}
END
"""
CLIENT = "ip link set lo up; ip addr add 10.0.1.100/24 dev c0; ip link set c0 up"


class Kit:
    """The real clock and resolver."""

    clock = SystemClock()
    resolver = SystemResolver(clock)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        request = await reader.readuntil(b"\r\n\r\n")
        writer.write(LARGE if b"/large" in request else SMALL)
        await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _serve(folder: Path) -> None:
    authority = Authority(folder)
    context = authority.server("erp.test", filler=60)  # about 3 kB: more than one packet
    async with (
        await asyncio.start_server(_answer, "0.0.0.0", 80),
        await asyncio.start_server(_answer, "0.0.0.0", 443, ssl=context),
    ):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.sleep(60)


async def _attempts(folder: Path) -> dict[str, Any]:
    kit = Kit()
    found: dict[str, Any] = {}
    async with http.open(kit) as runner:

        async def attempt(name: str) -> None:
            address, scheme, port, path = CASES[name]
            settings = http.Settings(
                target=f"{scheme}://erp.test:{port}{path}", connect_to=address, ca_file=str(folder / "ca.pem")
            )
            result = await runner.attempt(settings, kit.clock.boot() + 0.7)
            found[name] = json.loads(msgspec.json.encode(result))

        await asyncio.gather(*(attempt(name) for name in CASES))
    return found


def main(folder: Path) -> None:
    """Build both namespaces, attempt every case, print the results."""
    place = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    children = [place]
    try:
        while Path(f"/proc/{place.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            pass
        inside = ["nsenter", "-t", str(place.pid), "-n"]
        link = f"ip link add c0 type veth peer name r0 netns {place.pid}"
        subprocess.run(["sh", "-ec", link], check=True)
        subprocess.run([*inside, "sh", "-ec", SERVER], check=True)
        subprocess.run(["sh", "-ec", CLIENT], check=True)
        command = [*inside, sys.executable, "-m", "tests.lab.packet_sizes", "serve", str(folder)]
        server = subprocess.Popen(command, stdout=subprocess.PIPE)
        children.append(server)
        assert server.stdout is not None
        server.stdout.readline()  # it is ready
        results = asyncio.run(_attempts(folder))
    finally:
        for child in children:
            child.kill()
            child.communicate()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        asyncio.run(_serve(Path(sys.argv[2])))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
