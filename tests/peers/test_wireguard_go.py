"""wireguard against two real user-space peers in network namespaces of their own, and against what is none.

The kernel's answer is tested on bytes (tests/probes/test_wireguard_device.py): no kernel here has WireGuard.
"""

import asyncio
import base64
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from probes import wireguard
from probes.kit.result import Outcome, Result
from probes.kit.spec import Clock
from probes.kit.tunnel_state import SILENT_SECONDS
from probes.wireguard import Settings
from tests.peers.probing import CLOCK, Kit, attempt

SOCKETS = Path("/var/run/wireguard")


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, capture_output=True, timeout=20)


class Side:
    """One end: a namespace, a wireguard-go in it, its keys."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.namespace = f"wg-{uuid.uuid4().hex[:6]}"
        self.interface = self.namespace
        self.socket = SOCKETS / f"{self.interface}.sock"
        own = X25519PrivateKey.generate()
        self.private = own.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
        self.public = own.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self, wire: str) -> None:
        """Bring up the namespace's end of the wire and the daemon."""
        run("ip", "-n", self.namespace, "addr", "add", f"192.0.2.{self.number}/24", "dev", wire)
        run("ip", "-n", self.namespace, "link", "set", wire, "up")
        command = ("ip", "netns", "exec", self.namespace, "wireguard-go", "-f", self.interface)
        self._daemon = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self.socket.exists)
        run("ip", "-n", self.namespace, "addr", "add", f"10.9.0.{self.number}/24", "dev", self.interface)

    def know(self, other: "Side", preshared: bytes) -> None:
        """Configure this end with the other one as its peer, and bring the tunnel up."""
        lines = (
            f"private_key={self.private.hex()}",
            "listen_port=51820",
            f"public_key={other.public.hex()}",
            f"preshared_key={preshared.hex()}",
            f"endpoint=192.0.2.{other.number}:51820",
            f"allowed_ip=10.9.0.{other.number}/32",
        )
        self.configure(*lines)
        run("ip", "-n", self.namespace, "link", "set", self.interface, "up")

    def configure(self, *lines: str) -> None:
        """Set what these lines say."""
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.socket))
            client.sendall(("set=1\n" + "\n".join(lines) + "\n\n").encode())
            assert client.recv(1000) == b"errno=0\n\n"

    def ping(self, other: "Side") -> bool:
        """Send one packet through the tunnel; return whether the answer came."""
        target = f"10.9.0.{other.number}"
        done = subprocess.run(
            ("ip", "netns", "exec", self.namespace, "ping", "-c1", "-W1", target), check=False, capture_output=True
        )
        return done.returncode == 0

    def stop(self) -> None:
        """End the daemon and the namespace."""
        if self._daemon is not None:
            self._daemon.terminate()
            self._daemon.wait(timeout=10)
        subprocess.run(("ip", "netns", "del", self.namespace), check=False, capture_output=True)


def wait_for(holds: Callable[[], bool]) -> None:
    """Wait until something holds; thirty seconds on a busy machine."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def sides() -> Iterator[tuple[Side, Side]]:
    """Two peers with a wire between them and a tunnel configured, over which nothing has passed."""
    one, other = Side(1), Side(2)
    preshared = secrets.token_bytes(32)
    try:
        for side in (one, other):
            run("ip", "netns", "add", side.namespace)
        wire = ("link", "add", "wire", "netns", one.namespace, "type", "veth", "peer", "name", "wire")
        run("ip", *wire, "netns", other.namespace)
        for side in (one, other):
            side.start("wire")
        one.know(other, preshared)
        other.know(one, preshared)
        yield one, other
    finally:
        one.stop()
        other.stop()


class Later:
    """The real clocks, some time later."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def boot(self) -> float:
        """Return boot time."""
        return CLOCK.boot() + self.ahead

    def wall(self) -> float:
        """Return wall time."""
        return CLOCK.wall()


@asynccontextmanager
async def asking(settings: Settings, clock: Clock) -> AsyncIterator[Callable[..., Awaitable[Result]]]:
    """Open the probe with a clock; what is given makes one attempt."""
    kit = Kit()
    kit.clock = clock
    async with wireguard.open(kit) as runner:

        async def ask(within: float = 20.0) -> Result:
            return await runner.attempt(settings, clock.boot() + within)

        yield ask


needs_peers = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("wireguard-go"), reason="root and wireguard-go"),
]


def lab(test: Any) -> Any:
    """Mark a test that needs root and the daemon."""
    for mark in needs_peers:
        test = mark(test)
    return test


@lab
def test_idle_alive_silent_and_moved(sides: tuple[Side, Side]) -> None:
    """Nothing sent: unknown. Answers: ok. Cut off while sending: silent. Back from another port: told."""
    one, other = sides
    settings = Settings(target=str(one.socket), peer=base64.b64encode(other.public).decode())

    async def scenario() -> None:
        clock = Later()
        async with asking(settings, clock) as ask:
            idle = await ask()
            assert (idle.outcome, idle.fault) == (Outcome.UNKNOWN, "idle")
            wait_for(lambda: one.ping(other))
            alive = await ask()
            assert (alive.outcome, alive.values["vpn_tunnels_established"], alive.values["vpn_passing"]) == ("ok", 1, 1)
            run("ip", "-n", other.namespace, "link", "set", "wire", "down")
            assert not one.ping(other)
            assert (await ask()).outcome is Outcome.OK  # one packet is no silence
            clock.ahead = SILENT_SECONDS + 1
            assert not one.ping(other)
            silent = await ask()
            assert (silent.outcome, silent.fault, silent.values["vpn_passing"]) == ("failed", "peer-silent", 0)
            run("ip", "-n", other.namespace, "link", "set", "wire", "up")
            other.configure("listen_port=51821")
            wait_for(lambda: other.ping(one))
            moved = await ask()
            assert (moved.outcome, moved.values["wireguard_endpoint_changes_total"]) == ("ok", 1)
            assert moved.facts is not None
            assert "192.0.2.2:51821" in moved.facts.values()

    asyncio.run(scenario())


@lab
def test_no_secret_key_leaves_the_probe(sides: tuple[Side, Side]) -> None:
    """Neither side's private key nor the preshared one stands in anything that an attempt gives."""
    one, other = sides
    answered = subprocess.run(
        ("python3", "-c", _DUMP, str(one.socket)), check=True, capture_output=True, timeout=20
    ).stdout.decode()
    assert one.private.hex() in answered
    result = attempt(wireguard, Settings(target=str(one.socket)))
    told = msgspec.json.encode(result).decode() + repr(result)
    assert base64.b64encode(other.public).decode() in told
    for line in answered.splitlines():
        name, _, value = line.partition("=")
        if name in {"private_key", "preshared_key"}:
            assert value not in told
            assert base64.b64encode(bytes.fromhex(value)).decode() not in told


_DUMP = """
import socket, sys
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.sendall(b"get=1\\n\\n"); print(s.recv(65536).decode())
"""


STRANGERS: dict[str, tuple[bytes | None, str]] = {
    "garbage": (b"\x00\x01\x02\n\n", "wireguard-protocol"),
    "a refusal": (b"errno=1\n\n", "wireguard-protocol"),
    "an answer without an end": (b"public_key=00\n", "wireguard-protocol"),
    "an answer without end": (b"x" * 9_000_000, "wireguard-protocol"),
    "silence": (None, "wireguard-silent"),
}


@pytest.mark.peer
@pytest.mark.parametrize("case", STRANGERS)
def test_what_is_no_wireguard_is_unknown(case: str, tmp_path: Path) -> None:
    """Whatever else listens on the socket, the attempt ends in time and says what it met."""
    answer, fault = STRANGERS[case]
    path = tmp_path / "wg.sock"

    async def scenario() -> Result:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\n\n")
            writer.write(answer or b"")
            with contextlib.suppress(ConnectionError):
                await (writer.drain() if answer else reader.read())
            writer.transport.abort() if len(answer or b"") > 100 else writer.close()
            ended.set()

        server = await asyncio.start_unix_server(serve, path)
        async with server, asking(Settings(target=str(path)), CLOCK) as ask:
            result = await ask(0.2 if answer is None else 20.0)
            await ended.wait()
            return result

    result = asyncio.run(scenario())
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, fault)


@pytest.mark.peer
def test_nobody_on_the_socket_is_unknown(tmp_path: Path) -> None:
    """A socket that is not there is not the peer's fault."""
    result = attempt(wireguard, Settings(target=str(tmp_path / "none.sock")))
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "wireguard-unreachable")


@pytest.mark.peer
def test_an_interface_that_the_kernel_lacks(tmp_path: Path) -> None:
    """The kernel says that it does not know WireGuard, or not this interface, or that we may not ask."""
    result = attempt(wireguard, Settings(target="wg-none"))
    assert (result.outcome, result.fault) in {
        (Outcome.UNKNOWN, "no-wireguard"),
        (Outcome.UNKNOWN, "no-permission"),
        (Outcome.FAILED, "not-configured"),
    }
