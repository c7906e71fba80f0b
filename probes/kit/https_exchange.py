"""One HTTPS request and its reply over a new connection, directly or through a CONNECT proxy.

Without TLS only what carries no credential, for services of this very host.

For asking an API, not for measuring a path. Every wait is the caller's to bound (`asyncio.timeout`);
nothing is retried and no redirect is followed, since a credential goes to the named host only. What
must stay true: a credential is revealed in the expression that writes it, never in a local variable,
an exception or a log; every failure is an `ExchangeError`; the connection is gone when the call ends.
"""

import asyncio
import re
import ssl
from collections.abc import Mapping
from ipaddress import ip_address

import msgspec

from probes.kit.address import Endpoint, literal_family
from probes.kit.h11_mended import h11
from probes.kit.resolver import ResolveError
from probes.kit.secret import Secret
from probes.kit.spec import Resolver

# Graph's and the login's replies have a few KiB; more is not what we asked.
MAX_BODY_BYTES = 256 * 1024
_READ_BYTES = 16 * 1024
# RFC 6750 section 2.1, b64token: all that a bearer token may hold, so that no header can be injected.
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]+=*\Z")


class ExchangeError(Exception):
    """No reply. `step` is resolve, connect, proxy, secure or answer; the text is for people."""

    def __init__(self, step: str, detail: str) -> None:
        super().__init__(f"{step}: {detail}")
        self.step = step
        self.detail = detail


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask of `server`; `path` with its query. `form` is sent as a POST body, `bearer` as authorization.

    `local_key` shows a service of this very host that we may read a file of it; it is sent over loopback only.
    """

    server: Endpoint
    path: str
    headers: Mapping[str, str] = {}
    form: Secret | None = None
    bearer: Secret | None = None
    local_key: Secret | None = None


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Status, headers (names in lower case, the last of equal names) and body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def is_bearer(text: str) -> bool:
    """Return whether `text` can stand in an authorization header."""
    return bool(_BEARER.match(text))


async def exchange(
    request: Request,
    *,
    context: ssl.SSLContext | None,
    resolver: Resolver,
    deadline: float,
    proxy: Endpoint | None = None,
) -> Reply:
    """Send `request` and return the reply; `deadline` (boot-time seconds) bounds the name resolution only.

    `context` None: in the clear, and then without a credential and without a proxy.
    """
    _refuse_open_credentials(request, clear=context is None, proxied=proxy is not None)
    first = proxy or request.server
    try:
        address = await resolver.resolve(first.host, first.family, deadline)
    except ResolveError as error:
        raise ExchangeError("resolve", str(error)) from None
    try:
        reader, writer = await asyncio.open_connection(
            address,
            first.port,
            ssl=None if proxy else context,
            server_hostname=None if proxy or context is None else request.server.host,
        )
    except OSError as error:
        raise _failure(error, "connect") from None
    try:
        if proxy and context is not None:
            await _tunnel(request.server, reader, writer)
            await writer.start_tls(context, server_hostname=request.server.host)
        return await _converse(request, reader, writer)
    except OSError as error:
        raise _failure(error, "answer") from None
    except h11.ProtocolError:
        raise ExchangeError("answer", "the reply is not HTTP, or ended early") from None
    finally:
        writer.transport.abort()


def _failure(error: OSError, step: str) -> ExchangeError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return ExchangeError("secure", f"certificate: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return ExchangeError("secure", f"TLS: {error.reason or type(error).__name__}")
    return ExchangeError(step, error.strerror or type(error).__name__)


def _refuse_open_credentials(request: Request, *, clear: bool, proxied: bool) -> None:
    if clear and (request.bearer or request.form or proxied):
        raise ExchangeError("secure", "a credential goes over TLS only")
    if request.local_key and (request.server.named or not ip_address(request.server.host).is_loopback):
        raise ExchangeError("secure", "a key of this host stays on it")


def _bracketed(host: str) -> str:
    return f"[{host}]" if literal_family(host) == 6 else host


async def _tunnel(server: Endpoint, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Ask the proxy for a tunnel (RFC 9110 section 9.3.6)."""
    target = f"{_bracketed(server.host)}:{server.port}"
    connection = h11.Connection(h11.CLIENT)
    sent = connection.send(h11.Request(method="CONNECT", target=target, headers=[("Host", target)]))
    writer.write((sent or b"") + (connection.send(h11.EndOfMessage()) or b""))
    while (event := connection.next_event()) is h11.NEED_DATA:
        connection.receive_data(await reader.read(_READ_BYTES))
    status = event.status_code if isinstance(event, h11.Response) else 0
    if not 200 <= status < 300:
        raise ExchangeError("proxy", f"the proxy answered {status} to CONNECT {target}")


async def _converse(request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Reply:
    connection = h11.Connection(h11.CLIENT)
    host = _bracketed(request.server.host)
    headers = {
        "Host": host if request.server.port in (80, 443) else f"{host}:{request.server.port}",
        "User-Agent": "demarc",
        "Accept": "application/json",
        "Connection": "close",
        **request.headers,
    }
    if request.form is not None:
        headers["Content-Type"] = "application/x-www-form-urlencoded"
        headers["Content-Length"] = str(len(request.form.reveal().encode()))
    writer.write(_head(connection, request, list(headers.items())))
    if request.form is not None:
        writer.write(connection.send(h11.Data(data=request.form.reveal().encode())) or b"")
    writer.write(connection.send(h11.EndOfMessage()) or b"")
    status, received, body = 0, {}, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(_READ_BYTES))
        elif isinstance(event, h11.Response):
            status = event.status_code
            received = {name.decode("ascii"): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > MAX_BODY_BYTES:
                raise ExchangeError("answer", f"the reply is longer than {MAX_BODY_BYTES} bytes")
        elif isinstance(event, h11.EndOfMessage):
            return Reply(status=status, headers=received, body=bytes(body))


def _head(connection: h11.Connection, request: Request, headers: list[tuple[str, str]]) -> bytes:
    method = "GET" if request.form is None else "POST"
    scheme, shown = ("Bearer", request.bearer) if request.bearer else ("Basic", request.local_key)
    if shown is None:
        return connection.send(h11.Request(method=method, target=request.path, headers=headers)) or b""
    if not is_bearer(shown.reveal()):
        raise ExchangeError("answer", "the token holds characters that no bearer token may hold")
    return (
        connection.send(
            h11.Request(
                method=method,
                target=request.path,
                headers=[*headers, ("Authorization", f"{scheme} {shown.reveal()}")],
            )
        )
        or b""
    )
