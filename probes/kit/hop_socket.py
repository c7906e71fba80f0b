"""A socket for packets that may die on the way: by their TTL, or by their size.

ICMP echo on a datagram socket where net.ipv4.ping_group_range allows it, else on a raw one; UDP needs no right at
all. All packets of a socket have one flow id for the routers that spread load: addresses, ports (ICMP: type, code,
identifier) and the checksum are the same in each; the number that tells them apart stands in the payload beside its
complement. What must stay true: an answer counts only with our number and token, once a packet, and from the target
unless it is an ICMP error; kernel stamps give the round trip, our own clock only where they are missing.
"""

import secrets
import socket
import struct
from contextlib import suppress
from typing import Final

import msgspec

from probes.kit import echo, icmp_error
from probes.kit.address import address_family, canonical
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
_WORD: Final = struct.Struct("!H")
_TOKEN_BYTES: Final = echo.TOKEN_BYTES
# UDP: the number's complement, the number, token, the token's complement; an echo has the number in its header,
# and behind the token its complement and two bytes of fill.
_PAYLOAD_BYTES: Final = 4 + 2 * _TOKEN_BYTES
# The smallest packet on the wire by family: IP header, 8 bytes of UDP's or an echo's header, payload.
LEAST_BYTES: Final = {family: length + 8 + _PAYLOAD_BYTES for family, length in echo.IP_HEADER.items()}
_QUOTED_LEAST: Final = 8  # bytes of a UDP payload that an error must quote: the number and half of the token
_TAKEN: Final = 256  # messages taken per wake-up, so that a flood cannot hold the loop
_SEND_TRIES: Final = 4  # pending errors of earlier packets that one send may clear away
_LARGEST: Final = 65535
_QUEUED: Final = 1300  # an ICMP error is no longer than 576 bytes (RFC 1812), 1280 in IPv6 (RFC 4443)


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
        """Open and connect; `flow` is the identifier (icmp) or source port (udp) to take if it is free.

        OSError when the host does not allow it, or has no route.
        """
        self._icmp = protocol == "icmp"
        self._family = family
        self._target = canonical(address)
        self._clock = clock
        self._under_way: dict[int, _Sent] = {}
        self._answers: list[Answer] = []
        self._base = secrets.randbits(16)
        self._token = secrets.token_bytes(_TOKEN_BYTES)
        self._mirrored = self._token + bytes(byte ^ 0xFF for byte in self._token)
        self.link_mtu = 0
        self._sock, self._raw = _open(family) if self._icmp else (_datagram(family), False)
        try:
            self.flow = self._prepare(flow)
            self._sock.connect((address, port))
        except BaseException:
            self._sock.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, to wait for."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def send(self, number: int, *, ttl: int | None = None, size: int = 0) -> Trouble | None:
        """Send packet `number` (16 bits), filled up to `size` bytes on the wire; return why it could not leave.

        A call that only reports an earlier packet's error has sent nothing: it is made again.
        """
        packet = self._packet(number, size)
        extra = [] if ttl is None else [(*_HOP_LIMIT[self._family], struct.pack("=i", ttl))]
        for _ in range(_SEND_TRIES):
            self._under_way[number] = _Sent(self._clock.boot(), self._clock.wall())
            try:
                self._sock.sendmsg([packet], extra)
            except OSError as error:
                failure = error
                if not self._read_errors():
                    break
            else:
                return None
        del self._under_way[number]
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
                self._read_reply(data, _stamp(ancillary))
        answers, self._answers = self._answers, []
        return answers

    def _packet(self, number: int, size: int = 0) -> bytes:
        """Return the packet from its ICMP header on, or the UDP payload; those of one size have one checksum."""
        word = (self._base + number) & 0xFFFF
        fill = bytes(max(0, size - LEAST_BYTES[self._family]))
        if self._icmp:
            fill = bytes(2) + fill
            return echo.Form(self._family, self.flow, _PAYLOAD_BYTES - 2 + len(fill), fill).packet(word, self._token)
        return _WORD.pack(word ^ 0xFFFF) + _WORD.pack(word) + self._mirrored + fill

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
                    self._note_stamp(entry)
                case icmp_error.Refused():
                    self.link_mtu = entry.mtu or self.link_mtu
        return found

    def _note_stamp(self, entry: icmp_error.Sent) -> None:
        place = entry.packet.find(self._mirrored)
        if place < _WORD.size:
            return
        (word,) = _WORD.unpack_from(entry.packet, place - _WORD.size)  # before the token, in UDP as in an echo
        sent = self._under_way.get(self._number(word))
        if sent is not None:
            sent.stamp = entry.stamp

    def _number(self, word: int) -> int:
        return (word - self._base) & 0xFFFF

    def _read_error(self, entry: icmp_error.RouterError) -> None:
        number = self._quoted(entry.quote)
        if number is None:
            return
        kind = (entry.type, entry.code)
        if not self._icmp and kind == _PORT_UNREACHABLE[self._family] and canonical(entry.sender) == self._target:
            self._answer(number, self._target, entry.stamp)
            return
        own = icmp_fault(self._family, *kind) == "host-unreachable" and is_own_address(entry.sender, self._family)
        queued = QueuedError(errno=0, type=entry.type, code=entry.code, info=entry.mtu, offender=entry.sender)
        trouble = queued_trouble(queued, self._family, own=own)
        self._answer(number, entry.sender, entry.stamp, trouble=trouble, mtu=entry.mtu, labels=entry.labels)

    def _quoted(self, quote: bytes) -> int | None:
        """Return the number of our packet that an error quotes, None when it quotes none that is under way."""
        if self._icmp:
            header = echo.parse_quote(self._family, quote)
            if header is None or header[0] != self.flow:
                return None
            number, skipped = self._number(header[1]), echo.ICMP_HEADER
        elif len(quote) >= _QUOTED_LEAST:
            number, skipped = self._number(_WORD.unpack_from(quote, _WORD.size)[0]), 0
        else:
            return None
        if number not in self._under_way:
            return None
        rest = quote[skipped : skipped + _PAYLOAD_BYTES]
        # A router may quote the header alone and fill up with zeros (RFC 4884 section 5.1).
        same = rest == self._packet(number)[skipped : skipped + len(rest)]
        return number if same or (self._icmp and not any(rest)) else None

    def _read_reply(self, data: bytes, stamp: float | None) -> None:
        if self._icmp:
            reply = echo.parse_reply(self._family, data, with_ip_header=self._raw and self._family == 4)
            if reply is None or reply.ident != self.flow:
                return
            number, found = self._number(reply.sequence), reply.payload
        else:
            number, found = self._number(int.from_bytes(data[2:4])), data
        expected = self._packet(number)[echo.ICMP_HEADER if self._icmp else 0 :]
        if found[: len(expected)] == expected:
            self._answer(number, self._target, stamp)

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

    def _prepare(self, flow: int) -> int:
        """Set the socket's options and return its identifier or port."""
        sock, family = self._sock, self._family
        sock.setsockopt(*icmp_error.RECEIVE_ERRORS[family], 1)
        with suppress(OSError):  # before Linux 5.9: no labels then
            sock.setsockopt(*icmp_error.FIND_EXTENSIONS[family], 1)
        sock.setsockopt(*_MTU_DISCOVER[family], _PMTUDISC_PROBE)
        sock.setsockopt(socket.SOL_SOCKET, icmp_error.TIMESTAMPING, _STAMPS)
        if self._raw:
            return flow or secrets.randbits(16)
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


def _datagram(family: int) -> socket.socket:
    return socket.socket(address_family(family), socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


def _open(family: int) -> tuple[socket.socket, bool]:
    """Return a non-blocking ICMP socket and whether it is a raw one."""
    constant, protocol = address_family(family), _ICMP[family]
    try:
        return socket.socket(constant, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, protocol), False
    except PermissionError:
        return socket.socket(constant, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol), True


def _stamp(ancillary: icmp_error.Ancillary) -> float | None:
    """Return the kernel's receive stamp (UTC epoch seconds), None without one."""
    for level, kind, value in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, icmp_error.TIMESTAMPING):
            return icmp_error.read_stamp(value)
    return None
