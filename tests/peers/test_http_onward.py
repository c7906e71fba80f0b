"""HTTP beyond one plain request: redirects, proxies, packed bodies, assertions, client certificates."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from probes import http
from probes.kit.result import Outcome, Result, Stage
from tests.peers.probing import Authority, Handler, Kit, Names, ask, serve

pytestmark = pytest.mark.peer

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
NAMES = Kit(Names({"erp.test": "127.0.0.1", "sso.test": "127.0.0.1", "proxy.test": "127.0.0.1"}))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


def to(location: str, code: int = 302) -> bytes:
    """Return a redirect."""
    return f"HTTP/1.1 {code} Go\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def site(pages: dict[str, bytes], seen: list[bytes] | None = None) -> Handler:
    """Return a server of `pages` by path; anything else is not found."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        if seen is not None:
            seen.append(asked)
        writer.write(pages.get(asked.split(b" ")[1].decode(), b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"))
        await writer.drain()

    return handler


async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Accept and say nothing."""
    await reader.read()


def probe(handler: Handler, *, within: float = 1.0, **settings: Any) -> Result:
    """Probe `/` of a server called erp.test; `PORT` in settings is its port."""

    async def scenario() -> Result:
        async with serve(handler) as port:
            given: dict[str, Any] = {"target": "http://erp.test:PORT/", **settings}
            filled: dict[str, Any] = {
                key: value.replace("PORT", str(port)) if isinstance(value, str) else value
                for key, value in given.items()
            }
            return await ask(http, http.Settings(**filled), within=within, kit=NAMES)

    return asyncio.run(scenario())


# name -> (pages, follow, (outcome, fault), requests made)
REDIRECTS: dict[str, tuple[dict[str, bytes], int, tuple[Outcome, str | None], int]] = {
    "followed": ({"/": to("/a"), "/a": to("b", 301), "/b": OK}, 5, (Outcome.OK, None), 3),
    "as many as allowed": ({"/": to("/a"), "/a": OK}, 1, (Outcome.OK, None), 2),
    "one too many": ({"/": to("/a"), "/a": to("/b"), "/b": OK}, 1, (Outcome.FAILED, "redirect-loop"), 2),
    "in a circle": ({"/": to("/")}, 3, (Outcome.FAILED, "redirect-loop"), 4),
    "not followed": ({"/": to("/a")}, 0, (Outcome.OK, None), 1),
    "to somebody": ({"/": to("http://sso.test/")}, 3, (Outcome.FAILED, "redirect-elsewhere"), 1),
    "to another port of its own": ({"/": to("http://erp.test:1/")}, 3, (Outcome.FAILED, "refused"), 1),
    "to nowhere": ({"/": to("mailto:x@y")}, 3, (Outcome.FAILED, "malformed"), 1),
    "without a location": ({"/": b"HTTP/1.1 302 x\r\nContent-Length: 0\r\n\r\n"}, 3, (Outcome.OK, None), 1),
    "to what is missing": ({"/": to("/a")}, 3, (Outcome.FAILED, "status"), 2),
}


@pytest.mark.parametrize("case", REDIRECTS)
def test_redirects(case: str) -> None:
    """They are followed as far as allowed, and never to a server that the chain file does not name."""
    pages, follow, (outcome, fault), requests = REDIRECTS[case]
    seen: list[bytes] = []

    result = probe(site(pages, seen), follow=follow)

    assert (result.outcome, result.fault, len(seen)) == (outcome, fault, requests), result
    assert result.answered == (fault not in (None, "refused"))
    assert ("http_redirects" in result.values) == (follow > 0)


def test_phases_are_those_of_all_requests() -> None:
    """Three requests are three connects; the sum is the whole."""
    result = probe(site({"/": to("/a"), "/a": to("/b"), "/b": OK}), follow=5)

    assert result.values["http_redirects"] == 2
    assert result.seconds == pytest.approx(sum(result.phases.values()))


async def sent_on(
    other: Handler, context: ssl.SSLContext | None, ca_file: str = "", **more: Any
) -> tuple[Result, list[bytes]]:
    """Probe erp.test, which redirects to sso.test, where `other` answers."""
    scheme, seen = "https" if context else "http", list[bytes]()
    async with serve(other, context) as port:
        there = f"{scheme}://sso.test:{port}"
        async with serve(site({"/": to(there + "/in")}, seen)) as own:
            target = f"http://erp.test:{own}/"
            made = http.Settings(
                target=target, follow=2, hops=(there,), ca_file=ca_file, headers={"X-Own": "1"}, **more
            )
            return await ask(http, made, within=0.5, kit=NAMES), seen


def test_a_declared_server_is_followed_to(authority: Authority) -> None:
    """Its answer is judged; what is meant for the own server is not sent to it."""
    there: list[bytes] = []
    result, here = asyncio.run(
        sent_on(site({"/in": OK}, there), authority.server("sso.test"), str(authority.ca_file), body_contains="hello")
    )

    assert result.outcome is Outcome.OK, result
    assert b"X-Own" in here[0]
    assert b"X-Own" not in there[0]
    assert "http_certificate_expiry_timestamp_seconds" not in result.values  # that is the first server's


@pytest.mark.parametrize(("other", "words"), [(silence, "answer timeout"), (site({}), "answer status HTTP 404")])
def test_what_another_server_does_accuses_nobody_here(other: Handler, words: str) -> None:
    """The own server answered: the path is fine, the service is degraded, and the detail names the other one."""
    result, _ = asyncio.run(sent_on(other, None))

    assert (result.outcome, result.fault, result.stage) == (Outcome.DEGRADED, "hop-failed", None)
    assert words in result.detail
    assert "sso.test" in result.detail


def test_another_servers_missing_name_accuses_nobody_here() -> None:
    """Resolving is part of what happens there."""
    result = probe(site({"/": to("http://gone.test/")}), follow=1, hops=("http://gone.test",))

    assert (result.outcome, result.fault) == (Outcome.DEGRADED, "hop-failed")
    assert "resolve resolve-nxdomain" in result.detail


def relay(code: int, port: int, seen: list[bytes]) -> Handler:
    """Return a proxy that connects everything to `port`, or refuses with another code than 200."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked = await reader.readuntil(b"\r\n\r\n")
        seen.append(asked)
        if not asked.startswith(b"CONNECT"):
            writer.write(OK)
            return
        writer.write(f"HTTP/1.1 {code} Said\r\n\r\n".encode())
        if code == 200:
            there, back = await asyncio.open_connection("127.0.0.1", port)
            try:
                await asyncio.gather(copy(reader, back), copy(there, writer))
            finally:
                back.transport.abort()

    return handler


@asynccontextmanager
async def proxied(authority: Authority, code: int, seen: list[bytes]) -> AsyncIterator[tuple[int, int]]:
    """Yield the ports of a proxy and of the HTTPS server behind it."""
    async with serve(site({"/": OK}), authority.server("erp.test")) as port, serve(relay(code, port, seen)) as proxy:
        yield proxy, port


@pytest.mark.parametrize(("code", "fault"), [(200, None), (403, "proxy-refused"), (502, "proxy-refused")])
def test_https_goes_through_a_proxys_tunnel(authority: Authority, code: int, fault: str | None) -> None:
    """The certificate is the server's; a proxy that refuses ends the attempt at `connect`."""
    seen: list[bytes] = []

    async def scenario() -> Result:
        async with proxied(authority, code, seen) as (proxy, port):
            target, ca_file = f"https://erp.test:{port}/", str(authority.ca_file)
            made = http.Settings(target=target, proxy=f"http://proxy.test:{proxy}", ca_file=ca_file)
            return await ask(http, made, kit=NAMES)

    result = asyncio.run(scenario())

    assert seen[0].startswith(b"CONNECT erp.test:")
    assert result.fault == fault, result
    if fault:
        assert (result.stage, result.answered, set(result.phases)) == (Stage.CONNECT, True, {"resolve", "connect"})
        assert str(code) in result.detail
    else:
        assert list(result.phases) == ["resolve", "connect", "proxy", "secure", "first_byte", "transfer"]


def test_http_is_asked_of_the_proxy_itself() -> None:
    """The request line holds the whole URL, Host the server's name, and no name but the proxy's is resolved."""
    seen: list[bytes] = []

    async def scenario() -> Result:
        async with serve(relay(200, 0, seen)) as proxy:
            made = http.Settings(target="http://far.test/x?y", proxy=f"http://127.0.0.1:{proxy}")
            return await ask(http, made)

    result = asyncio.run(scenario())

    assert result.outcome is Outcome.OK, result
    assert seen[0].startswith(b"GET http://far.test/x?y HTTP/1.1\r\nHost: far.test\r\n")


BODIES: dict[str, tuple[bytes, dict[str, Any], str | None]] = {
    "packed": (gzip.compress(b"all is well"), {"body_contains": "well"}, None),
    "packed, other text": (gzip.compress(b"all is well"), {"body_contains": "bad"}, "body-mismatch"),
    "a bomb": (gzip.compress(b"\0" * 50_000_000), {"body_contains": "x"}, "body-mismatch"),
    "no gzip": (b"plain", {"body_contains": "plain"}, "body-unreadable"),
    "json": (gzip.compress(b'{"status": "UP"}'), {"body_json": {"/status": "UP"}}, None),
    "header": (gzip.compress(b""), {"response_headers": {"content-encoding": "gz*", "Content-Length": ""}}, None),
    "no header": (gzip.compress(b""), {"response_headers": {"X-Version": "2.*"}}, "header-mismatch"),
    "unread": (b"plain", {"body_lacks": ""}, None),
}


@pytest.mark.parametrize("case", BODIES)
def test_assertions(case: str) -> None:
    """Bodies are judged as they were before they were packed, within their bound."""
    body, settings, fault = BODIES[case]
    lines = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    result = probe(site({"/": lines + body}), **settings)

    assert (result.fault, result.answered) == (fault, fault is not None), result


def test_a_client_certificate_lets_in(authority: Authority, tmp_path: Path) -> None:
    """A server that insists gets ours; without it, it refuses at `secure`; unreadable is our own fault."""
    context = authority.server("erp.test")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(str(authority.ca_file))
    certificate, key = authority.issue("probe.test")
    cases: list[dict[str, Any]] = [
        {"certificate_file": str(certificate), "key_file": str(key)},
        {"certificate_file": str(tmp_path / "none.pem")},
    ]

    async def scenario() -> list[Result]:
        async with serve(site({"/": OK}), context) as port:
            given: dict[str, Any] = {"target": f"https://erp.test:{port}/", "ca_file": str(authority.ca_file)}
            return [await ask(http, http.Settings(**given, **case), kit=NAMES) for case in cases]

    let_in, unreadable = asyncio.run(scenario())

    assert let_in.outcome is Outcome.OK, let_in
    assert (unreadable.outcome, unreadable.fault) == (Outcome.UNKNOWN, "certificate-unreadable")
