"""HTTP and HTTPS: a web service answers this request as it should, with the time of each phase.

A fresh connection for every attempt; redirects are answers, not orders. What must stay true: phases
are those that were reached; a response that ends in silence or a reset is never `answered`; what a
responder sends is bounded by `max_bytes`.
"""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

import h11
import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, Endpoint, host_endpoint, is_name, literal_family
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, resolve_result
from probes.kit.response import Body, Head, Response, request
from probes.kit.result import Outcome, Result, Stage, unknown
from probes.kit.sockets import connect_tcp, tcp_info
from probes.kit.spec import Fault, Flow, Kit, Metric, Spec
from probes.kit.stream import Stream
from probes.kit.tls import CaError, Contexts, not_after
from probes.kit.trouble import LATE, LOCAL_FAULTS, Trouble, path_faults, result_of

_PORTS: Final = {"http": 80, "https": 443}
_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 section 5.6.2
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*\Z")
_OWN_HEADERS: Final = frozenset({"host", "connection", "content-length", "transfer-encoding"})
_TLS_STAGES: Final = frozenset({"tls-alert", "tls-protocol"})


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
        Fault("closed", Stage.SECURE, "Closed in the TLS handshake.", "Look at the server's log."),
        Fault("certificate-expired", Stage.SECURE, "The certificate has expired.", "Renew it."),
        Fault("certificate-not-yet-valid", Stage.SECURE, "The certificate is not valid yet.", "Check clocks."),
        Fault("certificate-untrusted", Stage.SECURE, "No trusted authority signed it.", "Set `ca_file`."),
        Fault("certificate-hostname", Stage.SECURE, "It is for another name.", "Set `server_name` or renew it."),
        Fault("tls-alert", Stage.SECURE, "The peer ended the handshake with an alert.", "See the detail."),
        Fault("tls-protocol", Stage.SECURE, "The peer does not speak TLS as we do.", "Is this a TLS port?"),
        *path_faults(Stage.ANSWER),
        Fault("closed", Stage.ANSWER, "Closed without any answer.", "Look at the service's log."),
        Fault("truncated", Stage.ANSWER, "Closed before the whole answer came.", "Look at the service's log."),
        Fault("malformed", Stage.ANSWER, "The answer is not HTTP.", "What really listens there?"),
        Fault("status", Stage.ANSWER, "The status is not an accepted one.", "Look at the service's log."),
        Fault("body-mismatch", Stage.ANSWER, "The body lacks the expected text.", "Look at the service."),
        Fault("ca-unreadable", None, "The CA file cannot be read.", "Check `ca_file` and its permissions."),
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


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """Settings, read and checked."""

    settings: Settings
    end: Endpoint
    secure: bool
    server_name: str
    request: h11.Request
    accepted: tuple[tuple[int, int], ...]


def flow(settings: Settings) -> Flow:
    """Return the request's flow; ValueError says what is wrong with URL, status, headers or addresses."""
    _check_headers(settings.headers)
    plan = _plan(settings)
    if settings.max_bytes < 1:
        raise ValueError("max_bytes: write at least 1")
    return Flow(
        host=plan.end.host,
        protocol="tcp",
        port=plan.end.port,
        family=plan.end.family,
        function=f"{settings.method} {settings.target}",
        connect_bytes=60,  # a SYN with its options
        carry_bytes=1500,  # full segments: a certificate chain, a page
        named=plan.end.named,
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["RequestRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner: TLS contexts are shared, connections never."""
    yield RequestRunner(kit)


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
        end=end,
        secure=url.scheme == "https",
        server_name=name,
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

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._contexts = Contexts()
        self._plans: dict[int, _Plan] = {}  # by the identity of settings that the plan keeps alive

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Connect, ask once, read the answer, close; every attempt is `fresh`."""
        plan = self._plans.get(id(settings))
        if plan is None or plan.settings is not settings:
            if len(self._plans) >= KEPT:
                self._plans.clear()
            plan = self._plans[id(settings)] = _plan(settings)
        exchange = _Exchange(self._kit, plan, deadline)
        return await exchange.run(self._contexts)


class _Exchange:
    """One attempt on its way: what it has measured so far."""

    def __init__(self, kit: Kit, plan: _Plan, deadline: float) -> None:
        self._kit = kit
        self._clock = kit.clock
        self._settings = plan.settings
        self._deadline = deadline
        self._plan = plan
        self._start = self._mark = kit.clock.boot()
        self._phases: dict[str, float] = {}
        self._values: dict[str, float] = {}

    async def run(self, contexts: Contexts) -> Result:
        """Go through the stages until one fails."""
        end = self._plan.end
        context: ssl.SSLContext | None = None
        if self._plan.secure:
            loaded = await self._context(contexts)
            if loaded is None:
                return result_of(LATE, Stage.SECURE)
            if isinstance(loaded, CaError):
                return unknown("ca-unreadable", loaded.detail)
            context = loaded
            self._mark = self._clock.boot()
        address = end.host
        if end.named:
            try:
                address = await self._kit.resolver.resolve(end.host, end.family, self._deadline)
            except ResolveError as error:
                return resolve_result(error, self._elapsed())
            self._reached("resolve")
        made = await connect_tcp(address, end.port or 0, end.family, deadline=self._deadline, clock=self._clock)
        if isinstance(made, Trouble):
            return result_of(made, Stage.CONNECT, self._elapsed(), self._phases)
        self._phases["connect"] = made.seconds
        self._mark = self._clock.boot()
        with Stream(made.sock, end.family, deadline=self._deadline, clock=self._clock) as stream:
            if info := tcp_info(stream.sock, end.family):
                self._values["http_handshake_seconds"] = info.round_trip
            if context is not None:
                certificate = await stream.secure(context, self._plan.server_name)
                if isinstance(certificate, Trouble):
                    return self._stopped(certificate, Stage.SECURE, stream)
                self._reached("secure")
                if (expiry := not_after(certificate)) is not None:
                    self._values["http_certificate_expiry_timestamp_seconds"] = expiry
            return await self._ask(stream)

    async def _context(self, contexts: Contexts) -> ssl.SSLContext | CaError | None:
        """Return the TLS context, None when a slow disk gives it too late."""
        try:
            async with asyncio.timeout(max(self._deadline - self._clock.boot(), 0.0)):
                return await contexts.get(self._settings.ca_file, verify=self._settings.verify)
        except TimeoutError:
            return None

    async def _ask(self, stream: Stream) -> Result:
        response = Response(self._settings.max_bytes)
        sent = await stream.send(response.begin(self._plan.request))
        if sent is not None:
            return self._stopped(sent, Stage.ANSWER, stream)
        head: Head | None = None
        while True:
            data = await stream.receive()
            if isinstance(data, Trouble):
                return self._stopped(data, Stage.ANSWER, stream)
            if data and "first_byte" not in self._phases:
                self._reached("first_byte")
            step = response.feed(data)
            if isinstance(step, Trouble):
                return self._stopped(step, Stage.ANSWER, stream)
            if isinstance(step, Head):
                head = step
                self._values["http_status_code"] = float(step.status)
                if not any(low <= step.status <= high for low, high in self._plan.accepted):
                    return self._verdict("status", f"HTTP {step.status} {step.reason}".strip(), stream)
                step = response.feed(None)
                if isinstance(step, Trouble):
                    return self._stopped(step, Stage.ANSWER, stream)
            if isinstance(step, Body):
                self._reached("transfer")
                self._values["http_response_bytes"] = float(len(step.content))
                return self._judge(step, head, stream)

    def _judge(self, body: Body, head: Head | None, stream: Stream) -> Result:
        wanted = self._settings.body_contains.encode()
        if wanted and wanted not in body.content:
            cut = "the first part of " if body.cut else ""
            return self._verdict("body-mismatch", f"{cut}the body lacks the expected text", stream)
        return Result(
            outcome=Outcome.OK,
            seconds=self._elapsed(),
            phases=self._phases,
            values=self._values,
            packet_bytes=self._packet_bytes(stream),
            detail=f"HTTP {head.status}" if head else "",
        )

    def _verdict(self, fault: str, detail: str, stream: Stream) -> Result:
        return self._stopped(Trouble(fault=fault, detail=detail, answered=True), Stage.ANSWER, stream)

    def _stopped(self, trouble: Trouble, stage: Stage, stream: Stream) -> Result:
        if trouble.fault in _TLS_STAGES:  # TLS 1.3 refuses a client after its part of the handshake is done
            stage = Stage.SECURE
        result = result_of(trouble, stage, self._elapsed(), self._phases)
        return msgspec.structs.replace(result, values=self._values, packet_bytes=self._packet_bytes(stream))

    def _packet_bytes(self, stream: Stream) -> int | None:
        info = tcp_info(stream.sock, self._plan.end.family)
        return info.packet_bytes if info else None

    def _reached(self, phase: str) -> None:
        now = self._clock.boot()
        self._phases[phase] = now - self._mark
        self._mark = now

    def _elapsed(self) -> float:
        return self._clock.boot() - self._start
