"""HTTP requests and replies as values, and the directory that both halves of Microsoft know."""

import base64
import secrets
import uuid
from collections.abc import Mapping

import msgspec

TOKEN_SECONDS = 3599
# More live tokens than any test asks for; the oldest is forgotten first.
MAX_TOKENS = 1000
JSON = "application/json; charset=utf-8"
HTML = "<!DOCTYPE html><html><head><title>Sign in to the network</title></head><body>Accept the terms.</body></html>"

GRAPH = "https://graph.microsoft.com"
# What the simulated application may be granted.
PERMISSIONS = (
    "Organization.Read.All",
    "User.Read.All",
    "Group.Read.All",
    "OrgContact.Read.All",
    "Synchronization.Read.All",
    "ServiceHealth.Read.All",
    "Application.Read.All",
)

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


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """What a token is good for: until when (UTC epoch seconds), at which API, with which application permissions."""

    expires: float
    audience: str
    roles: tuple[str, ...]


class Tenant(msgspec.Struct, kw_only=True):
    """The directory, its one registered application with its credentials, and the tokens it issued.

    `certificate` (PEM) and `trusted_token` (another issuer's) are credentials beside the secret; "": there is none.
    `arc_key` is what `arc_key_file` holds: with it a server's own identity answers as Azure Arc's does.
    """

    id: str
    client_id: str
    secret: str
    certificate: str = ""
    trusted_token: str = ""
    arc_key: str = ""
    arc_key_file: str = ""
    name: str = "SIMULATED Gemeente Voorbeeld"
    tokens: dict[str, Issued] = {}

    def __repr__(self) -> str:
        return f"Tenant(id={self.id!r})"

    def issue(self, now: float, audience: str = GRAPH, roles: tuple[str, ...] = PERMISSIONS) -> str:
        """Return a new bearer token, in the form of Microsoft's (RFC 7519) with a signature that is none."""
        claims = {
            "aud": audience,
            "iss": f"https://sts.windows.net/{self.id}/",
            "exp": int(now) + TOKEN_SECONDS,
            "appid": self.client_id,
            "idtyp": "app",
            "roles": roles,
            "tid": self.id,
            "simulated": "microsoft",
        }
        parts = (b'{"typ":"JWT","alg":"RS256","kid":"SIMULATED"}', msgspec.json.encode(claims), secrets.token_bytes(32))
        token = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        while len(self.tokens) >= MAX_TOKENS:
            del self.tokens[next(iter(self.tokens))]
        self.tokens[token] = Issued(expires=now + TOKEN_SECONDS, audience=audience, roles=roles)
        return token

    def known(self, authorization: str, now: float, audience: str) -> Issued | None:
        """Return what an Authorization header's bearer token is good for at `audience`; None when for nothing."""
        scheme, _, bearer = authorization.partition(" ")
        issued = self.tokens.get(bearer) if scheme.lower() == "bearer" else None
        return issued if issued is not None and issued.expires > now and issued.audience == audience else None


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
