"""A connected byte stream, plain or TLS, whose every step has a deadline and returns data or a Trouble.

What must stay true: nothing blocks and nothing is raised for what the network does; a `timeout` or
`reset` is never `answered`, because the rest may have been lost on the way (an MTU hole looks so).
"""

import socket
import ssl
from collections.abc import Callable
from typing import Final, Self, TypeVar

from probes.kit.sockets import came_back, ready
from probes.kit.spec import Clock
from probes.kit.tls import tls_trouble
from probes.kit.trouble import TIMEOUT, Trouble, path_trouble

_CHUNK: Final = 65536
T = TypeVar("T")


class Stream:
    """One connection; owns its socket. Use as a context manager."""

    def __init__(self, sock: socket.socket, family: int, *, deadline: float, clock: Clock) -> None:
        self._sock = sock
        self._family = family
        self._deadline = deadline
        self._clock = clock

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._sock.close()

    @property
    def sock(self) -> socket.socket:
        """Return the socket, for reading its kernel counters."""
        return self._sock

    async def secure(self, context: ssl.SSLContext, server_name: str) -> bytes | Trouble:
        """Shake hands and return the peer's certificate (DER)."""
        try:
            wrapped = context.wrap_socket(self._sock, server_hostname=server_name, do_handshake_on_connect=False)
        except OSError as error:  # the peer reset the connection before the first byte
            return path_trouble(error)
        self._sock = wrapped
        outcome = await self._perform(wrapped.do_handshake)
        if isinstance(outcome, Trouble):
            return outcome
        return wrapped.getpeercert(binary_form=True) or b""

    async def send(self, data: bytes) -> Trouble | None:
        """Send all of `data`."""
        while data:
            outcome = await self._perform(lambda rest=data: self._sock.send(rest), write=True)  # type: ignore[misc]
            if isinstance(outcome, Trouble):
                return outcome
            data = data[outcome:]
        return None

    async def receive(self) -> bytes | Trouble:
        """Return the next bytes; b"" once the peer has closed."""
        return await self._perform(lambda: self._sock.recv(_CHUNK))

    async def _perform(self, step: Callable[[], T], *, write: bool = False) -> T | Trouble:
        while True:
            wants_write = write
            try:
                return step()
            except ssl.SSLWantReadError:
                wants_write = False
            except ssl.SSLWantWriteError:
                wants_write = True
            except BlockingIOError:
                pass
            except ssl.SSLError as error:
                return tls_trouble(error)
            except OSError as error:
                return came_back(self._sock, self._family, error)
            seconds = self._deadline - self._clock.boot()
            if not await ready(self._sock.fileno(), seconds=seconds, write=wants_write):
                return TIMEOUT
