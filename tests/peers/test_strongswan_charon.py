"""strongSwan against two real daemons with a real IKEv2 tunnel, in network namespaces of their own."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from probes import strongswan
from probes.kit.clock import SystemClock
from probes.kit.result import Outcome, Result
from probes.strongswan import Settings, StrongswanRunner

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("charon-systemd"), reason="root and charon-systemd"),
]

SECRET = "canary-psk-5f1e"
# kernel-libipsec stands before kernel-netlink: ESP in user space, no kernel state.
PLUGINS = (
    "random nonce aes sha1 sha2 hmac kdf gcm curve25519 openssl x509 pubkey pem pkcs1 "
    "kernel-libipsec kernel-netlink socket-default vici updown"
)
DAEMON = """
charon-systemd {{
  load_modular = no
  load = {plugins}
  plugins {{ vici {{ socket = unix://{dir}/{side}.vici }} }}
  retransmit_timeout = 0.5
  retransmit_base = 1.0
  retransmit_tries = 2
}}
"""
TUNNEL = """
connections {{ site {{
  version = 2
  local_addrs = 192.0.2.{own}
  remote_addrs = 192.0.2.{peer}
  proposals = aes128gcm16-prfsha256-x25519
  keyingtries = 0
  dpd_delay = 1s
  local {{ auth = psk
    id = side{own} }}
  remote {{ auth = psk
    id = side{peer} }}
  children {{ net {{
    local_ts = 10.{own}.0.0/24
    remote_ts = 10.{peer}.0.0/24
    esp_proposals = aes128gcm16
    start_action = {start}
    dpd_action = {dpd} }} }}
}} }}
secrets {{ ike-1 {{ secret = "{secret}" }} }}
"""


def run(*command: str, check: bool = True, **more: Any) -> None:
    """Run a command within 20 s."""
    subprocess.run(command, check=check, capture_output=True, timeout=20, **more)


# A refused connection is an answer of the far address: the data plane works (9: discard, RFC 863).
REFUSED = """
import socket
try:
    socket.create_connection(("10.2.0.1", 9), 1.0, source_address=("10.1.0.1", 0))
except ConnectionRefusedError:
    raise SystemExit(0)
raise SystemExit(1)
"""


class Gateway:
    """One daemon in one namespace."""

    def __init__(self, directory: Path, name: str, own: int, *, initiates: bool) -> None:
        self.dir = directory
        self.namespace = f"{name}{own}"
        self.own = own
        self.initiates = initiates
        self.vici = directory / f"{own}.vici"
        self.daemon: subprocess.Popen[bytes] | None = None
        (directory / f"{own}.conf").write_text(DAEMON.format(dir=directory, side=own, plugins=PLUGINS))
        self.environment = {**os.environ, "STRONGSWAN_CONF": str(directory / f"{own}.conf")}

    def start(self) -> None:
        """Start the daemon and wait for its socket."""
        self.daemon = subprocess.Popen(
            ["ip", "netns", "exec", self.namespace, "charon-systemd"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(self.vici.is_socket)

    def stop(self) -> None:
        """Kill the daemon without a farewell to its peer."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait(timeout=10)
        self.vici.unlink(missing_ok=True)

    def load(self, replace: tuple[str, str] = ("", "")) -> None:
        """Load connection and secret, with one text in them replaced by another."""
        file = self.dir / f"{self.own}.swanctl"
        start, dpd = ("start", "restart") if self.initiates else ("none", "clear")
        text = TUNNEL.format(own=self.own, peer=3 - self.own, secret=SECRET, start=start, dpd=dpd)
        file.write_text(text.replace(*replace))
        self.swanctl("--load-all", "--clear", "--file", str(file))

    def swanctl(self, *arguments: str, check: bool = True) -> None:
        """Speak to the daemon."""
        run("swanctl", *arguments, "--uri", f"unix://{self.vici}", check=check, env=self.environment)

    def inside(self, *command: str, check: bool = True) -> None:
        """Run a command in the namespace."""
        run("ip", "netns", "exec", self.namespace, *command, check=check)


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until `condition` holds."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def gateways(tmp_path: Path) -> Iterator[tuple[Gateway, Gateway]]:
    """Give an initiator and a responder with their tunnel up."""
    name = f"dm{uuid.uuid4().hex[:6]}-"
    near, far = Gateway(tmp_path, name, 1, initiates=True), Gateway(tmp_path, name, 2, initiates=False)
    try:
        for gateway in (near, far):
            run("ip", "netns", "add", gateway.namespace)
        run("ip", "-n", near.namespace, "link", "add", "wan", "type", "veth", "peer", "wan", "netns", far.namespace)
        for gateway in (near, far):
            run("ip", "-n", gateway.namespace, "addr", "add", f"192.0.2.{gateway.own}/24", "dev", "wan")
            run("ip", "-n", gateway.namespace, "addr", "add", f"10.{gateway.own}.0.1/24", "dev", "lo")
            for link in ("lo", "wan"):
                run("ip", "-n", gateway.namespace, "link", "set", link, "up")
            gateway.start()
        far.load()
        near.load()
        wait_for(lambda: ask(near).outcome is Outcome.OK)
        yield near, far
    finally:
        for gateway in (near, far):
            gateway.stop()
            run("ip", "netns", "del", gateway.namespace, check=False)


class Kit:
    """What a runner borrows; strongswan resolves no names."""

    clock = SystemClock()
    resolver: Any = None


def ask(gateway: Gateway, attempts: int = 1, *, connection: str | None = None, child: str | None = None) -> Result:
    """Return the first result that is not ok of so many attempts in a row, else the last one."""

    async def scenario() -> Result:
        async with strongswan.open(Kit()) as runner:
            for _ in range(attempts):
                asked = Settings(target=f"unix://{gateway.vici}", connection=connection, child=child)
                result: Result = await runner.attempt(asked, Kit.clock.boot() + 1.0, fresh=True)
                if result.outcome is not Outcome.OK:
                    break
            return result

    result = asyncio.run(scenario())
    assert SECRET not in repr(result)
    return result


def test_the_tunnel_is_up_on_both_sides(gateways: tuple[Gateway, Gateway]) -> None:
    """Both gateways say so, and the values hold what a real daemon counts."""
    for gateway in gateways:
        wait_for(lambda gateway=gateway: ask(gateway).outcome is Outcome.OK)  # type: ignore[misc]
        values = ask(gateway, connection="site", child="net").values
        assert (values["vpn_ike_up"], values["vpn_child_up"], values["vpn_duplicates"]) == (1, 1, 0)
        assert values["vpn_rekey_seconds"] > 0
        assert values["vpn_ike_age_seconds"] >= 0


def test_a_deleted_child_is_missing_while_ike_stands(gateways: tuple[Gateway, Gateway]) -> None:
    """A one-sided delete of the child is told from a dead IKE SA."""
    gateways[0].swanctl("--terminate", "--child", "net")
    assert ask(gateways[0]).fault == "child-missing"
    gateways[0].swanctl("--initiate", "--child", "net")
    assert ask(gateways[0]).outcome is Outcome.OK


def test_a_dead_peer_is_noticed_by_dead_peer_detection(gateways: tuple[Gateway, Gateway]) -> None:
    """Once the daemon has given the peer up, its new attempts read as connecting; then it comes back."""
    near, far = gateways
    far.stop()
    wait_for(lambda: ask(near).outcome is Outcome.FAILED)
    assert ask(near).fault in ("ike-missing", "ike-connecting")
    far.start()
    far.load()
    wait_for(lambda: ask(near).outcome is Outcome.OK, 20.0)


# What is changed at the responder, and the faults that the initiator's and the responder's own gateway tell.
REFUSALS: dict[str, tuple[str, str, str, str]] = {
    "another key": (SECRET, "another", "auth-refused", "key-mismatch"),
    "another IKE proposal": ("prfsha256-x25519", "prfsha512-ecp256", "no-proposal", "no-proposal"),
    "another ESP proposal": ("esp_proposals = aes128", "esp_proposals = aes256", "no-proposal", "no-proposal"),
    "other networks": ("local_ts = 10.2", "local_ts = 10.9", "selectors-mismatch", "selectors-mismatch"),
    "another identity": ("id = side1", "id = sideX", "auth-refused", "identity-mismatch"),
}


def test_a_refused_negotiation_is_told_from_the_log(gateways: tuple[Gateway, Gateway]) -> None:
    """Each kind of refusal is a fault of its own on both gateways, with the log's line and no key in it."""
    near, far = gateways

    async def scenario() -> None:
        async with strongswan.open(Kit()) as runner:
            for gateway in gateways:
                await told(runner, gateway, None)
            for agreed, other, *faults in REFUSALS.values():
                await asyncio.to_thread(far.load, (agreed, other))
                await asyncio.to_thread(near.swanctl, "--terminate", "--ike", "site", "--force", check=False)
                await asyncio.to_thread(near.swanctl, "--initiate", "--child", "net", "--timeout", "1", check=False)
                for gateway, fault in zip(gateways, faults, strict=True):
                    result = await told(runner, gateway, fault)
                    assert (result.outcome, result.stage) == (Outcome.FAILED, "connect")
                    assert "the gateway's log: " in result.detail
                    assert SECRET not in repr(result)

    asyncio.run(scenario())


def test_a_terminated_tunnel_is_told_of(gateways: tuple[Gateway, Gateway]) -> None:
    """The gateway tells of the end by itself, and the attempt that follows finds the tunnel missing."""
    near, _ = gateways
    changed: list[str] = []

    async def scenario() -> None:
        async with strongswan.open(Kit()) as runner:
            runner.hear(changed.append)
            await told(runner, near, None)
            changed.clear()
            await asyncio.to_thread(near.swanctl, "--terminate", "--child", "net")
            assert str(near.vici) in changed
            result = await runner.attempt(Settings(target=str(near.vici)), Kit.clock.boot() + 1.0)
            assert (result.fault, result.values["vpn_downs_total"]) == ("child-missing", 1)

    asyncio.run(scenario())


async def told(runner: StrongswanRunner, gateway: Gateway, fault: str | None) -> Result:
    """Attempt until the gateway is listened to and the result has this fault, at most 10 s."""
    until = Kit.clock.boot() + 10.0
    while True:
        result = await runner.attempt(Settings(target=str(gateway.vici)), Kit.clock.boot() + 1.0, fresh=True)
        if result.fault == fault and result.values.get("vpn_listening"):
            return result
        assert Kit.clock.boot() < until, f"{result.fault} where {fault} was expected: {result.detail}"
        await asyncio.sleep(0.05)


def test_rekeying_is_no_fault(gateways: tuple[Gateway, Gateway]) -> None:
    """Asked as fast as it answers while child and IKE SA are rekeyed, the gateway is never down."""
    near = gateways[0]
    for what in (("--child", "net"), ("--ike", "site")):
        rekey = subprocess.Popen(
            ["swanctl", "--rekey", *what, "--uri", f"unix://{near.vici}"],
            env=near.environment,
            stdout=subprocess.DEVNULL,
        )
        result = ask(near, attempts=300)
        rekey.wait(timeout=10)
        assert (result.outcome, result.detail) == (Outcome.OK, "")


@pytest.mark.soak
def test_a_tunnel_that_both_sides_start_is_held_twice(gateways: tuple[Gateway, Gateway]) -> None:
    """Both sides start, nothing makes their SAs unique: both gateways show two of one child that stay."""
    for gateway in gateways:
        gateway.load(("keyingtries = 0", "keyingtries = 0\n  unique = never"))
    gateways[0].swanctl("--initiate", "--child", "net", check=False)  # it may have come up by itself
    gateways[1].swanctl("--initiate", "--child", "net")
    assert ask(gateways[0]).outcome is Outcome.OK  # as while it is rekeyed
    for gateway in gateways:
        wait_for(lambda gateway=gateway: ask(gateway).fault == "child-duplicate", 40.0)  # type: ignore[misc]
        result = ask(gateway)
        assert (result.outcome, result.values["vpn_duplicates"]) == (Outcome.DEGRADED, 1)


def test_dropped_esp_is_not_seen_here(gateways: tuple[Gateway, Gateway]) -> None:
    """While IKE passes and ESP is dropped the state stays up: that is why evidence is `state`."""
    near, far = gateways
    wait_for(lambda: ask(far).outcome is Outcome.OK)
    near.inside(sys.executable, "-c", REFUSED)
    near.inside("nft", "add table inet cut; add chain inet cut out { type filter hook output priority 0; }")
    # ESP in UDP has no non-ESP marker: the first four bytes are the SPI (RFC 3948).
    near.inside("nft", "add rule inet cut out udp dport 4500 @th,64,32 != 0 drop")
    with pytest.raises(subprocess.CalledProcessError):
        near.inside(sys.executable, "-c", REFUSED)
    assert ask(near).outcome is Outcome.OK
    assert strongswan.SPEC.evidence == "state"


def test_a_killed_daemon_leaves_us_blind_until_it_is_back(gateways: tuple[Gateway, Gateway]) -> None:
    """Our own gateway's daemon gone: we cannot look, which says nothing about the tunnel; a new one is heard again."""
    near, _ = gateways
    assert near.daemon is not None
    changed: list[str] = []

    async def scenario() -> None:
        async with strongswan.open(Kit()) as runner:
            runner.hear(changed.append)
            await told(runner, near, None)
            changed.clear()
            await asyncio.to_thread(near.stop)
            result = await runner.attempt(Settings(target=str(near.vici)), Kit.clock.boot() + 1.0, fresh=True)
            assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "vici-unreachable")
            assert str(near.vici) in changed
            await asyncio.to_thread(near.start)
            await asyncio.to_thread(near.load)
            result = await told(runner, near, None)
            assert result.values["vpn_child_up"] == 1

    asyncio.run(scenario())
