"""One dialogue over one new connection, plain or TLS, moved on by a socket's readiness.

No task, no timer and no copy of the loop's: connect, opening, handshake, dialogue are steps of one object. What must
stay true: `done` is called exactly once, unless the exchange is abandoned; the socket is closed by then; phases are
those that were reached; bytes that waited for us to read them do not count as the peer's time; TLS works on memory,
because `ssl.SSLSocket` words a reset in three ways and hides the socket's error queue; a `timeout` or `reset` is
never `answered`, because the rest may have been lost on the way (an MTU hole looks so).
"""

import contextlib
import os
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final

import msgspec

from probes.kit.dialogue import Dialogue, Say
from probes.kit.handshake import begin, hang_up, read_handshake
from probes.kit.readiness import READ, SO_TIMESTAMPNS_NEW, WRITE, Readiness, ask_for_stamps
from probes.kit.result import Stage
from probes.kit.sockets import TCP_INFO_BYTES, came_back, tcp_info
from probes.kit.spec import Clock
from probes.kit.tls import tls_trouble
from probes.kit.trouble import LATE, TIMEOUT, Trouble, local_trouble

_CHUNK: Final = 16384  # a TLS record; some ms of work at most, however the peer cuts its answer
_STAMP: Final = struct.Struct("=qq")  # struct __kernel_timespec
_ANCILLARY: Final = socket.CMSG_SPACE(_STAMP.size)
# TLS 1.3 refuses a client after the client's part of the handshake is done (RFC 8446 section 4.4.2.4).
_LATE_REFUSALS: Final = frozenset({"tls-alert", "tls-protocol"})


class Opening(msgspec.Struct, frozen=True):
    """What is said in plain words before TLS begins, the phase that it is, and the stage at which it fails."""

    dialogue: Dialogue
    phase: str
    stage: Stage


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask, and what; without a `context` in plain words, without a `dialogue` TLS's handshake is all."""

    address: str
    port: int
    family: int
    opening: Opening | None = None
    context: ssl.SSLContext | None = None
    server_name: str = ""
    dialogue: Dialogue | None = None


class Exchanged(msgspec.Struct, kw_only=True):
    """What came of it: what was reached, and the trouble at `stage` that ended it.

    `phases` in seconds, without the time in which arrived bytes waited for us; `seconds` is their sum, with what the
    one lasted that was not completed: what we prepare between them is not the peer's time. `tls` is there from the
    start of the handshake on, the peer's `certificate` (DER) from its end on.
    """

    trouble: Trouble | None = None
    stage: Stage = Stage.CONNECT
    seconds: float = 0.0
    phases: dict[str, float]
    round_trip: float | None = None
    packet_bytes: int | None = None
    tls: ssl.SSLObject | None = None
    certificate: bytes = b""


class Exchange:
    """One attempt on its way; a waiter of `Readiness`. A bug of ours is handed to `done` as the exception."""

    def __init__(
        self,
        ask: Ask,
        deadline: float,
        *,
        clock: Clock,
        readiness: Readiness,
        done: Callable[[Exchanged | Exception], None],
    ) -> None:
        self.deadline: Final = deadline
        self._ask = ask
        self._clock = clock
        self._readiness = readiness
        self._done = done
        self._phases: dict[str, float] = {}
        self._made = Exchanged(phases=self._phases)
        # A function, not a method: an object that holds its own method waits for the garbage collector.
        self._step: Callable[[Exchange], None] = Exchange._connecting
        self._sock: socket.socket | None = None
        self._unsent = b""
        self._start = self._mark = 0.0

    def start(self) -> None:
        """Send the SYN; the rest follows as the socket becomes ready."""
        self._start = self._mark = self._clock.boot()
        if self.deadline <= self._start:
            self._end(LATE, Stage.CONNECT)
            return
        sock = begin(self._ask.address, self._ask.port, self._ask.family)
        if isinstance(sock, Trouble):
            self._end(sock, Stage.CONNECT)
            return
        self._sock = sock
        ask_for_stamps(sock)
        try:
            self._readiness.add(sock.fileno(), self, WRITE)
        except OSError as error:  # no room in the kernel's tables (epoll(7), max_user_watches)
            self._end(local_trouble(error), Stage.CONNECT)

    def abandon(self) -> None:
        """Leave off; nobody is told."""
        if self._sock is not None:
            self._readiness.drop(self._sock.fileno())
            hang_up(self._sock)
            self._sock = None

    def ready(self) -> None:
        """Take the next step."""
        try:
            if self._clock.boot() >= self.deadline:  # so that a peer that never stops does not carry us past it
                self.expired()
                return
            if self._unsent:
                self._send(b"")
            if self._sock is not None:
                self._step(self)
        except Exception as error:
            self.abandon()
            self._done(error)

    def expired(self) -> None:
        """End in silence, at the stage that was reached."""
        self._end(TIMEOUT, self._made.stage)

    def _connecting(self) -> None:
        sock, elapsed = self._socket, self._clock.boot() - self._start
        data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO_BYTES)
        shaken = read_handshake(data, elapsed)
        if shaken.connect_seconds is None:
            if code := sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                self._end(came_back(sock, self._ask.family, OSError(code, os.strerror(code))), Stage.CONNECT)
            return
        self._phases["connect"] = shaken.connect_seconds
        self._made.round_trip = shaken.round_trip
        self._readiness.change(sock.fileno(), READ)
        if self._ask.opening is None:
            self._secure()
        else:
            self._made.stage = self._ask.opening.stage
            self._step = Exchange._opening
            self._mark = self._clock.boot()
            self._send(self._ask.opening.dialogue.first)

    def _opening(self) -> None:
        opening, data = self._ask.opening, self._receive()
        if data is None or opening is None:
            return
        found = opening.dialogue.feed(data)
        if isinstance(found, Say):
            self._send(found.data)
        elif isinstance(found, Trouble):
            self._end(found, opening.stage)
        elif found is not None:
            self._reached(opening.phase)
            self._secure()

    def _secure(self) -> None:
        """Begin the TLS handshake, or what comes after it when there is none."""
        if self._ask.context is None:
            self._converse()
            return
        self._made.stage = Stage.SECURE
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = self._ask.context.wrap_bio(self._incoming, self._outgoing, server_hostname=self._ask.server_name)
        self._tls = self._made.tls = tls
        with contextlib.suppress(ssl.SSLWantReadError):
            tls.do_handshake()
        self._mark = self._clock.boot()
        self._step = Exchange._shaking
        self._send(self._outgoing.read())

    def _shaking(self) -> None:
        data = self._receive()
        if data is None:
            return
        self._feed_tls(data)
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._send(self._outgoing.read())
        except ssl.SSLError as error:
            self._refused(error)
        else:
            self._reached("secure")
            self._made.certificate = self._tls.getpeercert(binary_form=True) or b""  # a broken connection has none
            self._converse()

    def _converse(self) -> None:
        """Send the first words of the dialogue, behind the last of the handshake."""
        dialogue = self._ask.dialogue
        if dialogue is None:
            with contextlib.suppress(ssl.SSLError):  # says that the peer has not said its farewell
                self._tls.unwrap()
            self._send(self._outgoing.read())
            if self._sock is not None:
                self._end(None, self._made.stage)
            return
        self._made.stage = Stage.ANSWER
        self._step = Exchange._hearing if self._made.tls is None else Exchange._hearing_tls
        self._mark = self._clock.boot()
        self._say(dialogue.first)

    def _say(self, data: bytes) -> None:
        if self._made.tls is not None:
            self._tls.write(data)
            data = self._outgoing.read()
        self._send(data)

    def _hearing(self) -> None:
        data = self._receive()
        if data is not None:
            self._hear(data)

    def _hearing_tls(self) -> None:
        data = self._receive()
        if data is None:
            return
        self._feed_tls(data)
        while self._sock is not None:
            try:
                plain = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                self._send(self._outgoing.read())  # the answer to a key update
                return
            except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
                plain = b""
            except ssl.SSLError as error:
                self._refused(error)
                return
            self._hear(plain)

    def _hear(self, data: bytes) -> None:
        """Take words of the peer, b"" when it has ended."""
        assert self._ask.dialogue is not None  # noqa: S101 - nothing is heard without one
        if data and "first_byte" not in self._phases:
            self._reached("first_byte")
        found = self._ask.dialogue.feed(data)
        if isinstance(found, Say):
            self._say(found.data)
        elif isinstance(found, Trouble):
            self._end(found, Stage.ANSWER)
        elif found is not None:
            if found.whole:
                self._reached("transfer")
            self._end(None, Stage.ANSWER)

    def _feed_tls(self, data: bytes) -> None:
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def _refused(self, error: ssl.SSLError) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(self._outgoing.read())  # our alert, when it is we who refuse
        trouble = tls_trouble(error)
        self._end(trouble, Stage.SECURE if trouble.fault in _LATE_REFUSALS else self._made.stage)

    def _send(self, data: bytes) -> None:
        """Send `data` behind what is left over; what the socket does not take is left over."""
        rest, waiting = self._unsent + data, bool(self._unsent)
        while rest:
            try:
                rest = rest[self._socket.send(rest) :]
            except BlockingIOError:
                break
            except OSError as error:
                self._end(came_back(self._socket, self._ask.family, error), self._made.stage)
                return
        self._unsent = rest
        if bool(rest) != waiting:
            self._readiness.change(self._socket.fileno(), READ | WRITE if rest else READ)

    def _receive(self) -> bytes | None:
        """Return what has come, b"" when the peer has closed, None when nothing has (or the end was told)."""
        try:
            data, ancillary, _flags, _from = self._socket.recvmsg(_CHUNK, _ANCILLARY)
        except BlockingIOError:
            return None
        except OSError as error:
            self._end(came_back(self._socket, self._ask.family, error), self._made.stage)
            return None
        for level, kind, stamp in ancillary:
            if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS_NEW and len(stamp) == _STAMP.size:
                self._arrived(*_STAMP.unpack(stamp))
        return data

    def _arrived(self, seconds: int, nanoseconds: int) -> None:
        """Leave out of the phase the time since the bytes arrived; the wall clock may have been set meanwhile."""
        late = self._clock.wall() - (seconds + nanoseconds / 1e9)
        if 0.0 < late <= self._clock.boot() - self._mark:
            self._mark += late

    def _reached(self, phase: str) -> None:
        now = self._clock.boot()
        self._phases[phase] = now - self._mark
        self._mark = now

    @property
    def _socket(self) -> socket.socket:
        assert self._sock is not None  # noqa: S101 - no step is taken without one
        return self._sock

    def _end(self, trouble: Trouble | None, stage: Stage) -> None:
        made = self._made
        made.trouble, made.stage = trouble, stage
        made.seconds = sum(self._phases.values())
        if trouble is not None:
            made.seconds += self._clock.boot() - self._mark
        if self._sock is not None and "connect" in self._phases:
            info = tcp_info(self._sock, self._ask.family)
            made.packet_bytes = info.packet_bytes if info else None
        self.abandon()
        self._done(made)
