"""HTTP and HTTPS: a web service answers this request as it should, with the time of each phase.

A fresh connection for every attempt; redirects are answers, not orders. What must stay true: phases
are those that were reached; a response that ends in silence or a reset is never `answered`; what a
responder sends is bounded by `max_bytes`.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, host_endpoint, is_name, literal_family
from probes.kit.asker import Asker, Heard, Target
from probes.kit.certificate import read_certificate
from probes.kit.readiness import Readiness
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.response import Asking, Body, Head, request
from probes.kit.result import Outcome, Result, Stage
from probes.kit.spec import Fault, Flow, Kit, Metric, Spec
from probes.kit.tls import TLS_FAULTS, Trust
from probes.kit.trouble import LOCAL_FAULTS, Trouble, path_faults, result_of

_PORTS: Final = {"http": 80, "https": 443}
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 section 5.6.2
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*\Z")
_OWN_HEADERS: Final = frozenset({"host", "connection", "content-length", "transfer-encoding"})


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask for and what a good answer is."""

    target: str
    method: Literal["GET", "HEAD"] = "GET"
    status: str = "200-399"
    body_contains: str = ""
    headers: dict[str, str] = {}
    ca_file: str = ""
    server_name: str = ""
    verify: bool = True
    family: Literal[4, 6] = 4
    connect_to: str = ""
    max_bytes: int = 262144


SPEC: Final = Spec(
    type="http",
    summary="HTTP(S): a web service answers with the right status and text; time of each phase.",
    settings=Settings,
    key_help={
        "target": "URL, http or https; no user or fragment in it.",
        "method": "GET or HEAD.",
        "status": "Accepted status codes, as `200`, `200-399` or `200,401`. Redirects are not followed.",
        "body_contains": "Text that the body must hold within `max_bytes`.",
        "headers": "Headers to add. No secrets: the chain file is shared.",
        "ca_file": "PEM file of authorities to trust instead of the system's.",
        "server_name": "Name for SNI, certificate and Host header, when it is not the URL's host.",
        "verify": "Whether to check the certificate.",
        "family": FAMILY_HELP,
        "connect_to": "Address to connect to instead of resolving the URL's host.",
        "max_bytes": "Most bytes of the response that are read.",
    },
    phases=("resolve", "connect", "secure", "first_byte", "transfer"),
    faults=(
        *path_faults(Stage.CONNECT),
        *path_faults(Stage.SECURE),
        *TLS_FAULTS,
        *path_faults(Stage.ANSWER),
        Fault("closed", Stage.ANSWER, "Closed without any answer.", "Look at the service's log."),
        Fault("truncated", Stage.ANSWER, "Closed before the whole answer came.", "Look at the service's log."),
        Fault("malformed", Stage.ANSWER, "The answer is not HTTP.", "What really listens there?"),
        Fault("status", Stage.ANSWER, "The status is not an accepted one.", "Look at the service's log."),
        Fault("body-mismatch", Stage.ANSWER, "The body lacks the expected text.", "Look at the service."),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("http_handshake_seconds", "The kernel's round trip of the connection."),
        Metric("http_status_code", "Status of the last response."),
        Metric("http_response_bytes", "Bytes of the body that were read."),
        Metric("http_certificate_expiry_timestamp_seconds", "When the server's certificate expires."),
    ),
    default_interval=5.0,
    leaves_traces="One request in the server's access log.",
)


class _Plan(msgspec.Struct, kw_only=True):
    """Settings, read and checked; and the last certificate, since it rarely changes."""

    settings: Settings
    target: Target
    request: bytes
    accepted: tuple[tuple[int, int], ...]
    certificate: bytes = b""
    expires: float | None = None

    def accepts(self, head: Head) -> bool:
        """Return whether the status is one that the body is read for."""
        return any(low <= head.status <= high for low, high in self.accepted)

    def asking(self) -> Asking:
        """Return the request's dialogue, for one attempt."""
        settings = self.settings
        return Asking(self.request, self.accepts, settings.max_bytes, head_only=settings.method == "HEAD")

    def expiry(self, certificate: bytes) -> float | None:
        """Return when a certificate (DER) expires (UTC epoch seconds)."""
        if certificate != self.certificate:
            self.certificate, self.expires = certificate, None
            with suppress(ValueError):
                self.expires = read_certificate(certificate).not_after
        return self.expires


def flow(settings: Settings) -> Flow:
    """Return the request's flow; ValueError says what is wrong with URL, status, headers or addresses."""
    _check_headers(settings.headers)
    plan = _plan(settings)
    if settings.max_bytes < 1:
        raise ValueError("max_bytes: write at least 1")
    return Flow(
        host=plan.target.end.host,
        protocol="tcp",
        port=plan.target.end.port,
        family=plan.target.end.family,
        function=f"{settings.method} {settings.target}",
        connect_bytes=60,  # a SYN with its options
        carry_bytes=1500,  # full segments: a certificate chain, a page
        named=plan.target.end.named,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["RequestRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner: TLS contexts are shared, connections never."""
    with Readiness(kit.clock).opened() as readiness:
        yield RequestRunner(kit, readiness)


def parse_status(text: str) -> tuple[tuple[int, int], ...]:
    """Read `200`, `200-399` or `200,401-403` into inclusive ranges; ValueError says what to write."""
    ranges = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        bounds = (low, high if dash else low)
        if not all(bound.isascii() and bound.isdigit() and len(bound) == 3 for bound in bounds):
            raise ValueError(f"status {text!r}: write codes as `200`, `200-399` or `200,401`")
        ranges.append((int(bounds[0]), int(bounds[1])))
    return tuple(ranges)


def _plan(settings: Settings) -> _Plan:
    url = _url(settings.target)
    host = url.hostname or ""
    port = url.port or _PORTS[url.scheme]
    if settings.server_name and not (is_name(settings.server_name) or literal_family(settings.server_name)):
        raise ValueError(f"server_name {settings.server_name!r} is not a name")
    if settings.connect_to and literal_family(settings.connect_to) is None:
        raise ValueError(f"connect_to {settings.connect_to!r}: write an IP address")
    end = host_endpoint(settings.connect_to or host, settings.family, port)
    name = settings.server_name or host
    shown = f"[{name}]" if literal_family(name) == 6 else name
    return _Plan(
        settings=settings,
        target=Target(
            end=end,
            trust=Trust(ca_file=settings.ca_file, verify=settings.verify) if url.scheme == "https" else None,
            server_name=name,
        ),
        request=request(
            settings.method,
            (url.path or "/") + (f"?{url.query}" if url.query else ""),
            shown if port == _PORTS[url.scheme] else f"{shown}:{port}",
            settings.headers,
        ),
        accepted=parse_status(settings.status),
    )


def _url(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}") from None
    if url.scheme not in _PORTS or not url.hostname or port == 0:
        raise ValueError(f"{text!r}: write a URL as `https://host/path`")
    if "@" in url.netloc or url.fragment:
        raise ValueError(f"{text!r}: leave user, password and fragment out of the URL")
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError(f"{text!r}: percent-encode spaces and letters outside ASCII")
    return url


def _check_headers(headers: dict[str, str]) -> None:
    for name, value in headers.items():
        if not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
            raise ValueError(f"header {name!r}: not a header line")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"header {name!r} is set by the probe itself; for Host write `server_name`")


class RequestRunner:
    """All http probes of the agent."""

    def __init__(self, kit: Kit, readiness: Readiness) -> None:
        self._asker = Asker(kit, readiness)
        self._plans: dict[int, _Plan] = {}  # by the identity of settings that the plan keeps alive

    def harvest(self) -> float | None:
        """Do nothing: sockets tell by themselves when they are ready, and their deadlines have their own timer."""
        return None

    def launch(self, settings: Settings, deadline: float, done: Callable[[Result], None]) -> bool:
        """Start now; False when a name must be resolved or a file be read first."""
        plan = self._plan(settings)
        asking = plan.asking()
        return self._asker.launch(
            plan.target, deadline, lambda heard: done(_judge(plan, asking, heard)), dialogue=asking
        )

    def flush(self) -> None:
        """Do nothing: every SYN has left."""

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Connect, ask once, read the answer, close; every attempt is `fresh`."""
        plan = self._plan(settings)
        asking = plan.asking()
        heard = await self._asker.ask(plan.target, deadline, dialogue=asking)
        return heard if isinstance(heard, Result) else _judge(plan, asking, heard)

    def _plan(self, settings: Settings) -> _Plan:
        plan = self._plans.get(id(settings))
        if plan is None or plan.settings is not settings:
            if len(self._plans) >= KEPT:
                self._plans.clear()
            plan = self._plans[id(settings)] = _plan(settings)
        return plan


def _judge(plan: _Plan, asking: Asking, heard: Heard) -> Result:
    """Return the result of what came."""
    made, head, body = heard.made, asking.head, asking.body
    values: dict[str, float] = {}
    if made.round_trip is not None:
        values["http_handshake_seconds"] = made.round_trip
    if made.certificate and (expiry := plan.expiry(made.certificate)) is not None:
        values["http_certificate_expiry_timestamp_seconds"] = expiry
    if head is not None:
        values["http_status_code"] = float(head.status)
    if body is not None:
        values["http_response_bytes"] = float(len(body.content))
    trouble = made.trouble or _verdict(plan, head, body)
    if trouble is None:
        return Result(
            outcome=Outcome.OK,
            seconds=heard.seconds,
            phases=heard.phases,
            values=values,
            packet_bytes=made.packet_bytes,
            detail=f"HTTP {head.status}" if head else "",
        )
    result = result_of(trouble, made.stage, heard.seconds, heard.phases)
    return msgspec.structs.replace(result, values=values, packet_bytes=made.packet_bytes)


def _verdict(plan: _Plan, head: Head | None, body: Body | None) -> Trouble | None:
    """Return what is wrong with an answer that came whole."""
    if head is not None and not plan.accepts(head):
        detail = f"HTTP {head.status} {head.reason}".strip()
        return Trouble(fault="status", detail=detail, answered=True)
    wanted = plan.settings.body_contains.encode()
    if body is not None and wanted and wanted not in body.content:
        cut = "the first part of " if body.cut else ""
        return Trouble(fault="body-mismatch", detail=f"{cut}the body lacks the expected text", answered=True)
    return None
