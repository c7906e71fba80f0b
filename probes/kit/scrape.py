"""One scrape of an exporter over a new connection: the lines of the wanted series, and the exporter's clock.

What must stay true: nothing is retried and no redirect is followed; the body runs through a sieve as
it arrives, so no size of it costs memory, and no piece of it holds the loop; every failure is a
`Missed` whose fault is one of SCRAPE_FAULTS or of LOCAL_FAULTS: we could not look.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import SplitResult, urlsplit

import h11
import msgspec

from probes.kit.address import Endpoint, host_endpoint, literal_family
from probes.kit.exposition import Malformed, Sieve, Sifted, Wanted
from probes.kit.microsoft import http_date
from probes.kit.resolver import ResolveError
from probes.kit.response import request_fields
from probes.kit.sockets import connect_tcp
from probes.kit.spec import Clock, Fault, Kit
from probes.kit.stream import Stream
from probes.kit.tls import CaError, Contexts
from probes.kit.trouble import LATE, TIMEOUT, Trouble

# The largest expositions of practice (kube-state-metrics of a large cluster) have tens of MB.
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
# h11 needs some 20 us for a chunk of one byte (six on the wire): pieces of this size end in 30 ms at worst.
_PIECE_BYTES: Final = 8 * 1024
_LARGEST_HEAD: Final = 65536
_ACCEPT: Final = "text/plain;version=0.0.4"
_PORTS: Final = {"http": 80, "https": 443}

SCRAPE_FAULTS: Final = (
    Fault(
        "exporter-unreachable",
        None,
        "No reply: resolution, connection or time.",
        "A tcp or http probe to the same host says on which segment.",
    ),
    Fault(
        "exporter-error",
        None,
        "The exporter answers with an error or a redirect, or its certificate is not trusted.",
        "See the detail: the status (write the final URL), or the certificate (`ca_file`).",
    ),
    Fault(
        "malformed",
        None,
        "The reply is no Prometheus exposition in text format, or was cut short.",
        "Open the address from this vantage and see who answers.",
    ),
    Fault("ca-unreadable", None, "The CA file cannot be read.", "Check `ca_file` and its permissions."),
)


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An exporter's page: where it is and how to ask for it."""

    end: Endpoint
    secure: bool
    server_name: str
    ca_file: str
    request: h11.Request


class Scraped(msgspec.Struct, frozen=True, kw_only=True):
    """What was left in the sieve, and the exporter's wall clock (UTC epoch seconds) where it gave one."""

    found: Sifted
    date: float | None


class Missed(msgspec.Struct, frozen=True):
    """Why there is nothing to read: a fault and one line for people."""

    fault: str
    detail: str


def page(url: str, family: int, ca_file: str = "") -> Page:
    """Return the page at `url`; ValueError says what to write."""
    parts = _url(url)
    port = parts.port or _PORTS[parts.scheme]
    host = parts.hostname or ""
    shown = f"[{host}]" if literal_family(host) == 6 else host
    return Page(
        end=host_endpoint(host, family, port),
        secure=parts.scheme == "https",
        server_name=host,
        ca_file=ca_file,
        request=h11.Request(
            method="GET",
            target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
            headers=request_fields(shown if port == _PORTS[parts.scheme] else f"{shown}:{port}", {"Accept": _ACCEPT}),
        ),
    )


def _url(text: str) -> SplitResult:
    try:
        url = urlsplit(text)
        port = url.port
    except ValueError as error:
        raise ValueError(f"{text!r} is not a URL: {error}") from None
    if url.scheme not in _PORTS or not url.hostname or port == 0:
        raise ValueError(f"{text!r}: write a URL as `http://host:9182/metrics`")
    if "@" in url.netloc or url.fragment:
        raise ValueError(f"{text!r}: leave user, password and fragment out of the URL")
    if not re.fullmatch(r"[\x21-\x7e]+", text):
        raise ValueError(f"{text!r}: percent-encode spaces and letters outside ASCII")
    return url


class Scrape:
    """One scrape on its way; `phases` are the seconds of those that it reached."""

    def __init__(self, kit: Kit, target: Page, wanted: Sequence[Wanted], deadline: float) -> None:
        self.phases: Final[dict[str, float]] = {}
        self._kit = kit
        self._clock: Clock = kit.clock
        self._target = target
        self._reply = Reply(wanted)
        self._deadline = deadline
        self._mark = kit.clock.boot()

    async def run(self, contexts: Contexts) -> Scraped | Missed:
        """Go through the steps until one fails; ends by the deadline."""
        end = self._target.end
        address = end.host
        if end.named:
            try:
                address = await self._kit.resolver.resolve(end.host, end.family, self._deadline)
            except ResolveError as error:
                return Missed("exporter-unreachable", f"resolve: {error}")
            self._reached("resolve")
        made = await connect_tcp(address, end.port or 0, end.family, deadline=self._deadline, clock=self._clock)
        if isinstance(made, Trouble):
            return _missed("connect", made)
        self.phases["connect"] = made.seconds
        self._mark = self._clock.boot()
        with Stream(made.sock, end.family, deadline=self._deadline, clock=self._clock) as stream:
            if self._target.secure:
                missed = await self._secure(stream, contexts)
                if missed is not None:
                    return missed
                self._reached("secure")
            return await self._ask(stream)

    async def _secure(self, stream: Stream, contexts: Contexts) -> Missed | None:
        try:
            async with asyncio.timeout(max(self._deadline - self._clock.boot(), 0.0)):
                context = await contexts.get(self._target.ca_file, verify=True)
        except TimeoutError:
            return _missed("secure", LATE)
        if isinstance(context, CaError):
            return Missed("ca-unreadable", context.detail)
        outcome = await stream.secure(context, self._target.server_name)
        return _missed("secure", outcome) if isinstance(outcome, Trouble) else None

    async def _ask(self, stream: Stream) -> Scraped | Missed:
        sent = await stream.send(self._reply.begin(self._target.request))
        if sent is not None:
            return _missed("answer", sent)
        while True:
            data = await stream.receive()
            if isinstance(data, Trouble):
                return _missed("answer", data)
            if data and "first_byte" not in self.phases:
                self._reached("first_byte")
            for at in range(0, max(len(data), 1), _PIECE_BYTES):
                ended = self._reply.feed(data[at : at + _PIECE_BYTES])
                if ended is not None:
                    self._reached("transfer")
                    return ended
                await asyncio.sleep(0)
                if self._clock.boot() >= self._deadline:
                    return _missed("answer", TIMEOUT)

    def _reached(self, phase: str) -> None:
        now = self._clock.boot()
        self.phases[phase] = now - self._mark
        self._mark = now


def _missed(step: str, trouble: Trouble) -> Missed:
    """Return what our own host, the way or the exporter's own bytes kept us from."""
    if trouble.local:
        return Missed(trouble.fault, trouble.detail)
    fault = "exporter-error" if trouble.answered else "exporter-unreachable"
    return Missed(fault, f"{step}: {trouble.detail or trouble.fault}")


class Reply:
    """An exporter's reply as it comes in: bytes in, verdict out; no socket."""

    def __init__(self, wanted: Sequence[Wanted], max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self._sieve = Sieve(wanted)
        self._room = max_body_bytes
        self._date: float | None = None
        self._started = False

    def begin(self, asked: h11.Request) -> bytes:
        """Return the bytes of the request."""
        return (self._connection.send(asked) or b"") + (self._connection.send(h11.EndOfMessage()) or b"")

    def feed(self, data: bytes) -> Scraped | Missed | None:
        """Take bytes (b"": the exporter closed) and return the verdict once there is one."""
        closed = not data
        if closed and not self._started:
            return Missed("exporter-unreachable", "answer: closed without a reply")
        self._started = True
        try:
            self._connection.receive_data(data)
            return self._read()
        except h11.RemoteProtocolError:
            return Missed("malformed", "the reply was cut short" if closed else "the reply is not HTTP")

    def _read(self) -> Scraped | Missed | None:
        while (event := self._connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            if isinstance(event, h11.Response):
                if event.status_code != 200:
                    return Missed("exporter-error", f"HTTP {event.status_code}")
                self._date = http_date(dict(event.headers).get(b"date", b"").decode("latin-1"))
            elif isinstance(event, h11.Data):
                self._room -= len(event.data)
                if self._room < 0:
                    return Missed("malformed", "the exposition is too long")
                self._sieve.feed(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                found = self._sieve.finish()
                return Missed("malformed", found.detail) if isinstance(found, Malformed) else self._scraped(found)
        return None

    def _scraped(self, found: Sifted) -> Scraped:
        return Scraped(found=found, date=self._date)
