"""HTTP requests and replies as values, and the directory that both halves of Microsoft know."""

import secrets
import uuid
from collections.abc import Mapping

import msgspec

TOKEN_SECONDS = 3599
# More live tokens than any test asks for; the oldest is forgotten first.
MAX_TOKENS = 1000
JSON = "application/json; charset=utf-8"
HTML = "<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>Accept the terms.</body></html>"

Header = tuple[str, str]


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP request; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One HTTP reply; `delay_seconds` infinite: never sent."""

    status: int
    body: bytes
    headers: tuple[Header, ...] = ()
    delay_seconds: float = 0.0


class Tenant(msgspec.Struct, kw_only=True):
    """The directory, its one registered application, and the tokens it issued with their expiry."""

    id: str
    client_id: str
    secret: str
    name: str = "SIMULATED Gemeente Voorbeeld"
    tokens: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"Tenant(id={self.id!r})"

    def issue(self, now: float) -> str:
        """Return a new opaque bearer token."""
        token = secrets.token_urlsafe(48)
        while len(self.tokens) >= MAX_TOKENS:
            del self.tokens[next(iter(self.tokens))]
        self.tokens[token] = now + TOKEN_SECONDS
        return token


def json_reply(status: int, body: object, *headers: Header, kind: str = JSON) -> Reply:
    """Return `body` as JSON."""
    return Reply(status=status, body=msgspec.json.encode(body), headers=(("Content-Type", kind), *headers))


def html_reply() -> Reply:
    """Return what a captive portal answers to everything."""
    return Reply(status=200, body=HTML.encode(), headers=(("Content-Type", "text/html; charset=utf-8"),))


def request_ids(request: Request) -> tuple[str, str]:
    """Return `request-id` and `client-request-id`; the latter is the caller's own if it sent one."""
    own = str(uuid.uuid4())
    return own, request.headers.get("client-request-id", own)
