"""Runs in the virtual machine: real WireGuard and real ESP, and the probes that read them.

Two network namespaces with a wire between them, a WireGuard tunnel, an IPsec tunnel laid by hand and one of
strongSwan's. Prints one line a step, `RESULT` and JSON: the step's name and the probe's result.
"""

import asyncio
import ctypes
import json
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from probes import strongswan, wireguard, xfrm
from probes.kit.clock import SystemClock
from probes.kit.result import Result
from probes.kit.spec import Clock, Resolver
from probes.kit.tunnel_state import SILENT_SECONDS

CHARON = "/usr/sbin/charon-systemd"
SWANCTL = "/usr/sbin/swanctl"
AEAD = "aead 'rfc4106(gcm(aes))' 0x0102030405060708090a0b0c0d0e0f1011121314 128"
CBC = f"auth-trunc 'hmac(sha256)' 0x{'11' * 32} 128 enc 'cbc(aes)' 0x{'22' * 16}"
TUNNEL = "proto esp reqid 7 mode tunnel"


DAEMON = """
charon-systemd {{ load_modular = no
  load = random nonce aes sha1 sha2 hmac kdf gcm curve25519 openssl pem kernel-netlink socket-default vici updown
  plugins {{ vici {{ socket = unix:///tmp/{own}.vici }} }} }}
swanctl {{ load_modular = no
  load = random nonce openssl pem }}
"""
CONNECTION = """
connections {{ site {{ version = 2
  local_addrs = 192.0.2.{own}
  remote_addrs = 192.0.2.{peer}
  proposals = aes128gcm16-prfsha256-x25519
  local {{ auth = psk
    id = side{own} }}
  remote {{ auth = psk
    id = side{peer} }}
  children {{ net {{
    local_ts = 10.3{own}.0.0/24
    remote_ts = 10.3{peer}.0.0/24
    esp_proposals = aes128gcm16 }} }} }} }}
secrets {{ ike-1 {{ secret = "canary-psk-5f1e" }} }}
"""


class Later(SystemClock):
    """The real clocks, some time later."""

    ahead = 0.0

    def boot(self) -> float:
        """Return boot time."""
        return super().boot() + self.ahead


class Kit:
    """What a runner borrows; no name is resolved here."""

    resolver: Resolver

    def __init__(self, clock: Clock) -> None:
        self.clock = clock


def sh(command: str, *, check: bool = True) -> str:
    """Run a command of the shell and return what it printed."""
    done = subprocess.run(("/bin/sh", "-c", command), capture_output=True, text=True, check=False, timeout=60)
    if check and done.returncode:
        raise SystemExit(f"FAILED {command}\n{done.stdout}{done.stderr}")
    return done.stdout


def lay() -> str:
    """Lay the wire and both tunnels; return the public key of the peer."""
    sh("ip netns add a; ip netns add b; ip link add v0 netns a type veth peer name v0 netns b")
    keys = {name: sh("wg genkey").strip() for name in "ab"}
    public = {name: sh(f"echo {key} | wg pubkey").strip() for name, key in keys.items()}
    Path("/tmp/preshared").write_text(sh("wg genpsk"))
    for name, other, i, j in (("a", "b", 1, 2), ("b", "a", 2, 1)):
        Path(f"/tmp/{name}").write_text(keys[name])
        sh(f"ip -n {name} addr add 192.0.2.{i}/24 dev v0; ip -n {name} link set v0 up; ip -n {name} link set lo up")
        peer = f"peer {public[other]} preshared-key /tmp/preshared endpoint 192.0.2.{j}:51820 allowed-ips 10.9.0.{j}/32"
        sh(f"ip -n {name} link add wg0 type wireguard")
        sh(f"ip netns exec {name} wg set wg0 listen-port 51820 private-key /tmp/{name} {peer}")
        sh(f"ip -n {name} addr add 10.9.0.{i}/24 dev wg0; ip -n {name} link set wg0 up")
        sh(f"ip -n {name} xfrm state add src 192.0.2.1 dst 192.0.2.2 spi 0x1001 {TUNNEL} {AEAD} limit time-hard 3600")
        sh(f"ip -n {name} xfrm state add src 192.0.2.2 dst 192.0.2.1 spi 0x1002 {TUNNEL} {CBC} replay-window 32")
        sh(f"ip -n {name} addr add 10.{i}.0.1/24 dev lo")
        sh(f"ip -n {name} route add 10.{j}.0.0/24 via 192.0.2.{j} src 10.{i}.0.1")
        there, back = f"tmpl src 192.0.2.{i} dst 192.0.2.{j} {TUNNEL}", f"tmpl src 192.0.2.{j} dst 192.0.2.{i} {TUNNEL}"
        sh(f"ip -n {name} xfrm policy add src 10.{i}.0.0/24 dst 10.{j}.0.0/24 dir out {there}")
        sh(f"ip -n {name} xfrm policy add src 10.{j}.0.0/24 dst 10.{i}.0.0/24 dir in {back}")
    return public["b"]


def start_daemons() -> None:
    """Start a strongSwan on either side that puts its tunnels into the kernel, and load what both agreed."""
    for name, own in (("a", 1), ("b", 2)):
        Path(f"/tmp/{own}.conf").write_text(DAEMON.format(own=own))
        Path(f"/tmp/{own}.swanctl").write_text(CONNECTION.format(own=own, peer=3 - own))
        sh(f"ip -n {name} addr add 10.3{own}.0.1/24 dev lo")
        environment = {**os.environ, "STRONGSWAN_CONF": f"/tmp/{own}.conf"}
        with Path(f"/tmp/{own}.log").open("wb") as log:
            subprocess.Popen(("ip", "netns", "exec", name, CHARON), env=environment, stdout=log, stderr=log)
    for own in (1, 2):
        for _ in range(300):
            if Path(f"/tmp/{own}.vici").is_socket():
                break
            time.sleep(0.1)
        swanctl(own, f"--load-all --file /tmp/{own}.swanctl")


def swanctl(own: int, arguments: str) -> None:
    """Speak to one side's daemon."""
    sh(f"STRONGSWAN_CONF=/tmp/{own}.conf {SWANCTL} {arguments} --uri unix:///tmp/{own}.vici")


def ping(target: str) -> None:
    """Send one packet, whatever comes of it."""
    sh(f"ping -c 1 -W 2 {target}", check=False)


def told(step: str, result: object) -> None:
    """Print a step's result."""
    sys.stdout.write(f"RESULT {json.dumps([step, msgspec.to_builtins(result)])}\n")
    sys.stdout.flush()


Ask = Callable[[], Awaitable[Result]]


async def of_wireguard(ask: Ask, clock: Later) -> None:
    """Idle, alive, cut off while sending."""
    told("wireguard idle", await ask())
    ping("10.9.0.2")
    told("wireguard alive", await ask())
    sh("ip -n b link set v0 down")
    ping("10.9.0.2")
    await ask()
    clock.ahead += SILENT_SECONDS + 1
    ping("10.9.0.2")
    told("wireguard silent", await ask())


async def of_xfrm(ask: Ask, clock: Later, heard: "asyncio.Queue[str]") -> None:
    """Established, passing, nothing back, one association gone."""
    told("xfrm established", await ask())
    ping("10.2.0.1")
    told("xfrm passing", await ask())
    sh("ip -n b xfrm state delete src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1001")
    ping("10.2.0.1")
    await ask()
    clock.ahead += SILENT_SECONDS + 1
    ping("10.2.0.1")
    told("xfrm nothing back", await ask())
    while not heard.empty():
        heard.get_nowait()
    sh("ip -n a xfrm state delete src 192.0.2.2 dst 192.0.2.1 proto esp spi 0x1002")
    told("xfrm event", await asyncio.wait_for(heard.get(), 30))
    told("xfrm one way", await ask())
    sh("ip netns exec b ping -c 1 -W 1 10.1.0.1", check=False)
    told("xfrm no state", await ask())


async def of_strongswan(ask: Ask, policy: Ask) -> None:
    """What the daemon says of its tunnel and what the kernel says of the same one: up, and taken down."""
    await asyncio.to_thread(swanctl, 1, "--initiate --child net --timeout 30")
    ping("-I 10.31.0.1 10.32.0.1")
    told("strongswan up", await ask())
    told("its kernel up", await policy())
    await asyncio.to_thread(swanctl, 1, "--terminate --child net --timeout 30")
    told("strongswan down", await ask())
    told("its kernel down", await policy())


async def main(key: str) -> None:
    """Ask in namespace a."""
    clock = Later()
    async with (
        wireguard.open(Kit(clock)) as tunnels,
        xfrm.open(Kit(clock)) as kernel,
        strongswan.open(Kit(clock)) as charon,
    ):

        async def peer(target: str = "wg0") -> Result:
            return await tunnels.attempt(wireguard.Settings(target=target, peer=key), clock.boot() + 30)

        async def policy() -> Result:
            asked = xfrm.Settings(target="192.0.2.2", network="10.2.0.0/24")
            return await kernel.attempt(asked, clock.boot() + 30)

        async def daemon() -> Result:
            asked = strongswan.Settings(target="/tmp/1.vici", connection="site")
            return await charon.attempt(asked, clock.boot() + 30)

        async def its_policy() -> Result:
            asked = xfrm.Settings(target="192.0.2.2", network="10.32.0.0/24")
            return await kernel.attempt(asked, clock.boot() + 30)

        await of_strongswan(daemon, its_policy)
        heard: asyncio.Queue[str] = asyncio.Queue()
        kernel.hear(heard.put_nowait)
        await of_xfrm(policy, clock, heard)
        await of_wireguard(peer, clock)
        told("wireguard no interface", await peer("wg9"))
        told("wireguard another interface", await peer("lo"))


if __name__ == "__main__":
    peer_key = lay()
    start_daemons()
    inside = os.open("/run/netns/a", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(inside, 0):
        raise SystemExit("no namespace")
    asyncio.run(main(peer_key))
    told("secrets", [Path(f"/tmp/{name}").read_text().strip() for name in ("a", "preshared")])
