"""strongSwan over a real unix socket: sharing, restarts, silence and strangers."""

import asyncio
import os
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from vici.protocol import Message, Packet

from probes import strongswan
from probes.kit.clock import SystemClock
from probes.kit.result import Outcome, Result
from probes.kit.vici import frame
from probes.strongswan import Settings, StrongswanRunner

pytestmark = pytest.mark.peer

CONN = {"site": {"children": {"net": {"mode": b"TUNNEL"}}}}
SA = {"site": {"state": b"ESTABLISHED", "child-sas": {"net-1": {"name": b"net", "state": b"INSTALLED"}}}}
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Kit:
    """What a runner borrows; strongswan resolves no names."""

    clock = SystemClock()
    resolver: Any = None


class Charon:
    """A daemon that answers as charon does, and counts."""

    def __init__(self, sas: tuple[dict[str, Any], ...] = (SA,)) -> None:
        self.sas = sas
        self.once: list[tuple[dict[str, Any], ...]] = []
        self.connections = 0
        self.commands: list[str] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.delay_seconds = 0.0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves."""
        self.connections += 1
        self.writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack("!I", await reader.readexactly(4))
                packet = await reader.readexactly(length)
                for answer in self.answers(packet[0], packet[2:].decode()):
                    writer.write(frame(answer))
                await asyncio.sleep(self.delay_seconds)
                await writer.drain()

    def answers(self, kind: int, name: str) -> list[bytes]:
        """Return the packets that answer one packet."""
        if kind == Packet.EVENT_REGISTER:
            return [bytes([Packet.EVENT_CONFIRM])]
        self.commands.append(name)
        messages: tuple[dict[str, Any], ...] = (CONN,)
        event = "list-conn"
        if name == "list-sas":
            event, messages = "list-sa", self.once.pop(0) if self.once else self.sas
        other = bytes([Packet.EVENT, 3]) + b"log" + Message.serialize({"msg": "something else"})
        head = bytes([Packet.EVENT, len(event)]) + event.encode()
        return [other, *(head + Message.serialize(message) for message in messages), bytes([Packet.CMD_RESPONSE])]


@asynccontextmanager
async def serving(path: Path, handler: Handler) -> AsyncIterator[None]:
    """Serve `handler` on a unix socket; every connection is gone at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await handler(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_unix_server(serve, path)
    try:
        yield
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # aborted transports let go of their sockets in the next turn


async def attempt(runner: StrongswanRunner, path: Path, seconds: float = 1.0, *, fresh: bool = False) -> Result:
    """Make one attempt with a deadline in `seconds`."""
    return await runner.attempt(Settings(target=str(path)), Kit.clock.boot() + seconds, fresh=fresh)


def test_ten_probes_share_one_connection_and_one_exchange(tmp_path: Path) -> None:
    """Attempts that start together ask the daemon once; a fresh one asks anew on the same connection."""
    charon = Charon()

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), strongswan.open(Kit()) as runner:
            results = await asyncio.gather(*(attempt(runner, tmp_path / "vici") for _ in range(10)))
            assert {result.outcome for result in results} == {Outcome.OK}
            assert charon.commands == ["list-conns", "list-sas"]
            await attempt(runner, tmp_path / "vici", fresh=True)
            assert charon.commands == ["list-conns", "list-sas"] * 2
            assert charon.connections == 1

    asyncio.run(scenario())


def test_a_missing_sa_is_seen_at_once_by_a_fresh_attempt(tmp_path: Path) -> None:
    """A confirmation never reuses an answer from before it started."""
    charon = Charon()

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), strongswan.open(Kit()) as runner:
            assert (await attempt(runner, tmp_path / "vici")).outcome is Outcome.OK
            charon.sas = ()
            result = await attempt(runner, tmp_path / "vici", fresh=True)
            assert (result.outcome, result.fault) == (Outcome.FAILED, "ike-missing")
            assert result.seconds is not None
            assert result.phases == {"query": result.seconds}

    asyncio.run(scenario())


def test_a_reading_in_the_middle_of_a_rekeying_is_read_again(tmp_path: Path) -> None:
    """A fail counts when a second reading agrees; probes that fail together share that one too."""
    charon = Charon()

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), strongswan.open(Kit()) as runner:
            charon.once = [({"site": {"state": b"DELETING", "child-sas": {}}},)]
            results = await asyncio.gather(*(attempt(runner, tmp_path / "vici") for _ in range(3)))
            assert {result.outcome for result in results} == {Outcome.OK}
            assert charon.commands == ["list-conns", "list-sas"] * 2

    asyncio.run(scenario())


def test_a_restarted_daemon_is_asked_on_a_new_connection(tmp_path: Path) -> None:
    """An old connection that ended costs no result."""
    charon = Charon()

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), strongswan.open(Kit()) as runner:
            await attempt(runner, tmp_path / "vici")
            for writer in charon.writers:
                writer.close()
            assert (await attempt(runner, tmp_path / "vici", fresh=True)).outcome is Outcome.OK
            assert charon.connections == 2

    asyncio.run(scenario())


def test_a_silent_daemon_blinds_until_it_answers_again(tmp_path: Path) -> None:
    """The deadline ends the attempt; the connection in the middle of an exchange is not used again."""
    charon = Charon()

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), strongswan.open(Kit()) as runner:
            charon.delay_seconds = 30.0
            began = Kit.clock.boot()
            results = await asyncio.gather(*(attempt(runner, tmp_path / "vici", 0.2) for _ in range(3)))
            assert [(result.outcome, result.fault) for result in results] == [(Outcome.UNKNOWN, "vici-silent")] * 3
            assert Kit.clock.boot() - began < 0.6
            charon.delay_seconds = 0.0
            assert (await attempt(runner, tmp_path / "vici")).outcome is Outcome.OK

    asyncio.run(scenario())


async def _stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1)
    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    writer.close()


async def _unknown_command(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4)
    writer.write(frame(bytes([Packet.CMD_UNKNOWN])))
    await reader.read()


async def _refusing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4)
    body = Message.serialize({"success": "no", "errmsg": "canary-psk"})
    writer.write(frame(bytes([Packet.EVENT_CONFIRM]) + body))
    await reader.read()


async def _leaving(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(4)
    writer.close()


STRANGERS: dict[str, tuple[Handler, str]] = {
    "another protocol": (_stranger, "vici-protocol"),
    "an unknown command": (_unknown_command, "vici-protocol"),
    "a refused command": (_refusing, "vici-protocol"),
    "a daemon that leaves": (_leaving, "vici-unreachable"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_no_daemon_of_ours_blinds(tmp_path: Path, name: str) -> None:
    """Whatever else listens gives `unknown`, and none of its words."""
    handler, fault = STRANGERS[name]

    async def scenario() -> None:
        async with serving(tmp_path / "vici", handler), strongswan.open(Kit()) as runner:
            result = await attempt(runner, tmp_path / "vici")
            assert (result.outcome, result.fault) == (Outcome.UNKNOWN, fault)
            assert "canary" not in repr(result)

    asyncio.run(scenario())


def test_no_socket_blinds(tmp_path: Path) -> None:
    """A gateway without strongSwan cannot be asked: unknown, never down."""

    async def scenario() -> None:
        async with strongswan.open(Kit()) as runner:
            result = await attempt(runner, tmp_path / "none")
            assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "vici-unreachable")
            (tmp_path / "file").touch()
            result = await attempt(runner, tmp_path / "file")
            assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "vici-unreachable")

    asyncio.run(scenario())


def test_a_socket_that_we_may_not_open_blinds(tmp_path: Path) -> None:
    """Missing rights are named as such, with the remedy in the fault table."""

    async def scenario() -> Result:
        async with serving(tmp_path / "vici", Charon()), strongswan.open(Kit()) as runner:
            (tmp_path / "vici").chmod(0)
            privileged = os.geteuid() == 0
            if privileged:
                os.seteuid(65534)  # nobody
            try:
                return await attempt(runner, tmp_path / "vici")
            finally:
                if privileged:
                    os.seteuid(0)

    result = asyncio.run(scenario())
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "no-permission")
