"""One scrape of an exporter over a new connection: the lines of the wanted series, and the exporter's clock.

What must stay true: nothing is retried and no redirect is followed; the body runs through a sieve as
it arrives, so no size of it, packed or not, costs memory, and no piece of it holds the loop; a
credential goes over TLS only and is revealed in the expression that writes it; every failure is a
`Missed` whose fault is one of SCRAPE_FAULTS or of LOCAL_FAULTS: we could not look. What it would be
for a probe that watches the way to the exporter stands beside it.
"""

import asyncio
import base64
import zlib
from collections.abc import Sequence
from typing import Final

import msgspec

from probes.kit.address import Endpoint, host_endpoint
from probes.kit.exposition import Malformed, Sieve, Sifted, Wanted
from probes.kit.h11_mended import h11
from probes.kit.https_exchange import is_bearer
from probes.kit.microsoft import http_date
from probes.kit.resolver import RESOLVE_FAULTS, ResolveError, locate, resolve_result
from probes.kit.response import request
from probes.kit.result import Result, Stage, unknown
from probes.kit.secret import Secret, read_secret
from probes.kit.sockets import connect_tcp
from probes.kit.spec import Clock, Fault, Kit
from probes.kit.stream import Stream
from probes.kit.tls import Contexts, FileError, Trust
from probes.kit.trouble import LATE, TIMEOUT, Trouble, path_faults, result_of
from probes.kit.url import Url, read_url

# The largest expositions of practice (kube-state-metrics of a large cluster) have tens of MB.
MAX_BODY_BYTES: Final = 64 * 1024 * 1024
# h11 needs some 20 us for a chunk of one byte (six on the wire): pieces of this size end in 30 ms at worst.
_PIECE_BYTES: Final = 8 * 1024
# Bytes unpacked at once: deflate packs up to a thousand to one, and a megabyte passes the sieve in some ms.
_UNPACK_BYTES: Final = 1024 * 1024
_GZIP: Final = 16 + zlib.MAX_WBITS  # zlib's way to ask for gzip's header (RFC 1952)
_LARGEST_HEAD: Final = 65536
# Protobuf, which Prometheus prefers, is not asked for; OpenMetrics is, by those that speak nothing else.
_ACCEPT: Final = "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5"
_OPENMETRICS: Final = b"application/openmetrics-text"

SCRAPE_FAULTS: Final = (
    Fault(
        "exporter-unreachable",
        None,
        "No reply: resolution, connection or time.",
        "A tcp or http probe to the same host says on which segment; or set `unreachable: failed`.",
    ),
    Fault(
        "exporter-error",
        None,
        "The exporter answers with an error or a redirect, or its certificate is not trusted.",
        "See the detail: the status (write the final URL; 401 and 403 want credentials), or the certificate.",
    ),
    Fault(
        "malformed",
        None,
        "The reply is no Prometheus exposition in text format, or was cut short.",
        "Open the address from this vantage and see who answers.",
    ),
    Fault("ca-unreadable", None, "The CA file cannot be read.", "Check `ca_file` and its permissions."),
    Fault("certificate-unreadable", None, "Our own certificate cannot be read.", "Check its files."),
    Fault("credential-unreadable", None, "The secret file cannot be used.", "See the detail: path, rights."),
)
# The same of a probe whose path leads to the exporter (`unreachable: failed`).
REACH_FAULTS: Final = (
    *path_faults(Stage.CONNECT),
    *path_faults(Stage.SECURE),
    *path_faults(Stage.ANSWER),
    Fault("closed", Stage.SECURE, "Closed in the TLS handshake.", "Look at the exporter's log."),
    Fault("closed", Stage.ANSWER, "Closed without any answer.", "Look at the exporter's log."),
    Fault("exporter-error", Stage.SECURE, "TLS fails: its certificate is not trusted, or ours not.", "See the detail."),
    Fault("exporter-error", Stage.ANSWER, "The exporter answers with an error or a redirect.", "See the detail."),
    Fault("malformed", Stage.ANSWER, "The reply is no exposition, or was cut short.", "See who answers there."),
    *(fault for fault in RESOLVE_FAULTS if fault.stage is not None),
)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How to be let in: user and file of the password, or file of a token; "" where there is none."""

    user: str = ""
    password_file: str = ""
    token_file: str = ""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """An exporter's page: where it is and how to ask for it."""

    end: Endpoint
    url: Url
    access: Access
    trust: Trust


class Scraped(msgspec.Struct, frozen=True, kw_only=True):
    """What was left in the sieve, and the exporter's wall clock (UTC epoch seconds) where it gave one."""

    found: Sifted
    date: float | None
    openmetrics: bool = False


class Missed(msgspec.Struct, frozen=True):
    """Why there is nothing to read: a fault, one line for people, and what it is to a probe of the way."""

    fault: str
    detail: str
    on_the_way: Result
    late: bool = False


def page(url: str, family: int, access: Access, trust: Trust) -> Page:
    """Return the page at `url`; ValueError says what to write."""
    read = read_url(url)
    if bool(access.user) != bool(access.password_file):
        raise ValueError("user: write `user` and `password_file`, or neither")
    if access.user and access.token_file:
        raise ValueError("token_file: write this or `user` and `password_file`, not both")
    if (access.user or access.token_file) and not read.secure:
        raise ValueError("target: a credential goes over https only; write `https://`, or leave the credential out")
    if ":" in access.user or not access.user.isascii():
        raise ValueError("user: write ASCII without a colon")  # RFC 7617 section 2
    return Page(
        end=host_endpoint(read.host, family, read.port),
        url=read,
        access=access,
        trust=trust,
    )


def head(asked: Page, secret: Secret | None) -> bytes:
    """Return the bytes of the request; ValueError when the secret cannot stand in a header."""
    host = asked.url.host_field(asked.url.host)
    plain = request("GET", asked.url.path, host, {"Accept": _ACCEPT, "Accept-Encoding": "gzip"})
    if secret is None:
        return plain
    start = plain.removesuffix(b"\r\n")  # behind the last field
    if asked.access.token_file:
        if not is_bearer(secret.reveal()):
            raise ValueError("the token holds characters that no bearer token may hold")
        return start + b"Authorization: Bearer %s\r\n\r\n" % secret.reveal().encode("ascii")
    user = asked.access.user
    return start + b"Authorization: Basic %s\r\n\r\n" % base64.b64encode(f"{user}:{secret.reveal()}".encode())


class Scrape:
    """One scrape on its way; `phases` are the seconds of those that it reached."""

    def __init__(self, kit: Kit, asked: Page, wanted: Sequence[Wanted], deadline: float) -> None:
        self.phases: Final[dict[str, float]] = {}
        self._kit = kit
        self._clock: Clock = kit.clock
        self._asked = asked
        self._reply = Reply(wanted)
        self._deadline = deadline
        self._start = self._mark = kit.clock.boot()

    async def run(self, contexts: Contexts) -> Scraped | Missed:
        """Go through the steps until one fails; ends by the deadline."""
        secret = await self._secret()
        if isinstance(secret, Missed):
            return secret
        end = self._asked.end
        try:
            address = await locate(self._kit, end, self._deadline, self.phases)
        except ResolveError as error:
            seconds = self._clock.boot() - self._start
            return Missed("exporter-unreachable", f"resolve: {error}", resolve_result(error, seconds))
        made = await connect_tcp(address, end.port or 0, end.family, deadline=self._deadline, clock=self._clock)
        if isinstance(made, Trouble):
            return self._missed(Stage.CONNECT, made)
        self.phases["connect"] = made.seconds
        self._mark = self._clock.boot()
        with Stream(made.sock, end.family, deadline=self._deadline, clock=self._clock) as stream:
            if self._asked.url.secure:
                missed = await self._secure(stream, contexts)
                if missed is not None:
                    return missed
                self._reached("secure")
            return await self._ask(stream, secret)

    async def _secret(self) -> Secret | Missed | None:
        """Read the secret anew, so that a changed file counts at once."""
        access = self._asked.access
        file = access.token_file or access.password_file
        if not file:
            return None
        try:
            async with asyncio.timeout(self._seconds()):
                secret = await asyncio.to_thread(read_secret, file)
            head(self._asked, secret)
        except TimeoutError:
            return self._missed(Stage.RESOLVE, LATE)
        except OSError as error:
            return _unread("credential-unreadable", f"{file}: {error.strerror or error}")
        except ValueError as error:
            return _unread("credential-unreadable", str(error))
        return secret

    async def _secure(self, stream: Stream, contexts: Contexts) -> Missed | None:
        try:
            async with asyncio.timeout(self._seconds()):
                context = await contexts.load(self._asked.trust)
        except TimeoutError:
            return self._missed(Stage.SECURE, LATE)
        if isinstance(context, FileError):
            return _unread(context.fault, context.detail)
        outcome = await stream.secure(context, self._asked.url.host)
        return self._missed(Stage.SECURE, outcome) if isinstance(outcome, Trouble) else None

    async def _ask(self, stream: Stream, secret: Secret | None) -> Scraped | Missed:
        sent = await stream.send(head(self._asked, secret))
        if sent is not None:
            return self._missed(Stage.ANSWER, sent)
        while True:
            data = await stream.receive()
            if isinstance(data, Trouble):
                return self._missed(Stage.ANSWER, data)
            if data and "first_byte" not in self.phases:
                self._reached("first_byte")
            for at in range(0, max(len(data), 1), _PIECE_BYTES):
                ended = self._reply.feed(data[at : at + _PIECE_BYTES])
                while ended is None and self._reply.packed:
                    await asyncio.sleep(0)
                    ended = TIMEOUT if self._clock.boot() >= self._deadline else self._reply.unpack()
                if isinstance(ended, Trouble):
                    return self._missed(Stage.ANSWER, ended)
                if ended is not None:
                    self._reached("transfer")
                    return ended
                await asyncio.sleep(0)
                if self._clock.boot() >= self._deadline:
                    return self._missed(Stage.ANSWER, TIMEOUT)

    def _seconds(self) -> float:
        """Return how much time is left for a slow disk."""
        return max(self._deadline - self._clock.boot(), 0.0)

    def _reached(self, phase: str) -> None:
        now = self._clock.boot()
        self.phases[phase] = now - self._mark
        self._mark = now

    def _missed(self, stage: Stage, trouble: Trouble) -> Missed:
        """Return what our own host, the way or the exporter's own bytes kept us from."""
        result = result_of(trouble, stage, self._clock.boot() - self._start, self.phases)
        if trouble.local:
            return Missed(trouble.fault, trouble.detail, result)
        if not trouble.answered:
            detail = f"{stage.value}: {trouble.detail or trouble.fault}"
            return Missed("exporter-unreachable", detail, result, late=trouble.fault == "timeout")
        if trouble.fault == "malformed":
            return Missed("malformed", trouble.detail, result)
        return Missed(
            "exporter-error",
            f"{stage.value}: {trouble.detail}",
            msgspec.structs.replace(result, fault="exporter-error"),
        )


def _unread(fault: str, detail: str) -> Missed:
    return Missed(fault, detail, unknown(fault, detail))


class Reply:
    """An exporter's reply as it comes in: bytes in, verdict out; no socket."""

    def __init__(self, wanted: Sequence[Wanted], max_body_bytes: int = MAX_BODY_BYTES) -> None:
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        # Whatever was really asked, h11 reads the reply as one to this.
        self._connection.send(h11.Request(method="GET", target="/", headers=[("Host", "x"), ("Connection", "close")]))
        self._connection.send(h11.EndOfMessage())
        self._sieve = Sieve(wanted)
        self._room = max_body_bytes
        self._date: float | None = None
        self._openmetrics = False
        self._started = False
        self._closed = False
        self._unpacker: zlib._Decompress | None = None

    @property
    def packed(self) -> bool:
        """Return whether more of what has come waits to be unpacked."""
        return self._unpacker is not None and bool(self._unpacker.unconsumed_tail)

    def feed(self, data: bytes) -> Scraped | Trouble | None:
        """Take bytes (b"": the exporter closed) and return the verdict once there is one.

        None with `packed` asks for `unpack` before anything else is fed.
        """
        self._closed = not data
        if self._closed and not self._started:
            return Trouble(fault="closed", detail="closed without a reply")
        self._started = True
        self._connection.receive_data(data)
        return self.unpack()

    def unpack(self) -> Scraped | Trouble | None:
        """Take the next step with what has come."""
        try:
            if self._unpacker is not None and self._unpacker.unconsumed_tail:
                stopped = self._take(self._unpacker.unconsumed_tail)
                if stopped is not None or self.packed:
                    return stopped
            return self._read()
        except h11.RemoteProtocolError:
            return _malformed("the reply was cut short" if self._closed else "the reply is not HTTP")
        except zlib.error:
            return _malformed("the reply is packed in another way than it says")

    def _read(self) -> Scraped | Trouble | None:
        while (event := self._connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
            stopped: Scraped | Trouble | None = None
            if isinstance(event, h11.Response):
                stopped = self._begin(event)
            elif isinstance(event, h11.Data):
                stopped = self._take(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                stopped = self._finish()
            if stopped is not None or self.packed:
                return stopped
        return None

    def _begin(self, event: h11.Response) -> Trouble | None:
        if event.status_code != 200:
            return Trouble(fault="status", detail=f"HTTP {event.status_code}", answered=True)
        fields = {name: value.strip().lower() for name, value in event.headers}
        self._date = http_date(dict(event.headers).get(b"date", b"").decode("latin-1"))
        kind = fields.get(b"content-type", b"").partition(b";")[0].strip()
        self._openmetrics = kind == _OPENMETRICS
        packing = fields.get(b"content-encoding", b"identity")
        if packing == b"gzip":
            self._unpacker = zlib.decompressobj(_GZIP)
        elif packing != b"identity":
            return _malformed("the reply is packed in a way that was not asked for")
        return _malformed("the reply is protobuf, which was not asked for") if b"protobuf" in kind else None

    def _take(self, data: bytes) -> Trouble | None:
        """Pour the next bytes of the body, unpacked, into the sieve."""
        if self._unpacker is not None:
            if self._unpacker.eof:
                return _malformed("more follows behind the packed reply")
            data = self._unpacker.decompress(data, _UNPACK_BYTES)
        self._room -= len(data)
        if self._room < 0:
            return _malformed("the exposition is too long")
        self._sieve.feed(data)
        return None

    def _finish(self) -> Scraped | Trouble:
        if self._unpacker is not None and (not self._unpacker.eof or self._unpacker.unused_data):
            return _malformed("the packed reply was cut short, or more follows behind it")
        found = self._sieve.finish()
        if isinstance(found, Malformed):
            return _malformed(found.detail)
        return Scraped(found=found, date=self._date, openmetrics=self._openmetrics)


def _malformed(detail: str) -> Trouble:
    return Trouble(fault="malformed", detail=detail, answered=True)
