"""One DNS question to one server, over UDP or TCP: shared by the dns probe and the resolver.

What must stay true: one datagram or one connection, no second try, no change of transport; an
answer counts only with our random id, the question that we asked, and from the server's own address
to our random port (RFC 5452); anything else that arrives is ignored until the deadline.
"""

import secrets
import socket
from functools import partial
from typing import Final

import msgspec

from probes.kit.datagram import Datagram, Heard, arrival, ask_for_arrivals, between, exchange
from probes.kit.dns_message import Message, decode, encode_query
from probes.kit.dns_names import DecodeError, same_name
from probes.kit.handshake import shake
from probes.kit.sockets import came_back, ready, tcp_info
from probes.kit.spec import Clock
from probes.kit.trouble import TIMEOUT, Trouble, path_trouble

_LARGEST: Final = 65535
_ANCILLARY: Final = 128  # bytes for a struct scm_timestamping
# RFC 1035 section 4.1.1: a server that could not read the query may leave the question out.
_REFUSALS: Final = frozenset({"formerr", "servfail", "notimp", "refused"})
_HEADERS: Final = {4: 28, 6: 48}  # IP and UDP
# What fits one packet on every IPv6 link (RFC 8200) and in practice everywhere: larger may have come in fragments.
UNFRAGMENTED: Final = 1280
_QUERY: Final = 60  # bytes of a small query's packet; as much certainly came back


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask what: a server's address and port in `family`, a name and a record type.

    `wire` is the query behind its identifier, made once by `question`.
    """

    address: str
    port: int
    family: int
    name: str
    record: str
    wire: bytes


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A well-formed response, seconds to connect (TCP only) and to answer, and the largest packet that surely came."""

    message: Message
    answer_seconds: float
    packet_bytes: int | None
    connect_seconds: float | None = None


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """No usable response: why, and the seconds to connect where a TCP connection stood already."""

    trouble: Trouble
    connect_seconds: float | None = None


def question(
    address: str,
    port: int,
    family: int,
    *,
    name: str,
    record: str,
    edns_bytes: int = 0,
    authenticated: bool = False,
) -> Question:
    """Return a question; ValueError for an impossible name. The options are those of `encode_query`."""
    wire = encode_query(0, name, record, edns_bytes=edns_bytes, authenticated=authenticated)[2:]
    return Question(address=address, port=port, family=family, name=name, record=record, wire=wire)


def datagram(asked: Question) -> Datagram[Message]:
    """Return the question with a new identifier, as a datagram."""
    ident = secrets.token_bytes(2)
    return Datagram(
        address=asked.address,
        port=asked.port,
        family=asked.family,
        payload=ident + asked.wire,
        read=partial(read_answer, asked=asked, ident=ident),
    )


def heard(outcome: Heard[Message] | Trouble, family: int) -> Answered | Stopped:
    """Return what the exchange of a datagram means."""
    if isinstance(outcome, Trouble):
        return Stopped(trouble=outcome)
    size = outcome.size + _HEADERS[family]
    return Answered(
        message=outcome.answer,
        answer_seconds=outcome.seconds,
        packet_bytes=size if size <= UNFRAGMENTED else _QUERY,
    )


async def ask_udp(asked: Question, *, deadline: float, clock: Clock) -> Answered | Stopped:
    """Send one query in one datagram from a fresh port and wait for its answer."""
    return heard(await exchange(datagram(asked), deadline=deadline, clock=clock), asked.family)


def read_answer(data: bytes, asked: Question, ident: bytes) -> Message | Trouble | None:
    """Return the response in `data`, `malformed` for our id in broken bytes, None when not ours."""
    if data[:2] != ident:
        return None
    try:
        message = decode(data)
    except DecodeError as error:
        return Trouble(fault="malformed", detail=f"not a DNS message: {error}", answered=True)
    if not message.response:
        return None
    if message.question is None:
        if message.rcode in _REFUSALS:
            return message
        return Trouble(fault="malformed", detail="no question in the response", answered=True)
    name, record = message.question
    return message if same_name(name, asked.name) and record == asked.record else None


async def ask_tcp(asked: Question, *, deadline: float, clock: Clock) -> Answered | Stopped:
    """Send one query over one TCP connection (RFC 7766) and wait for its answer."""
    sock, ended = await shake(asked.address, asked.port, asked.family, deadline=deadline, clock=clock)
    if sock is None:
        return Stopped(trouble=ended.trouble or TIMEOUT)
    with sock:
        outcome = await _converse(sock, asked, deadline, clock)
        if isinstance(outcome, Trouble):
            return Stopped(trouble=outcome, connect_seconds=ended.seconds)
        return msgspec.structs.replace(outcome, connect_seconds=ended.seconds)


async def _converse(sock: socket.socket, asked: Question, deadline: float, clock: Clock) -> Answered | Trouble:
    ask_for_arrivals(sock)
    query = datagram(asked)
    start, sent = clock.boot(), clock.wall()
    try:
        sock.send(len(query.payload).to_bytes(2) + query.payload)  # fits the empty buffer of a new connection
    except OSError as error:
        return path_trouble(error)
    framed = await _read_framed(sock, asked.family, deadline, clock)
    if isinstance(framed, Trouble):
        return framed
    data, arrived = framed
    seconds = between(sent, arrived, clock.boot() - start)
    message = query.read(data)
    if message is None:
        return Trouble(fault="malformed", detail="the answer is not to our question", answered=True)
    if isinstance(message, Trouble):
        return message
    info = tcp_info(sock, asked.family)
    return Answered(message=message, answer_seconds=seconds, packet_bytes=info.packet_bytes if info else _QUERY)


async def _read_framed(
    sock: socket.socket, family: int, deadline: float, clock: Clock
) -> tuple[bytes, float | None] | Trouble:
    """Read one message behind its two bytes of length, and when the last of it arrived; cut by a close is `closed`."""
    data = bytearray()
    arrived: float | None = None
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2]):
        if not await ready(sock.fileno(), seconds=deadline - clock.boot()):
            return TIMEOUT
        try:
            chunk, ancillary, _flags, _sender = sock.recvmsg(_LARGEST, _ANCILLARY)
        except BlockingIOError:
            continue
        except OSError as error:
            return came_back(sock, family, error)
        if not chunk:
            return Trouble(fault="closed", detail="closed before a whole answer came", answered=bool(data))
        data += chunk
        arrived = arrival(ancillary)
    return bytes(data[2 : 2 + int.from_bytes(data[:2])]), arrived
