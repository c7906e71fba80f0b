"""One HTTP/1.1 exchange without a socket: request bytes out, response bytes in, verdicts as values.

A reader of our own, because it costs a tenth of h11's; tests hold it to h11's verdicts on any bytes. What must
stay true: any bytes lead to a value; at most `max_bytes` of a body and `_LARGEST_HEAD` of anything else are kept.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

import msgspec

from probes.kit.dialogue import Done
from probes.kit.trouble import Trouble

_LARGEST_HEAD: Final = 65536
_LINE_END: Final = b"\r\n"
_FIRST: Final = b"HTTP/"  # RFC 9112 section 4: every status line begins so
_TOKEN: Final = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"  # RFC 9110 section 5.6.2
_TEXT: Final = rb"[^\x00\s]"  # a byte of a value; RFC 9110 section 5.5 allows those above 0x7f
# Possessive (`*+`), so that no line takes more than one pass: with plain repeats 60,000 blanks take seconds.
# RFC 9112 section 4; some servers leave out the reason and its space.
_STATUS_LINE: Final = re.compile(rb"HTTP/\d\.\d (\d{3})(?: ((?:[ \t]|" + _TEXT + rb")*+))?")
_FIELD: Final = re.compile(  # RFC 9112 section 5
    rb"(" + _TOKEN + rb"):[ \t]*+((?:" + _TEXT + rb"++(?:[ \t]++" + _TEXT + rb"++)*+)?+)[ \t]*+"
)
_HEAD_END: Final = re.compile(rb"\n\r?\n")
_LENGTH: Final = re.compile(rb"\d{1,20}")  # more digits are no size of anything
# RFC 9112 section 7.1; blanks before the line end are seen in the wild.
_CHUNK: Final = re.compile(rb"([0-9A-Fa-f]{1,20})(?:;[^\n]*+|[ \t]*+)")


class Head(msgspec.Struct, frozen=True):
    """A response's status line and its fields in their order, names in lower case."""

    status: int
    reason: str
    fields: tuple[tuple[bytes, bytes], ...] = ()


class Body(msgspec.Struct, frozen=True):
    """The end of a response: its body, and whether reading stopped at the limit."""

    content: bytes
    cut: bool


class _BrokenError(Exception):
    """The peer's bytes are not HTTP/1.1."""


def request_fields(host: str, headers: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return the fields of a request: our own, those given (which replace ours), and that one answer is all."""
    given = {name.lower() for name in headers}
    own = {"Host": host, "User-Agent": "demarc", "Accept": "*/*", "Accept-Encoding": "identity"}
    lines = [(name, value) for name, value in own.items() if name.lower() not in given]
    return [*lines, *headers.items(), ("Connection", "close")]


def request(method: str, target: str, host: str, headers: Mapping[str, str]) -> bytes:
    """Return one request without a body, ready to be sent any number of times; its parts have been checked."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in request_fields(host, headers))
    return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("ascii")


class Response:
    """The response to one request as it comes in; `head_only` for the answer to HEAD."""

    def __init__(self, max_bytes: int, *, head_only: bool = False) -> None:
        self._room = max_bytes
        self._head_only = head_only
        self._parts: list[bytes] = []
        self._held = bytearray()
        self._searched = 0  # how much of `held` is known to have no end of a head
        self._started = False
        # A function, not a method: an object that holds its own method waits for the garbage collector.
        self._read: Callable[[Response], Head | Body | None] = Response._read_head
        self._left = 0  # of the body, or of the chunk
        self._after_chunk = False
        self._cut = False

    def feed(self, data: bytes | None) -> Head | Body | Trouble | None:
        """Take bytes (b"": the peer closed; None: nothing new) and return what they complete, if anything."""
        if data:
            self._held += data
            self._started = True
        try:
            found = self._read(self)
        except _BrokenError as error:
            return Trouble(fault="malformed", detail=str(error)[:120], answered=True)
        if found is None and data == b"":
            return self._closed()
        return found

    def _read_head(self) -> Head | Body | None:
        while True:
            held = self._held
            if not held.startswith(_FIRST[: len(held)]):
                raise _BrokenError("the answer does not begin as HTTP does")
            lines = self._lines()
            if lines is None:
                return None
            match = _STATUS_LINE.fullmatch(lines[0])
            if match is None:
                raise _BrokenError("illegal status line")
            code, reason = match.groups()
            status = int(code)
            fields = tuple(_fields(lines[1:]))
            if status >= 200:
                self._frame(status, fields)
                return Head(status, (reason or b"").decode("ascii", "replace")[:80], fields)
            if status == 101 or status < 100:
                raise _BrokenError(f"status {status} answers no request of ours")
            _framing(fields)

    def _lines(self) -> list[bytes] | None:
        """Take the lines of a head or of trailers, without the empty one that ends them; None while it is missing."""
        held = self._held
        for empty in (b"\n", b"\r\n"):
            if held.startswith(empty):
                del held[: len(empty)]
                return []
        match = _HEAD_END.search(held, max(0, self._searched - 2))
        if match is None:
            self._searched = len(held)
            if len(held) > _LARGEST_HEAD:
                raise _BrokenError(f"a head of more than {_LARGEST_HEAD} bytes")
            return None
        text = bytes(held[: match.start()])
        del held[: match.end()]
        self._searched = 0
        return [line.removesuffix(b"\r") for line in text.split(b"\n")]

    def _frame(self, status: int, fields: tuple[tuple[bytes, bytes], ...]) -> None:
        """Choose how the body's end is known (RFC 9112 section 6.3)."""
        chunked, length = _framing(fields)
        if self._head_only or status in (204, 304):
            self._read, self._left = Response._read_sized, 0
        elif chunked:
            self._read = Response._read_chunks
        elif length is not None:
            self._read, self._left = Response._read_sized, length
        else:
            self._read = Response._read_to_close

    def _keep(self, count: int) -> None:
        """Move up to `count` held bytes into the body, as far as there is room; what is over is dropped."""
        held, taken = self._held, min(count, len(self._held))
        self._left -= taken
        if taken:
            part = bytes(held[: min(taken, self._room)])
            del held[:taken]
            self._cut = len(part) < taken
            self._room -= len(part)
            self._parts.append(part)

    def _body(self, *, cut: bool) -> Body:
        return Body(b"".join(self._parts), cut)

    def _read_sized(self) -> Body | None:
        self._keep(self._left)
        if self._left == 0:
            return self._body(cut=self._cut)
        return None if self._room else self._body(cut=True)

    def _read_to_close(self) -> Body | None:
        self._keep(len(self._held))
        return None if self._room else self._body(cut=True)

    def _read_chunks(self) -> Body | None:
        """Read chunks (RFC 9112 section 7.1): a line with the size, so many bytes, a line end; 0 is the last."""
        while self._room:
            if self._left:
                self._keep(self._left)
                if self._left:
                    return None
                self._after_chunk = True
                continue
            if self._after_chunk:
                if not _LINE_END.startswith(self._held[:2]):
                    raise _BrokenError("a chunk is longer than it said")
                if len(self._held) < 2:
                    return None
                del self._held[:2]
                self._after_chunk = False
            size = self._chunk_size()
            if size is None:
                return None
            if size == 0:
                self._read = Response._read_trailers
                return self._read_trailers()
            self._left = size
        return self._body(cut=True)

    def _chunk_size(self) -> int | None:
        end = self._held.find(_LINE_END, max(0, self._searched - 1))
        if end < 0:
            self._searched = len(self._held)
            if self._searched > _LARGEST_HEAD:
                raise _BrokenError(f"a chunk size of more than {_LARGEST_HEAD} bytes")
            return None
        match = _CHUNK.fullmatch(self._held, 0, end)
        if match is None:
            raise _BrokenError("illegal chunk size")
        size = int(match[1], 16)
        del match, self._held[: end + 2]
        self._searched = 0
        return size

    def _read_trailers(self) -> Body | None:
        lines = self._lines()
        if lines is None:
            return None
        for _ in _fields(lines):  # checked, not kept
            pass
        return self._body(cut=False)

    def _closed(self) -> Body | Trouble:
        if self._read is Response._read_to_close:
            return self._body(cut=False)
        if not self._started:
            return Trouble(fault="closed", detail="the peer closed without an answer")
        return Trouble(fault="truncated", detail="the peer closed before the end of its answer", answered=True)


class Asking:
    """One request and the answer to it, as a dialogue; `reads` says whether the body behind a head is wanted."""

    def __init__(self, request: bytes, reads: Callable[[Head], bool], max_bytes: int, *, head_only: bool) -> None:
        self.first = request
        self.head: Head | None = None
        self.body: Body | None = None
        self._reads = reads
        self._response = Response(max_bytes, head_only=head_only)

    def feed(self, data: bytes) -> Done | Trouble | None:
        """Take bytes of the answer, b"" when the peer has closed."""
        found = self._response.feed(data)
        if isinstance(found, Head):
            self.head = found
            if not self._reads(found):
                return Done(whole=False)
            found = self._response.feed(None if data else b"")
        if isinstance(found, Body):
            self.body = found
            return Done()
        return found if isinstance(found, Trouble) else None


class Tunnel:
    """The words to a proxy that ask for a connection through it (RFC 9110 section 9.3.6)."""

    def __init__(self, authority: str) -> None:
        self.first = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: demarc\r\n\r\n".encode("ascii")
        self.head: Head | None = None
        self._response = Response(1, head_only=True)

    def feed(self, data: bytes) -> Done | Trouble | None:
        """Take bytes of the proxy; done when it says that the connection stands."""
        found = self._response.feed(data)
        if isinstance(found, Head):
            self.head = found
            if 200 <= found.status < 300:
                return Done()
            detail = f"the proxy answered {found.status} {found.reason}".strip()
            return Trouble(fault="proxy-refused", detail=detail, answered=True)
        return found if isinstance(found, Trouble) else None


def _fields(lines: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Yield name (lower case) and value of each field; a line that begins with a blank goes on with the last one."""
    folded: list[bytes | bytearray] = []  # a long fold grows in place
    for line in lines:
        if line[:1] in (b" ", b"\t"):  # RFC 9112 section 5.2: a user agent reads it as one blank
            if not folded:
                raise _BrokenError("a continuation line without a field")
            folded[-1] = bytearray(folded[-1]) if isinstance(folded[-1], bytes) else folded[-1]
            folded[-1] += b" " + line.lstrip(b" \t")
        else:
            folded.append(line)
    for whole in folded:
        match = _FIELD.fullmatch(whole)
        if match is None:
            raise _BrokenError("illegal header line")
        name, value = match.groups()
        yield bytes(name).lower(), bytes(value)


def _framing(fields: tuple[tuple[bytes, bytes], ...]) -> tuple[bool, int | None]:
    """Return whether the body is chunked and what length is given (RFC 9112 section 6)."""
    lengths: set[bytes] = set()
    codings: list[bytes] = []
    for name, value in fields:
        if name == b"content-length":
            lengths.update(part.strip() for part in value.split(b","))
        elif name == b"transfer-encoding":
            codings.append(value.lower())
    if codings not in ([], [b"chunked"]):
        raise _BrokenError("a transfer coding other than chunked")
    if len(lengths) > 1:
        raise _BrokenError("contradictory content lengths")
    length = next(iter(lengths), None)
    if length is not None and not _LENGTH.fullmatch(length):
        raise _BrokenError("illegal content length")
    return bool(codings), None if length is None else int(length)
