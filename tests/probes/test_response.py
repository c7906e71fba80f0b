"""HTTP/1.1 responses, whole and byte by byte."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.response import Body, Head, Response, request
from probes.kit.trouble import Trouble

OK = b"HTTP/1.1 200 OK\r\n"
# name -> (method, bytes, whether the peer closes then, status, what it ends with)
CASES: dict[str, tuple[str, bytes, bool, int | None, Body | str]] = {
    "length": ("GET", OK + b"Content-Length: 5\r\n\r\nhello", False, 200, Body(b"hello", cut=False)),
    "no body": ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", False, 204, Body(b"", cut=False)),
    "head": ("HEAD", OK + b"Content-Length: 5\r\n\r\n", False, 200, Body(b"", cut=False)),
    "chunked": (
        "GET",
        OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
        False,
        200,
        Body(b"hello", cut=False),
    ),
    "until close": ("GET", OK + b"\r\nhello", True, 200, Body(b"hello", cut=False)),
    "1xx first": (
        "GET",
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n",
        False,
        200,
        Body(b"", cut=False),
    ),
    "at the limit": ("GET", OK + b"Content-Length: 9\r\n\r\n123456789", False, 200, Body(b"12345678", cut=True)),
    "HTTP/1.0": ("GET", b"HTTP/1.0 200 OK\r\n\r\nhello", True, 200, Body(b"hello", cut=False)),
    "cut body": ("GET", OK + b"Content-Length: 9\r\n\r\n123", True, 200, "truncated"),
    "cut chunk": ("GET", OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe", True, 200, "truncated"),
    "cut head": ("GET", OK + b"Conte", True, None, "truncated"),
    "closed at once": ("GET", b"", True, None, "closed"),
    "not HTTP": ("GET", b"SSH-2.0-OpenSSH_9.2\r\n\r\n", False, None, "malformed"),
    "greeting without end": ("GET", b"SSH-2.0-x\r\n", False, None, "malformed"),
    "bad length": ("GET", OK + b"Content-Length: x\r\n\r\n", False, None, "malformed"),
    "endless head": ("GET", OK + b"A: " + b"b" * 70000, False, None, "malformed"),
}


def play(method: str, data: bytes, step: int, *, closes: bool) -> tuple[int | None, Body | Trouble | None]:
    """Feed `data` in pieces of `step`; return the status seen and what it ended with."""
    response = Response(8)
    response.begin(request(method, "/", "host", {}))
    status = None
    pieces: list[bytes | None] = [data[n : n + step] for n in range(0, len(data), step)]
    for piece in [*pieces, *([b""] if closes else [])]:
        found = response.feed(piece)
        while isinstance(found, Head):
            status = found.status
            found = response.feed(None)
        if found is not None:
            return status, found
    return status, None


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize("case", CASES)
def test_reads_responses(case: str, step: int) -> None:
    """The same end, however the bytes arrive."""
    method, data, closes, status, end = CASES[case]

    seen, found = play(method, data, step, closes=closes)

    assert status == seen
    assert end == (found.fault if isinstance(found, Trouble) else found)


def test_what_the_peer_said_is_answered() -> None:
    """Broken bytes are the peer's word, a close without any is not."""
    _, malformed = play("GET", b"junk\r\n\r\n", 99, closes=False)
    _, closed = play("GET", b"", 99, closes=True)

    assert isinstance(malformed, Trouble)
    assert isinstance(closed, Trouble)
    assert (malformed.answered, closed.answered) == (True, False)


def test_the_request_is_one_plain_request() -> None:
    """Own headers come first, given ones replace ours, and the connection ends after one answer."""
    wire = Response(8).begin(request("GET", "/health?x=1", "erp.corp.lab", {"accept": "text/html", "X-Probe": "1"}))

    lines = wire.decode().split("\r\n")
    assert lines[0] == "GET /health?x=1 HTTP/1.1"
    assert "Host: erp.corp.lab" in lines
    assert "accept: text/html" in lines
    assert "Accept: */*" not in lines
    assert "X-Probe: 1" in lines
    assert "Connection: close" in lines
    assert wire.endswith(b"\r\n\r\n")


@given(st.lists(st.binary(max_size=40), max_size=6), st.booleans())
def test_any_bytes_are_a_value(pieces: list[bytes], head: bool) -> None:
    """Nothing that a peer sends raises."""
    response = Response(16)
    response.begin(request("GET", "/", "host", {}))
    if head:
        response.feed(OK)
    for piece in pieces:
        if isinstance(response.feed(piece), Trouble | Body):
            return
