"""Routes in a network namespace of its own, and the route probe that looks at them while they change.

Run by test_route.py only, in a fresh namespace: prints one JSON object, step name -> the probe's result.
The interfaces are tun devices of this process, so that carrier is ours to give and to take.
"""

import asyncio
import fcntl
import json
import os
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from probes import route
from probes.kit.result import Result
from tests.peers.probing import CLOCK, Kit, open_descriptors

_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TUN_NO_PI = 0x1001

Step = tuple[str, Callable[[], None], route.Settings]


class Tunnel:
    """A tun device that stays when nobody holds it: up with carrier while it is held."""

    def __init__(self, name: str, address: str) -> None:
        self._name = name
        self._held = -1
        sh(f"ip tuntap add {name} mode tun")
        self.hold()
        sh(f"ip link set {name} up && ip addr add {address} dev {name}")
        sh(f"ip -6 addr add fd00:{address.split('.')[1]}::1/64 dev {name} nodad")

    def hold(self) -> None:
        """Give carrier."""
        self._held = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(self._held, _TUNSETIFF, struct.pack("16sH14x", self._name.encode(), _IFF_TUN_NO_PI))

    def drop(self) -> None:
        """Take carrier away."""
        os.close(self._held)


def sh(commands: str) -> None:
    """Run shell commands; all must succeed."""
    subprocess.run(["sh", "-ec", commands], check=True, capture_output=True, text=True)


def steps(tunnel: Tunnel) -> tuple[Step, ...]:
    """Return what happens in which order, and what is asked after it."""
    far = route.Settings(target="10.20.0.5", device="vpn0", via="10.1.0.2", table=220)
    six = route.Settings(target="fd00:20::5", device="vpn0", via="fd00:1::2")
    whole = msgspec.structs.replace(far, network="10.20.0.0/16")
    return (
        ("present", lambda: None, far),
        ("present, IPv6", lambda: None, six),
        ("nothing agreed", lambda: None, route.Settings(target="10.20.0.5")),
        ("own address", lambda: None, route.Settings(target="127.0.0.1", device="lo")),
        ("other device", lambda: None, msgspec.structs.replace(far, device="eth0")),
        ("no such device", lambda: None, msgspec.structs.replace(far, device="vpn9")),
        ("other gateway", lambda: None, msgspec.structs.replace(far, via="10.1.0.3")),
        ("whole network", lambda: None, whole),
        ("a part by the way, not taken", lambda: sh("ip route add 10.20.4.0/24 dev eth0"), whole),
        ("a part elsewhere", lambda: sh("ip route add 10.20.5.0/24 dev eth0 table 220"), whole),
        ("a part nowhere", lambda: sh("ip route replace unreachable 10.20.5.0/24 table 220"), whole),
        ("whole again", lambda: sh("ip route del 10.20.4.0/24; ip route del 10.20.5.0/24 table 220"), whole),
        ("whole network, IPv6", lambda: None, msgspec.structs.replace(six, network="fd00:20::/64")),
        ("blackhole", lambda: None, route.Settings(target="10.40.0.1")),
        ("prohibit", lambda: None, route.Settings(target="10.50.0.1")),
        ("no route", lambda: None, route.Settings(target="10.60.0.1")),
        ("unreachable, IPv6", lambda: None, route.Settings(target="fd00:30::1")),
        ("blackhole, IPv6", lambda: None, route.Settings(target="fd00:40::1")),
        ("removed", lambda: sh("ip route del 10.20.0.0/16 table 220; ip -6 route del fd00:20::/64"), far),
        ("removed, IPv6", lambda: None, six),
        ("default takes over", lambda: sh("ip route del unreachable 10.20.0.0/16; ip route add default dev eth0"), far),
        ("back, lower MTU", lambda: sh("ip route add 10.20.0.0/16 via 10.1.0.2 mtu 1300 table 220"), far),
        ("no carrier", tunnel.drop, far),
        ("carrier again", tunnel.hold, far),
        ("switched off", lambda: sh("ip link set vpn0 down"), far),
    )


def build() -> Tunnel:
    """Make two interfaces, a far prefix by policy routing, and fallbacks."""
    sh("ip link set lo up")
    Tunnel("eth0", "10.9.0.1/24")
    tunnel = Tunnel("vpn0", "10.1.0.1/24")
    sh("""
        ip route add 10.20.0.0/16 via 10.1.0.2 table 220; ip rule add lookup 220 pref 220
        ip route add unreachable 10.20.0.0/16 metric 4000
        ip route add blackhole 10.40.0.0/16; ip route add prohibit 10.50.0.0/16
        ip -6 route add fd00:20::/64 via fd00:1::2
        ip -6 route add unreachable fd00:30::/64; ip -6 route add blackhole fd00:40::/64
    """)
    return tunnel


async def look(tunnel: Tunnel) -> dict[str, Any]:
    """Go through the steps with one runner, then ask fifty times at once and two hundred in turn."""
    found: dict[str, Any] = {}
    async with route.open(Kit()) as runner:
        for name, happen, settings in steps(tunnel):
            await asyncio.to_thread(happen)
            found[name] = await settled(runner, settings)
        before = open_descriptors()
        local = route.Settings(target="127.0.0.1")
        many = await asyncio.gather(*(runner.attempt(local, CLOCK.boot() + 5, fresh=n % 5 == 0) for n in range(50)))
        found["many"] = {"ok": sum(each.outcome == "ok" for each in many), "left": open_descriptors() - before}
        began = time.perf_counter()
        for _ in range(200):
            await runner.attempt(local, CLOCK.boot() + 5)
        found["cost"] = {"milliseconds": (time.perf_counter() - began) / 200 * 1000}
        held = open_descriptors()
    found["closed"] = {"left": open_descriptors() - held}
    return found


async def settled(runner: route.RouteRunner, settings: route.Settings) -> Result:
    """Return the answer that holds for 0.1 s: the kernel tells carrier with a delay (linkwatch)."""
    last = await runner.attempt(settings, CLOCK.boot() + 1)
    for _ in range(30):
        await asyncio.sleep(0.1)
        now = await runner.attempt(settings, CLOCK.boot() + 1)
        if now.fault == last.fault and now.values == last.values:
            return now
        last = now
    return last


def resident_kilobytes() -> int:
    """Return this process's resident memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1])


async def memory() -> dict[str, int]:
    """Return what opening the type adds, and what its first hundred attempts add, in kB."""
    before = resident_kilobytes()
    assert "pyroute2" not in sys.modules
    async with route.open(Kit()) as runner:
        opened = resident_kilobytes()
        for _ in range(100):
            await runner.attempt(route.Settings(target="127.0.0.1"), CLOCK.boot() + 1)
        return {"opened": opened - before, "used": resident_kilobytes() - opened}


def main() -> None:
    """Print the memory (first, while pyroute2 is not loaded) and the steps."""
    tunnel = build()
    added = asyncio.run(memory())
    found = asyncio.run(look(tunnel))
    json.dump(msgspec.to_builtins(found | {"memory": added}), sys.stdout)


if __name__ == "__main__":
    main()
