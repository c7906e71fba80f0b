"""The gate on real sockets, before a daemon that answers as charon does: what passes, who is disconnected."""

import asyncio
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from vici.protocol import Message, Packet

from agent.daemon.vici_gate import CLIENTS_MOST, Gate, own_socket, passed_socket
from probes import strongswan
from probes.kit.result import Outcome
from probes.kit.vici import Session, ViciUnknownError, frame
from probes.kit.vici_gate import GATE, MAX_REQUEST_BYTES
from tests.peers.test_strongswan_charon import SECRET, Gateway
from tests.peers.test_strongswan_charon import gateways as gateways  # noqa: PLC0414 - a fixture
from tests.peers.test_strongswan_socket import QUESTIONS, Charon, Kit, attempt, serving, told, until

pytestmark = pytest.mark.peer


class Log:
    """Keeps what was logged."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, event: str, **fields: Any) -> None:
        """Keep a line."""
        self.lines.append((event, fields))

    warning = error = info


@asynccontextmanager
async def gate(charon: Path, path: Path) -> AsyncIterator[Log]:
    """Run a gate to `charon` at `path`."""
    log = Log()
    task = asyncio.create_task(Gate(str(charon), log).serve(own_socket(path, 0o660)))
    try:
        yield log
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)


def test_the_probe_works_through_the_gate(tmp_path: Path) -> None:
    """Questions and events pass as without it."""
    charon = Charon()
    changed: list[str] = []

    async def scenario() -> None:
        way = tmp_path / "gate"
        async with serving(tmp_path / "vici", charon), gate(tmp_path / "vici", way), strongswan.open(Kit()) as runner:
            runner.hear(changed.append)
            assert (await attempt(runner, way)).outcome is Outcome.OK
            assert charon.commands == QUESTIONS
            await until(lambda: bool(charon.listeners))
            charon.listeners[0].write(told("ike-updown", {"site": {"uniqueid": "1"}}))
            await until(lambda: bool(changed))

    asyncio.run(scenario())


def test_what_changes_never_reaches_charon(tmp_path: Path) -> None:
    """A terminate is unknown here, is logged, and the connection goes on; the gate says what it is."""
    charon = Charon()

    async def scenario() -> None:
        way = tmp_path / "gate"
        async with serving(tmp_path / "vici", charon), gate(tmp_path / "vici", way) as log:
            session = await Session.connect(str(way))
            for command in ("terminate", "load-shared", "get-keys"):
                with pytest.raises(ViciUnknownError):
                    await session.request(command)
            assert await session.request(GATE) == {"gate": b"reads only"}
            await session.request("stats")
            session.close()
            assert charon.commands == ["stats"]
            assert [fields["request"] for event, fields in log.lines if event == "vici-request-refused"] == [
                "terminate"
            ]

    asyncio.run(scenario())


async def disconnected(path: Path, data: bytes) -> bool:
    """Return whether the gate ends the connection after `data`."""
    reader, writer = await asyncio.open_unix_connection(path)
    with closing(writer.transport):
        writer.write(data)
        try:
            async with asyncio.timeout(5.0):
                return await reader.read() == b""
        except ConnectionError:
            return True


MALFORMED = {
    "an answer": frame(bytes([Packet.CMD_RESPONSE])),
    "a request that is too long": (MAX_REQUEST_BYTES + 1).to_bytes(4, "big"),
    "a message that is cut": frame(Packet.request("list-sas", Message.serialize({"a": "b"})[:-1])),
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
}


def test_who_sends_no_request_is_disconnected(tmp_path: Path) -> None:
    """Malformed bytes end the client's connection and never reach charon."""
    charon = Charon()

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), gate(tmp_path / "vici", tmp_path / "gate"):
            for name, data in MALFORMED.items():
                assert await disconnected(tmp_path / "gate", data), name
            assert charon.commands == []

    asyncio.run(scenario())


def test_clients_are_bounded(tmp_path: Path) -> None:
    """One more than the most is turned away, and let in once another has left."""
    charon = Charon()

    async def scenario() -> None:
        way = tmp_path / "gate"
        async with serving(tmp_path / "vici", charon), gate(tmp_path / "vici", way):
            sessions = [await Session.connect(str(way)) for _ in range(CLIENTS_MOST)]
            for session in sessions:
                await session.request("stats")
            assert await disconnected(way, b"")
            for session in sessions:
                session.close()
            await until(lambda: all(writer.transport.is_closing() for writer in charon.writers))
            again = await Session.connect(str(way))
            await again.request("stats")
            again.close()

    asyncio.run(scenario())


def test_without_charon_the_probe_is_blind(tmp_path: Path) -> None:
    """The gate ends the connection and says why; when charon comes, the next attempt passes."""

    async def scenario() -> None:
        way = tmp_path / "gate"
        async with gate(tmp_path / "vici", way) as log, strongswan.open(Kit()) as runner:
            assert (await attempt(runner, way)).fault == "vici-unreachable"
            assert any(event == "vici-charon-unreachable" for event, _ in log.lines)
            async with serving(tmp_path / "vici", Charon()):
                assert (await attempt(runner, way)).outcome is Outcome.OK

    asyncio.run(scenario())


def test_the_socket_has_the_rights_that_are_asked_for(tmp_path: Path) -> None:
    """It is never open to more, takes the place of an earlier one, and of nothing else."""
    path = tmp_path / "gate"
    for _ in range(2):
        own_socket(path, 0o660).close()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
    path.unlink()
    path.write_text("a file")
    with pytest.raises(OSError, match="in use"):
        own_socket(path, 0o660)


def test_systemd_can_pass_the_socket(tmp_path: Path) -> None:
    """It is taken as the third descriptor; without its environment, or with another process's, there is none."""
    ask = "import os; from agent.daemon.vici_gate import passed_socket as p; "
    ask += "print(p(os.environ, os.getpid()).getsockname())"
    with own_socket(tmp_path / "gate", 0o660) as listener:
        line = f'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" -c "$1" 3<&{listener.fileno()}'
        done = subprocess.run(
            ["bash", "-c", line, sys.executable, ask],
            pass_fds=[listener.fileno()],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
            timeout=20,
        )
    assert done.stdout.strip() == str(tmp_path / "gate")
    assert passed_socket({}, 5) is None
    assert passed_socket({"LISTEN_PID": "4", "LISTEN_FDS": "1"}, 5) is None
    assert passed_socket({"LISTEN_PID": "5", "LISTEN_FDS": "0"}, 5) is None


@pytest.mark.lab
@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("charon-systemd"), reason="root and charon-systemd")
def test_the_command_before_a_real_charon(gateways: tuple[Gateway, Gateway], tmp_path: Path) -> None:
    """`demarc vici` lets the probe read from strongSwan, and nobody terminate through it."""
    near, _ = gateways
    way = tmp_path / "gate.sock"
    options = ["--charon", str(near.vici), "--listen", str(way), "--group", "root"]
    command = [sys.executable, "-c", "from agent.cli.main import main; main()", "vici", *options]
    running = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd=Path(__file__).parents[2])
    try:

        async def scenario() -> None:
            await until(way.is_socket)
            async with strongswan.open(Kit()) as runner:
                result = await attempt(runner, way)
                assert (result.outcome, result.values["vpn_child_up"]) == (Outcome.OK, 1)
                assert SECRET not in repr(result)

        asyncio.run(scenario())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(way))
        refused = ["swanctl", "--terminate", "--ike", "site", "--uri", f"unix://{way}"]
        assert subprocess.run(refused, check=False, capture_output=True, timeout=20).returncode != 0
    finally:
        running.terminate()
        running.wait(timeout=10)
