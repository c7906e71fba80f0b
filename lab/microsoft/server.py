"""The simulator's shell: HTTPS by asyncio and h11, one JSON log line a request.

What must stay true: no body, header or secret is logged; every connection ends within a bound.
"""

import asyncio
import json
import ssl
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import TextIO

import h11
import msgspec

from lab.microsoft.exchange import Reply, Request, Tenant
from lab.microsoft.replies import answer
from lab.microsoft.state import State, load

LABEL = ("X-Demarc-Simulated", "microsoft")
MAX_BODY_BYTES = 64 * 1024
MAX_CONNECTIONS = 200
IDLE_SECONDS = 60.0
# What `hang` means to a client that never gives up.
HANG_SECONDS = 600.0


class Simulator:
    """Serves one tenant by the state file `state`; `log` gets JSON lines."""

    def __init__(self, tenant: Tenant, state: Path, log: TextIO) -> None:
        self._tenant = tenant
        self._state_file = state
        self._state = State()
        self._log = log
        self._connections: set[asyncio.Task[None]] = set()

    def state(self) -> State:
        """Return the state file's content, or the last good one with a log line that says so."""
        try:
            self._state = load(self._state_file)
        except (OSError, msgspec.DecodeError) as error:
            self.log(event="bad state file", error=str(error))
        return self._state

    def log(self, **fields: object) -> None:
        """Write one line."""
        self._log.write(json.dumps({"time": round(time.time(), 3), "simulated": LABEL[1], **fields}) + "\n")
        self._log.flush()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection in a task of its own (asyncio's own task would log its cancellation)."""
        if len(self._connections) >= MAX_CONNECTIONS:
            writer.transport.abort()
            return
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def end(self) -> None:
        """End every connection."""
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one connection's requests until it closes, idles or breaks the protocol."""
        try:
            await self._converse(reader, writer)
        except (OSError, TimeoutError, h11.RemoteProtocolError) as error:
            self.log(event="connection ended", error=type(error).__name__)
        finally:
            writer.close()
            with suppress(OSError, TimeoutError):
                async with asyncio.timeout(1.0):
                    await writer.wait_closed()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER)
        while (request := await _receive(connection, reader)) is not None:
            state = self.state()
            reply = answer(request, state, self._tenant, time.time())
            client = (writer.get_extra_info("peername") or ("?",))[0]
            path = request.target.partition("?")[0]
            status = reply.status if reply.delay_seconds < HANG_SECONDS else None
            self.log(event="request", client=client, method=request.method, path=path, status=status)
            await _wait(reply.delay_seconds, reader)
            writer.write(_bytes(connection, reply, with_body=request.method != "HEAD"))
            await writer.drain()
            if connection.our_state is h11.MUST_CLOSE:
                return
            connection.start_next_cycle()


async def _wait(seconds: float, reader: asyncio.StreamReader) -> None:
    """Let `seconds` pass; a client that goes away (or talks out of turn) ends the connection."""
    if seconds:
        with suppress(TimeoutError):
            async with asyncio.timeout(min(seconds, HANG_SECONDS)):
                await reader.read(1)
                raise ConnectionResetError


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
    """Return the next request, None when the client has closed."""
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            async with asyncio.timeout(IDLE_SECONDS):
                connection.receive_data(await reader.read(16384))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise h11.RemoteProtocolError("the body is too long")
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            return Request(
                method=head.method.decode(),
                target=head.target.decode(),
                headers={name.decode(): value.decode("latin-1") for name, value in head.headers},
                body=bytes(body),
            )
        else:
            return None


def _bytes(connection: h11.Connection, reply: Reply, *, with_body: bool) -> bytes:
    headers = [*reply.headers, LABEL, ("Content-Length", str(len(reply.body)))]
    parts = (
        connection.send(
            h11.Response(status_code=reply.status, reason=HTTPStatus(reply.status).phrase.encode(), headers=headers)
        ),
        connection.send(h11.Data(data=reply.body if with_body else b"")),
        connection.send(h11.EndOfMessage()),
    )
    return b"".join(part for part in parts if part)


def tls(certificate: str, key: str) -> ssl.SSLContext:
    """Return the server's TLS context (Microsoft demands TLS 1.2 too)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context
