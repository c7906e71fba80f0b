"""Non-blocking sockets under the running loop: readiness with a deadline, TCP connect, error queues.

What must stay true: every wait has a deadline; a cancelled wait leaves no reader, writer or timer;
a socket that is not handed to the caller is closed; errors are values (`Trouble`).
"""

import asyncio
import os
import socket
import struct
import sys
from typing import Final

import msgspec

from probes.kit.address import address_family
from probes.kit.spec import Clock
from probes.kit.trouble import LATE, TIMEOUT, QueuedError, Trouble, local_trouble, path_trouble, queued_trouble

# linux/in.h, linux/in6.h, linux/errqueue.h; Python 3.11's socket module lacks them.
IP_RECVERR: Final = 11
IPV6_RECVERR: Final = 25
_ORIGIN_ICMP: Final = 2
_ORIGIN_ICMP6: Final = 3
_EXTENDED: Final = struct.Struct("=IBBBxII")
# linux/tcp.h struct tcp_info: tcpi_options at 5, snd_mss 16, rcv_mss 20, rtt 68 (us), advmss 84, total_retrans 100,
# bytes_received 128, data_segs_in 152.
_TCP_INFO: Final = struct.Struct("=5xB10xII44xI12xI12xI24xQ16xI")
TCP_INFO_BYTES: Final = _TCP_INFO.size
_TCPI_OPT_TIMESTAMPS: Final = 1
# TCP_MSS_DEFAULT: the kernel's guess of the peer's segment size before it has seen one (linux/tcp.h).
_MSS_GUESS: Final = 536
# What a full segment stands for, whatever MSS the path made full (an MSS clamp, a tunnel): an Ethernet packet.
FULL_PACKET: Final = 1500
_SYN_PACKET: Final = 60  # a SYN with the options that Linux sends


class TcpInfo(msgspec.Struct, frozen=True, kw_only=True):
    """The kernel's own view of a connection.

    `round_trip` in seconds, `retransmits` packets sent again, `packet_bytes` the largest packet (with
    IP and TCP headers) that certainly came from the peer; FULL_PACKET when its segments were full.
    """

    round_trip: float
    retransmits: int
    packet_bytes: int


class Connected(msgspec.Struct, frozen=True, kw_only=True):
    """A connected, non-blocking TCP socket that the caller must close; `seconds` the connect took."""

    sock: socket.socket
    seconds: float


async def ready(fileno: int, *, seconds: float, write: bool = False) -> bool:
    """Wait until `fileno` is readable (or writable); return False when `seconds` went by first.

    Without any seconds left it is False even if there is something to read, so that a peer that
    never stops sending cannot carry an attempt past its deadline.
    """
    if seconds <= 0:
        return False
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bool] = loop.create_future()
    if write:
        loop.add_writer(fileno, _settle, future, True)
    else:
        loop.add_reader(fileno, _settle, future, True)
    timer = loop.call_later(seconds, _settle, future, False)
    try:
        return await future
    finally:
        timer.cancel()
        if write:
            loop.remove_writer(fileno)
        else:
            loop.remove_reader(fileno)


def _settle(future: "asyncio.Future[bool]", value: bool) -> None:
    if not future.done():
        future.set_result(value)


def is_own_address(address: str, family: int) -> bool:
    """Return whether `address` is one of this host's own: only those can be bound."""
    try:
        with socket.socket(address_family(family), socket.SOCK_DGRAM) as sock:
            sock.bind((address, 0))
    except OSError:
        return False
    return True


def ask_for_errors(sock: socket.socket, family: int) -> None:
    """Have the kernel queue ICMP errors on `sock`, with their sender."""
    if family == 4:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)


def next_error(sock: socket.socket) -> QueuedError | None:
    """Take one entry from the error queue of `sock`; None when it is empty."""
    try:
        quote, ancillary, _flags, to = sock.recvmsg(512, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    address = str(to[0]) if to else ""
    for level, kind, data in ancillary:
        if (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
            return parse_error(data, quote, address)
    return QueuedError(errno=0, quote=quote, to=address)


def parse_error(data: bytes, quote: bytes = b"", to: str = "") -> QueuedError:
    """Read a `struct sock_extended_err` and the sender's address behind it (linux/errqueue.h)."""
    if len(data) < _EXTENDED.size:
        return QueuedError(errno=0, quote=quote, to=to)
    code, origin, kind, icmp_code, info, _data = _EXTENDED.unpack_from(data)
    if origin not in (_ORIGIN_ICMP, _ORIGIN_ICMP6):
        return QueuedError(errno=code, info=info, quote=quote, to=to)
    return QueuedError(
        errno=code, type=kind, code=icmp_code, info=info, offender=_sender(data[_EXTENDED.size :]), quote=quote, to=to
    )


def _sender(sockaddr: bytes) -> str:
    """Return the address in a `struct sockaddr_in` or `sockaddr_in6`; "" when there is none."""
    family = int.from_bytes(sockaddr[:2], sys.byteorder)
    if family == socket.AF_INET and len(sockaddr) >= 8:
        return socket.inet_ntop(socket.AF_INET, sockaddr[4:8])
    if family == socket.AF_INET6 and len(sockaddr) >= 24:
        return socket.inet_ntop(socket.AF_INET6, sockaddr[8:24])
    return ""


def came_back(sock: socket.socket, family: int, error: OSError) -> Trouble:
    """Return what the error queue of `sock` says of `error`, which a call reported; else what its number says."""
    queued = next_error(sock)
    return path_trouble(error) if queued is None else name_sender(queued, family)


def name_sender(error: QueuedError, family: int) -> Trouble:
    """Return the trouble of an error-queue entry; tells our own kernel's word from a router's."""
    own = bool(error.offender) and is_own_address(str(error.offender), family)
    return queued_trouble(error, family, own=own)


async def connect_tcp(
    address: str, port: int, family: int, *, deadline: float, clock: Clock, segment: int = 0
) -> Connected | Trouble:
    """Open one connection by `deadline` (boot time), without any fallback or retry of our own.

    `segment`: the most bytes that either side shall send in one (the MSS that we offer); 0: as the link allows.
    """
    if deadline <= clock.boot():
        return LATE
    try:
        sock = socket.socket(address_family(family), socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return local_trouble(error)
    try:
        if segment:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        trouble, seconds = await _connect(sock, address, port, family, deadline=deadline, clock=clock)
    except BaseException:
        sock.close()
        raise
    if trouble is None:
        return Connected(sock=sock, seconds=seconds)
    sock.close()
    return trouble


async def _connect(
    sock: socket.socket, address: str, port: int, family: int, *, deadline: float, clock: Clock
) -> tuple[Trouble | None, float]:
    ask_for_errors(sock, family)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    start = clock.boot()
    try:
        sock.connect((address, port))
    except BlockingIOError:
        pass
    except ConnectionRefusedError as error:  # on loopback the reset can be there before connect returns
        return path_trouble(error), clock.boot() - start
    except OSError as error:
        return local_trouble(error), clock.boot() - start
    else:
        return None, clock.boot() - start
    if not await ready(sock.fileno(), seconds=deadline - clock.boot(), write=True):
        return TIMEOUT, clock.boot() - start
    seconds = clock.boot() - start
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code == 0:
        return None, seconds
    return came_back(sock, family, OSError(code, os.strerror(code))), seconds


def tcp_info(sock: socket.socket, family: int) -> TcpInfo | None:
    """Return the kernel's view of the connection, None where it gives none."""
    try:
        data = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
    except OSError:
        return None
    return parse_tcp_info(data, family)


def parse_tcp_info(data: bytes, family: int) -> TcpInfo | None:
    """Read `struct tcp_info` (linux/tcp.h); None when the kernel gave less than we need."""
    if len(data) < _TCP_INFO.size:
        return None
    options, sent_mss, received_mss, round_trip_us, our_mss, retransmits, received, segments = _TCP_INFO.unpack_from(
        data
    )
    stamps = 12 if options & _TCPI_OPT_TIMESTAMPS else 0  # RFC 7323: the option's bytes in every segment
    headers = 20 + stamps + (20 if family == 4 else 40)
    measured = received_mss > _MSS_GUESS
    # Without a measured segment, the average of those that came bounds the largest from below.
    largest = received_mss if measured else -(-received // segments) if segments else 0
    full = measured and received_mss >= min(sent_mss, our_mss - stamps)
    packet_bytes = max(largest + headers, FULL_PACKET if full else _SYN_PACKET)
    return TcpInfo(round_trip=round_trip_us / 1e6, retransmits=retransmits, packet_bytes=packet_bytes)
