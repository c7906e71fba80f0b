"""The HTTP server inside the agent's loop: uvicorn's h11 protocol on sockets of our own.

uvicorn's own server wakes ten times a second and takes over signals; its protocol alone does
neither. What must stay true: the loop is never blocked, a stop ends within STOP_SECONDS whatever
clients do, and the unix socket is for this host only: no TLS, no password, the peer's credentials
are in the request's state (`peer_uid`).
"""

import asyncio
import re
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from email.utils import formatdate
from pathlib import Path
from typing import Any

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from agent.web.tls import PasswordCheck, Security, allowed, following
from probes.kit import h11_mended  # noqa: F401 - uvicorn reads with h11: no line of a client may hold the loop up

# Out of the 5 s that the whole agent has to stop: running answers get the first second, then
# connections are cut; the rest is for the handlers to notice.
GRACE_SECONDS = 1.0
STOP_SECONDS = 3.0
# A scraper comes back after 15 to 60 s; keeping its connection saves a TLS handshake.
KEEP_ALIVE_SECONDS = 75
HANDSHAKE_SECONDS = 10.0
CONNECTIONS = 256

_LISTEN = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+(?:%[\w.-]+)?)\]|(?P<host>[^\[\]:]*)):(?P<port>[0-9]{1,5})")
_UCRED = struct.Struct("3i")  # struct ucred: pid, uid, gid (socket(7), SO_PEERCRED)


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server listens; `port` is the one that the kernel chose when 0 was asked."""

    host: str
    port: int
    tls: bool


def parse_listen(text: str) -> tuple[str, int]:
    """Return host and port of `:10199`, `host:10199`, `[::1]:10199`; ValueError says what is wrong."""
    match = _LISTEN.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(f"{text!r} is no listen address; write such as `:10199`, `127.0.0.1:10199` or `[::1]:10199`")
    return match["six"] or match["host"] or "", int(match["port"])


class _Connection(H11Protocol):
    """One connection: refuses a client certificate that is not on the list, notes a local peer."""

    def __init__(self, config: Config, state: ServerState, sans: Callable[[], tuple[str, ...]]) -> None:
        super().__init__(config, state, {}, asyncio.get_running_loop())
        self._sans = sans

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # uvicorn's narrowing
        """Begin, after the TLS handshake."""
        super().connection_made(transport)
        sock, session = transport.get_extra_info("socket"), transport.get_extra_info("ssl_object")
        if sock is not None and sock.family == socket.AF_UNIX:
            ids = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            self.app_state = {"peer_uid": _UCRED.unpack(ids)[1]}
        sans = self._sans()
        if session is not None and sans and not allowed(session.getpeercert(), sans):
            transport.abort()


class _Front:
    """What every answer of a listener gets: the Date header, configured headers, basic auth."""

    def __init__(self, app: ASGIApp, security: Security | None) -> None:
        self._app = app
        self._security = security
        self._check = PasswordCheck()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        config = self._security.current() if self._security else None
        more = [(k.lower().encode(), v.encode()) for k, v in config.headers.items()] if config else []

        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = (b"date", formatdate(usegmt=True).encode())
                message["headers"] = [*message.get("headers", ()), date, *more]
            await send(message)

        if config is not None and config.users:
            header = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
            if not await self._check(header, config):
                await _unauthorized(dated)
                return
        await self._app(scope, receive, dated)


async def _unauthorized(send: Send) -> None:
    headers = [(b"www-authenticate", b'Basic realm="demarc"'), (b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": b"Unauthorized\n"})


def _config(app: ASGIApp) -> Config:
    config = Config(
        app,
        loop="none",
        http=_Connection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )
    config.load()
    return config


def _bind(host: str, port: int) -> socket.socket:
    """Return a listening socket; an empty host means both families where the kernel has both."""
    if host == "":
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        return socket.create_server(("", port), family=family, dualstack_ipv6=both)
    family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    return socket.create_server(address[:2], family=family)


def _bind_local(path: Path) -> socket.socket:
    """Return a listening unix socket at `path`, in place of one that nobody listens on any more."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        if path.is_socket() and other.connect_ex(str(path)) != 0:
            path.unlink()
    try:
        sock.bind(str(path))
        path.chmod(0o660)  # the agent's user and group; the CLI's role comes from the peer's credentials
    except OSError:
        sock.close()
        raise
    return sock


@asynccontextmanager
async def serve(
    app: ASGIApp, listen: str, web_config: Path | None = None, uds: Path | None = None
) -> AsyncIterator[Served]:
    """Serve `app` on `listen`, and on the unix socket `uds`, until the block ends.

    Raises ValueError (listen address), ConfigError (web configuration), OSError (cannot bind).
    """
    host, port = parse_listen(listen)
    security = Security(web_config) if web_config else None
    tls = security is not None and security.current().tls is not None
    state = ServerState()
    loop = asyncio.get_running_loop()

    def sans() -> tuple[str, ...]:
        found = security.current().tls if security else None
        return found.allowed_sans if found else ()

    outer, inner = _config(_Front(app, security)), _config(_Front(app, None))
    sock = _bind(host, port)
    arguments: dict[str, Any] = (
        {"ssl": following(security), "ssl_handshake_timeout": HANDSHAKE_SECONDS, "ssl_shutdown_timeout": GRACE_SECONDS}
        if security and tls
        else {}
    )
    servers = [await loop.create_server(lambda: _Connection(outer, state, sans), sock=sock, **arguments)]
    try:
        if uds is not None:
            local = _bind_local(uds)
            servers.append(await loop.create_unix_server(lambda: _Connection(inner, state, tuple), sock=local))
        bound = sock.getsockname()
        yield Served(host=bound[0], port=bound[1], tls=tls)
    finally:
        await _stop(servers, state)
        _remove(uds)


async def _stop(servers: list[asyncio.Server], state: ServerState) -> None:
    """Stop listening, let running answers end, then cut; a handler that hangs is cancelled."""
    for server in servers:
        server.close()
    for connection in tuple(state.connections):
        connection.shutdown()
    await _until_idle(state, GRACE_SECONDS)
    for connection in tuple(state.connections):
        if connection.transport is not None:
            connection.transport.abort()
    await _until_idle(state, STOP_SECONDS - GRACE_SECONDS)
    for task in tuple(state.tasks):
        task.cancel()


def _remove(path: Path | None) -> None:
    if path is not None:
        path.unlink(missing_ok=True)


async def _until_idle(state: ServerState, seconds: float) -> None:
    with suppress(TimeoutError, ssl.SSLError):
        async with asyncio.timeout(seconds):
            while state.connections or state.tasks:  # noqa: ASYNC110 - uvicorn's sets tell nobody; at the stop only
                await asyncio.sleep(0.01)
