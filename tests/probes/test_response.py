"""HTTP/1.1 responses, whole and byte by byte, and as h11 reads them."""

import h11
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.kit.dialogue import Done
from probes.kit.response import Asking, Body, Head, Response, Tunnel, request
from probes.kit.trouble import Trouble

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
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
    "as long as the limit": (
        "GET",
        OK + b"Content-Length: 8\r\n\r\n12345678",
        False,
        200,
        Body(b"12345678", cut=False),
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
    "chunks past the limit": (
        "GET",
        CHUNKED + b"5\r\nhello\r\n6;x=y \r\n, you!\r\n",
        False,
        200,
        Body(b"hello, y", cut=True),
    ),
    "trailers": ("GET", CHUNKED + b"2\r\nhe\r\n0\r\nA: b\r\n\r\n", False, 200, Body(b"he", cut=False)),
    "bad trailers": ("GET", CHUNKED + b"0\r\nno field\r\n\r\n", False, 200, "malformed"),
    "long chunk": ("GET", CHUNKED + b"2\r\nhello\r\n", False, 200, "malformed"),
    "bad chunk size": ("GET", CHUNKED + b"-2\r\nhe\r\n", False, 200, "malformed"),
    "endless chunk size": ("GET", CHUNKED + b"2;" + b"x" * 70000, False, 200, "malformed"),
    "not modified": ("GET", b"HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\n", False, 304, Body(b"", cut=False)),
    "no reason": ("GET", b"HTTP/1.1 200\nContent-Length: 0\n\n", False, 200, Body(b"", cut=False)),
    "folded header": (
        "GET",
        OK + b"Content-Length:\r\n 0\r\nA: b\r\n c\r\n\td\r\n\r\n",
        False,
        200,
        Body(b"", cut=False),
    ),
    "fold without a header": ("GET", OK + b" A: b\r\n\r\n", False, None, "malformed"),
    "bad status line": ("GET", b"HTTP/1.1 2000 OK\r\n\r\n", False, None, "malformed"),
    "bad header": ("GET", OK + b"A B: c\r\n\r\n", False, None, "malformed"),
    "two lengths": ("GET", OK + b"Content-Length: 1, 2\r\n\r\n", False, None, "malformed"),
    "other coding": ("GET", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n", False, None, "malformed"),
    "another protocol": ("GET", b"HTTP/1.1 101 Switch\r\n\r\n", False, None, "malformed"),
}


def play(method: str, data: bytes, step: int, *, closes: bool) -> tuple[int | None, Body | Trouble | None]:
    """Feed `data` in pieces of `step`; return the status seen and what it ended with."""
    response = Response(8, head_only=method == "HEAD")
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
    wire = request("GET", "/health?x=1", "erp.corp.lab", {"accept": "text/html", "X-Probe": "1"})

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
    if head:
        response.feed(OK)
    for piece in pieces:
        if isinstance(response.feed(piece), Trouble | Body):
            return


def by_h11(method: str, pieces: list[bytes]) -> tuple[int | None, bytes, str]:
    """Return the status, the body so far and the end that h11 sees: whole, waits or broken."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "h"), ("Connection", "close")]))
    connection.send(h11.EndOfMessage())
    status, body = None, b""
    for piece in pieces:
        try:
            connection.receive_data(piece)
            while (event := connection.next_event()) not in (h11.NEED_DATA, h11.PAUSED):
                if isinstance(event, h11.Response):
                    status = event.status_code
                elif isinstance(event, h11.Data):
                    body += event.data
                elif isinstance(event, h11.EndOfMessage):
                    return status, body, "whole"
        except h11.RemoteProtocolError:
            return status, body, "broken"
    return status, body, "waits"


def by_us(method: str, pieces: list[bytes]) -> tuple[int | None, bytes, str]:
    """Return the same as we see it."""
    response = Response(1 << 20, head_only=method == "HEAD")
    status = None
    for piece in pieces:
        found = response.feed(piece)
        if isinstance(found, Head):
            status = found.status
            found = response.feed(None if piece else b"")
        if isinstance(found, Trouble):
            return status, b"", "broken"
        if isinstance(found, Body):
            return status, found.content, "whole"
    return status, b"", "waits"


LINES = st.sampled_from(
    [
        *(
            b"Content-Length: 3",
            b"content-length:3 ",
            b"Content-Length: 3, 3",
            b"Content-Length: 4",
            b"Content-Length: +3",
        ),
        *(b"Transfer-Encoding: chunked", b"transfer-encoding: CHUNKED", b"Transfer-Encoding: gzip"),
        *(
            b"Connection: close",
            b"Connection: keep-alive",
            b"X: a \t b ",
            b"X:",
            b"X : a",
            b" folded",
            b"\x80: a",
            b"X: \x80",
        ),
        *(b"X: a\x0bb", b"X: a\rb", b"X", b""),
    ]
)
STATUS = st.sampled_from(
    [
        *(
            b"HTTP/1.1 200 OK",
            b"HTTP/1.0 200",
            b"HTTP/1.1 204 ",
            b"HTTP/1.1 304 x",
            b"HTTP/1.1 100 Go on",
            b"HTTP/2.0 599 \xe9",
        ),
        *(
            b"HTTP/1.1 099 x",
            b"HTTP/1.1 999 x",
            b"HTTP/1.1  200 OK",
            b"http/1.1 200 OK",
            b"HTTP/1.1 200 a\x00b",
            b"HTTP/1.1 101 x",
        ),
    ]
)
ENDS = st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n"])
BODIES = st.sampled_from(
    [
        *(
            b"",
            b"abc",
            b"abcdef",
            b"3\r\nabc\r\n0\r\n\r\n",
            b"3 \r\nabc\r\n0\r\n\r\n",
            b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r\n",
        ),
        *(
            b"3\nabc\r\n",
            b"3\r\nabcd",
            b"3\r\nabc\rx",
            b"3 ;a\r\nabc\r\n0\r\n\r\n",
            b"0\r\n\n",
            b"g\r\n",
            b"3;\na\r\nabc\r\n",
        ),
    ]
)


@st.composite
def responses(draw: st.DrawFn) -> bytes:
    """Draw something like a response, right or wrong in places."""
    wire = b""
    for _ in range(draw(st.integers(1, 2))):
        lines = [draw(STATUS), *draw(st.lists(LINES, max_size=4)), b""]
        wire += b"".join(line + draw(ENDS) for line in lines)
    wire += draw(BODIES)
    if draw(st.booleans()):
        place = draw(st.integers(0, len(wire) - 1))
        wire = wire[:place] + draw(st.binary(max_size=2)) + wire[place + draw(st.integers(0, 2)) :]
    return wire


@given(responses(), st.integers(1, 60), st.sampled_from(["GET", "HEAD"]), st.booleans())
@example(OK + b"Content-Length: 3\r\n\r\nabcdef", 60, "GET", True)
def test_reads_what_h11_reads(wire: bytes, step: int, method: str, closes: bool) -> None:
    """Status, body and end of any response are h11's; we may notice earlier that it is none."""
    pieces = [wire[n : n + step] for n in range(0, len(wire), step)] + ([b""] if closes else [])

    theirs, ours = by_h11(method, pieces), by_us(method, pieces)

    if theirs != ours and not (theirs[2] == "waits" and ours[2] in ("waits", "broken")):
        # h11 hands out parts of a body that then turns out to be broken; we hand it out whole or not at all.
        assert (theirs[0], theirs[2]) == (ours[0], ours[2]) == (ours[0], "broken")


@pytest.mark.parametrize(
    "wire",
    [
        OK + b"A:" + b" " * 60000 + b"\x00\r\n\r\n",
        OK + b"A: " + b"b " * 30000 + b"\x00\r\n\r\n",
        OK + b"A: b\r\n" + b" c\r\n" * 12000 + b"\x00\r\n\r\n",
        CHUNKED + b"1;" + b" " * 60000 + b"\n\r\n",
    ],
    ids=["blanks", "words", "folds", "chunk extension"],
)
def test_no_line_takes_more_than_one_pass(wire: bytes) -> None:
    """Lines made to be tried in every way are refused at once (a pattern that backtracks would take minutes here)."""
    _, found = play("GET", wire, len(wire), closes=False)

    assert isinstance(found, Trouble)


def test_an_asking_ends_with_head_or_body() -> None:
    """A body that nobody wants is not waited for; head and body may come in one piece or in several."""
    wanted = Asking(b"GET", lambda head: head.status == 200, 100, head_only=False)
    unwanted = Asking(b"GET", lambda head: head.status == 200, 100, head_only=False)
    broken = Asking(b"GET", lambda _: True, 100, head_only=False)
    closing = Asking(b"GET", lambda _: True, 100, head_only=False)

    assert [wanted.feed(OK + b"Content-Length: 5\r\n\r\nhe"), wanted.feed(b"llo")] == [None, Done()]
    assert (wanted.first, wanted.body) == (b"GET", Body(b"hello", cut=False))
    assert unwanted.feed(b"HTTP/1.1 503 Busy\r\n\r\n") == Done(whole=False)
    assert (unwanted.head and unwanted.head.status, unwanted.body) == (503, None)
    assert isinstance(broken.feed(b"SSH-2.0"), Trouble)
    assert [closing.feed(OK), closing.feed(b"\r\n"), closing.feed(b"")] == [None, None, Done()]


@pytest.mark.parametrize(
    ("answer", "end"),
    [
        (b"HTTP/1.1 200 Connected\r\n\r\n", Done()),
        (b"HTTP/1.1 407 Who are you\r\n\r\n", "proxy-refused"),
        (b"SSH-2.0", "malformed"),
        (b"", "closed"),
        (b"HTTP/1.1 2", None),
    ],
)
def test_a_proxy_connects_or_says_why_not(answer: bytes, end: Done | str | None) -> None:
    """Any status of 200 to 299 is a tunnel, any other the proxy's refusal."""
    tunnel = Tunnel("erp.test:443")

    found = tunnel.feed(answer)

    assert tunnel.first.startswith(b"CONNECT erp.test:443 HTTP/1.1\r\nHost: erp.test:443\r\n")
    assert (found.fault if isinstance(found, Trouble) else found) == end
