"""Greetings of servers that speak the documented bytes, of hostile ones, and of real ones where they are installed."""

import asyncio
import contextlib
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from probes import greeting
from probes.kit.greetings import GREETINGS, LARGEST
from probes.kit.result import Outcome, Result, Stage
from tests.peers.probing import CLOCK, Handler, Kit, Names, ask, attempt, open_descriptors, serve

pytestmark = pytest.mark.peer


def settings(port: int, protocol: str = "smtp", **more: str) -> greeting.Settings:
    """Return settings for a server of this machine."""
    return greeting.Settings(target=f"127.0.0.1:{port}", protocol=protocol, **more)  # type: ignore[arg-type] # a Literal


def saying(answer: bytes, *, opening: bytes = b"", heard: list[bytes] | None = None, whole: bool = True) -> Handler:
    """Return a server that waits for `opening`, answers at once or byte by byte, and notes what it hears."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.readexactly(len(opening))
        for part in [answer] if whole else [answer[n : n + 1] for n in range(len(answer))]:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
        rest = await reader.read()
        if heard is not None:
            heard.extend((first, rest))

    return handle


def greeted(handler: Handler, protocol: str = "smtp", *, within: float = 2.0, **more: str) -> Result:
    """Return the result of one attempt at a server."""

    async def scenario() -> Result:
        async with serve(handler) as port:
            return await ask(greeting, settings(port, protocol, **more), within=within)

    return asyncio.run(scenario())


def test_a_service_that_speaks_first() -> None:
    """The phases are reached, the answer's size is told, and we take leave politely."""
    heard: list[bytes] = []

    async def scenario() -> Result:
        async with serve(saying(b"220 mx.example ESMTP\r\n", heard=heard)) as port:
            result = await ask(greeting, settings(port))
            for _ in range(1000):
                if heard:
                    break
                await asyncio.sleep(0.001)  # the server's side ends in its own time
            return result

    result = asyncio.run(scenario())

    assert result.outcome is Outcome.OK
    assert set(result.phases) == {"connect", "answer"}
    assert result.seconds == sum(result.phases.values())
    assert result.values == {"greeting_syn_retransmits": 0}
    assert result.packet_bytes == 22 + 52
    assert heard == [b"", b"QUIT\r\n"]


@pytest.mark.parametrize(
    ("protocol", "answer"),
    [
        ("ldap", bytes.fromhex("300c02010165070a010004000400")),
        ("rdp", bytes.fromhex("030000130ed00000123400 0209080002000000")),
        ("mssql", bytes.fromhex("0401002b0000010000")),
        ("mqtt", b"\x20\x02\x00\x00"),
        ("redis", b"+PONG\r\n"),
    ],
)
@pytest.mark.parametrize("whole", [True, False])
def test_a_service_that_is_asked(protocol: str, answer: bytes, whole: bool) -> None:
    """Our bytes go first; the answer may come in pieces."""
    result = greeted(saying(answer, opening=GREETINGS[protocol].opening, whole=whole), protocol)

    assert result.outcome is Outcome.OK


async def _endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(b"220-" + b"x" * 60 + b"\n")
            await writer.drain()


async def _slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            writer.write(b"220-x\n")
            await asyncio.sleep(0.01)


async def _reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(0.01)
    writer.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    writer.transport.abort()


async def _silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def _closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def _half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mx")


async def _half_and_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"220 mx")
    await reader.read()


# name -> (server, settings, fault, answered, detail)
TROUBLES: dict[str, tuple[Handler, dict[str, str], str, bool, str]] = {
    "no service": (saying(b"554 go away\r\n"), {}, "refused-by-service", True, "554 go away"),
    "another text": (saying(b"220 mx2\r\n"), {"expect": "mx1"}, "answer-mismatch", True, "220 mx2"),
    "another protocol": (saying(b"HTTP/1.1 400 Bad\r\n\r\n"), {}, "malformed", True, "HTTP/1.1 400 Bad"),
    "endless": (_endless, {}, "malformed", True, "220-xxx"),
    "slow": (_slow, {}, "timeout", False, "then silence: 220-x"),
    "silent": (_silent, {}, "timeout", False, "no byte, then silence"),
    "half, then silence": (_half_and_silent, {}, "timeout", False, "6 bytes, then silence: 220 mx"),
    "half, then closed": (_half, {}, "closed", True, "6 bytes, then closed: 220 mx"),
    "closed": (_closing, {}, "closed", False, "no byte, then closed"),
    "reset": (_reset, {}, "reset", False, "ECONNRESET"),
}


@pytest.mark.parametrize("case", TROUBLES)
def test_every_trouble_has_its_name(case: str) -> None:
    """What the service said is its own word; silence and a reset may be the path's."""
    handler, more, fault, answered, detail = TROUBLES[case]

    result = greeted(handler, within=0.3, **more)

    assert (result.outcome, result.stage, result.fault) == (Outcome.FAILED, Stage.ANSWER, fault), result
    assert result.answered is answered
    assert result.seconds is not None
    assert result.seconds >= sum(result.phases.values())
    assert fault != "timeout" or result.seconds > 0.25  # it lasted until the deadline of 0.3 s
    assert detail in result.detail
    assert len(result.detail) <= 200
    assert "connect" in result.phases


def test_a_peer_that_sends_ahead_is_read_in_bounds() -> None:
    """No more than LARGEST bytes of a flood are taken."""
    read: list[int] = []

    class Counting(socket.socket):
        def recv(self, bufsize: int, flags: int = 0) -> bytes:
            data = super().recv(bufsize, flags)
            read.append(len(data))
            return data

    async def scenario() -> None:
        near, far = socket.socketpair()
        with far, Counting(fileno=near.detach()) as sock:
            sock.setblocking(False)
            far.send(b"220-" + b"x" * 100_000)
            data, _ = await greeting.hear(sock, 4, "smtp", deadline=CLOCK.boot() + 5, clock=CLOCK)
            assert len(data) == sum(read) <= LARGEST

    asyncio.run(scenario())


def test_before_the_connection_stands() -> None:
    """A closed port refuses at connect, a name that is gone fails at resolve, a late start is our own fault."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        refused = attempt(greeting, settings(port))
    gone = attempt(greeting, greeting.Settings(target="gone", protocol="ssh"), kit=Kit(Names()))
    late = attempt(greeting, settings(1), within=-0.1)

    assert (refused.stage, refused.fault, refused.phases) == (Stage.CONNECT, "refused", {})
    assert (gone.stage, gone.fault) == (Stage.RESOLVE, "resolve-nxdomain")
    assert (late.outcome, late.fault, late.values) == (Outcome.UNKNOWN, "no-time", {})


def test_nothing_is_left_open() -> None:
    """Attempts that pass, fail or are cancelled leave no descriptor behind."""

    async def scenario() -> None:
        async with serve(_silent) as port, greeting.open(Kit()) as runner:
            before = open_descriptors()
            tasks = [asyncio.create_task(runner.attempt(settings(port), CLOCK.boot() + 60)) for _ in range(10)]
            await asyncio.sleep(0.05)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for _ in range(100):
                if open_descriptors() <= before:
                    break
                await asyncio.sleep(0.02)  # the server's side closes in its own time
            assert open_descriptors() <= before

    asyncio.run(scenario())


@contextlib.contextmanager
def listening(command: list[str], port: int) -> Iterator[None]:
    """Run a server until it is no longer needed; return once it listens."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            for _ in range(500):
                with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
                    break
                assert server.poll() is None, f"{command[0]} ended"
                with contextlib.suppress(subprocess.TimeoutExpired):
                    server.wait(0.02)
            yield
        finally:
            server.kill()


def free_port() -> int:
    """Return a port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def test_openssh(tmp_path: Path) -> None:
    """OpenSSH's own greeting is taken, its version can be expected, and it is no mail server."""
    if (sshd := shutil.which("sshd", path="/usr/sbin")) is None:
        pytest.skip("sshd is not installed")
    key, port = tmp_path / "key", free_port()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    options = ["-o", "ListenAddress=127.0.0.1", "-o", "UsePAM=no", "-o", "PidFile=none", "-o", f"Port={port}"]
    with listening([sshd, "-D", "-f", "/dev/null", "-h", str(key), *options], port):
        found = attempt(greeting, settings(port, "ssh", expect="OpenSSH_"))
        other = attempt(greeting, settings(port, "ssh", expect="dropbear"))
        wrong = attempt(greeting, settings(port, "smtp"))

    assert found.outcome is Outcome.OK
    assert (other.fault, wrong.fault) == ("answer-mismatch", "malformed")


def test_redis() -> None:
    """Redis answers, also when it wants a password."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed")
    for more in ([], ["--requirepass", "none of our business"]):
        port = free_port()
        with listening(["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", *more], port):
            assert attempt(greeting, settings(port, "redis")).outcome is Outcome.OK
