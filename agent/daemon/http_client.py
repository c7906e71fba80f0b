"""A tiny HTTP/1.1 client over asyncio streams: what talking to a peer needs and no more.

Bounded in size and time by its caller's arguments. One request per connection: a kept connection can
stay broken after an outage, and a peer is asked at most once a second.
"""

import asyncio
import contextlib
import ssl
from urllib.parse import urlsplit

import msgspec

from probes.kit.h11_mended import h11


class FetchError(Exception):
    """The peer did not give a usable answer; the message says why in one line."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An HTTP answer. Header names are lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


async def get(
    url: str, *, tls: ssl.SSLContext | None, within_seconds: float, most_bytes: int, send: bytes | None = None
) -> Answer:
    """Return the answer to GET `url`, to POST where there is something to `send`.

    Raises FetchError for everything that goes wrong.
    """
    try:
        async with asyncio.timeout(within_seconds):
            return await _exchange(url, tls, most_bytes, send)
    except TimeoutError:
        raise FetchError(f"no answer within {within_seconds:g} s") from None
    except (OSError, h11.RemoteProtocolError) as error:
        raise FetchError(str(error) or type(error).__name__) from error


async def _exchange(url: str, tls: ssl.SSLContext | None, most_bytes: int, send: bytes | None) -> Answer:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    reader, writer = await asyncio.open_connection(host, port, ssl=tls if secure else None)
    try:
        connection = h11.Connection(h11.CLIENT)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = [("Host", parts.netloc), ("Connection", "close"), ("Accept", "*/*")]
        if send is not None:
            headers.append(("Content-Length", str(len(send))))
        method = "GET" if send is None else "POST"
        body = [h11.Data(data=send)] if send else []
        for event in (h11.Request(method=method, target=target, headers=headers), *body, h11.EndOfMessage()):
            writer.write(connection.send(event) or b"")
        return await _receive(connection, reader, most_bytes)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            writer.transport.abort()


async def _receive(connection: h11.Connection, reader: asyncio.StreamReader, most_bytes: int) -> Answer:
    status, headers, body = 0, {}, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await reader.read(65_536))
        elif isinstance(event, h11.Response):
            status = event.status_code
            headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in event.headers}
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > most_bytes:
                raise FetchError(f"the answer is larger than {most_bytes} bytes")
        elif isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
            return Answer(status=status, headers=headers, body=bytes(body))
