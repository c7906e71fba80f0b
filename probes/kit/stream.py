"""A connected byte stream, plain or TLS, whose every step has a deadline and returns data or a Trouble.

TLS works on memory, not on the socket: `ssl.SSLSocket` words a reset in three ways, one of which
leaks it, and hides the socket's error queue. What must stay true: nothing blocks and nothing is
raised for what the network does; a `timeout` or `reset` is never `answered`, because the rest may
have been lost on the way (an MTU hole looks so).
"""

import contextlib
import socket
import ssl
from collections.abc import Callable
from typing import Final, Self, TypeVar

from probes.kit.sockets import came_back, ready
from probes.kit.spec import Clock
from probes.kit.tls import tls_trouble
from probes.kit.trouble import TIMEOUT, Trouble

_CHUNK: Final = 65536
T = TypeVar("T")


class Stream:
    """One connection; owns its socket. Use as a context manager."""

    def __init__(self, sock: socket.socket, family: int, *, deadline: float, clock: Clock) -> None:
        self.sock: Final = sock
        self._family = family
        self._deadline = deadline
        self._clock = clock
        self._tls: ssl.SSLObject | None = None
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.sock.close()

    async def secure(self, context: ssl.SSLContext, server_name: str) -> bytes | Trouble:
        """Shake hands and return the peer's certificate (DER)."""
        tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=server_name)
        outcome = await self._through_tls(tls.do_handshake)
        if isinstance(outcome, Trouble):
            return outcome
        self._tls = tls
        return tls.getpeercert(binary_form=True) or b""

    async def send(self, data: bytes) -> Trouble | None:
        """Send all of `data`."""
        tls = self._tls
        if tls is None:
            return await self._send_bytes(data)
        outcome = await self._through_tls(lambda: tls.write(data))
        return outcome if isinstance(outcome, Trouble) else None

    async def receive(self) -> bytes | Trouble:
        """Return the next bytes; b"" once the peer has closed, with or without TLS's own farewell."""
        tls = self._tls
        if tls is None:
            return await self._receive_bytes()
        outcome = await self._through_tls(lambda: tls.read(_CHUNK))
        return b"" if isinstance(outcome, Trouble) and outcome.fault == "closed" else outcome

    async def _through_tls(self, step: Callable[[], T]) -> T | Trouble:
        """Take `step`, feeding it what the peer sends and sending what it writes, until it is done."""
        while True:
            try:
                done = step()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLError as error:
                with contextlib.suppress(OSError):
                    self.sock.send(self._outgoing.read())  # our alert, when we refuse the peer
                return tls_trouble(error)
            else:
                return await self._send_bytes(self._outgoing.read()) or done
            stopped = await self._send_bytes(self._outgoing.read())
            if stopped is not None:
                return stopped
            data = await self._receive_bytes()
            if isinstance(data, Trouble):
                return data
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()

    async def _send_bytes(self, data: bytes) -> Trouble | None:
        while data:
            try:
                data = data[self.sock.send(data) :]
            except BlockingIOError:
                if not await self._ready(write=True):
                    return TIMEOUT
            except OSError as error:
                return came_back(self.sock, self._family, error)
        return None

    async def _receive_bytes(self) -> bytes | Trouble:
        while await self._ready(write=False):  # first, so that a peer that never stops lets others run
            try:
                return self.sock.recv(_CHUNK)
            except BlockingIOError:
                continue
            except OSError as error:
                return came_back(self.sock, self._family, error)
        return TIMEOUT

    async def _ready(self, *, write: bool) -> bool:
        return await ready(self.sock.fileno(), seconds=self._deadline - self._clock.boot(), write=write)
