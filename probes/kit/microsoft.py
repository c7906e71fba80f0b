"""Microsoft's token endpoint and Graph, as far as bytes go: replies in, values out, no socket.

Sources: learn.microsoft.com, "Microsoft identity platform and the OAuth 2.0 client credentials flow"
(RFC 6749 section 4.4), "Microsoft Entra authentication and authorization error codes", "Microsoft
Graph error responses", "Microsoft Graph throttling guidance", "Paging Microsoft Graph data". The form is
written here and MSAL is not used: for this one POST it would bring a blocking client with its own name
resolution, proxy and CA settings, and an error cache of 60 s that hides a repaired credential. The tests
hold both to the same simulator.

What must stay true: any bytes give a value or a `Blind`; no text of a reply reaches a `Blind` but
words of the tables below, numbers and UUIDs, so that a reply cannot carry a credential into a log.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from probes.kit.https_exchange import Reply, is_bearer
from probes.kit.json_errors import JSON_ERRORS
from probes.kit.secret import Secret

# A wait that Microsoft asks for is kept, up to an hour: a mistaken header must not blind us for long.
MAX_WAIT_SECONDS = 3600.0
# Without a Retry-After: 10 s, doubled at each refusal (Graph throttling guidance: "exponential").
FIRST_WAIT_SECONDS = 10.0
# Tokens live 60 to 90 minutes; a reply that says otherwise is not believed beyond a day.
MAX_TOKEN_SECONDS = 86400.0
# Renew before the end, as MSAL does: a token must not expire on its way.
RENEW_SECONDS = 300.0

_Shape = TypeVar("_Shape")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")
_PRINTABLE = re.compile(r"[!-~]{1,4000}\Z")
_GRAPH_CODE = re.compile(r"[A-Za-z][A-Za-z_.]{2,59}\Z")

# AADSTS code -> fault.
AADSTS = {
    7000222: "credential-expired",
    7000215: "credential-wrong",
    7000218: "credential-wrong",
    # an assertion: its form, its signature, a certificate or an issuer that the application does not know
    50012: "credential-wrong",
    50027: "credential-wrong",
    700027: "credential-wrong",
    700211: "credential-wrong",
    700212: "credential-wrong",
    700213: "credential-wrong",
    70021: "credential-wrong",
    700024: "clock",  # outside its time: this host's clock and Microsoft's differ
    7000229: "app-not-found",  # no service principal in this tenant
    700016: "app-not-found",
    90002: "app-not-found",  # the tenant itself does not exist
    7000112: "app-disabled",
    90055: "throttled",
    # Microsoft's own transient errors
    90033: "graph-error",
    90006: "graph-error",
    90012: "graph-error",
    90024: "graph-error",
}
# RFC 6749 section 5.2 and Microsoft's additions; another word is not repeated.
OAUTH_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "invalid_scope",
        "invalid_resource",
        "unauthorized_client",
        "unsupported_grant_type",
        "interaction_required",
        "temporarily_unavailable",
        "server_error",
    }
)


# `Basic realm=/var/opt/azcmagent/tokens/NAME.key`: the last part of what Azure Arc names.
_ARC_KEY = re.compile(r'Basic realm="?[^"\s]*?/?([A-Za-z0-9][A-Za-z0-9._-]{0,120}\.key)"?\Z', re.IGNORECASE)


class Blind(msgspec.Struct, frozen=True, kw_only=True):
    """We cannot see, and why: a fault name and one line for people.

    `wait_seconds` is how long Microsoft asks us to stay away, None when it does not say; `status` that of the
    HTTP reply, 0 when there was none.
    """

    fault: str
    detail: str
    wait_seconds: float | None = None
    status: int = 0


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A bearer token and for how many seconds it may be used."""

    bearer: Secret
    seconds: float


class _TokenBody(msgspec.Struct):
    access_token: str
    expires_in: int | float | str = 0


class _TokenError(msgspec.Struct):
    error: str
    error_codes: tuple[int, ...] = ()
    trace_id: str = ""
    correlation_id: str = ""


class _Claims(msgspec.Struct):
    roles: tuple[str, ...] = ()


class _Inner(msgspec.Struct):
    request_id: str = msgspec.field(default="", name="request-id")


class _GraphErrorBody(msgspec.Struct):
    code: str
    inner: _Inner = msgspec.field(default_factory=_Inner, name="innerError")
    inner_small: _Inner = msgspec.field(default_factory=_Inner, name="innererror")


class _GraphError(msgspec.Struct):
    error: _GraphErrorBody


def read_json(body: bytes, shape: type[_Shape]) -> _Shape | None:
    """Return `body` as `shape`, None when it is no JSON of that shape (or nested beyond reason)."""
    try:
        return msgspec.json.decode(body, type=shape)
    except JSON_ERRORS:
        return None


def token_form(client_id: str, proof: Mapping[str, Secret], scope: str) -> Secret:
    """Return the body of a client-credentials request; `proof` are the fields that show who we are."""
    fields = {"grant_type": "client_credentials", "client_id": client_id, "scope": scope}
    return Secret(urlencode(fields | {name: value.reveal() for name, value in proof.items()}))


def identity_path(resource: str, identity_id: str, *, arc: bool = False) -> str:
    """Return what a virtual machine's metadata service, or Azure Arc's, is asked for a token of its own identity."""
    chosen = {"client_id": identity_id} if identity_id else {}
    asked = urlencode({"api-version": "2020-06-01" if arc else "2018-02-01", "resource": resource} | chosen)
    return f"/metadata/identity/oauth2/token?{asked}"


def read_identity_token(reply: Reply) -> Token | Blind:
    """Return the token of the metadata service's reply, or why there is none.

    410: it is being renewed and back within 70 s; 429 and 5xx: later (learn.microsoft.com, "How to use managed
    identities … to acquire an access token", error handling).
    """
    return read_token(reply) if reply.status == 200 else _identity_refusal(reply)


def _identity_refusal(reply: Reply) -> Blind:
    body = read_json(reply.body, _TokenError)
    word = f": {body.error}" if body is not None and body.error in OAUTH_ERRORS else ""
    wait = 70.0 if reply.status == 410 else wait_seconds(reply.headers)
    detail = f"the metadata service answered {reply.status}{word}"
    return Blind(fault="identity-unavailable", detail=detail, wait_seconds=wait)


def arc_key_name(reply: Reply) -> str | Blind:
    """Return the name of the file that Azure Arc's first reply, a 401, asks the content of.

    Only the last part of the path that it names counts: the folder is Arc's own (learn.microsoft.com, "Authenticate
    against Azure resources with Azure Arc-enabled servers").
    """
    found = _ARC_KEY.match(reply.headers.get("www-authenticate", ""))
    if reply.status == 401 and found is not None:
        return found[1]
    if reply.status in (200, 401):
        detail = f"the metadata service answered {reply.status} and names no key: is it Azure Arc's?"
        return Blind(fault="identity-unavailable", detail=detail)
    return _identity_refusal(reply)


def granted(bearer: Secret) -> frozenset[str] | None:
    """Return the application permissions that a token carries; None when it does not tell.

    Microsoft calls its tokens opaque to clients: this is for advice to an administrator, and decides nothing.
    """
    parts = bearer.reveal().split(".")
    if len(parts) != 3:
        return None
    try:
        claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
    except (binascii.Error, ValueError):
        return None
    body = read_json(claims, _Claims)
    return None if body is None else frozenset(role for role in body.roles if _GRAPH_CODE.match(role))


def next_path(link: str, target: str) -> str | None:
    """Return the path of a further page, None when it is not of `target`: a token goes nowhere else."""
    try:
        parts, home = urlsplit(link), urlsplit(target)
        same = (parts.scheme, parts.hostname, parts.port or 443) == (home.scheme, home.hostname, home.port or 443)
    except ValueError:
        return None
    if not same or parts.username is not None or not parts.path.startswith("/") or not _PRINTABLE.match(link):
        return None
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def read_token(reply: Reply) -> Token | Blind:
    """Return the token in the token endpoint's reply, or why there is none."""
    if reply.status != 200:
        return _token_refusal(reply)
    body = read_json(reply.body, _TokenBody)
    if body is None or not is_bearer(body.access_token):
        return Blind(fault="not-graph", detail="login answered 200 without a usable token")
    try:
        seconds = float(body.expires_in)
    except (ValueError, OverflowError):
        return Blind(fault="not-graph", detail="login answered 200 with a token of no readable lifetime")
    kept = min(seconds, MAX_TOKEN_SECONDS) if seconds > 0 else 0.0  # NaN gives 0 too
    return Token(bearer=Secret(body.access_token), seconds=kept)


def _token_refusal(reply: Reply) -> Blind:
    wait = wait_seconds(reply.headers)
    body = read_json(reply.body, _TokenError)
    if body is None:
        return _by_status(reply, "login", "", wait)
    codes = [code for code in body.error_codes if 0 < code < 10**9][:5]
    words = [f"AADSTS{code}" for code in codes]
    words.append(body.error if body.error in OAUTH_ERRORS else "another error")
    words += [
        f"{name} {value}"
        for name, value in (("trace", body.trace_id), ("correlation", body.correlation_id))
        if _UUID.match(value)
    ]
    detail = ", ".join(words)
    fault = next((AADSTS[code] for code in codes if code in AADSTS), None)
    if fault is None and (reply.status == 429 or reply.status >= 500):
        return _by_status(reply, "login", detail, wait)
    return Blind(fault=fault or "token-refused", detail=f"login answered {reply.status}: {detail}", wait_seconds=wait)


def read_graph_error(reply: Reply) -> Blind:
    """Return why Graph's reply, which is not a 200, holds no data."""
    detail = ""
    body = read_json(reply.body, _GraphError)
    if body is not None:
        error = body.error
        request_id = error.inner.request_id or error.inner_small.request_id
        words = [error.code] if _GRAPH_CODE.match(error.code) else []
        words += [f"request {request_id}"] if _UUID.match(request_id) else []
        detail = ", ".join(words)
    if reply.status in (401, 403) and body is not None:
        return Blind(fault="no-permission", detail=_sentence("Graph", reply.status, detail), status=reply.status)
    return _by_status(reply, "Graph", detail, wait_seconds(reply.headers))


def _by_status(reply: Reply, who: str, detail: str, wait: float | None) -> Blind:
    sentence = _sentence(who, reply.status, detail)
    if reply.status == 429:
        return Blind(fault="throttled", detail=sentence, wait_seconds=wait)
    if reply.status >= 500:
        return Blind(fault="graph-error", detail=sentence, wait_seconds=wait)
    return Blind(fault="not-graph", detail=sentence, status=reply.status)


def _sentence(who: str, status: int, detail: str) -> str:
    return f"{who} answered {status}: {detail}" if detail else f"{who} answered {status}"


def wait_seconds(headers: Mapping[str, str]) -> float | None:
    """Return the Retry-After in seconds (RFC 9110 section 10.2.3; Graph's may be fractional), else None."""
    text = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return min(float(text), MAX_WAIT_SECONDS)
    until, now = http_date(text), http_date(headers.get("date", ""))
    if until is None or now is None:
        return None
    return min(max(until - now, 0.0), MAX_WAIT_SECONDS)


def http_date(text: str) -> float | None:
    """Return an HTTP date (RFC 9110 section 5.6.7) as UTC epoch seconds, None for anything else."""
    try:
        return parsedate_to_datetime(text).timestamp() if text.endswith("GMT") else None
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def backoff_seconds(refusals: int) -> float:
    """Return how long to stay away after the `refusals`-th refusal in a row that named no time."""
    return float(min(FIRST_WAIT_SECONDS * 2.0 ** min(max(refusals - 1, 0), 16), MAX_WAIT_SECONDS))
