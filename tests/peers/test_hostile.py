"""Servers that mean harm, and every type that reads a stream: each attempt ends by itself, small, with a fault by name.

What each type makes of its own protocol's lies stands in its own test; here all of them meet the same servers.
"""

import asyncio
import contextlib
import ssl
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final

import pytest

from agent.daemon.http_client import FetchError, get
from probes import ad, adsync, dns, greeting, http, metric, tls
from probes.kit.greetings import GREETINGS
from probes.kit.result import Outcome, Result
from tests.peers.probing import CLOCK, Authority, Handler, Kit, Names, open_descriptors, serve

pytestmark = pytest.mark.peer

HOST: Final = "hostile.test"
MOST_BYTES: Final = 40_000_000
"""Of Python's memory, for all attempts at once and their servers; a loopback brings hundreds of megabytes meanwhile."""
PATIENCE: Final = 60.0
"""Seconds after which an attempt of `WITHIN` has not ended by itself, on however busy a machine."""
WITHIN: Final = 0.5
FLOOD: Final = b"x" * 16_384
MADE = Callable[[int], tuple[ModuleType, Any]]


def starts() -> Iterator[tuple[str, bytes, MADE]]:
    """Yield each type with what its server begins with, so that what follows is read as more of it."""
    http_head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"
    yield "http", http_head, lambda port: (http, http.Settings(target=f"http://{HOST}:{port}/", body_contains="ok"))
    yield "https", b"", lambda port: (http, http.Settings(target=f"https://{HOST}:{port}/"))
    yield "tls", b"\x16\x03\x03\x40\x00\x02\xff\xff\xff", lambda port: (tls, tls.Settings(target=f"{HOST}:{port}"))
    up: dict[str, Any] = {"metric": "up", "ok": "== 1"}
    yield "metric", http_head, lambda port: (metric, metric.Settings(target=f"http://{HOST}:{port}/", **up))
    yield "adsync", http_head, lambda port: (adsync, adsync.Settings(target=f"http://{HOST}:{port}/"))
    over_tcp: dict[str, Any] = {"name": "a", "protocol": "tcp"}
    yield "dns", b"\xff\xff", lambda port: (dns, dns.Settings(target=f"{HOST}:{port}", **over_tcp))
    for check, begin in (
        ("ldap", b"\x30\x84\xff\xff\xff\xff"),
        ("kerberos", b"\x7f\xff\xff\xff"),
        ("smb", b"\0\xff\xff\xff"),
    ):
        asked: dict[str, Any] = {"domain": "corp.lab", "check": check}
        yield check, begin, lambda port, asked=asked: (ad, ad.Settings(target=f"{HOST}:{port}", **asked))  # type: ignore[misc]
    words = {"smtp": b"220-", "imap": b"* OK ", "pop3": b"+OK ", "ftp": b"220-", "ldap": b"\x30\x84", "postgres": b""}
    for name, begin in words.items():
        plain: dict[str, Any] = {"starttls": name}
        yield f"{name} to tls", begin, lambda port, plain=plain: (tls, tls.Settings(target=f"{HOST}:{port}", **plain))  # type: ignore[misc]
    for name in sorted(GREETINGS):
        said: dict[str, Any] = {"protocol": name}
        yield name, b"", lambda port, said=said: (greeting, greeting.Settings(target=f"{HOST}:{port}", **said))  # type: ignore[misc]


def flooding(begin: bytes) -> Handler:
    """Return a server that begins well and never stops."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(begin)
        while True:
            writer.write(FLOOD)
            await writer.drain()

    return handler


def dripping(begin: bytes) -> Handler:
    """Return a server that begins well and never stops, a byte at a time."""

    async def handler(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in begin + FLOOD:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.02)

    return handler


async def one(
    handler: Handler, made: MADE, context: ssl.SSLContext | None = None, *, within: float = WITHIN
) -> tuple[ModuleType, Result]:
    """Attempt once, with a deadline in the attempt and a far one here."""
    async with serve(handler, context) as port:
        module, settings = made(port)
        async with asyncio.timeout(PATIENCE), module.open(Kit(Names({HOST: "127.0.0.1"}))) as runner:
            return module, await runner.attempt(settings, CLOCK.boot() + within)


def measured(scenario: Callable[[], Any]) -> tuple[Any, int]:
    """Run a scenario; return what it gives and the most bytes of Python's memory meanwhile, of those it took."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        told = asyncio.run(scenario())
        return told, tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def check(name: str, module: ModuleType, result: Result) -> None:
    """See that the result is none that passed, and one that the type's table explains."""
    rows = {(row.name, row.stage) for row in module.SPEC.faults} | {(row.name, None) for row in module.SPEC.faults}
    assert (result.fault, result.stage) in rows, (name, result)
    assert result.outcome in (Outcome.FAILED, Outcome.UNKNOWN), (name, result)
    assert len(result.detail) < 1000


@pytest.mark.parametrize(
    ("server", "together"), [(flooding, 1), (dripping, 100)], ids=["as fast as it comes", "a byte at a time"]
)
def test_what_never_stops_ends(server: Callable[[bytes], Handler], together: int) -> None:
    """Bounded time, bounded memory, a fault of the type's table, and nothing left open."""
    before, cases = open_descriptors(), list(starts())

    async def scenario() -> Sequence[tuple[ModuleType, Result]]:
        room = asyncio.Semaphore(together)

        async def in_turn(begin: bytes, made: MADE) -> tuple[ModuleType, Result]:
            async with room:
                return await one(server(begin), made)

        return await asyncio.gather(*(in_turn(begin, made) for _, begin, made in cases))

    told, most = measured(scenario)

    for (name, _, _), (module, result) in zip(cases, told, strict=True):
        check(name, module, result)
    assert most < MOST_BYTES
    assert open_descriptors() <= before


OK: Final = b"HTTP/1.1 200 OK\r\n"
ANSWERS: Final = {
    "endless": (flooding(OK + b"\r\n"), 30.0, "larger than 1000000 bytes"),
    "endless chunk": (
        flooding(OK + b"Transfer-Encoding: chunked\r\n\r\nfffffff\r\n"),
        30.0,
        "larger than 1000000 bytes",
    ),
    "endless header": (flooding(OK + b"A: "), 30.0, ""),
    "a byte at a time": (dripping(OK + b"\r\n"), WITHIN, "no answer within 0.5 s"),
    "no HTTP": (flooding(b"220 x\r\n"), 30.0, ""),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_a_peer_that_never_stops_is_no_answer(case: str) -> None:
    """What other agents and witnesses send is bounded in size and time as well."""
    handler, within, words = ANSWERS[case]

    async def scenario() -> str:
        async with serve(handler) as port, asyncio.timeout(PATIENCE):
            with pytest.raises(FetchError) as caught:
                await get(f"http://127.0.0.1:{port}/", tls=None, within_seconds=within, most_bytes=1_000_000)
        return str(caught.value)

    told, most = measured(scenario)
    assert words in told
    assert most < MOST_BYTES


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.mark.parametrize(("names", "passes"), [(1500, True), (20_000, False)], ids=["75 kB", "1 MB"])
def test_a_huge_certificate(authority: Authority, names: int, passes: bool) -> None:
    """Is read where OpenSSL takes it (100 kB), and else is the server's own word; what we say of it stays short."""
    context, ca_file = authority.server(HOST, days=25, filler=names), str(authority.ca_file)

    async def answering(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK + b"Content-Length: 5\r\n\r\nup 1\n")

    made: dict[str, MADE] = {
        "tls": lambda port: (tls, tls.Settings(target=f"{HOST}:{port}", ca_file=ca_file)),
        "https": lambda port: (http, http.Settings(target=f"https://{HOST}:{port}/", ca_file=ca_file)),
        "metric": lambda port: (
            metric,
            metric.Settings(target=f"https://{HOST}:{port}/", ca_file=ca_file, metric="up", ok="== 1"),
        ),
    }
    for name, each in made.items():
        module, result = asyncio.run(one(answering, each, context, within=10.0))
        assert (result.outcome is Outcome.OK) == passes, result
        assert len(result.detail) < 1000
        if not passes:
            check(name, module, result)
