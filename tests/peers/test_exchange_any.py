"""Whatever a server does, an attempt ends once, by its deadline, with a fault of its table."""

import asyncio
import socket
import ssl
import struct
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes import http, tls
from probes.kit.result import Outcome, Result
from tests.peers.probing import Authority, Handler, Kit, ask, serve

pytestmark = pytest.mark.peer

RECORDS = st.builds(
    lambda kind, version, body: bytes([kind]) + version + struct.pack("!H", len(body)) + body,
    st.sampled_from([20, 21, 22, 23, 24]),  # RFC 8446 section 5.1
    st.sampled_from([b"\3\1", b"\3\3", b"\2\0"]),
    st.binary(max_size=60),
)
WORDS = st.sampled_from(
    [
        *(b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 302 x\r\nLocation: /\r\n", b"\r\n", b"Content-Length: 5\r\n", b"hello"),
        *(b"Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n", b"0\r\n\r\n", b"220 x\r\n", b"250 STARTTLS\r\n"),
    ]
)
TURNS = st.lists(st.one_of(st.binary(max_size=40), WORDS, RECORDS), max_size=6)
ENDS = st.sampled_from(["close", "reset", "silence"])
ASKED: dict[str, tuple[ModuleType, dict[str, Any]]] = {
    "http": (http, {"follow": 2, "body_contains": "hello"}),
    "https": (http, {"verify": False}),
    "through a proxy": (http, {"verify": False}),
    "tls": (tls, {"verify": False}),
    "smtp": (tls, {"verify": False, "starttls": "smtp"}),
}


def doing(turns: list[bytes], end: str) -> Handler:
    """Return a server that says `turns`, each after it has heard something, and then ends."""

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for turn in turns:
            writer.write(turn)
            await writer.drain()
            await asyncio.sleep(0)
        if end == "silence":
            await reader.read()
        elif end == "reset":
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()

    return handler


def asked(case: str, handler: Handler, context: ssl.SSLContext | None = None) -> tuple[ModuleType, Result]:
    """Return the module that asked, and its result."""
    module, more = ASKED[case]

    async def scenario() -> Result:
        async with serve(handler, context) as port:
            host = f"127.0.0.1:{port}"
            if module is tls:
                made: Any = tls.Settings(target=host, **more)
            elif case == "through a proxy":
                made = http.Settings(target="https://127.0.0.1:1/", proxy=f"http://{host}", **more)
            else:
                made = http.Settings(target=f"{case}://{host}/", **more)
            return await ask(module, made, within=0.1, kit=Kit())

    return module, asyncio.run(scenario())


def check(module: ModuleType, result: Result) -> None:
    """See that the result is one that the type's table explains."""
    rows = {(row.name, row.stage) for row in module.SPEC.faults}
    assert result.outcome is not Outcome.UNKNOWN or result.fault == "no-time"  # this very host is busy
    if result.outcome is Outcome.FAILED:
        assert (result.fault, result.stage) in rows, result
        assert not (result.fault in ("timeout", "reset") and result.answered)
    assert set(result.phases) <= set(module.SPEC.phases)
    assert all(seconds >= 0 for seconds in result.phases.values())


@given(st.sampled_from(sorted(ASKED)), TURNS, ENDS)
@settings(max_examples=60, deadline=None)
def test_any_words_lead_to_a_fault_of_the_table(case: str, turns: list[bytes], end: str) -> None:
    """Plain words where TLS is wanted, broken records, half answers, resets at any point."""
    check(*asked(case, doing(turns, end)))


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    """Return a server's TLS context."""
    return Authority(tmp_path_factory.mktemp("authority")).server("erp.test")


@given(turns=TURNS, end=ENDS)
@settings(max_examples=40, deadline=None)
def test_any_words_inside_tls_do_too(context: ssl.SSLContext, turns: list[bytes], end: str) -> None:
    """The same once the handshake is done."""
    check(*asked("https", doing(turns, end), context))
