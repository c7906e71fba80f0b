"""HTTP and HTTPS against real servers that are right, slow, lying, cut or broken."""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from probes import http
from probes.kit.result import Outcome, Result, Stage
from tests.peers.probing import CLOCK, Authority, Handler, Kit, Names, ask, open_descriptors, serve

pytestmark = pytest.mark.peer

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Return a certificate authority."""
    return Authority(tmp_path_factory.mktemp("authority"))


def answering(*parts: bytes, close: str = "end", pause: float = 0.0) -> Handler:
    """Return a server that reads a request, writes `parts` with pauses, then ends, resets or goes silent."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)
        await _finish(writer, close)

    return handler


async def _finish(writer: asyncio.StreamWriter, close: str) -> None:
    if close == "silent":
        await asyncio.sleep(60)
    if close == "reset":
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()


def before_request(close: str, greeting: bytes = b"") -> Handler:
    """Return a server that does not even read."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read(1)
        await _finish(writer, close)

    return handler


def probe(handler: Handler, *, path: str = "/", within: float = 2.0, **settings: Any) -> Result:
    """Probe `handler` over plain HTTP."""

    async def scenario() -> Result:
        async with serve(handler) as port:
            made = http.Settings(target=f"http://127.0.0.1:{port}{path}", **settings)
            return await ask(http, made, within=within)

    return asyncio.run(scenario())


HELLO = OK + b"Content-Length: 5\r\n\r\nhello"
# name -> (server, settings, (fault, answered), phases reached)
REACHED = {"connect", "first_byte"}
CASES: dict[str, tuple[Handler, dict[str, Any], tuple[str | None, bool], set[str]]] = {
    "right": (answering(HELLO), {}, (None, False), {*REACHED, "transfer"}),
    "right text": (answering(HELLO), {"body_contains": "ell"}, (None, False), {*REACHED, "transfer"}),
    "in pieces": (answering(HELLO[:9], HELLO[9:40], HELLO[40:], pause=0.02), {}, (None, False), {*REACHED, "transfer"}),
    "redirect is an answer": (
        answering(b"HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"),
        {},
        (None, False),
        {*REACHED, "transfer"},
    ),
    "head": (answering(OK + b"Content-Length: 5\r\n\r\n"), {"method": "HEAD"}, (None, False), {*REACHED, "transfer"}),
    "expected error": (
        answering(b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"),
        {"status": "200,401"},
        (None, False),
        {*REACHED, "transfer"},
    ),
    "endless body": (
        answering(*[OK + b"\r\n", *[b"x" * 4096] * 64], close="silent"),
        {"max_bytes": 65536},
        (None, False),
        {*REACHED, "transfer"},
    ),
    "wrong text": (answering(HELLO), {"body_contains": "bye"}, ("body-mismatch", True), {*REACHED, "transfer"}),
    "status": (answering(b"HTTP/1.1 503 Busy\r\n\r\n"), {}, ("status", True), REACHED),
    "not HTTP": (answering(b"220 smtp ready\r\n\r\n"), {}, ("malformed", True), REACHED),
    "greets unasked": (before_request("silent", b"SSH-2.0-x\r\n"), {}, ("malformed", True), REACHED),
    "closes": (answering(), {}, ("closed", False), {"connect"}),
    "resets": (answering(close="reset"), {}, ("reset", False), {"connect"}),
    "silent": (answering(close="silent"), {}, ("timeout", False), {"connect"}),
    "head, then silence": (answering(HELLO[:30], close="silent"), {}, ("timeout", False), REACHED),
    "part of the body, then silence": (answering(HELLO[:-2], close="silent"), {}, ("timeout", False), REACHED),
    "part of the body, then reset": (answering(HELLO[:-2], close="reset", pause=0.05), {}, ("reset", False), REACHED),
    "part of the body, then close": (answering(HELLO[:-2]), {}, ("truncated", True), REACHED),
    "drips past the deadline": (answering(*[b"H"] * 100, pause=0.02), {}, ("malformed", True), REACHED),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_server_does_has_its_name(case: str) -> None:
    """Faults, phases reached and whether the server's own bytes came back."""
    handler, settings, (fault, answered), phases = CASES[case]

    result = probe(handler, within=0.5, **settings)

    assert (result.fault, result.answered) == (fault, answered), result
    assert set(result.phases) == phases
    if fault is None:
        assert (result.outcome, result.stage) == (Outcome.OK, None)
    else:
        assert (result.outcome, result.stage) == (Outcome.FAILED, Stage.ANSWER)


@pytest.mark.parametrize("line", [b"HTTP/1.1 100 Continue\r\n\r\n", b"X: y\r\n"], ids=["1xx", "header"])
def test_a_server_that_never_stops(line: bytes) -> None:
    """Endless interim answers or headers end at the deadline or at the limit, and others run meanwhile."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"" if b"100" in line else OK)
        while True:
            writer.write(line * 1000)
            await writer.drain()

    result = probe(handler, within=0.5)

    assert (result.stage, result.fault) in {(Stage.ANSWER, "timeout"), (Stage.ANSWER, "malformed")}


def test_phases_add_up_and_show_where_the_time_went() -> None:
    """A slow first byte is seen as such."""
    result = probe(answering(b"", HELLO, pause=0.1))

    assert result.seconds is not None
    assert sum(result.phases.values()) == pytest.approx(result.seconds)
    assert result.phases["first_byte"] >= 0.1
    assert result.phases["transfer"] < 0.1
    assert result.values["http_status_code"] == 200
    assert result.values["http_response_bytes"] == 5


def test_a_small_answer_proves_small_packets() -> None:
    """What came in one small segment says nothing of large packets; a large one does."""
    small = probe(answering(HELLO))
    large = probe(answering(OK + b"\r\n" + b"x" * 200_000))

    assert small.packet_bytes is not None
    assert large.packet_bytes is not None
    assert 60 <= small.packet_bytes < 200
    assert large.packet_bytes >= 1500


def test_the_request_is_as_configured() -> None:
    """Method, target with its query, Host from the URL, given headers."""
    seen: list[bytes] = []

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(HELLO)

    probe(handler, path="/health?full=1", headers={"X-Probe": "yes"})

    lines = seen[0].split(b"\r\n")
    assert lines[0] == b"GET /health?full=1 HTTP/1.1"
    assert any(line.startswith(b"Host: 127.0.0.1:") for line in lines)
    assert b"X-Probe: yes" in lines


def secure(
    authority: Authority, context: ssl.SSLContext | None, handler: Handler | None = None, **settings: Any
) -> Result:
    """Probe an HTTPS server that calls itself `erp.test`."""

    async def scenario() -> Result:
        async with serve(handler or answering(HELLO), context) as port:
            given = {"ca_file": str(authority.ca_file), **settings}
            made = http.Settings(target=f"https://erp.test:{port}/", **given)
            return await ask(http, made, within=1.0, kit=Kit(Names({"erp.test": "127.0.0.1"})))

    return asyncio.run(scenario())


def test_https_passes_with_every_phase(authority: Authority) -> None:
    """All phases in their order, and when the certificate expires."""
    result = secure(authority, authority.server("erp.test", days=10))

    assert result.outcome is Outcome.OK, result
    assert list(result.phases) == ["resolve", "connect", "secure", "first_byte", "transfer"]
    expiry = result.values["http_certificate_expiry_timestamp_seconds"]
    assert expiry == pytest.approx(time.time() + 10 * 86400, abs=600)


def test_a_large_certificate_proves_full_packets(authority: Authority) -> None:
    """The handshake's own bytes count for the size that crossed."""
    result = secure(authority, authority.server("erp.test", filler=2000))

    assert result.packet_bytes is not None
    assert result.packet_bytes >= 1500


CERTIFICATES: dict[str, tuple[str, int, dict[str, Any], str | None]] = {
    "expired": ("erp.test", -1, {}, "certificate-expired"),
    "other name": ("hr.test", 10, {}, "certificate-hostname"),
    "untrusted": ("erp.test", 10, {"ca_file": ""}, "certificate-untrusted"),
    "not checked": ("hr.test", -1, {"verify": False}, None),
    "name given": ("hr.test", 10, {"server_name": "hr.test"}, None),
    "address in it": ("127.0.0.1", 10, {"server_name": "127.0.0.1"}, None),
}


@pytest.mark.parametrize("case", CERTIFICATES)
def test_certificates(authority: Authority, case: str) -> None:
    """What is wrong with a certificate is the server's own word, at the stage `secure`."""
    name, days, settings, fault = CERTIFICATES[case]

    result = secure(authority, authority.server(name, days=days), **settings)

    assert result.fault == fault, result
    if fault:
        assert (result.stage, result.answered) == (Stage.SECURE, True)
        assert set(result.phases) == {"resolve", "connect"}


def client_wanted(authority: Authority, version: ssl.TLSVersion) -> ssl.SSLContext:
    """Return a server context that insists on a client certificate."""
    context = authority.server("erp.test")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(str(authority.ca_file))
    context.maximum_version = version
    return context


def shake_hands_once(server: socket.socket, context: ssl.SSLContext) -> None:
    """Accept one connection, try to secure it, and read on as real servers do: a close would cut the alert off."""
    accepted, _ = server.accept()
    with context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False) as tls:
        with contextlib.suppress(OSError):
            tls.do_handshake()
        tls.settimeout(2)
        with contextlib.suppress(OSError):
            while socket.socket.recv(tls, 65536):
                pass


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_an_alert_is_the_servers_word(authority: Authority, version: ssl.TLSVersion) -> None:
    """A refused client is told so during the handshake (1.2) or right after it (1.3)."""
    # A plain thread: asyncio's server drops its alert when a handshake fails.
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=shake_hands_once, args=(server, client_wanted(authority, version)))
        thread.start()
        made = http.Settings(
            target=f"https://erp.test:{server.getsockname()[1]}/",
            ca_file=str(authority.ca_file),
            connect_to="127.0.0.1",
        )
        result = asyncio.run(ask(http, made))
        thread.join()

    assert (result.stage, result.fault, result.answered) == (Stage.SECURE, "tls-alert", True), result


HANDSHAKES: dict[str, tuple[Handler, str, bool]] = {
    "plain HTTP": (before_request("silent", HELLO), "tls-protocol", True),
    "silence": (before_request("silent"), "timeout", False),
    "reset": (before_request("reset"), "reset", False),
    "close": (before_request("end"), "closed", False),
}


@pytest.mark.parametrize("case", HANDSHAKES)
def test_handshakes_that_fail(authority: Authority, case: str) -> None:
    """Silence and resets accuse the way, other bytes the server."""
    handler, fault, answered = HANDSHAKES[case]

    result = secure(authority, None, handler)

    assert (result.stage, result.fault, result.answered) == (Stage.SECURE, fault, answered), result
    assert set(result.phases) == {"resolve", "connect"}


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("pause", [0.0, 0.0005, 0.002])
def test_a_reset_at_once_is_never_our_own_fault(scheme: str, pause: float) -> None:
    """Wherever a reset right after the connect meets us, it is a reset."""

    def reset_all(server: socket.socket) -> None:
        for _ in range(10):
            accepted, _ = server.accept()
            time.sleep(pause)
            accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            accepted.close()

    async def scenario(port: int) -> list[Result]:
        made = http.Settings(target=f"{scheme}://127.0.0.1:{port}/", verify=False)
        return [await ask(http, made) for _ in range(10)]

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=reset_all, args=(server,))
        thread.start()
        results = asyncio.run(scenario(server.getsockname()[1]))
        thread.join()

    assert {result.fault for result in results} == {"reset"}, results
    assert not any(result.answered for result in results)


def test_an_unreadable_ca_file_is_our_own_fault(tmp_path: Path) -> None:
    """Nothing is sent when the authorities cannot be read."""

    async def scenario() -> Result:
        made = http.Settings(target="https://127.0.0.1:1/", ca_file=str(tmp_path / "none.pem"))
        return await ask(http, made)

    result = asyncio.run(scenario())

    assert (result.outcome, result.fault) == (Outcome.UNKNOWN, "ca-unreadable")


def test_connect_to_replaces_resolving() -> None:
    """The URL's name is kept for Host; only the address is given."""

    async def scenario() -> Result:
        async with serve(answering(HELLO)) as port:
            made = http.Settings(target=f"http://no.such.name:{port}/", connect_to="127.0.0.1")
            return await ask(http, made)

    result = asyncio.run(scenario())

    assert result.outcome is Outcome.OK
    assert "resolve" not in result.phases


def test_refused_and_unresolved() -> None:
    """What happens before HTTP keeps its own stage."""

    async def scenario() -> tuple[Result, Result]:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            refused = await ask(http, http.Settings(target=f"http://127.0.0.1:{port}/"))
        return refused, await ask(http, http.Settings(target="http://no.such.name/"))

    refused, unresolved = asyncio.run(scenario())

    assert (refused.stage, refused.fault) == (Stage.CONNECT, "refused")
    assert (unresolved.stage, unresolved.fault) == (Stage.RESOLVE, "resolve-nxdomain")


def test_fifty_at_once_and_no_socket_left(authority: Authority) -> None:
    """Concurrent attempts all pass; passed, failed and cancelled ones leave nothing open."""
    context = authority.server("erp.test")

    async def scenario() -> None:
        kit = Kit(Names({"erp.test": "127.0.0.1"}))
        async with (
            serve(answering(HELLO), context) as port,
            serve(answering(close="silent")) as silent,
            http.open(kit) as runner,
        ):
            made = http.Settings(target=f"https://erp.test:{port}/", ca_file=str(authority.ca_file))
            first = await runner.attempt(made, CLOCK.boot() + 10)
            assert first.outcome is Outcome.OK
            await asyncio.sleep(0.1)
            before = open_descriptors()
            results = await asyncio.gather(*(runner.attempt(made, CLOCK.boot() + 20) for _ in range(50)))
            assert {result.outcome for result in results} == {Outcome.OK}
            waiting = http.Settings(target=f"http://127.0.0.1:{silent}/")
            hanging = [asyncio.create_task(runner.attempt(waiting, CLOCK.boot() + 60)) for _ in range(10)]
            await asyncio.sleep(0.1)
            for task in hanging:
                task.cancel()
            await asyncio.gather(*hanging, return_exceptions=True)
            assert all(task.cancelled() for task in hanging)
        for _ in range(100):
            if open_descriptors() <= before:
                break
            await asyncio.sleep(0.02)  # the servers' sides close in their own time
        assert open_descriptors() <= before

    asyncio.run(scenario())


class KnownNames(Names):
    """A resolver that has asked before."""

    def known(self, name: str, family: int) -> str | None:
        """Return the address of the one name."""
        return "127.0.0.1" if name == "erp.test" else None


def test_the_batch_form_gives_the_same_results(authority: Authority) -> None:
    """Attempts without a task end like the others, each once; silence ends at its deadline."""
    context = authority.server("erp.test")

    async def scenario() -> list[Result]:
        async with (
            serve(answering(HELLO), context) as port,
            serve(answering(close="silent")) as silent,
            http.open(Kit(KnownNames({"erp.test": "127.0.0.1"}))) as runner,
        ):
            given: dict[str, Any] = {"target": f"https://erp.test:{port}/", "ca_file": str(authority.ca_file)}
            made = http.Settings(**given)
            results: list[Result] = []
            assert not runner.launch(made, CLOCK.boot() + 2, results.append)  # its authorities are not loaded yet
            results.append(await runner.attempt(made, CLOCK.boot() + 2))
            for settings, within in (
                (made, 2.0),
                (http.Settings(**given, server_name="hr.test"), 2.0),
                (http.Settings(target=f"http://127.0.0.1:{silent}/"), 0.2),
                (http.Settings(target=f"http://127.0.0.1:{silent}/"), 0.1),
                (http.Settings(target=f"http://127.0.0.1:{silent}/"), -1.0),
            ):
                assert runner.launch(settings, CLOCK.boot() + within, results.append)
            runner.flush()
            assert not runner.launch(http.Settings(target="http://no.such.name/"), CLOCK.boot() + 2, results.append)
            while len(results) < 6:
                assert runner.harvest() is None
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.05)
            return results

    results = asyncio.run(scenario())

    assert [result.fault for result in results].count("timeout") == 2
    assert sorted(str(result.fault) for result in results) == sorted(
        [*["None"] * 2, *["timeout"] * 2, "certificate-hostname", "no-time"]
    )
    passed = [result for result in results if result.outcome is Outcome.OK]
    assert [list(result.phases) for result in passed] == [["connect", "secure", "first_byte", "transfer"]] * 2
