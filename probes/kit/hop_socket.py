"""A socket for packets that may die on the way: by their TTL, or by their size.

ICMP echo on a datagram socket where net.ipv4.ping_group_range allows it, else on a raw one; TCP on a raw one; UDP
needs no right at all. What must stay true: an answer counts only with our number and token, once a packet, and from
the target unless it is an ICMP error; kernel stamps give the round trip, our own clock only where they are missing.
"""

import secrets
import socket
import struct
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Final

import msgspec

from probes.kit import icmp_error
from probes.kit.address import address_family, canonical
from probes.kit.hop_packets import TOKEN_BYTES, Datagrams, Echoes, Packets, Syns
from probes.kit.sockets import is_own_address
from probes.kit.spec import Clock
from probes.kit.trouble import QueuedError, Trouble, icmp_fault, local_trouble, queued_trouble

# asm-generic/socket.h, linux/in.h, linux/in6.h, linux/net_tstamp.h; Python 3.11's socket module lacks them.
_MTU_DISCOVER: Final = {4: (socket.IPPROTO_IP, 10), 6: (socket.IPPROTO_IPV6, 23)}
_PMTUDISC_PROBE: Final = 3  # always "don't fragment", and no remembered path MTU
_STAMPS: Final = 0x02 | 0x08 | 0x10  # TX_SOFTWARE, RX_SOFTWARE, SOFTWARE
_HOP_LIMIT: Final = {4: (socket.IPPROTO_IP, socket.IP_TTL), 6: (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)}
_ICMP: Final = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}
_PORT_UNREACHABLE: Final = {4: (3, 3), 6: (1, 4)}
_TAKEN: Final = 256  # messages taken per wake-up, so that a flood cannot hold the loop
_SEND_TRIES: Final = 4  # pending errors of earlier packets that one send may clear away
_LARGEST: Final = 65535
_IPV6_CHECKSUM: Final = 7  # linux/in6.h: where the kernel shall put the sum
_QUEUED: Final = 1300  # an ICMP error is no longer than 576 bytes (RFC 1812), 1280 in IPv6 (RFC 4443)
_REFUSED: Final = Trouble(fault="refused", detail="reset by the target, or in its name")


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came for the packet `number`: the target's reply (`trouble` is None) or a router's word.

    `seconds` is the round trip; `stamped`: both its ends are the kernel's. `mtu` is the next hop's of a "too big".
    `end`: it did not come from a router whose hops ran out, so packets get no further than this.
    """

    number: int
    address: str
    seconds: float
    stamped: bool
    trouble: Trouble | None = None
    mtu: int = 0
    labels: tuple[int, ...] = ()

    @property
    def end(self) -> bool:
        """Return whether the packet went as far as any can."""
        return self.trouble is None or self.trouble.fault != "ttl-exceeded"


class _Sent(msgspec.Struct):
    """A packet under way: when it was sent by both clocks, and by the kernel's stamp once that is known."""

    boot: float
    wall: float
    stamp: float | None = None


class HopSocket:
    """One flow to one target, and the packets of it that are under way."""

    def __init__(self, protocol: str, family: int, address: str, port: int, *, clock: Clock, flow: int = 0) -> None:
        """Open the socket; `flow` is the identifier (icmp) or source port (udp, tcp) to take if it is free.

        OSError when the host does not allow it, or has no route.
        """
        self._family = family
        self._target = canonical(address)
        self._clock = clock
        self._udp = protocol == "udp"
        self._under_way: dict[int, _Sent] = {}
        self._answers: list[Answer] = []
        self.link_mtu = 0
        with ExitStack() as opened:
            self._sock = opened.enter_context(_OPEN[protocol](family))
            self._prepare()
            raw = self._sock.type == socket.SOCK_RAW
            if raw and protocol == "icmp":
                self.flow = flow or secrets.randbits(16)
            else:  # raw TCP has no port: one that does not listen holds it, and our kernel resets what is answered
                self.flow = _bound(opened.enter_context(_stream(family)) if raw else self._sock, flow)
            # A connected datagram socket gives its packets a random hash of its own, by which virtual switches and
            # Linux routers on the same machine may choose the way (sk_txhash; fib_multipath_hash_policy 1). A raw
            # one has to be connected: it would see all of the host's packets of its protocol.
            self._to = None if raw else (address, port if self._udp else 0)
            if raw:
                self._sock.connect((address, 0))
            self._packets = self._packets_of(protocol, port, raw=raw)
            self._opened = opened.pop_all()

    def _packets_of(self, protocol: str, port: int, *, raw: bool) -> Packets:
        token, base = secrets.token_bytes(TOKEN_BYTES), secrets.randbits(16)
        if protocol == "icmp":
            return Echoes(self._family, self.flow, token, base, raw=raw)
        if protocol == "udp":
            return Datagrams(self._family, token, base)
        ends = (str(self._sock.getsockname()[0]), self._target)
        packed = b"".join(socket.inet_pton(address_family(self._family), end.split("%", 1)[0]) for end in ends)
        return Syns(self._family, (self.flow, port), secrets.randbits(32), packed)

    def fileno(self) -> int:
        """Return the descriptor, to wait for."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._opened.close()

    def send(self, number: int, *, ttl: int | None = None, size: int = 0) -> Trouble | None:
        """Send packet `number` (16 bits), filled up to `size` bytes on the wire; return why it could not leave.

        A call that only reports an earlier packet's error has sent nothing: it is made again.
        """
        packet = self._packets.packet(number, size)
        extra = [] if ttl is None else [(*_HOP_LIMIT[self._family], struct.pack("=i", ttl))]
        for _ in range(_SEND_TRIES):
            self._under_way[number] = _Sent(self._clock.boot(), self._clock.wall())
            try:
                self._sock.sendmsg([packet], extra, 0, self._to)
            except OSError as error:
                failure = error
                if not self._read_errors():
                    break
            else:
                return None
        self._under_way.pop(number, None)
        return local_trouble(failure)

    def take(self) -> list[Answer]:
        """Return what has come since the last call."""
        self._read_errors()
        for _ in range(_TAKEN):
            try:
                data, ancillary, _flags, sender = self._sock.recvmsg(_LARGEST, 128)
            except BlockingIOError:
                break
            except OSError:  # an error of an earlier packet; the queue says whose
                self._read_errors()
                continue
            if canonical(str(sender[0])) == self._target:
                answer = self._packets.answered(data)
                if answer is not None:
                    number, refused = answer
                    self._answer(number, self._target, _stamp(ancillary), trouble=_REFUSED if refused else None)
        answers, self._answers = self._answers, []
        return answers

    def _read_errors(self) -> bool:
        """Take what is queued; return whether there was a router's error among it."""
        found = False
        for _ in range(_TAKEN):
            try:
                data, ancillary, _flags, _to = self._sock.recvmsg(_QUEUED, 512, socket.MSG_ERRQUEUE)
            except OSError:
                break
            entry = icmp_error.read_entry(data, ancillary)
            match entry:
                case icmp_error.RouterError():
                    found = True
                    self._read_error(entry)
                case icmp_error.Sent():
                    number = self._packets.sent(entry.packet)
                    if number in self._under_way:
                        self._under_way[number].stamp = entry.stamp
                case icmp_error.Refused():
                    self.link_mtu = entry.mtu or self.link_mtu
        return found

    def _read_error(self, entry: icmp_error.RouterError) -> None:
        number = self._packets.quoted(entry.quote)
        if number not in self._under_way:
            return
        kind = (entry.type, entry.code)
        if self._udp and kind == _PORT_UNREACHABLE[self._family] and canonical(entry.sender) == self._target:
            self._answer(number, self._target, entry.stamp)
            return
        own = icmp_fault(self._family, *kind) == "host-unreachable" and is_own_address(entry.sender, self._family)
        queued = QueuedError(errno=0, type=entry.type, code=entry.code, info=entry.mtu, offender=entry.sender)
        trouble = queued_trouble(queued, self._family, own=own)
        self._answer(number, entry.sender, entry.stamp, trouble=trouble, mtu=entry.mtu, labels=entry.labels)

    def _answer(
        self,
        number: int,
        address: str,
        stamp: float | None,
        *,
        trouble: Trouble | None = None,
        mtu: int = 0,
        labels: tuple[int, ...] = (),
    ) -> None:
        sent = self._under_way.pop(number, None)
        if sent is None:
            return
        elapsed = self._clock.boot() - sent.boot
        trip = elapsed if stamp is None else stamp - (sent.stamp or sent.wall)
        # A wall clock that stepped between the two stamps makes their difference useless.
        sane = 0 < trip <= elapsed
        self._answers.append(
            Answer(
                number=number,
                address=address,
                seconds=trip if sane else elapsed,
                stamped=sane and stamp is not None and sent.stamp is not None,
                trouble=trouble,
                mtu=mtu,
                labels=labels,
            )
        )

    def _prepare(self) -> None:
        sock, family = self._sock, self._family
        sock.setsockopt(*icmp_error.RECEIVE_ERRORS[family], 1)
        with suppress(OSError):  # before Linux 5.9: no labels then
            sock.setsockopt(*icmp_error.FIND_EXTENSIONS[family], 1)
        sock.setsockopt(*_MTU_DISCOVER[family], _PMTUDISC_PROBE)
        sock.setsockopt(socket.SOL_SOCKET, icmp_error.TIMESTAMPING, _STAMPS)


def _bound(sock: socket.socket, flow: int) -> int:
    """Return the identifier or port that `sock` has got: `flow` if it is free."""
    try:
        sock.bind(("", flow))
    except OSError:
        if not flow:
            raise
        sock.bind(("", 0))
    return int(sock.getsockname()[1])


def not_opened(error: OSError, instead: str) -> Trouble:
    """Return the trouble of a socket that this host did not give us; `instead` says what needs no right."""
    trouble = local_trouble(error)
    if trouble.fault != "no-permission":
        return trouble
    return msgspec.structs.replace(trouble, detail=f"{trouble.detail}; {instead}")


def _stream(family: int) -> socket.socket:
    return socket.socket(address_family(family), socket.SOCK_STREAM)


def _datagram(family: int) -> socket.socket:
    return socket.socket(address_family(family), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


def _echo(family: int) -> socket.socket:
    """Return a non-blocking ICMP socket, a raw one where the host allows no other."""
    constant, protocol = address_family(family), _ICMP[family]
    try:
        return socket.socket(constant, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol)
    except PermissionError:
        return socket.socket(constant, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)


def _raw_tcp(family: int) -> socket.socket:
    sock = socket.socket(address_family(family), socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.IPPROTO_TCP)
    if family == 6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_CHECKSUM, 16)
    return sock


_OPEN: Final[dict[str, Callable[[int], socket.socket]]] = {"icmp": _echo, "udp": _datagram, "tcp": _raw_tcp}


def _stamp(ancillary: icmp_error.Ancillary) -> float | None:
    """Return the kernel's receive stamp (UTC epoch seconds), None without one."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, icmp_error.TIMESTAMPING):
            return icmp_error.read_stamp(value)
    return None
