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
QUESTIONS = ["list-conns", "list-sas", "stats"]
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
        self.listeners: list[asyncio.StreamWriter] = []
        self.delay_seconds = 0.0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client until it leaves."""
        self.connections += 1
        self.writers.append(writer)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                (length,) = struct.unpack("!I", await reader.readexactly(4))
                packet = await reader.readexactly(length)
                name = packet[2:].decode()
                if (packet[0], name) == (Packet.EVENT_REGISTER, "log"):
                    self.listeners.append(writer)
                for answer in self.answers(packet[0], name):
                    writer.write(frame(answer))
                await asyncio.sleep(self.delay_seconds)
                await writer.drain()

    def answers(self, kind: int, name: str) -> list[bytes]:
        """Return the packets that answer one packet."""
        if kind == Packet.EVENT_REGISTER:
            return [bytes([Packet.EVENT_CONFIRM])]
        self.commands.append(name)
        if name == "stats":
            return [bytes([Packet.CMD_RESPONSE]) + Message.serialize({"ikesas": {"total": "1", "half-open": "0"}})]
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


async def until(condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds, at most 5 s."""
    deadline = asyncio.get_running_loop().time() + 5.0
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def told(event: str, message: dict[str, Any]) -> bytes:
    """Return the frame of one event."""
    return frame(bytes([Packet.EVENT, len(event)]) + event.encode() + Message.serialize(message))


async def attempt(runner: StrongswanRunner, path: Path, seconds: float = 1.0, *, fresh: bool = False) -> Result:
    """Make one attempt with a deadline in `seconds`."""
    return await runner.attempt(Settings(target=str(path)), Kit.clock.boot() + seconds, fresh=fresh)


@asynccontextmanager
async def listening(path: Path, charon: Charon) -> AsyncIterator[tuple[StrongswanRunner, list[str]]]:
    """Serve and ask once; when the runner listens to events, give it and what it hears of changes."""
    changed: list[str] = []
    async with serving(path, charon), strongswan.open(Kit()) as runner:
        runner.hear(changed.append)
        await attempt(runner, path)
        await until(lambda: bool(charon.listeners))
        yield runner, changed


def test_ten_probes_share_one_connection_and_one_exchange(tmp_path: Path) -> None:
    """Attempts that start together ask the daemon once; a fresh one asks anew on the same connection."""
    charon = Charon()

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), strongswan.open(Kit()) as runner:
            results = await asyncio.gather(*(attempt(runner, tmp_path / "vici") for _ in range(10)))
            assert {result.outcome for result in results} == {Outcome.OK}
            assert charon.commands == QUESTIONS
            await attempt(runner, tmp_path / "vici", fresh=True)
            assert charon.commands == QUESTIONS * 2
            await until(lambda: len(charon.listeners) == 1)
            assert charon.connections == 2

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
            assert charon.commands == QUESTIONS * 2

    asyncio.run(scenario())


def test_a_restarted_daemon_is_asked_on_a_new_connection(tmp_path: Path) -> None:
    """An old connection that ended costs no result."""
    charon = Charon()

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), strongswan.open(Kit()) as runner:
            await attempt(runner, tmp_path / "vici")
            await until(lambda: charon.connections == 2)
            for writer in charon.writers:
                writer.close()
            assert (await attempt(runner, tmp_path / "vici", fresh=True)).outcome is Outcome.OK
            await until(lambda: charon.connections == 4)

    asyncio.run(scenario())


def test_an_event_is_told_and_makes_the_last_answer_old(tmp_path: Path) -> None:
    """A terminate is told at once, and the attempt that follows asks anew though the last answer is fresh."""
    charon = Charon()

    async def scenario() -> None:
        async with listening(tmp_path / "vici", charon) as (runner, changed):
            charon.sas = ()
            charon.listeners[0].write(told("ike-updown", {"site": {"uniqueid": "1", "state": "DELETING"}}))
            await until(lambda: changed == [str(tmp_path / "vici")])
            assert (await attempt(runner, tmp_path / "vici")).fault == "ike-missing"

    asyncio.run(scenario())


def test_a_burst_of_events_is_told_twice(tmp_path: Path) -> None:
    """The first of many is told at once, the others together after it; the rekeying counts them all."""
    charon = Charon()

    async def scenario() -> None:
        async with listening(tmp_path / "vici", charon) as (runner, changed):
            for _ in range(50):
                charon.listeners[0].write(told("child-rekey", {"site": {"child-sas": {}}}))
            await until(lambda: len(changed) == 2)
            result = await attempt(runner, tmp_path / "vici")
            assert result.values["vpn_rekeys_total"] == 50
            assert len(changed) == 2

    asyncio.run(scenario())


def test_strangers_start_nothing(tmp_path: Path) -> None:
    """IKE SAs that never got a connection's name come and go without an attempt; anybody can make them."""
    charon = Charon()

    async def scenario() -> None:
        async with listening(tmp_path / "vici", charon) as (_, changed):
            for number in range(50):
                stranger = {"(unnamed)": {"uniqueid": str(number), "state": "CONNECTING"}}
                charon.listeners[0].write(told("ike-updown", stranger))
            charon.listeners[0].write(told("ike-updown", {"site": {"uniqueid": "1"}}))
            await until(lambda: bool(changed))
            assert changed == [str(tmp_path / "vici")]

    asyncio.run(scenario())


def test_the_log_explains_a_fail(tmp_path: Path) -> None:
    """A line of the log is told of as a change and stands in the detail of the next fail."""
    charon = Charon(sas=())
    changed: list[str] = []
    line = {"msg": "received NO_PROPOSAL_CHOSEN notify error", "ikesa-name": "site", "ikesa-uniqueid": "1"}

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), strongswan.open(Kit()) as runner:
            runner.hear(changed.append)
            assert (await attempt(runner, tmp_path / "vici")).fault == "ike-missing"
            await until(lambda: bool(charon.listeners))
            charon.listeners[0].write(told("log", line))
            await until(lambda: bool(changed))
            result = await attempt(runner, tmp_path / "vici", fresh=True)
            assert result.fault == "no-proposal"
            assert result.detail.endswith("the gateway's log: received NO_PROPOSAL_CHOSEN notify error")

    asyncio.run(scenario())


def test_truncated_events_end_listening_and_cost_no_answer(tmp_path: Path) -> None:
    """A message that ends too early is told of as a change; the next attempt asks and listens anew."""
    charon = Charon()

    async def scenario() -> None:
        async with listening(tmp_path / "vici", charon) as (runner, changed):
            charon.listeners[0].write(frame(told("ike-updown", {"site": {"state": "DELETING"}})[4:-3]))
            await until(lambda: bool(changed))
            result = await attempt(runner, tmp_path / "vici", fresh=True)
            assert (result.outcome, result.values["vpn_listening"]) == (Outcome.OK, 0)
            await until(lambda: len(charon.listeners) == 2)
            assert (await attempt(runner, tmp_path / "vici", fresh=True)).values["vpn_listening"] == 1

    asyncio.run(scenario())


def test_bytes_are_counted_across_rekeys(tmp_path: Path) -> None:
    """The last counters of an ended SA come with its event; the total never falls and loses nothing."""
    charon = Charon(sas=(counting("1", 100),))

    async def scenario() -> None:
        async with serving(tmp_path / "vici", charon), strongswan.open(Kit()) as runner:
            totals = [(await attempt(runner, tmp_path / "vici", fresh=True)).values["vpn_received_bytes_total"]]
            await until(lambda: bool(charon.listeners))
            old, new = (counting(spi, 0)["site"]["child-sas"]["net"] for spi in ("1", "2"))
            rekey = {"site": {"child-sas": {"net": {"old": {**old, "bytes-in": "130"}, "new": new}}}}
            charon.sas = (counting("2", 7),)
            charon.listeners[0].write(told("child-rekey", rekey))
            while len(totals) < 2 or totals[-1] == totals[0]:
                totals.append((await attempt(runner, tmp_path / "vici", fresh=True)).values["vpn_received_bytes_total"])
                await asyncio.sleep(0.005)
            totals.append((await attempt(runner, tmp_path / "vici", fresh=True)).values["vpn_received_bytes_total"])
            assert totals == sorted(totals)
            assert (totals[0], totals[-1]) == (100, 137)

    asyncio.run(scenario())


def counting(spi: str, received: int) -> dict[str, Any]:
    """Return an IKE SA whose child has received so many bytes."""
    child = {"name": "net", "state": "INSTALLED", "spi-in": spi, "bytes-in": str(received), "bytes-out": "0"}
    return {"site": {"uniqueid": "1", "state": "ESTABLISHED", "child-sas": {"net": child}}}


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
    "an unknown command": (_unknown_command, "vici-refused"),
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
