"""HTTP and HTTPS: a web service answers this request as it should, with the time of each phase.

A fresh connection for every request. What must stay true: phases are those that were reached; a response that ends
in silence or a reset is never `answered`; what a responder sends is bounded by `max_bytes`; the probe's path leads to
one host, so that what another host does, to which that one sends on, accuses nobody on the path.
"""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, Literal

import msgspec

from probes.kit.address import FAMILY_HELP, KEPT, host_endpoint, is_name, literal_family
from probes.kit.asker import Asker, Heard, Target
from probes.kit.certificate import read_certificate
from probes.kit.kerberos import SignOn, SignOnError
from probes.kit.legs import CertificateTold, Leg, Trail
from probes.kit.readiness import Readiness
from probes.kit.resolver import RESOLVE_FAULTS
from probes.kit.response import Asking, Head, request
from probes.kit.result import Result, Stage, unknown
from probes.kit.secret import Secret
from probes.kit.spec import Clock, Fault, Flow, Kit, Metric, Spec
from probes.kit.tls import TLS_FAULTS, Trust
from probes.kit.trouble import LOCAL_FAULTS, Trouble, path_faults
from probes.kit.url import Url, read_url, redirected
from probes.kit.web_answer import Wanted, parse_fields, parse_pattern, parse_pointers, parse_status

_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")  # RFC 9110 section 5.6.2
_HEADER_VALUE: Final = re.compile(r"[\x20-\x7e]*\Z")
_OWN_HEADERS: Final = frozenset({"host", "connection", "content-length", "transfer-encoding"})
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})  # RFC 9110 section 15.4: those with a Location to follow
_MOST_REDIRECTS: Final = 10


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What to ask for and what a good answer is."""

    target: str
    method: Literal["GET", "HEAD"] = "GET"
    status: str = "200-399"
    body_contains: str = ""
    body_lacks: str = ""
    body_matches: str = ""
    body_json: dict[str, str] = {}
    response_headers: dict[str, str] = {}
    headers: dict[str, str] = {}
    follow: int = 0
    hops: tuple[str, ...] = ()
    proxy: str = ""
    kerberos: bool = False
    keytab: str = ""
    ca_file: str = ""
    certificate_file: str = ""
    key_file: str = ""
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
        "status": "Accepted status codes, as `200`, `200-399` or `200,401`.",
        "body_contains": "Text that the body must hold within `max_bytes`.",
        "body_lacks": "Text that it must not hold there.",
        "body_matches": "Pattern (RE2 syntax) that must occur there; needs `demarc-agent[patterns]`.",
        "body_json": "JSON pointers (RFC 6901) to the values that a JSON body must hold there, as `/status: UP`.",
        "response_headers": "Headers that the answer must have, each with a glob for its value (empty: any).",
        "headers": "Headers to add. No secrets: the chain file is shared.",
        "follow": "Most redirects to follow, 0 to 10; at 0 a redirect is an answer like any other.",
        "hops": "Other servers that redirects may lead to, as `https://sso.corp.lab`; what fails there is degraded "
        "(`hop-failed`), since the probe's path does not lead there: give them probes of their own.",
        "proxy": "HTTP proxy to ask through, as `http://proxy.corp.lab:3128`: the path then crosses it, and it "
        "resolves the target's name.",
        "kerberos": "Sign on by Kerberos (SPNEGO, MIT's library) as service `HTTP/host`. The key servers are those "
        "of krb5.conf.",
        "keytab": "Keytab to sign on with, or `credential:NAME` of systemd; empty: the agent's own ticket cache.",
        "ca_file": "PEM file of authorities to trust instead of the system's.",
        "certificate_file": "PEM file with our own certificate and its chain, or `credential:NAME` of systemd.",
        "key_file": "PEM file of its key, without a passphrase, or `credential:NAME`; empty: in the same file.",
        "server_name": "Name for SNI, certificate and Host header, when it is not the URL's host.",
        "verify": "Whether to check the certificate.",
        "family": FAMILY_HELP,
        "connect_to": "Address to connect to instead of resolving the URL's host.",
        "max_bytes": "Most bytes of the body that are read, as sent and as unpacked.",
    },
    phases=("sign_on", "resolve", "connect", "proxy", "secure", "first_byte", "transfer"),
    faults=(
        *path_faults(Stage.CONNECT),
        Fault("proxy-refused", Stage.CONNECT, "The proxy does not connect to the target.", "See the detail."),
        Fault("closed", Stage.CONNECT, "The proxy closed the connection.", "Look at the proxy's log."),
        Fault("truncated", Stage.CONNECT, "The proxy closed before a whole answer.", "Look at the proxy's log."),
        Fault("malformed", Stage.CONNECT, "The proxy's answer is not HTTP.", "What really listens there?"),
        *path_faults(Stage.SECURE),
        *TLS_FAULTS,
        *path_faults(Stage.ANSWER),
        Fault("closed", Stage.ANSWER, "Closed without any answer.", "Look at the service's log."),
        Fault("truncated", Stage.ANSWER, "Closed before the whole answer came.", "Look at the service's log."),
        Fault("malformed", Stage.ANSWER, "The answer is not HTTP.", "What really listens there?"),
        Fault("status", Stage.ANSWER, "The status is not an accepted one.", "Look at the service's log."),
        Fault("header-mismatch", Stage.ANSWER, "A header is missing or has another value.", "Look at the service."),
        Fault("body-mismatch", Stage.ANSWER, "The body is not the expected one.", "Look at the service."),
        Fault("body-unreadable", Stage.ANSWER, "The body cannot be unpacked or is not JSON.", "Look at the service."),
        Fault("redirect-elsewhere", Stage.ANSWER, "It redirects to an undeclared server.", "Add it to `hops`?"),
        Fault("redirect-loop", Stage.ANSWER, "More redirects than `follow`.", "Look at the service."),
        Fault("hop-failed", Stage.ANSWER, "What it redirects to failed (degraded).", "Probe that server itself."),
        Fault("sign-on-failed", None, "No Kerberos ticket for the service.", "Check keytab, krb5.conf, key servers."),
        *RESOLVE_FAULTS,
        *LOCAL_FAULTS,
    ),
    metrics=(
        Metric("http_handshake_seconds", "The kernel's round trip of the connection."),
        Metric("http_status_code", "Status of the last response."),
        Metric("http_response_bytes", "Bytes of the body that were read."),
        Metric("http_redirects", "Redirects that were followed."),
        Metric("http_certificate_expiry_timestamp_seconds", "When the server's certificate expires."),
    ),
    default_interval=5.0,
    leaves_traces="One request in the server's access log, one more for each redirect.",
)


class _Plan(msgspec.Struct, kw_only=True):
    """Settings, read and checked; and the last certificate, since it rarely changes."""

    settings: Settings
    first: Leg
    wanted: Wanted
    others: frozenset[tuple[str, str, int]]
    certificate: bytes = b""
    told: CertificateTold | None = None

    @property
    def simple(self) -> bool:
        """Return whether one request is all."""
        return not (self.settings.follow or self.settings.kerberos)

    def reads(self, head: Head) -> bool:
        """Return whether the body behind `head` is wanted."""
        return self.wanted.accepts(head) and not (self.settings.follow and head.status in _REDIRECTS)

    def asking(self, leg: Leg, token: Secret | None = None) -> Asking:
        """Return the request's dialogue, for one connection; `token` signs on."""
        settings = self.settings
        sent = leg.request
        if token is not None:
            sent = sent[:-2] + f"Authorization: Negotiate {token.reveal()}\r\n\r\n".encode("ascii")
        return Asking(sent, self.reads, settings.max_bytes, head_only=settings.method == "HEAD")

    def read_certificate(self, der: bytes) -> CertificateTold | None:
        """Return what a certificate (DER) tells, None when it cannot be read."""
        if der != self.certificate:
            self.certificate, self.told = der, None
            with suppress(ValueError):
                read = read_certificate(der)
                self.told = (read.not_after, read.facts)
        return self.told


def flow(settings: Settings) -> Flow:
    """Return the request's flow; ValueError says what is wrong with which key."""
    _check(settings)
    plan = _plan(settings)
    end = plan.first.target.end
    through = f" through {settings.proxy}" if settings.proxy else ""
    others = () if settings.proxy else tuple(_leg(settings, read_url(hop), own=False) for hop in settings.hops)
    return Flow(
        host=end.host,
        protocol="tcp",
        port=end.port,
        family=end.family,
        function=f"{settings.method} {settings.target}{through}",
        connect_bytes=60,  # a SYN with its options
        carry_bytes=1500,  # full segments: a certificate chain, a page
        named=end.named,
        also=tuple(
            Flow(
                host=leg.target.end.host,
                protocol="tcp",
                port=leg.target.end.port,
                family=leg.target.end.family,
                function=f"{settings.method} {leg.url.origin}, where {settings.target} sends on to",
                carry_bytes=1500,
                named=leg.target.end.named,
            )
            for leg in others
        ),
    )


@asynccontextmanager
async def open(kit: Kit) -> AsyncIterator["RequestRunner"]:  # noqa: A001 - the probe interface's name
    """Open the shared runner: TLS contexts are shared, connections never."""
    with Readiness(kit.clock).opened() as readiness:
        yield RequestRunner(kit, readiness)


def _check(settings: Settings) -> None:
    for name, value in settings.headers.items():
        if not _HEADER_NAME.match(name) or not _HEADER_VALUE.match(value):
            raise ValueError(f"header {name!r}: not a header line")
        if name.lower() in _OWN_HEADERS:
            raise ValueError(f"header {name!r} is set by the probe itself; for Host write `server_name`")
    for name in settings.response_headers:
        if not _HEADER_NAME.match(name):
            raise ValueError(f"response_headers: {name!r} is not the name of a header")
    name = settings.server_name
    if name and not (is_name(name) or literal_family(name)):
        raise ValueError(f"server_name {name!r} is not a name")
    if settings.connect_to and literal_family(settings.connect_to) is None:
        raise ValueError(f"connect_to {settings.connect_to!r}: write an IP address")
    if settings.connect_to and settings.proxy:
        raise ValueError("connect_to: the proxy connects to the target, leave it out")
    if settings.proxy and (read_url(settings.proxy).secure or read_url(settings.proxy).path != "/"):
        raise ValueError(f"proxy {settings.proxy!r}: write it as `http://host:port`")
    if settings.keytab and not settings.kerberos:
        raise ValueError("keytab: write `kerberos: true` too")
    if settings.max_bytes < 1:
        raise ValueError("max_bytes: write at least 1")
    if not 0 <= settings.follow <= _MOST_REDIRECTS:
        raise ValueError(f"follow: write a number from 0 to {_MOST_REDIRECTS}")
    if settings.hops and not settings.follow:
        raise ValueError("hops: write `follow` too")


def _plan(settings: Settings) -> _Plan:
    others = [read_url(hop) for hop in settings.hops]
    return _Plan(
        settings=settings,
        first=_leg(settings, read_url(settings.target), own=True),
        wanted=Wanted(
            status=parse_status(settings.status),
            fields=parse_fields(settings.response_headers),
            contains=settings.body_contains.encode(),
            lacks=settings.body_lacks.encode(),
            pattern=parse_pattern(settings.body_matches) if settings.body_matches else None,
            pointers=parse_pointers(settings.body_json),
            max_bytes=settings.max_bytes,
        ),
        others=frozenset((url.scheme, url.host, url.port) for url in others),
    )


def _leg(settings: Settings, url: Url, *, own: bool) -> Leg:
    """Return the request for `url`; what is about the probe's own server is left out for others."""
    name = (settings.server_name if own else "") or url.host
    proxy = read_url(settings.proxy) if settings.proxy else None
    host = proxy.host if proxy else (settings.connect_to if own else "") or url.host
    trust = None
    if url.secure:
        trust = Trust(
            ca_file=settings.ca_file,
            verify=settings.verify,
            certificate_file=settings.certificate_file if own else "",
            key_file=settings.key_file if own else "",
        )
    whole = f"{url.scheme}://{url.host_field(url.host)}{url.path}"  # RFC 9112 section 3.2.2
    return Leg(
        url=url,
        own=own,
        tunnel=url.authority if proxy and url.secure else "",
        target=Target(
            end=host_endpoint(host, settings.family, proxy.port if proxy else url.port),
            trust=trust,
            server_name=name,
        ),
        request=request(
            settings.method,
            whole if proxy and not url.secure else url.path,
            url.host_field(name),
            settings.headers if own else {},
        ),
    )


class RequestRunner:
    """All http probes of the agent."""

    def __init__(self, kit: Kit, readiness: Readiness) -> None:
        self._clock: Clock = kit.clock
        self._asker = Asker(kit, readiness)
        self._sign_on = SignOn(kit.clock)
        self._plans: dict[int, _Plan] = {}  # by the identity of settings that the plan keeps alive

    def harvest(self) -> float | None:
        """Do nothing: sockets tell by themselves when they are ready, and their deadlines have their own timer."""
        return None

    def launch(self, settings: Settings, deadline: float, done: Callable[[Result], None]) -> bool:
        """Start now; False when more than one request may be needed, a name be resolved or a file be read first."""
        plan = self._plan(settings)
        if not plan.simple:
            return False
        leg, asking = plan.first, plan.asking(plan.first)
        return self._asker.launch(
            leg.target,
            deadline,
            lambda heard: done(_judge(plan, leg, asking, heard, Trail())),
            dialogue=asking,
            opening=leg.opening(),
        )

    def flush(self) -> None:
        """Do nothing: every SYN has left."""

    async def attempt(self, settings: Settings, deadline: float, *, fresh: bool = False) -> Result:  # noqa: ARG002
        """Connect, ask, read the answer, close; follow where it leads; every attempt is `fresh`."""
        plan, trail = self._plan(settings), Trail()
        leg = plan.first
        for redirects in range(settings.follow + 1):
            if settings.follow:
                trail.values["http_redirects"] = float(redirects)
            token = None
            if settings.kerberos and leg.own:
                start = self._clock.boot()
                try:
                    token = await self._sign_on.token(leg.target.server_name, settings.keytab, deadline)
                except SignOnError as error:
                    return unknown("sign-on-failed", str(error))
                taken = self._clock.boot() - start
                trail.spend(taken, {"sign_on": taken})
            asking = plan.asking(leg, token)
            heard = await self._asker.ask(leg.target, deadline, dialogue=asking, opening=leg.opening())
            if isinstance(heard, Result):
                return trail.ended_before(heard, leg)
            onward = _onward(plan, leg, asking, heard)
            if onward is None:
                return _judge(plan, leg, asking, heard, trail)
            trail.add(leg, asking, heard, plan.read_certificate)
            if isinstance(onward, Trouble):
                return trail.end(onward, Stage.ANSWER, leg)
            leg = onward
        detail = f"more than {settings.follow} redirects, the last one to {leg.url.origin}"
        return trail.end(Trouble(fault="redirect-loop", detail=detail, answered=True), Stage.ANSWER, plan.first)

    def _plan(self, settings: Settings) -> _Plan:
        plan = self._plans.get(id(settings))
        if plan is None or plan.settings is not settings:
            if len(self._plans) >= KEPT:
                self._plans.clear()
            plan = self._plans[id(settings)] = _plan(settings)
        return plan


def _onward(plan: _Plan, leg: Leg, asking: Asking, heard: Heard) -> Leg | Trouble | None:
    """Return where the answer sends on to, what is wrong with that, or None when it does not."""
    head = asking.head
    if not plan.settings.follow or heard.made.trouble or head is None or head.status not in _REDIRECTS:
        return None
    location = next((value for name, value in head.fields if name == b"location"), None)
    if location is None:
        return None
    try:
        url = redirected(leg.url, location)
    except ValueError:  # its text may hold a session
        return Trouble(fault="malformed", detail=f"HTTP {head.status} to what is no web address", answered=True)
    own = url.host == plan.first.url.host
    known = own or (url.scheme, url.host, url.port) in plan.others
    if not known or (leg.url.secure and not url.secure):
        return Trouble(fault="redirect-elsewhere", detail=f"HTTP {head.status} to {url.origin}"[:200], answered=True)
    return _leg(plan.settings, url, own=own)


def _judge(plan: _Plan, leg: Leg, asking: Asking, heard: Heard, trail: Trail) -> Result:
    """Return the result of an attempt whose last request was `asking`."""
    trail.add(leg, asking, heard, plan.read_certificate)
    made, head = heard.made, asking.head
    trouble = made.trouble
    if trouble is None and head is not None:
        trouble = plan.wanted.verdict(head, asking.body)
    return trail.end(trouble, made.stage, leg, f"HTTP {head.status}" if head else "")
