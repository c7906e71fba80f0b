"""One POST to one Alertmanager, over asyncio streams: small, bounded, with a deadline."""

import asyncio
import ssl
from urllib.parse import urlsplit

PATH = "/api/v2/alerts"
# Seconds for the whole exchange; Prometheus allows its own notifier 10 s, we have a next try sooner.
TIMEOUT_SECONDS = 5.0
MAX_HEAD_BYTES = 64 * 1024
SHOWN_BYTES = 300


class PushError(Exception):
    """The alerts were not taken; the text says why, for the log."""


async def push(url: str, body: bytes, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
    """Send `body` (a JSON list of alerts) to the Alertmanager at base `url`; PushError when not taken."""
    try:
        async with asyncio.timeout(timeout_seconds):
            status, text = await _exchange(url, body)
    except TimeoutError:
        raise PushError(f"no answer within {timeout_seconds:g} s") from None
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
        raise PushError(f"{type(error).__name__}: {error}") from error
    if status != 200:
        raise PushError(f"HTTP {status}: {text}")


async def _exchange(url: str, body: bytes) -> tuple[int, str]:
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    context = await asyncio.to_thread(ssl.create_default_context) if secure else None
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or (443 if secure else 80), ssl=context, limit=MAX_HEAD_BYTES
    )
    try:
        head = (
            f"POST {parts.path.rstrip('/')}{PATH} HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        writer.write(head.encode("ascii") + body)
        await writer.drain()
        answer = await reader.readuntil(b"\r\n\r\n")
        version, status, *_ = answer.decode("latin-1").split(" ", 2)
        if not version.startswith("HTTP/1."):
            raise ValueError(f"not HTTP: {version[:20]!r}")
        code = int(status[:3])
        text = "" if code == 200 else (await reader.read(SHOWN_BYTES)).decode("utf-8", "replace")
        return code, " ".join(text.split())
    finally:
        writer.transport.abort()
