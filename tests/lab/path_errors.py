"""Run inside a fresh network namespace: a router that says no in every way, and the probes that ask.

Prints one JSON object: case name -> the probe's result. Started by test_path_errors.py only.
"""

import asyncio
import json
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from probes import dns, greeting, http, icmp, ntp, tcp, udp
from probes.kit.clock import SystemClock
from probes.kit.resolver import SystemResolver
from probes.kit.result import Result
from probes.kit.spec import BatchRunner, Duration, Runner

# name -> (module, settings, timeout in seconds)
CASES: dict[str, tuple[ModuleType, Any, float]] = {
    "icmp ok": (icmp, icmp.Settings(target="10.0.1.1"), 1),
    "icmp ok full": (icmp, icmp.Settings(target="10.0.1.1", size=1472), 1),
    "icmp too big here": (icmp, icmp.Settings(target="10.0.1.1", size=1473), 1),
    "icmp6 ok": (icmp, icmp.Settings(target="fd00:1::1"), 1),
    "icmp6 unreachable": (icmp, icmp.Settings(target="fd00:9::1"), 1),
    "icmp6 too big": (icmp, icmp.Settings(target="fd00:3::1", size=1400), 1),
    "icmp6 neighbour": (icmp, icmp.Settings(target="fd00:1::77"), 5),
    "tcp6 neighbour": (tcp, tcp.Settings(target="[fd00:1::78]:80"), 5),
    "tcp6 refused": (tcp, tcp.Settings(target="[fd00:1::1]:80"), 1),
    "dns6 refused": (dns, dns.Settings(target="fd00:1::1", name="a.example"), 1),
    "icmp6 no route": (icmp, icmp.Settings(target="fd77::1"), 1),
    "icmp unreachable": (icmp, icmp.Settings(target="10.9.1.1"), 1),
    "icmp net unreachable": (icmp, icmp.Settings(target="10.9.7.1"), 1),
    "icmp prohibited": (icmp, icmp.Settings(target="10.9.2.1"), 1),
    "icmp too big": (icmp, icmp.Settings(target="10.9.3.2", size=1200), 1),
    "icmp black hole": (icmp, icmp.Settings(target="10.9.4.1"), 0.3),
    "icmp loop": (icmp, icmp.Settings(target="10.9.5.1"), 1),
    "icmp no route": (icmp, icmp.Settings(target="172.31.0.1"), 1),
    "icmp unreachable here": (icmp, icmp.Settings(target="10.8.1.1"), 1),
    "icmp filtered here": (icmp, icmp.Settings(target="10.9.6.1"), 1),
    "icmp neighbour": (icmp, icmp.Settings(target="10.0.1.77"), 5),
    "liar honest": (icmp, icmp.Settings(target="10.0.1.10"), 1),
    "liar token": (icmp, icmp.Settings(target="10.0.1.11"), 0.3),
    "liar payload": (icmp, icmp.Settings(target="10.0.1.12"), 1),
    "liar identifier": (icmp, icmp.Settings(target="10.0.1.13"), 0.3),
    "liar sequence": (icmp, icmp.Settings(target="10.0.1.14"), 0.3),
    "liar source": (icmp, icmp.Settings(target="10.0.1.15"), 0.3),
    "liar thrice": (icmp, icmp.Settings(target="10.0.1.16"), 1),
    "liar cut": (icmp, icmp.Settings(target="10.0.1.17"), 1),
    "liar error": (icmp, icmp.Settings(target="10.0.1.18"), 1),
    "liar error, other identifier": (icmp, icmp.Settings(target="10.0.1.19"), 0.3),
    "liar error, other sequence": (icmp, icmp.Settings(target="10.0.1.20"), 0.3),
    "liar stubs": (icmp, icmp.Settings(target="10.0.1.21"), 1),
    "liar every other": (icmp, icmp.Settings(target="10.0.1.22", count=10, max_loss=0.2), 1),
    "liar swaps": (icmp, icmp.Settings(target="10.0.1.23", count=6), 1),
    "liar late": (icmp, icmp.Settings(target="10.0.1.24", count=2, gap=Duration(0.2)), 0.3),
    "liar thrice, burst": (icmp, icmp.Settings(target="10.0.1.16", count=5), 1),
    "icmp marked": (icmp, icmp.Settings(target="10.0.1.25", dscp=46), 1),
    "icmp unmarked": (icmp, icmp.Settings(target="10.0.1.25"), 0.3),
    "icmp6 marked": (icmp, icmp.Settings(target="fd00:1::1", dscp=46), 1),
    "icmp in pieces": (icmp, icmp.Settings(target="10.0.1.1", size=3000, dont_fragment=False), 1),
    "icmp6 in pieces": (icmp, icmp.Settings(target="fd00:1::1", size=3000, dont_fragment=False), 1),
    "icmp slow": (icmp, icmp.Settings(target="10.0.1.1", max_rtt=Duration(1e-9)), 1),
    "icmp unsteady": (icmp, icmp.Settings(target="10.0.1.1", count=5, max_jitter=Duration(1e-9)), 1),
    "tcp unreachable": (tcp, tcp.Settings(target="10.9.1.1:80"), 1),
    "tcp prohibited": (tcp, tcp.Settings(target="10.9.2.1:80"), 1),
    "tcp refused": (tcp, tcp.Settings(target="10.0.1.1:80"), 1),
    "tcp refused by filter": (tcp, tcp.Settings(target="10.0.1.1:81"), 1),
    "tcp black hole": (tcp, tcp.Settings(target="10.9.4.1:80"), 0.3),
    "tcp loop": (tcp, tcp.Settings(target="10.9.5.1:80"), 1),
    "tcp no route": (tcp, tcp.Settings(target="172.31.0.1:80"), 1),
    "tcp6 unreachable": (tcp, tcp.Settings(target="[fd00:9::1]:80"), 1),
    "tcp filtered here": (tcp, tcp.Settings(target="10.9.6.1:80"), 0.3),
    "tcp neighbour": (tcp, tcp.Settings(target="10.0.1.78:80"), 5),
    "tcp lossy": (tcp, tcp.Settings(target="10.0.1.1:82"), 5),
    "http unreachable": (http, http.Settings(target="http://10.9.1.1/"), 1),
    "dns unreachable": (dns, dns.Settings(target="10.9.1.1", name="a.example"), 1),
    "dns refused": (dns, dns.Settings(target="10.0.1.1", name="a.example"), 1),
    "dns black hole": (dns, dns.Settings(target="10.9.4.1", name="a.example"), 0.3),
    "dns no route": (dns, dns.Settings(target="172.31.0.1", name="a.example"), 1),
    "dns neighbour": (dns, dns.Settings(target="10.0.1.79", name="a.example"), 5),
    "udp refused": (udp, udp.Settings(target="10.0.1.1:9", send="x"), 1),
    "udp prohibited": (udp, udp.Settings(target="10.9.2.1:9", send="x"), 1),
    "udp black hole": (udp, udp.Settings(target="10.9.4.1:9", send="x"), 0.3),
    "udp no route": (udp, udp.Settings(target="172.31.0.1:9", send="x"), 1),
    "udp filtered here": (udp, udp.Settings(target="10.9.6.1:9", send="x"), 1),
    "udp6 unreachable": (udp, udp.Settings(target="[fd00:9::1]:9", send="x"), 1),
    "ntp refused": (ntp, ntp.Settings(target="10.0.1.1"), 1),
    "ntp unreachable": (ntp, ntp.Settings(target="10.9.1.1"), 1),
    "greeting refused": (greeting, greeting.Settings(target="10.0.1.1", protocol="smtp"), 1),
    "greeting prohibited": (greeting, greeting.Settings(target="10.9.2.1", protocol="ldap"), 1),
    "greeting neighbour": (greeting, greeting.Settings(target="10.0.1.80", protocol="ssh"), 5),
    "greeting no route": (greeting, greeting.Settings(target="172.31.0.1", protocol="rdp"), 1),
}

# Types whose cases run a second time, as a batch turned by a wheel.
BATCHED = (icmp, tcp, udp, ntp)

# Routes of type unreachable answer a peer only five times in a row (net.ipv4.route.error_burst): rules do it here.
ROUTER = """
ip link set lo up; ip addr add 10.0.1.1/24 dev r0; ip addr add fd00:1::1/64 dev r0 nodad; ip link set r0 up
for n in $(seq 10 25); do ip addr add 10.0.1.$n/24 dev r0; done
sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0
ip link add d0 mtu 1000 type veth peer name d1 mtu 1000; ip link set d1 up; ip link set d0 up
ip addr add 10.9.0.1/16 dev d0; ip route add blackhole 10.9.4.0/24; ip -6 route add unreachable fd00:9::/64
ip -6 route add fd00:3::/64 via fd00:1::2 mtu 1300
nft -f - <<END
table ip f {
  set seen { type inet_service; flags dynamic; size 100; }
  chain input {
    type filter hook input priority 0
    tcp dport 81 reject
    tcp dport 82 tcp flags syn tcp sport != @seen add @seen { tcp sport } drop
    ip daddr 10.0.1.10-10.0.1.24 drop
    ip daddr 10.0.1.25 ip dscp != ef drop
  }
  chain forward {
    type filter hook forward priority 0
    ip daddr 10.9.1.0/24 reject with icmp type host-unreachable
    ip daddr 10.9.2.0/24 reject with icmp type admin-prohibited
    ip daddr 10.9.7.0/24 reject with icmp type net-unreachable
  }
}
END
"""
CLIENT = """
ip link set lo up; ip addr add 10.0.1.2/24 dev c0; ip addr add fd00:1::2/64 dev c0 nodad; ip link set c0 up
ip route add 10.9.0.0/16 via 10.0.1.1
for n in 3 9; do ip -6 route add fd00:$n::/64 via fd00:1::1; done
ip route add unreachable 10.8.0.0/16
nft -f - <<END
table ip f {
  chain output { type filter hook output priority 0; ip daddr 10.9.6.1 drop; ip daddr 10.9.5.1 ip ttl set 1; }
}
END
"""

LISTENER = "import socket, sys; s = socket.create_server(('10.0.1.1', 82)); print(flush=True); sys.stdin.read()"


class Kit:
    """The real clock and resolver."""

    clock = SystemClock()
    resolver = SystemResolver(clock)


def _allow_datagram_sockets() -> None:
    """Let this user's group open unprivileged ICMP sockets; a new namespace allows nobody."""
    Path("/proc/sys/net/ipv4/ping_group_range").write_text("0 0")


async def _attempts() -> dict[str, Any]:
    kit = Kit()
    found: dict[str, Any] = {}
    async with AsyncExitStack() as stack:
        modules = {module for module, _, _ in CASES.values()}
        runners: dict[ModuleType, Runner] = {m: await stack.enter_async_context(m.open(kit)) for m in modules}

        async def attempt(name: str) -> None:
            module, settings, timeout = CASES[name]
            result = await runners[module].attempt(settings, kit.clock.boot() + timeout)
            found[name] = json.loads(msgspec.json.encode(result))

        async def launch(name: str) -> None:
            module, settings, timeout = CASES[name]
            results: list[Result] = []
            runner = runners[module]
            assert isinstance(runner, BatchRunner)
            assert runner.launch(settings, kit.clock.boot() + timeout, results.append)
            runner.flush()
            while not results:
                await asyncio.sleep(0.02)
                runner.harvest()
                runner.flush()
            found[f"batch {name}"] = json.loads(msgspec.json.encode(results[0]))

        both = [attempt(name) for name in CASES]
        both += [launch(name) for name in CASES if CASES[name][0] in BATCHED]
        await asyncio.gather(*both)
    return found


def main() -> None:
    """Build both namespaces, attempt every case with each kind of ICMP socket, print the results."""
    router = subprocess.Popen(["unshare", "--net", "sleep", "60"])
    children = [router]
    try:
        while Path(f"/proc/{router.pid}/ns/net").readlink() == Path("/proc/self/ns/net").readlink():
            pass
        link = f"ip link add c0 type veth peer name r0 netns {router.pid}\n"
        subprocess.run(["sh", "-ec", link], check=True)
        subprocess.run(["nsenter", "-t", str(router.pid), "-n", "sh", "-ec", ROUTER], check=True)
        subprocess.run(["sh", "-ec", CLIENT], check=True)
        command = ["nsenter", "-t", str(router.pid), "-n", sys.executable, "-m", "tests.lab.icmp_liar"]
        liar = subprocess.Popen(command, stdout=subprocess.PIPE)
        children.append(liar)
        assert liar.stdout is not None
        liar.stdout.readline()  # it is ready
        command = ["nsenter", "-t", str(router.pid), "-n", sys.executable, "-c", LISTENER]
        listener = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        children.append(listener)
        assert listener.stdout is not None
        listener.stdout.readline()
        results = {"raw": asyncio.run(_attempts())}
        _allow_datagram_sockets()
        results["datagram"] = asyncio.run(_attempts())
    finally:
        for child in children:
            child.kill()
            child.communicate()
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
