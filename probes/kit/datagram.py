"""One datagram out and one back, over UDP: alone, or many turned by the agent's wheel.

Every exchange has a connected socket of its own, so the kernel gives it a random port, drops what
others send and says which exchange an ICMP error belongs to. The kernel's stamps of sending and
arrival (SO_TIMESTAMPING, linux/net_tstamp.h) end to end are the duration: neither our wake-up nor
the wheel's tick is in it. What must stay true: one packet, no second try; what is not an answer to
it is not heard; a flood of that costs a bounded number of reads a turn; every socket is closed.
"""

import contextlib
import errno
import heapq
import select
import socket
from collections.abc import Callable
from itertools import count
from typing import Any, Final, Generic, TypeVar

import msgspec

from probes.kit.address import address_family
from probes.kit.icmp_error import TIMESTAMPING, read_stamp
from probes.kit.sockets import IP_RECVERR, IPV6_RECVERR, ask_for_errors, name_sender, parse_error, ready
from probes.kit.spec import Clock
from probes.kit.trouble import LATE, TIMEOUT, Trouble, local_trouble, path_trouble

# linux/net_tstamp.h; Python 3.11's socket module lacks them.
_TX_SOFTWARE, _RX_SOFTWARE, _SOFTWARE, _TSONLY = 1 << 1, 1 << 3, 1 << 4, 1 << 11
_STAMPS: Final = _TX_SOFTWARE | _RX_SOFTWARE | _SOFTWARE | _TSONLY
_LARGEST: Final = 65535
_ANCILLARY: Final = 512
_READS: Final = 16  # datagrams and queued errors taken from one socket a turn, so that a flood cannot hold the loop

T = TypeVar("T")


class Datagram(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What to send where; `read` returns the answer that a datagram holds, a Trouble, or None when it is not ours."""

    address: str
    port: int
    family: int
    payload: bytes
    read: Callable[[bytes], T | Trouble | None]


class Heard(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """An answer, the bytes of its datagram, the seconds from wire to wire, and when the question left (UTC epoch)."""

    answer: T
    size: int
    seconds: float
    sent: float = 0.0


class _Flight(Generic[T]):
    """A datagram that was sent, and its socket."""

    __slots__ = ("_boot", "_clock", "_datagram", "_deadline", "_error", "_sent", "sock")

    def __init__(self, datagram: Datagram[T], sock: socket.socket, deadline: float, clock: Clock) -> None:
        """Send; OSError when the host, or the error that came back at once, says no."""
        self.sock: Final = sock
        self._datagram = datagram
        self._deadline = deadline
        self._clock = clock
        self._error: Trouble | None = None
        ask_for_errors(sock, datagram.family)
        sock.setsockopt(socket.SOL_SOCKET, TIMESTAMPING, _STAMPS)
        sock.connect((datagram.address, datagram.port))
        self._boot = clock.boot()
        self._sent = clock.wall()
        sock.send(datagram.payload)

    def settle(self, most: int = _READS) -> Trouble | None:
        """Take the stamp of sending, which comes first, and what errors have come, from the socket's error queue."""
        for _ in range(most):
            try:
                quote, ancillary, _flags, to = self.sock.recvmsg(_ANCILLARY, _ANCILLARY, socket.MSG_ERRQUEUE)
            except OSError:
                break
            error = _queued(ancillary, quote, str(to[0]) if to else "", self._datagram.family)
            stamp = arrival(ancillary)  # of the sending; an ICMP error has one too
            if error is not None:
                self._error = self._error or error
            elif stamp is not None:
                self._sent = max(stamp, self._sent)
        return self._error

    def take(self) -> Heard[T] | Trouble | None:
        """Return what has arrived; None when nothing of it ends the exchange."""
        for _ in range(_READS):
            try:
                data, ancillary, _flags, _sender = self.sock.recvmsg(_LARGEST, _ANCILLARY)
            except BlockingIOError:
                return self.settle()
            except OSError as error:
                return self.settle() or path_trouble(error)
            outcome = self._datagram.read(data)
            if isinstance(outcome, Trouble):
                return outcome
            if outcome is not None:
                self.settle(most=1)
                return self._heard(outcome, len(data), arrival(ancillary))
        return None

    def _heard(self, answer: T, size: int, arrived: float | None) -> Heard[T] | Trouble:
        """Return the answer, unless it came too late."""
        elapsed = self._clock.boot() - self._boot
        stamped = elapsed if arrived is None else arrived - self._sent
        seconds = stamped if 0 < stamped <= elapsed else elapsed
        if self._boot + seconds > self._deadline:
            return TIMEOUT
        return Heard(answer=answer, size=size, seconds=seconds, sent=self._sent)


def _send(datagram: Datagram[T], deadline: float, clock: Clock) -> _Flight[T] | Trouble:
    if deadline <= clock.boot():
        return LATE
    try:
        sock = socket.socket(address_family(datagram.family), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return local_trouble(error)
    try:
        return _Flight(datagram, sock, deadline, clock)
    except OSError as error:
        sock.close()
        # On loopback the ICMP error can be there before send returns.
        return path_trouble(error) if isinstance(error, ConnectionRefusedError) else local_trouble(error)


async def exchange(datagram: Datagram[T], *, deadline: float, clock: Clock) -> Heard[T] | Trouble:
    """Send one datagram and wait for its answer until `deadline` (boot time)."""
    flight = _send(datagram, deadline, clock)
    if isinstance(flight, Trouble):
        return flight
    with flight.sock:
        # The stamp of sending is there already on most devices: taken now, it does not wake us.
        outcome: Heard[T] | Trouble | None = flight.settle()
        while outcome is None and await ready(flight.sock.fileno(), seconds=deadline - clock.boot()):
            outcome = flight.take()
        return outcome or TIMEOUT


class Batch(Generic[T]):
    """Exchanges under way that are looked at together, whenever the agent's wheel turns."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keeper = _keeper()
        self._epoll: select.epoll | None = None  # a descriptor that most agents never need
        self._flying: dict[int, tuple[_Flight[T], Callable[[Heard[T] | Trouble], None]]] = {}
        self._deadlines: list[tuple[float, int, int, _Flight[T]]] = []
        self._serial = count()
        self._ended: list[tuple[Callable[[Heard[T] | Trouble], None], Trouble]] = []

    def close(self) -> None:
        """Close every socket; whoever still waits hears nothing."""
        for flight, _done in self._flying.values():
            flight.sock.close()
        self._flying.clear()
        self._deadlines.clear()
        self._ended.clear()
        if self._keeper is not None:
            self._keeper.close()
        if self._epoll is not None:
            self._epoll.close()
            self._epoll = None

    def launch(self, datagram: Datagram[T], deadline: float, done: Callable[[Heard[T] | Trouble], None]) -> None:
        """Send now; `done` is called by `flush` when that cannot be, else by `harvest`."""
        flight = _send(datagram, deadline, self._clock)
        if isinstance(flight, Trouble):
            self._ended.append((done, flight))
            return
        self._epoll = self._epoll or select.epoll()
        fileno = flight.sock.fileno()
        self._epoll.register(fileno, select.EPOLLIN)
        self._flying[fileno] = flight, done
        heapq.heappush(self._deadlines, (deadline, next(self._serial), fileno, flight))

    def flush(self) -> float | None:
        """Tell those whose datagram could not be sent; return the earliest deadline under way."""
        ended, self._ended = self._ended, []
        for done, trouble in ended:
            done(trouble)
        return self._next()

    def harvest(self) -> float | None:
        """End what has its answer or is past its deadline; return the earliest deadline under way."""
        if self._epoll is None or not self._flying:
            return None
        for fileno, _events in self._epoll.poll(0, len(self._flying)):
            flying = self._flying.get(fileno)  # None: a child of ours, just forked, still holds a socket that we closed
            outcome = flying[0].take() if flying else None
            if outcome is not None:
                self._end(fileno, outcome)
        now = self._clock.boot()
        while (deadline := self._next()) is not None and deadline <= now:
            self._end(self._deadlines[0][2], TIMEOUT)
        return deadline

    def _next(self) -> float | None:
        """Return the earliest deadline under way, and forget those of exchanges that have ended."""
        while self._deadlines:
            deadline, _serial, fileno, flight = self._deadlines[0]
            current = self._flying.get(fileno)
            if current is not None and current[0] is flight:
                return deadline
            heapq.heappop(self._deadlines)
        return None

    def _end(self, fileno: int, outcome: Heard[T] | Trouble) -> None:
        flight, done = self._flying.pop(fileno)
        flight.sock.close()  # which takes it out of epoll
        done(outcome)


def between(sent: float, arrived: float | None, elapsed: float) -> float:
    """Return the seconds between two stamps of the wall clock; `elapsed` where it stepped, or there is no stamp."""
    stamped = elapsed if arrived is None else arrived - sent
    return stamped if 0 < stamped <= elapsed else elapsed


def _keeper() -> socket.socket | None:
    """Return a socket that keeps the kernel stamping arrivals, None where none can be had.

    The kernel stamps them only while some socket asks for it, and begins a moment after the first one does
    (net/core/dev.c, net_enable_timestamp: deferred work). A packet that came before has the stamp of its reading.
    """
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError:
        return None
    ask_for_arrivals(sock)
    return sock


def ask_for_arrivals(sock: socket.socket) -> None:
    """Have `recvmsg` tell when what it returns arrived, for `arrival` to read; a kernel that cannot is not asked."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, TIMESTAMPING, _RX_SOFTWARE | _SOFTWARE)


def arrival(ancillary: list[tuple[int, int, bytes]]) -> float | None:
    """Return the kernel's software stamp (UTC epoch seconds) among control messages."""
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == TIMESTAMPING:
            return read_stamp(data)
    return None


def _queued(ancillary: list[tuple[int, int, Any]], quote: bytes, to: str, family: int) -> Trouble | None:
    for level, kind, data in ancillary:
        if (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
            error = parse_error(data, quote, to)
            return None if error.errno == errno.ENOMSG else name_sender(error, family)  # ENOMSG: a stamp
    return None
