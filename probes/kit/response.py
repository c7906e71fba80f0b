"""One HTTP/1.1 exchange without a socket: request bytes out, response bytes in, verdicts as values.

A thin face on h11, which decides what is HTTP. What must stay true: any bytes lead to a value; at
most `max_bytes` of a body are kept.
"""

from typing import Final

import h11
import msgspec

from probes.kit.trouble import Trouble

_LARGEST_HEAD: Final = 65536
_FIRST: Final = b"HTTP/"  # RFC 9112 section 4: every status line begins so


class Head(msgspec.Struct, frozen=True):
    """A response's status line."""

    status: int
    reason: str


class Body(msgspec.Struct, frozen=True):
    """The end of a response: its body, and whether reading stopped at the limit."""

    content: bytes
    cut: bool


def request(method: str, target: str, host: str, headers: dict[str, str]) -> h11.Request:
    """Return one request with given and own headers; it may be sent any number of times."""
    given = {name.lower() for name in headers}
    own = {"Host": host, "User-Agent": "demarc", "Accept": "*/*", "Accept-Encoding": "identity"}
    lines = [(name, value) for name, value in own.items() if name.lower() not in given]
    return h11.Request(method=method, target=target, headers=[*lines, *headers.items(), ("Connection", "close")])


class Response:
    """The response to one request as it comes in."""

    def __init__(self, max_bytes: int) -> None:
        self._room = max_bytes
        self._parts: list[bytes] = []
        self._connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LARGEST_HEAD)
        self._start = b""

    def begin(self, request: h11.Request) -> bytes:
        """Return the request's bytes; the response will be read as the one to it."""
        return (self._connection.send(request) or b"") + (self._connection.send(h11.EndOfMessage()) or b"")

    def feed(self, data: bytes | None) -> Head | Body | Trouble | None:
        """Take bytes (b"": the peer closed; None: nothing new) and return what they complete, if anything."""
        if data and len(self._start) < len(_FIRST):
            self._start = (self._start + data)[: len(_FIRST)]
            if not _FIRST.startswith(self._start):  # h11 would wait for the end of a head that never comes
                return Trouble(fault="malformed", detail="the answer does not begin as HTTP does", answered=True)
        try:
            if data is not None:
                self._connection.receive_data(data)
            return self._next()
        except h11.RemoteProtocolError as error:
            return self._broken(str(error), closed=data == b"")

    def _next(self) -> Head | Body | Trouble | None:
        while True:
            event = self._connection.next_event()
            if event is h11.NEED_DATA or event is h11.PAUSED:
                return None
            if isinstance(event, h11.Response):
                return Head(event.status_code, event.reason.decode("ascii", "replace")[:80])
            if isinstance(event, h11.Data):
                content = bytes(event.data)[: self._room]
                self._parts.append(content)
                self._room -= len(content)
                if self._room == 0:
                    return Body(b"".join(self._parts), cut=True)
            elif not isinstance(event, h11.InformationalResponse):  # the end of the message
                return Body(b"".join(self._parts), cut=False)

    def _broken(self, text: str, *, closed: bool) -> Trouble:
        if closed and not self._start:
            return Trouble(fault="closed", detail="the peer closed without an answer")
        if closed:
            return Trouble(fault="truncated", detail="the peer closed before the end of its answer", answered=True)
        return Trouble(fault="malformed", detail=text[:120], answered=True)
