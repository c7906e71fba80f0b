"""The gate before charon's VICI socket: a small process of its own that passes on reading only.

It runs with the right to open charon's socket; the agent has the right to open the gate's. What must stay true: what
passes is decided by `probes.kit.vici_gate` alone; a client has one unanswered request at a time and one connection
to charon; whoever does not read what it asked for, or says what is no request, is disconnected, so that neither the
gate nor charon fills its memory.
"""

import asyncio
import os
import socket
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from vici.protocol import Packet

from agent.daemon.attempts import Log
from probes.kit.vici import ViciError, frame, read_packet
from probes.kit.vici_gate import GATE, MAX_REQUEST_BYTES, decide

# The agent holds two connections to a gateway, `demarc doctor` and `demarc probe` one or two more for a moment.
CLIENTS_MOST: Final = 16
# An agent that is alive reads within this; one that hangs is restarted by systemd after the same time.
READ_SECONDS: Final = 5.0
_FIRST_PASSED_SOCKET: Final = 3  # sd_listen_fds(3)
_ANSWERS: Final = frozenset({Packet.CMD_RESPONSE, Packet.CMD_UNKNOWN, Packet.EVENT_CONFIRM, Packet.EVENT_UNKNOWN})
_LEAVES: Final = (OSError, asyncio.IncompleteReadError, ViciError, TimeoutError)


def passed_socket(environment: Mapping[str, str], process: int) -> socket.socket | None:
    """Return the socket that systemd listens on for us (sd_listen_fds(3)), if it passed one."""
    if environment.get("LISTEN_PID") != str(process) or environment.get("LISTEN_FDS", "0") == "0":
        return None
    return socket.socket(fileno=_FIRST_PASSED_SOCKET)


def own_socket(path: Path, mode: int) -> socket.socket:
    """Listen at `path` with these rights, in the place of an earlier socket; OSError when that may not be."""
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o777)
    try:
        listener.bind(str(path))
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(before)
    path.chmod(mode)
    listener.listen()
    return listener


class Gate:
    """Serves clients until it is cancelled; each has a connection to charon of its own."""

    def __init__(self, charon: str, log: Log) -> None:
        self._charon = charon
        self._log = log
        self._clients: set[asyncio.Task[None]] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Serve on `listener`."""
        server = await asyncio.start_unix_server(self._came, sock=listener)
        self._log.info("vici-gate", charon=self._charon)
        async with server:
            try:
                await server.serve_forever()
            finally:
                for client in self._clients:
                    client.cancel()
                await asyncio.gather(*self._clients, return_exceptions=True)

    def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._clients) >= CLIENTS_MOST:
            self._log.warning("vici-client-refused", reason=f"more than {CLIENTS_MOST} clients")
            writer.transport.abort()
            return
        task = asyncio.create_task(self._client(reader, writer))
        self._clients.add(task)
        task.add_done_callback(self._clients.discard)

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            charon_reads, charon = await asyncio.open_unix_connection(self._charon)
        except OSError as error:
            self._log.warning("vici-charon-unreachable", socket=self._charon, problem=error.strerror)
            writer.transport.abort()
            return
        try:
            await _Passage(reader, writer, charon_reads, charon, self._log).run()
        finally:
            for end in (writer, charon):
                end.transport.abort()


class _Passage:
    """One client and its connection to charon."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        charon_reads: asyncio.StreamReader,
        charon: asyncio.StreamWriter,
        log: Log,
    ) -> None:
        self._reader, self._writer = reader, writer
        self._charon_reads, self._charon = charon_reads, charon
        self._log = log
        self._answered = asyncio.Event()
        self._refused = False

    async def run(self) -> None:
        """Pass on until one of the two ends leaves."""
        ways = {asyncio.create_task(way) for way in (self._questions(), self._answers())}
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _questions(self) -> None:
        with suppress(*_LEAVES):
            while True:
                packet = await read_packet(self._reader, MAX_REQUEST_BYTES)
                decision = decide(packet)
                if decision.answer is not None:
                    self._refuse(decision.name)
                    await self._send(self._writer, decision.answer)
                    continue
                self._answered.clear()
                await self._send(self._charon, packet)
                await self._answered.wait()

    def _refuse(self, request: str) -> None:
        """Log the first request of a client that was not passed on; more would only fill the log."""
        if not self._refused and request != GATE:
            self._refused = True
            self._log.warning("vici-request-refused", request=request[:40])

    async def _answers(self) -> None:
        with suppress(*_LEAVES):
            while True:
                packet = await read_packet(self._charon_reads)
                await self._send(self._writer, packet)
                if packet[:1] and packet[0] in _ANSWERS:
                    self._answered.set()

    async def _send(self, to: asyncio.StreamWriter, packet: bytes) -> None:
        to.write(frame(packet))
        async with asyncio.timeout(READ_SECONDS):
            await to.drain()
