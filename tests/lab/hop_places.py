"""Four routers' worth of namespaces, what goes wrong in them step by step, and the path and pmtu probes that look.

    client 10.0.1.2 -- r1 -+- r2 -- target (10.9.0.0/16, fd00:9::/64)
                           +- r3 --+            r1 has the way over r3 for a detour

Run in a fresh network namespace by test_hops.py; prints one JSON object: step -> the probe's result. With `serve` it
runs in the target's namespace, with `lie` too; with `unprivileged` it looks once more, without CAP_NET_RAW.
"""

import asyncio
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from probes import path, pmtu
from probes.kit.clock import SystemClock
from probes.kit.echo import checksum
from probes.kit.resolver import SystemResolver
from probes.kit.stamps import ASK_FOR_STAMPS

NODES = ("r1", "r2", "r3", "target")
# A veth pair each: node, device, IPv4 network's third octet; the second end is the larger address.
LINKS = (("client", "r1", 1), ("r1", "r2", 2), ("r2", "target", 3), ("r1", "r3", 4), ("r3", "target", 5))
SETUP = {
    "client": "ip route add default via 10.0.1.2; ip -6 route add default via fd00:1::2",
    "r1": "ip route add 10.9.0.0/16 via 10.0.2.2; ip -6 route add fd00:9::/64 via fd00:2::2",
    "r2": """
ip route add default via 10.0.2.1; ip route add 10.9.0.0/16 via 10.0.3.2; ip route add 10.9.8.2 via 10.0.3.2 mtu 1400
ip -6 route add default via fd00:2::1; ip -6 route add fd00:9::/64 via fd00:3::2
ip -6 route add fd00:9::82 via fd00:3::2 mtu 1300; ip route add 10.9.2.0/24 via 10.0.2.1
nft -f - <<END
table inet f {
  chain forward {
    type filter hook forward priority 0
    ip daddr 10.9.1.1 reject with icmp type host-unreachable
    ip daddr 10.9.8.4 reject with icmp type admin-prohibited
    tcp dport 443 drop
    ip daddr 10.9.8.1 meta length > 1300 drop
    ip6 daddr fd00:9::81 meta length > 1300 drop
    ip6 daddr fd00:9::83 meta length > 1279 drop
  }
}
END
""",
    "r3": """
ip route add default via 10.0.4.1; ip route add 10.9.0.0/16 via 10.0.5.2
nft -f - <<END
table ip f {
  chain output {
    type filter hook output priority 0
    icmp type time-exceeded limit rate 1/second burst 1 packets accept
    icmp type time-exceeded drop
  }
}
END
""",
    "target": """
ip route add default via 10.0.3.1; ip -6 route add default via fd00:3::1
ip route add local 10.9.0.0/16 dev lo; for n in 9 81 82 83; do ip addr add fd00:9::$n/128 dev lo nodad; done
nft -f - <<END
table inet f {
  chain input {
    type filter hook input priority 0
    ip daddr 10.9.0.10 drop
    ip daddr 10.9.7.0/24 drop
    ip daddr 10.9.8.3 icmp type echo-request drop
  }
}
END
""",
}
ROUTER = "net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0"
HOPS = {"client-side": ("10.0.1.0/24", "fd00:1::/64"), "r2": ("10.0.2.2/32",), "site": ("10.9.0.0/16", "fd00:9::/64")}


def way(target: str, **more: Any) -> path.Settings:
    """Return the settings of a path probe."""
    return path.Settings(target=target, hops=HOPS, **{"rounds": 2, "max_hops": 6, **more})


def size(target: str, expect: int = 0, **more: Any) -> pmtu.Settings:
    """Return the settings of a pmtu probe."""
    return pmtu.Settings(target=target, expect=expect, **more)


DETOUR = "ip route replace 10.9.0.0/16 via 10.0.4.2"
BACK = "ip route replace 10.9.0.0/16 via 10.0.2.2"
# Both ways at once, each flow by one of them: by addresses and ports, as carriers do.
SPREAD = (
    "sysctl -qw net.ipv4.fib_multipath_hash_policy=1\n"
    "ip route replace 10.9.0.0/16 nexthop via 10.0.2.2 nexthop via 10.0.4.2"
)
OTHER_FLOW = "spread, another flow"
Looks = dict[str, tuple[path.Settings | pmtu.Settings, float]]
Steps = tuple[tuple[dict[str, str], Looks], ...]
# Shell lines by node, and the looks that are then made at once: name -> (settings, timeout in seconds). A router's
# errors come from one budget (net.ipv4.icmp_msgs_burst: 50), so not too many paths look at the same moment.
STEPS: Steps = (
    (
        {},
        {
            "path": (way("10.9.0.9"), 0.6),
            "path by udp": (way("10.9.0.9", protocol="udp"), 0.6),
            "path in IPv6": (way("fd00:9::9"), 0.6),
            "path in IPv6 by udp": (way("fd00:9::9", protocol="udp"), 0.6),
            "silent target": (way("10.9.0.10"), 0.4),
            "unreachable": (way("10.9.1.1"), 0.4),
            "loop": (way("10.9.2.1"), 0.4),
            "far": (way("10.9.0.9", max_hops=2), 0.4),
        },
    ),
    (
        {},
        {
            "path again": (way("10.9.0.9"), 0.6),
            "path by tcp": (way("10.9.0.9", protocol="tcp", port=80), 0.6),
            "path by tcp in IPv6": (way("fd00:9::9", protocol="tcp", port=80), 0.6),
            "path by tcp, refused": (way("10.9.0.9", protocol="tcp", port=81), 0.6),
            "path by tcp, filtered": (way("10.9.0.9", protocol="tcp"), 0.4),
            "lie: an error that quotes little": (way("10.9.7.1"), 0.4),
            "lie: another identifier": (way("10.9.7.2"), 0.4),
            "lie: another sequence": (way("10.9.7.3"), 0.4),
            "lie: another token": (way("10.9.7.4"), 0.4),
            "labels": (way("10.9.7.5"), 0.4),
            "lie: an answer from elsewhere": (way("10.9.7.6"), 0.4),
            "broken extension": (way("10.9.7.7"), 0.4),
            "a flood": (way("10.9.7.8"), 0.4),
        },
    ),
    ({"r1": DETOUR}, {"path changed, hop sparing": (way("10.9.0.9", on_change="degraded", rounds=3), 0.6)}),
    ({"r1": BACK}, {"path changed back": (way("10.9.0.9"), 0.6)}),
    ({"r1": SPREAD, "r3": "nft flush ruleset"}, {"spread": (way("10.9.0.9", protocol="udp", rounds=4), 0.6)}),
    ({}, {"spread again": (way("10.9.0.9", protocol="udp", rounds=4), 0.6)}),
    (
        {},
        {f"{OTHER_FLOW} {n}": (way("10.9.0.9", protocol="udp", rounds=1, max_hops=3), 0.3) for n in range(16)},
    ),
    (
        {"r1": BACK},
        {
            "size": (size("10.9.0.9"), 1),
            "size, more than agreed": (size("10.9.0.9", 1438), 1),
            "hole": (size("10.9.8.1", 1500), 1),
            "hole, nothing agreed": (size("10.9.8.1"), 1),
            "told": (size("10.9.8.2", 1438), 1),
            "own link": (size("10.9.0.9", 1600, largest=2000), 1),
            "prohibited": (size("10.9.8.4"), 0.4),
            "IPv6 hole": (size("fd00:9::81", 1500), 1),
            "IPv6 told": (size("fd00:9::82", 1500), 1),
            "IPv6 below its least": (size("fd00:9::83"), 1),
            "pings filtered": (size("10.9.8.3"), 0.3),
            "pings filtered, http": (size("10.9.8.3", protocol="http"), 1),
            "hole, http": (size("10.9.8.1", 1500, protocol="http"), 1.5),
            "told, http": (size("10.9.8.2", 1438, protocol="http"), 1),
            "IPv6 hole, http": (size("[fd00:9::81]:80", 1500, protocol="http"), 1.5),
            "no service": (size("10.9.0.9:81", protocol="http"), 0.3),
            "a silent service": (size("10.9.0.9:82", protocol="http"), 0.3),
        },
    ),
)
UNPRIVILEGED: Looks = {
    "path": (way("10.9.0.9"), 0.5),
    "path by udp": (way("10.9.0.9", protocol="udp"), 0.5),
    "path by tcp": (way("10.9.0.9", protocol="tcp", port=80), 0.5),
    "size": (size("10.9.0.9"), 0.5),
    "size, http": (size("10.9.0.9", protocol="http"), 0.5),
}


class Kit:
    """The real clock and resolver."""

    clock = SystemClock()
    resolver = SystemResolver(clock)


async def _look(steps: Steps, enter: dict[str, list[str]]) -> dict[str, Any]:
    kit = Kit()
    found: dict[str, Any] = {}
    async with path.open(kit) as ways, pmtu.open(kit) as sizes:

        async def attempt(name: str, settings: path.Settings | pmtu.Settings, within: float) -> None:
            deadline = kit.clock.boot() + within
            if isinstance(settings, path.Settings):
                result = await ways.attempt(settings, deadline, fresh=name.startswith(OTHER_FLOW))
            else:
                result = await sizes.attempt(settings, deadline)
            found[name] = json.loads(msgspec.json.encode(result))
            found[name]["late"] = kit.clock.boot() - deadline

        for lines, looks in steps:
            for node, text in lines.items():
                changed = await asyncio.create_subprocess_exec(*enter[node], "sh", "-ec", text)
                assert await changed.wait() == 0
            await asyncio.gather(*(attempt(name, *look) for name, look in looks.items()))
    return found


async def _serve() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            if writer.get_extra_info("sockname")[1] == 80:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4000\r\n\r\n" + bytes(4000))
                await writer.drain()
            else:
                await asyncio.sleep(60)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    await asyncio.start_server(answer, ["0.0.0.0", "::"], 80)
    await asyncio.start_server(answer, "0.0.0.0", 82)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.sleep(60)


LIAR = socket.inet_aton("10.66.0.1")


def _exceeded(quote: bytes, words: int = 0) -> bytes:
    """Return time-exceeded; `words`: the length of the quote for RFC 4884, in 32-bit words."""
    blank = bytes([11, 0, 0, 0, 0, words, 0, 0]) + quote
    return blank[:2] + checksum(blank).to_bytes(2) + blank[4:]


def _bump(packet: bytes, at: int) -> bytes:
    return packet[:at] + bytes([packet[at] ^ 0x5A]) + packet[at + 1 :]


def _extended(packet: bytes, extension: bytes) -> bytes:
    return _exceeded(packet.ljust(128, b"\0") + extension, 32)


def _structure(body: bytes) -> bytes:
    return b"\x20\0" + checksum(b"\x20\0\0\0" + body).to_bytes(2) + body


MPLS = _structure(b"\0\x0c\1\1" + ((16001 << 12) | 1).to_bytes(4) + ((42 << 12) | 0x101).to_bytes(4))
# last octet of the address -> what comes back for an echo (IP packet with a 20-byte header): source, ICMP message
LIES: dict[int, Callable[[bytes], list[tuple[bytes, bytes]]]] = {
    1: lambda p: [(LIAR, _exceeded(p[:28]))],
    2: lambda p: [(LIAR, _exceeded(_bump(p, 24)))],
    3: lambda p: [(LIAR, _exceeded(_bump(p, 26)))],
    4: lambda p: [(LIAR, _exceeded(_bump(p, 30)))],
    5: lambda p: [(LIAR, _extended(p, MPLS))],
    6: lambda p: [(LIAR, b"\0\0" + checksum(b"\0\0\0\0" + p[24:]).to_bytes(2) + p[24:])],
    7: lambda p: [(LIAR, _extended(p, _structure(b"\0\x0c\1\1\xff\xff")))],
    8: lambda p: [(LIAR, _exceeded(_bump(p, 26)))] * 200 + [(LIAR, _exceeded(p))] * 50,
}


def _lie() -> None:
    """Answer until killed; the namespace's filter keeps these requests from the kernel, a packet socket sees them."""
    taps = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        packet, _ = taps.recvfrom(65535)
        if packet[9] != socket.IPPROTO_ICMP or packet[20] != 8 or packet[16:19] != b"\x0a\x09\x07":
            continue
        lie = LIES.get(packet[19])
        for source, message in lie(packet) if lie else []:
            head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 1, 0, source, packet[12:16])
            out.sendto(head + message, (socket.inet_ntoa(packet[12:16]), 0))


def _card(octet: int, end: int) -> str:
    return f"02:00:00:00:{octet:02}:{end:02}"


def _addressed(device: str, octet: int, end: int) -> str:
    """Return the lines that bring up one end of a link; its IPv6 neighbour is known: finding it takes a second."""
    other = 3 - end
    return f"""
ip addr add 10.0.{octet}.{end}/24 dev {device}; ip link set {device} up
ip addr add fd00:{octet}::{end}/64 dev {device} nodad
ip -6 neigh add fd00:{octet}::{other} lladdr {_card(octet, other)} dev {device} nud permanent
"""


@contextmanager
def _built() -> Iterator[dict[str, list[str]]]:
    """Build every namespace, run server and liar, and give for each node how to run something inside."""
    children = {node: subprocess.Popen(["unshare", "--net", "sleep", "60"]) for node in NODES}
    started: list[subprocess.Popen[bytes]] = []
    try:
        own = Path("/proc/self/ns/net").readlink()
        for child in children.values():
            while Path(f"/proc/{child.pid}/ns/net").readlink() == own:
                pass
        enter = {node: ["nsenter", "-t", str(child.pid), "-n"] for node, child in children.items()} | {"client": []}
        for one, other, octet in LINKS:
            ends = f"{other} address {_card(octet, 1)} type veth peer name {one} address {_card(octet, 2)}"
            lines = f"ip link add {ends} netns {children[other].pid}"
            subprocess.run([*enter[one], "sh", "-ec", lines], check=True)
        for node, inside in enter.items():
            own_ends = [(other, octet, 1) for one, other, octet in LINKS if one == node]
            own_ends += [(one, octet, 2) for one, other, octet in LINKS if other == node]
            lines = "ip link set lo up\n" + "".join(_addressed(*end) for end in own_ends)
            router = f"sysctl -qw {ROUTER}\n" if node != "client" else ""
            subprocess.run([*inside, "sh", "-ec", lines + router + SETUP[node]], check=True)
        for what in ("serve", "lie"):
            command = [*enter["target"], sys.executable, "-m", "tests.lab.hop_places", what]
            started.append(subprocess.Popen(command, stdout=subprocess.PIPE))
        for child in started:
            assert child.stdout is not None
            child.stdout.readline()  # it is ready
        yield enter
    finally:
        for child in (*started, *children.values()):
            child.kill()
            child.communicate()


def _unprivileged(allowed: bool) -> dict[str, Any]:
    """Look once more without CAP_NET_RAW, and with or without the right to open datagram sockets for pings."""
    if allowed:  # a new namespace allows nobody
        Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0")
    dropped = ["setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]
    command = [*dropped, sys.executable, "-m", "tests.lab.hop_places", "unprivileged"]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    return found


def main() -> None:
    """Take every step with its look, print the results."""
    # The kernel begins to stamp what comes in a moment after the first socket on the host asks for it.
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as early, _built() as enter:
        for option in ASK_FOR_STAMPS:
            early.setsockopt(*option)
        results = asyncio.run(_look(STEPS, enter))
        for allowed in (False, True):
            more = _unprivileged(allowed)
            results |= {f"{name}, {'datagram sockets' if allowed else 'no right'}": one for name, one in more.items()}
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            asyncio.run(_serve())
        case ["lie"]:
            _lie()
        case ["unprivileged"]:
            json.dump(asyncio.run(_look((({}, UNPRIVILEGED),), {})), sys.stdout)
        case _:
            main()
