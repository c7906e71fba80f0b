"""One request of an ASGI application, without a socket."""

import asyncio
from collections.abc import Sequence

import msgspec
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Message, Scope


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """Status, headers (lower case) and body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """Return the body as text."""
        return self.body.decode()


def get(routes: Sequence[BaseRoute], path: str, **headers: str) -> Reply:
    """GET `path` (with its query) from `routes`; header names with underscores for dashes."""
    return asyncio.run(_get(routes, path, headers))


def request_scope(path: str, headers: dict[str, str]) -> Scope:
    """Return the scope of a GET."""
    target, _, query = path.partition("?")
    return {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": target,
        "raw_path": target.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": query.encode(),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        "client": None,
        "server": ("127.0.0.1", 80),
    }


async def _get(routes: Sequence[BaseRoute], path: str, headers: dict[str, str]) -> Reply:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await Starlette(routes=list(routes))(request_scope(path, headers), receive, send)
    return Reply(
        status=sent[0]["status"],
        headers={k.decode(): v.decode() for k, v in sent[0]["headers"]},
        body=b"".join(m.get("body", b"") for m in sent[1:]),
    )
