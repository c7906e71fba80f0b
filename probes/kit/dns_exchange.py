"""One DNS question to one server, over UDP or TCP: shared by the dns probe and the resolver.

What must stay true: one datagram or one connection, no second try, no change of transport; an
answer counts only with our random id, the question that we asked and the server's own address;
anything else that arrives is ignored until the deadline.
"""

import secrets
import socket

import msgspec

from probes.kit.address import address_family
from probes.kit.dns_message import DecodeError, Message, decode, encode_query, same_name
from probes.kit.sockets import ask_for_errors, came_back, connect_tcp, ready
from probes.kit.spec import Clock
from probes.kit.trouble import LATE, TIMEOUT, Trouble, local_trouble, path_trouble

_LARGEST = 65535


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask what: a server's address and port in `family`, a name and a record type."""

    address: str
    port: int
    family: int
    name: str
    record: str


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A well-formed response, its size, and seconds to connect (TCP only) and to answer."""

    message: Message
    size: int
    answer_seconds: float
    connect_seconds: float | None = None


class Stopped(msgspec.Struct, frozen=True, kw_only=True):
    """No usable response: why, and whether a TCP connection stood already."""

    trouble: Trouble
    connect_seconds: float | None = None


async def ask_udp(question: Question, *, deadline: float, clock: Clock) -> Answered | Stopped:
    """Send one query in one datagram from a fresh port and wait for its answer."""
    if deadline <= clock.boot():
        return Stopped(trouble=LATE)
    try:
        sock = socket.socket(address_family(question.family), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        return Stopped(trouble=local_trouble(error))
    with sock:
        ident = secrets.randbits(16)
        start = clock.boot()
        try:
            ask_for_errors(sock, question.family)
            sock.connect((question.address, question.port))
            sock.send(encode_query(ident, question.name, question.record))
        except ConnectionRefusedError as error:  # on loopback the ICMP error can be there before send returns
            return Stopped(trouble=path_trouble(error))
        except OSError as error:
            return Stopped(trouble=local_trouble(error))
        while await ready(sock.fileno(), seconds=deadline - clock.boot()):
            outcome = _receive(sock, question, ident)
            if isinstance(outcome, Trouble):
                return Stopped(trouble=outcome)
            if outcome is not None:
                message, size = outcome
                return Answered(message=message, size=size, answer_seconds=clock.boot() - start)
    return Stopped(trouble=TIMEOUT)


def _receive(sock: socket.socket, question: Question, ident: int) -> tuple[Message, int] | Trouble | None:
    """Take one datagram: the answer, a trouble, or None when it was not for us."""
    try:
        data = sock.recv(_LARGEST)
    except BlockingIOError:
        return None
    except OSError as error:
        return came_back(sock, question.family, error)
    outcome = read_answer(data, question, ident)
    return (outcome, len(data)) if isinstance(outcome, Message) else outcome


def read_answer(data: bytes, question: Question, ident: int) -> Message | Trouble | None:
    """Return the response in `data`, `malformed` for our id in broken bytes, None when not ours."""
    if data[:2] != ident.to_bytes(2):
        return None
    try:
        message = decode(data)
    except DecodeError as error:
        return Trouble(fault="malformed", detail=f"not a DNS message: {error}", answered=True)
    if not message.response:
        return None
    if message.question is None:
        # RFC 1035 section 4.1.1: a server that could not read the query may leave the question out.
        refusal = message.rcode in ("formerr", "servfail", "notimp", "refused")
        return message if refusal else Trouble(fault="malformed", detail="no question in the response", answered=True)
    name, record = message.question
    return message if same_name(name, question.name) and record == question.record else None


async def ask_tcp(question: Question, *, deadline: float, clock: Clock) -> Answered | Stopped:
    """Send one query over one TCP connection (RFC 7766) and wait for its answer."""
    made = await connect_tcp(question.address, question.port, question.family, deadline=deadline, clock=clock)
    if isinstance(made, Trouble):
        return Stopped(trouble=made)
    with made.sock as sock:
        start = clock.boot()
        ident = secrets.randbits(16)
        query = encode_query(ident, question.name, question.record)
        try:
            sock.send(len(query).to_bytes(2) + query)  # fits the empty send buffer of a new connection
        except OSError as error:
            return Stopped(trouble=path_trouble(error), connect_seconds=made.seconds)
        data = await _read_framed(sock, question.family, deadline, clock)
        if isinstance(data, Trouble):
            return Stopped(trouble=data, connect_seconds=made.seconds)
        outcome = read_answer(data, question, ident)
        if outcome is None:
            outcome = Trouble(fault="malformed", detail="the answer is not to our question", answered=True)
        if isinstance(outcome, Trouble):
            return Stopped(trouble=outcome, connect_seconds=made.seconds)
        return Answered(
            message=outcome, size=len(data), answer_seconds=clock.boot() - start, connect_seconds=made.seconds
        )


async def _read_framed(sock: socket.socket, family: int, deadline: float, clock: Clock) -> bytes | Trouble:
    """Read one message with its two-byte length; what is cut off by a close is `malformed`."""
    data = b""
    while len(data) < 2 or len(data) < 2 + int.from_bytes(data[:2]):
        if not await ready(sock.fileno(), seconds=deadline - clock.boot()):
            return TIMEOUT
        try:
            chunk = sock.recv(_LARGEST)
        except BlockingIOError:
            continue
        except OSError as error:
            return came_back(sock, family, error)
        if not chunk:
            return Trouble(fault="closed", detail="closed before a whole answer came", answered=bool(data))
        data += chunk
    return data[2 : 2 + int.from_bytes(data[:2])]
