"""entra_sync against the Microsoft simulator, over real HTTPS."""

import asyncio
import logging
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from probes import entra_sync
from probes.entra_sync import EntraRunner, Settings
from probes.kit.address import endpoint
from probes.kit.https_exchange import ExchangeError, Request, exchange
from probes.kit.resolver import SystemResolver
from probes.kit.result import Outcome, Result, Stage
from probes.kit.secret import Secret
from probes.kit.spec import Duration
from tests.peers.simulated_microsoft import SECRET, TENANT, Kit, Microsoft, running, write_certificates

pytestmark = pytest.mark.peer

TOKEN = f"POST /{TENANT}/oauth2/v2.0/token"
ORGANISATION = "GET /v1.0/organization"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Microsoft]:
    """Give one simulator for the module."""
    with running(tmp_path_factory.mktemp("microsoft")) as microsoft:
        yield microsoft


@pytest.fixture
def microsoft(shared: Microsoft) -> Microsoft:
    """Give the simulator with its defaults."""
    shared.behave()
    shared.secret_file.write_text(SECRET + "\n")
    return shared


def has_ipv6() -> bool:
    """Return whether ::1 is an address of this host (if_inet6 lists 32 hexadecimal digits a line)."""
    listed = Path("/proc/net/if_inet6")
    return listed.exists() and f"{1:032x}" in listed.read_text()


Scenario = Callable[[EntraRunner, Kit], Awaitable[None]]


def play(scenario: Scenario) -> None:
    """Run a scenario with an open runner."""

    async def main() -> None:
        kit = Kit()
        async with entra_sync.open(kit) as runner:
            await scenario(runner, kit)

    asyncio.run(main())


async def attempt(
    runner: EntraRunner, kit: Kit, settings: Settings, seconds: float = 5.0, *, fresh: bool = False
) -> Result:
    """Make one attempt; its result never holds the secret."""
    result = await runner.attempt(settings, kit.clock.boot() + seconds, fresh=fresh)
    assert SECRET not in repr(result)
    return result


def once(settings: Settings, seconds: float = 5.0) -> Result:
    """Return the result of a single attempt with a new runner."""
    results: list[Result] = []

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        results.append(await attempt(runner, kit, settings, seconds))

    play(scenario)
    return results[0]


MODES: dict[str, tuple[dict[str, object], Outcome, str | None]] = {
    "in order": ({}, Outcome.OK, None),
    "synchronised 89 minutes ago": ({"sync_age_seconds": 5340.0}, Outcome.OK, None),
    "91 minutes ago": ({"sync_age_seconds": 5460.0}, Outcome.DEGRADED, "sync-late"),
    "three hours ago": ({"sync_age_seconds": 10860.0}, Outcome.FAILED, "sync-stale"),
    "stopped in 2025": ({"last_sync": "2025-01-01T00:00:00Z"}, Outcome.FAILED, "sync-stale"),
    "in the future": ({"sync_age_seconds": -4000.0}, Outcome.UNKNOWN, "clock"),
    "turned off": ({"sync_enabled": False}, Outcome.FAILED, "sync-disabled"),
    "never on": ({"sync_enabled": None}, Outcome.UNKNOWN, "no-data"),
    "no permission, so nulls": ({"mode": "null"}, Outcome.UNKNOWN, "no-data"),
    "401": ({"mode": "401"}, Outcome.UNKNOWN, "no-permission"),
    "403": ({"mode": "403"}, Outcome.UNKNOWN, "no-permission"),
    "429": ({"mode": "429"}, Outcome.UNKNOWN, "throttled"),
    "500": ({"mode": "500"}, Outcome.UNKNOWN, "graph-error"),
    "5xx": ({"mode": "5xx"}, Outcome.UNKNOWN, "graph-error"),
    "504": ({"mode": "504"}, Outcome.UNKNOWN, "graph-error"),
    "a portal in Graph's place": ({"mode": "html"}, Outcome.UNKNOWN, "not-graph"),
    "slow": ({"mode": "slow", "slow_seconds": 0.2}, Outcome.OK, None),
    "Graph hangs": ({"mode": "hang"}, Outcome.UNKNOWN, "graph-unreachable"),
    "login: 429": ({"login": "429"}, Outcome.UNKNOWN, "throttled"),
    "login: 503": ({"login": "503"}, Outcome.UNKNOWN, "graph-error"),
    "login: 500": ({"login": "500"}, Outcome.UNKNOWN, "graph-error"),
    "login: a portal": ({"login": "html"}, Outcome.UNKNOWN, "not-graph"),
    "login hangs": ({"login": "hang"}, Outcome.UNKNOWN, "graph-unreachable"),
    "secret expired": ({"credential": "expired"}, Outcome.UNKNOWN, "credential-expired"),
    "secret wrong": ({"credential": "wrong"}, Outcome.UNKNOWN, "credential-wrong"),
    "app missing": ({"credential": "app-missing"}, Outcome.UNKNOWN, "app-not-found"),
    "app disabled": ({"credential": "app-disabled"}, Outcome.UNKNOWN, "app-disabled"),
}


@pytest.mark.parametrize("name", MODES)
def test_each_mood_of_microsoft_has_its_result(microsoft: Microsoft, name: str) -> None:
    """What Microsoft says is a result; whatever keeps us from seeing is unknown, never failed."""
    changes, outcome, fault = MODES[name]
    microsoft.behave(**changes)
    result = once(microsoft.settings(), 1.0)
    assert (result.outcome, result.fault) == (outcome, fault)
    assert result.stage == (Stage.CONNECT if outcome is Outcome.FAILED else None)
    assert (result.seconds is not None) == (outcome is not Outcome.UNKNOWN)


def test_a_token_serves_many_attempts_and_a_fresh_one_none(microsoft: Microsoft) -> None:
    """The token is asked once; a fresh attempt, or the end of its life, asks for another."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        before = len(microsoft.requests())
        for _ in range(3):
            await attempt(runner, kit, microsoft.settings())
        await attempt(runner, kit, microsoft.settings(), fresh=True)
        kit.clock.moved_seconds = 3400.0  # of 3599, less than the 300 s before which it is renewed
        last = await attempt(runner, kit, microsoft.settings())
        asked = [line.removesuffix(" 200") for line in microsoft.requests()[before:]]
        assert asked == [TOKEN, *[ORGANISATION] * 3, TOKEN, ORGANISATION, TOKEN, ORGANISATION]
        assert set(last.phases) == {"token", "graph"}

    play(scenario)


def test_a_rotated_secret_counts_at_once(microsoft: Microsoft) -> None:
    """A changed file is tried with the next attempt, though the old token still lives."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        assert (await attempt(runner, kit, microsoft.settings())).outcome is Outcome.OK
        microsoft.secret_file.write_text("another")
        assert (await attempt(runner, kit, microsoft.settings())).fault == "credential-wrong"
        microsoft.secret_file.write_text(SECRET)
        assert (await attempt(runner, kit, microsoft.settings())).outcome is Outcome.OK

    play(scenario)


def test_a_repaired_credential_counts_at_once(microsoft: Microsoft) -> None:
    """A refusal is not remembered."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        microsoft.behave(credential="expired")
        assert (await attempt(runner, kit, microsoft.settings())).fault == "credential-expired"
        microsoft.behave()
        assert (await attempt(runner, kit, microsoft.settings())).outcome is Outcome.OK

    play(scenario)


def test_a_token_that_graph_refuses_is_not_used_again(microsoft: Microsoft) -> None:
    """After a 401 the next attempt brings a new token."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        microsoft.behave(mode="401")
        await attempt(runner, kit, microsoft.settings())
        microsoft.behave()
        assert "token" in (await attempt(runner, kit, microsoft.settings())).phases

    play(scenario)


@pytest.mark.parametrize("mood", [{"mode": "429"}, {"mode": "503"}, {"login": "429"}])
def test_no_request_leaves_before_the_time_that_microsoft_names(microsoft: Microsoft, mood: dict[str, object]) -> None:
    """A fractional Retry-After is kept to the millisecond, by all probes of the application."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        microsoft.behave(retry_after="2.128", **mood)
        first = await attempt(runner, kit, microsoft.settings())
        began, asked = kit.clock.boot(), len(microsoft.requests())
        microsoft.behave()
        kit.clock.moved_seconds = 2.0
        again = await attempt(runner, kit, microsoft.settings(warn=Duration(1)), fresh=True)
        assert (again.outcome, again.fault) == (Outcome.UNKNOWN, first.fault)
        assert "asked to wait" in again.detail
        assert kit.clock.boot() - began < 2.128, "too slow to tell"
        assert len(microsoft.requests()) == asked
        kit.clock.moved_seconds = 2.2
        assert (await attempt(runner, kit, microsoft.settings())).outcome is Outcome.OK

    play(scenario)


def test_throttling_without_a_time_backs_off_ever_longer(microsoft: Microsoft) -> None:
    """10 s after the first refusal, 20 s after the second; a success forgets both."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        microsoft.behave(mode="429", retry_after=None)
        await attempt(runner, kit, microsoft.settings())
        kit.clock.moved_seconds = 11.0
        await attempt(runner, kit, microsoft.settings())
        microsoft.behave()
        kit.clock.moved_seconds = 29.0
        assert (await attempt(runner, kit, microsoft.settings())).fault == "throttled"
        kit.clock.moved_seconds = 32.0
        assert (await attempt(runner, kit, microsoft.settings())).outcome is Outcome.OK

    play(scenario)


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this host")
def test_an_ipv6_address_is_asked(tmp_path: Path) -> None:
    """A literal IPv6 address stands in brackets, in the certificate without them."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        with running(tmp_path, "[::1]") as other:
            url = f"https://[::1]:{other.port}"
            kit.resolver = SystemResolver(kit.clock)
            result = await attempt(runner, kit, other.settings(target=url, authority=url, family=6))
            assert result.outcome is Outcome.OK

    play(scenario)


def test_one_hung_probe_does_not_delay_another(microsoft: Microsoft, tmp_path: Path) -> None:
    """Attempts wait for their own replies only, and end by their own deadlines."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        with running(tmp_path) as other:
            other.behave(login="hang")
            began = kit.clock.boot()
            hung = asyncio.create_task(attempt(runner, kit, other.settings(), 1.0))
            assert (await attempt(runner, kit, microsoft.settings())).outcome is Outcome.OK
            assert not hung.done()
            assert (await hung).detail == "login was silent until the deadline"
            assert kit.clock.boot() - began < 1.5

    play(scenario)


FILES: dict[str, tuple[str, str, str]] = {
    "no secret file": ("secret_file", "/nonexistent/secret", "credential-unreadable"),
    "no such credential": ("secret_file", "credential:nonexistent", "credential-unreadable"),
    "a directory": ("secret_file", "/", "credential-unreadable"),
    "no secret in it": ("secret_file", "/dev/null", "credential-unreadable"),
    "no CA file": ("ca_file", "/nonexistent/ca.pem", "ca-unreadable"),
    "no CA in it": ("ca_file", "/dev/null", "ca-unreadable"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_read_is_named(microsoft: Microsoft, name: str) -> None:
    """The detail names what is missing; nothing is asked."""
    key, path, fault = FILES[name]
    asked = len(microsoft.requests())
    result = once(microsoft.settings(**{key: path}))
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, fault)
    assert path in result.detail
    assert len(microsoft.requests()) == asked


def test_a_file_that_is_no_certificate_is_named(microsoft: Microsoft) -> None:
    """A secret in the place of the CA file is not repeated."""
    result = once(microsoft.settings(ca_file=str(microsoft.secret_file)))
    assert (result.fault, str(microsoft.secret_file) in result.detail) == ("ca-unreadable", True)


def test_an_unknown_ca_is_no_microsoft(microsoft: Microsoft) -> None:
    """Without its CA the simulator is refused before the secret is sent, as an inspecting proxy is."""
    asked = len(microsoft.requests())
    result = once(microsoft.settings(ca_file=""))
    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "graph-unreachable")
    assert result.detail.startswith("secure: certificate: ")
    assert len(microsoft.requests()) == asked


def test_another_name_in_the_certificate_is_refused(microsoft: Microsoft) -> None:
    """The name is checked, not the chain alone."""
    result = once(microsoft.settings(authority=f"https://other.sim.test:{microsoft.port}"))
    assert "Hostname mismatch" in result.detail


def test_what_does_not_resolve_or_listen_is_unreachable(microsoft: Microsoft) -> None:
    """Resolution and connection say what happened; that is another probe's fault to place."""
    assert once(microsoft.settings(authority="https://login.nowhere.test")).detail.startswith("resolve: ")
    with_nobody = once(microsoft.settings(authority="https://127.0.0.1:1"))
    assert (with_nobody.fault, with_nobody.detail.startswith("connect: ")) == ("graph-unreachable", True)


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Serve `handler` on a free port; every connection is gone at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with suppress(ConnectionError):
                await handler(reader, writer)
        finally:
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)  # aborted transports let go of their sockets in the next turns


def saying(answer: bytes, heard: list[bytes]) -> Handler:
    """Return a server that hears one request, answers these bytes and closes."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.write(answer)
        await writer.drain()

    return handler


HUGE = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n"
REDIRECT = b"HTTP/1.1 307 Temporary Redirect\r\nLocation: https://graph.sim.test/steal\r\nContent-Length: 0\r\n\r\n"
STRANGERS: dict[str, tuple[bytes, str]] = {
    "no HTTP": (b"220 smtp.example ESMTP\r\n", "graph-unreachable"),
    "nothing": (b"", "graph-unreachable"),
    "half a reply": (b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", "graph-unreachable"),
    "a reply without end": (HUGE + b"10000\r\n" + b"x" * 65536 * 5, "graph-unreachable"),
    "a redirect": (REDIRECT, "not-graph"),
    "a reply that ends with the connection": (b"HTTP/1.1 200 OK\r\n\r\n<html>", "not-graph"),
}


@pytest.mark.parametrize("name", STRANGERS)
def test_a_stranger_in_the_place_of_login_blinds(tmp_path: Path, name: str) -> None:
    """Whatever answers gives unknown; a redirect is not followed, so the secret goes nowhere else."""
    answer, fault = STRANGERS[name]
    write_certificates(tmp_path)
    (tmp_path / "client-secret").write_text(SECRET)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        heard: list[bytes] = []
        async with serving(saying(answer, heard), context) as port:
            settings = Microsoft(tmp_path, port).settings()
            result = await attempt(runner, kit, settings)
            assert (result.outcome, result.fault) == (Outcome.UNKNOWN, fault)
            assert len(heard) == 1

    play(scenario)


def test_a_server_without_tls_is_no_microsoft() -> None:
    """Plain text where TLS is due is named as a TLS error."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        heard: list[bytes] = []
        async with serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n", heard)) as port:
            server = endpoint(f"127.0.0.1:{port}", 4)
            with pytest.raises(ExchangeError, match="secure: TLS: "):
                await exchange(
                    Request(server=server, path="/", bearer=Secret("t")),
                    context=ssl.create_default_context(),
                    resolver=kit.resolver,
                    deadline=kit.clock.boot() + 5.0,
                )

    play(scenario)


def test_a_token_cannot_bring_a_header_along(microsoft: Microsoft) -> None:
    """A token with a line end is refused, and not shown."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        with pytest.raises(ExchangeError) as caught:
            await exchange(
                Request(server=endpoint(f"127.0.0.1:{microsoft.port}", 4), path="/", bearer=Secret("canary\r\nX: y")),
                context=ssl.create_default_context(cafile=str(microsoft.directory / "ca.pem")),
                resolver=kit.resolver,
                deadline=kit.clock.boot() + 5.0,
            )
        assert "canary" not in "".join(traceback.format_exception(caught.value))

    play(scenario)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()


async def _proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Tunnel to loopback, whatever name is asked."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"CONNECT "), head
    port = int(head.split()[1].rpartition(b":")[2])
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
    try:
        await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
    finally:
        far_writer.transport.abort()


def test_a_proxy_is_used_for_both(microsoft: Microsoft) -> None:
    """Login and Graph are reached through CONNECT; TLS stays end to end."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        async with serving(_proxy) as port:
            settings = microsoft.settings(proxy=f"http://127.0.0.1:{port}")
            result = await attempt(runner, kit, settings)
            assert (result.outcome, set(result.phases)) == (Outcome.OK, {"token", "graph"})

    play(scenario)


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", b"HTTP/1.1 403 No\r\n\r\n", b""]
)
def test_a_proxy_that_refuses_blinds(microsoft: Microsoft, answer: bytes) -> None:
    """The status of the proxy is named; the secret has not been sent."""

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        heard: list[bytes] = []
        async with serving(saying(answer, heard)) as port:
            settings = microsoft.settings(proxy=f"http://127.0.0.1:{port}")
            result = await attempt(runner, kit, settings)
            assert result.fault == ("proxy-refused" if answer else "graph-unreachable")
            assert SECRET.encode() not in heard[0]

    play(scenario)


class BrokenResolver:
    """A resolver with a bug."""

    def known(self, name: str, family: int) -> str | None:
        """Return nothing: every name is asked for."""
        return None

    async def resolve(self, name: str, family: int, deadline: float) -> str:
        """Raise what no network raises."""
        raise RuntimeError("bug")


def test_no_traceback_or_log_holds_the_secret(microsoft: Microsoft, caplog: pytest.LogCaptureFixture) -> None:
    """A bug of ours, shown with every local variable, shows neither secret nor token."""
    caplog.set_level(logging.DEBUG)

    async def scenario(runner: EntraRunner, kit: Kit) -> None:
        await attempt(runner, kit, microsoft.settings())
        kept = next(iter(runner._client.tokens.values()))
        bearer = kept.bearer
        assert bearer.reveal() not in repr(kept)
        kit.resolver = BrokenResolver()
        for fresh in (False, True):
            with pytest.raises(RuntimeError) as caught:
                await attempt(runner, kit, microsoft.settings(), fresh=fresh)
            shown = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
            assert "***" in shown
            assert SECRET not in shown
            assert bearer.reveal() not in shown
        assert SECRET not in caplog.text
        assert bearer.reveal() not in caplog.text
        assert bearer.reveal() not in microsoft.log()

    play(scenario)
    assert SECRET not in microsoft.log()
