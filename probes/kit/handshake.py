"""TCP handshakes without waiting: begin one, look at it later, leave nothing behind. Also many at once.

The kernel times the handshake (`struct tcp_info`), so it does not matter when we look. What must
stay true: one socket and one connection each, closed in every case; nothing here blocks, or wakes
anybody up; a connection that stood once is connected, whatever became of it since.

How a connection ends: our FIN, and a reset once the peer has acknowledged it (tcp(7), TCP_LINGER2). A reset
alone would be an error in the log of a server that reads ("connection reset by peer"); a FIN alone leaves
TIME_WAIT here for a minute, and 470 connects a second to one server would use up every port (RFC 9293 section
3.6.1; 28,232 ports / 60 s). So a reader sees an ordinary end, and both kernels and every stateful firewall on
the way forget the connection at once.
"""

import contextlib
import math
import os
import select
import socket
import struct
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

import msgspec

from probes.kit.address import address_family
from probes.kit.sockets import ask_for_errors, came_back, ready
from probes.kit.spec import Clock
from probes.kit.trouble import LATE, TIMEOUT, Trouble, local_trouble, path_trouble

# linux/tcp.h struct tcp_info: tcpi_state at 0, last_ack_recv 56 (ms), rtt 68 (us), total_retrans 100.
_TCP_INFO: Final = struct.Struct("=B55xI8xI28xI")
# linux/tcp_states.h: TCP_SYN_SENT, TCP_SYN_RECV, TCP_CLOSE; in every other state the handshake is done.
_CLOSE: Final = 7
_NOT_CONNECTED: Final = frozenset({2, 3, _CLOSE})
_FORGET: Final = -1  # TCP_LINGER2: no FIN_WAIT_2, and so no TIME_WAIT (Linux tcp_close, tcp_rcv_state_process)
T = TypeVar("T")


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """How a handshake goes, in seconds.

    `decided` once the kernel has its answer; `connect_seconds` from the first SYN to the SYN-ACK, None
    when there was none; `round_trip` the kernel's measure of it, None where a SYN was sent again (which
    of them was answered is not known exactly: Karn's algorithm, RFC 6298 section 3);
    `syn_retransmits` SYNs that were sent again.
    """

    decided: bool = True
    connect_seconds: float | None = None
    round_trip: float | None = None
    syn_retransmits: int = 0


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The end of one attempt: connected when `trouble` is None; `seconds` until then, as seen by us or the kernel."""

    trouble: Trouble | None
    seconds: float
    handshake: Handshake = Handshake()


def read_handshake(data: bytes, elapsed: float) -> Handshake:
    """Read `struct tcp_info` of a socket that began to connect `elapsed` seconds ago.

    When a SYN was sent again, the time since the kernel last took an acknowledgment (in its ticks of
    1 to 4 ms) is what passed between the SYN-ACK and our look.
    """
    if len(data) < _TCP_INFO.size:
        return Handshake()
    state, since_ack_ms, round_trip_us, retransmits = _TCP_INFO.unpack_from(data)
    if not round_trip_us and state in _NOT_CONNECTED:
        return Handshake(decided=state == _CLOSE, syn_retransmits=retransmits)
    exact = round_trip_us / 1e6 if round_trip_us and not retransmits else None
    return Handshake(
        connect_seconds=max(elapsed - since_ack_ms / 1e3, 0.0) if exact is None else exact,
        round_trip=exact,
        syn_retransmits=retransmits,
    )


def begin(address: str, port: int, family: int) -> socket.socket | Trouble:
    """Send a SYN; the caller ends the socket with `hang_up`. A refusal can be there at once (loopback)."""
    try:
        sock = socket.socket(address_family(family), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return local_trouble(error)
    try:
        ask_for_errors(sock, family)
        sock.connect((address, port))
    except BlockingIOError:
        return sock
    except OSError as error:
        sock.close()
        return path_trouble(error) if isinstance(error, ConnectionRefusedError) else local_trouble(error)
    except BaseException:
        sock.close()
        raise
    return sock


def look(sock: socket.socket, family: int, elapsed: float, allowed: float) -> Ended | None:
    """Return how an attempt ended within `elapsed` of `allowed` seconds; None when that is still open.

    A SYN-ACK that came too late is a timeout. The caller closes the socket, with `hang_up`.
    """
    handshake = read_handshake(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size), elapsed)
    seconds = handshake.connect_seconds
    if seconds is not None:
        trouble = None if seconds <= allowed else TIMEOUT
        return Ended(trouble=trouble, seconds=seconds, handshake=handshake)
    # An ICMP error that arrives while the kernel still sends the SYN leaves the socket as it was (sk_err_soft).
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code or handshake.decided:
        trouble = came_back(sock, family, OSError(code, os.strerror(code)))
        return Ended(trouble=trouble, seconds=elapsed, handshake=handshake)
    return Ended(trouble=TIMEOUT, seconds=elapsed, handshake=handshake) if elapsed >= allowed else None


def hang_up(sock: socket.socket) -> None:
    """Close, and forget the connection as soon as the peer knows that it has ended."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, _FORGET)
    sock.close()


async def shake(
    address: str, port: int, family: int, *, deadline: float, clock: Clock
) -> tuple[socket.socket | None, Ended]:
    """Connect once by `deadline` (boot time); the caller closes the socket, which is None when there is trouble."""
    start = clock.boot()
    sock = begin(address, port, family) if start < deadline else LATE
    if isinstance(sock, Trouble):
        return None, Ended(trouble=sock, seconds=clock.boot() - start)
    ended, allowed = None, deadline - start
    try:
        while ended is None:
            writable = await ready(sock.fileno(), seconds=deadline - clock.boot(), write=True)
            elapsed = clock.boot() - start
            ended = look(sock, family, elapsed if writable else max(elapsed, allowed), allowed)
    except BaseException:
        hang_up(sock)
        raise
    if ended.trouble is None:
        return sock, ended
    sock.close()
    return None, ended


class _Begun(msgspec.Struct, Generic[T]):
    """One attempt under way: its socket, when it began, until when it may last (boot time), whose it is."""

    sock: socket.socket
    family: int
    began: float
    deadline: float
    whose: T


class Handshakes(Generic[T]):
    """Attempts under way that nobody waits for: `ended` looks at those begun since, and asks an epoll for the others.

    Most are decided by the first look, and never cost the epoll a call; a socket leaves it by being closed (epoll(7)).
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._epoll = select.epoll()
        self._begun: dict[int, _Begun[T]] = {}
        self._new: list[int] = []
        self._earliest = math.inf  # no attempt under way is past its deadline before
        self._at_once: list[tuple[T, Ended]] = []

    def close(self) -> None:
        """End everything; nobody is told."""
        for begun in self._begun.values():
            hang_up(begun.sock)
        self._begun.clear()
        self._epoll.close()

    def start(self, address: str, port: int, family: int, deadline: float, whose: T) -> None:
        """Begin one attempt that may last until `deadline` (boot time).

        `refused` or `ended` will return it with `whose`.
        """
        now = self._clock.boot()
        sock = begin(address, port, family) if now < deadline else LATE
        if isinstance(sock, Trouble):
            self._at_once.append((whose, Ended(trouble=sock, seconds=self._clock.boot() - now)))
            return
        number = sock.fileno()
        self._begun[number] = _Begun(sock=sock, family=family, began=now, deadline=deadline, whose=whose)
        self._new.append(number)
        self._earliest = min(self._earliest, deadline)

    def refused(self) -> Iterator[tuple[T, Ended]]:
        """Take every attempt that ended as it began, each once."""
        while self._at_once:
            yield self._at_once.pop()

    def ended(self) -> Iterator[tuple[T, Ended]]:
        """Take every attempt under way that has ended by now, each once."""
        now = self._clock.boot()
        if len(self._begun) > len(self._new):
            for number, _ in self._epoll.poll(0):
                if number in self._begun:  # not a socket that we closed, while a child of ours just forked holds it
                    yield from self._look(number, now)
        while self._new:
            number = self._new.pop()
            yield from self._look(number, now)
            if number in self._begun:
                self._epoll.register(number, select.EPOLLOUT)  # errors and hang-ups are always reported
        if now >= self._earliest:
            for number in [number for number, begun in self._begun.items() if begun.deadline <= now]:
                yield from self._look(number, now)
            self._earliest = min((begun.deadline for begun in self._begun.values()), default=math.inf)

    def earliest(self) -> float | None:
        """Return a moment (boot time) before which no attempt under way is past its deadline; None without any."""
        return self._earliest if self._begun else None

    def _look(self, number: int, now: float) -> Iterator[tuple[T, Ended]]:
        begun = self._begun[number]
        ended = look(begun.sock, begun.family, now - begun.began, begun.deadline - begun.began)
        if ended is not None:
            del self._begun[number]
            hang_up(begun.sock)
            yield begun.whose, ended
