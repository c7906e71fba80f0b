"""Packets of one flow that may die on the way, and how each is known again. Pure.

All packets of a flow look the same to routers that spread load: addresses, ports (ICMP: type, code, identifier) and,
but for TCP, the checksum (Augustin et al., Paris traceroute, 2006). What tells them apart is a 16-bit number beside
a random token; TCP has both in its sequence number. What must stay true: any bytes give a number or None, and a
number only with as much of the token as is there.
"""

import struct
from typing import Final, Protocol

from probes.kit import echo

IP_HEADER: Final = echo.IP_HEADER
_WORD: Final = struct.Struct("!H")
TOKEN_BYTES: Final = echo.TOKEN_BYTES
# UDP: the number's complement, the number, token, the token's complement; an echo has the number in its header, and
# behind the token its complement and two bytes of fill.
_PAYLOAD: Final = 4 + 2 * TOKEN_BYTES
_QUOTED_LEAST: Final = 8  # bytes of a UDP payload that an error must quote: the numbers and half of the token
# The smallest packet on the wire by family: IP header, 8 bytes of UDP's or an echo's header, payload.
LEAST_BYTES: Final = {family: length + 8 + _PAYLOAD for family, length in IP_HEADER.items()}
# RFC 9293 section 3.1, with an MSS option; sequence at 4, checksum at 16.
_SYN: Final = struct.Struct("!HHIIBBHHHBBH")
SYN_LEAST: Final = {family: length + _SYN.size for family, length in IP_HEADER.items()}
_SYN_FLAG, _RST_FLAG, _ACK_FLAG = 0x02, 0x04, 0x10
_WINDOW: Final = 64240  # what Linux offers on Ethernet
_MSS: Final = {4: 1460, 6: 1440}
_TCP_QUOTED: Final = struct.Struct("!HHI")  # ports and sequence: the 8 bytes that every error quotes
_TCP_ANSWER: Final = struct.Struct("!HHIIBB")


class Packets(Protocol):
    """The packets of one flow."""

    def packet(self, number: int, size: int = 0) -> bytes:
        """Return what the socket is given for packet `number`, filled up to `size` bytes on the wire."""
        ...

    def quoted(self, quote: bytes) -> int | None:
        """Return the number of the packet that an error quotes."""
        ...

    def answered(self, data: bytes) -> tuple[int, bool] | None:
        """Return the number of the packet that the target's bytes answer, and whether they say no."""
        ...

    def sent(self, packet: bytes) -> int | None:
        """Return the number of our own packet, whatever headers stand before it."""
        ...


class Echoes:
    """ICMP echo requests (RFC 792, RFC 4443)."""

    def __init__(self, family: int, ident: int, token: bytes, base: int, *, raw: bool) -> None:
        """`token`: 8 bytes; `base`: sequence of number 0; `raw`: a raw IPv4 socket gives the IP header too."""
        self._family = family
        self._ident = ident
        self._token = token
        self._mirrored = _mirrored(token)
        self._base = base
        self._with_header = raw and family == 4

    def packet(self, number: int, size: int = 0) -> bytes:
        """Return the request; the number is its sequence."""
        fill = bytes(2 + max(0, size - LEAST_BYTES[self._family]))
        form = echo.Form(self._family, self._ident, _PAYLOAD - 2 + len(fill), fill)
        return form.packet((self._base + number) & 0xFFFF, self._token)

    def quoted(self, quote: bytes) -> int | None:
        """Return the number; a router may quote the header alone and fill up with zeros (RFC 4884 section 5.1)."""
        header = echo.parse_quote(self._family, quote)
        if header is None or header[0] != self._ident:
            return None
        number = (header[1] - self._base) & 0xFFFF
        rest = quote[echo.ICMP_HEADER : echo.ICMP_HEADER + _PAYLOAD]
        return number if not any(rest) or self.packet(number)[echo.ICMP_HEADER :].startswith(rest) else None

    def answered(self, data: bytes) -> tuple[int, bool] | None:
        """Return the number of the request that an echo reply mirrors."""
        start = (data[0] & 0xF) * 4 if data and self._with_header else 0
        reply = echo.parse_reply(self._family, data[start:])
        if reply is None or reply.ident != self._ident:
            return None
        number = (reply.sequence - self._base) & 0xFFFF
        return (number, False) if reply.payload.startswith(self.packet(number)[echo.ICMP_HEADER :]) else None

    def sent(self, packet: bytes) -> int | None:
        """Return the number: it stands before the token."""
        return _before(packet, self._mirrored, self._base)


class Datagrams:
    """UDP payloads; the kernel adds the header, whose checksum is the same for all of one size."""

    def __init__(self, family: int, token: bytes, base: int) -> None:
        """`token`: 8 bytes; `base`: the word that stands for number 0."""
        self._family = family
        self._mirrored = _mirrored(token)
        self._base = base

    def packet(self, number: int, size: int = 0) -> bytes:
        """Return the payload."""
        word = (self._base + number) & 0xFFFF
        fill = bytes(max(0, size - LEAST_BYTES[self._family]))
        return _WORD.pack(word ^ 0xFFFF) + _WORD.pack(word) + self._mirrored + fill

    def quoted(self, quote: bytes) -> int | None:
        """Return the number; the kernel leaves the UDP header out of the quote."""
        return self._number(quote) if len(quote) >= _QUOTED_LEAST else None

    def answered(self, data: bytes) -> tuple[int, bool] | None:
        """Return the number, when a service mirrors what it is sent."""
        number = self._number(data) if len(data) >= _PAYLOAD else None
        return None if number is None else (number, False)

    def sent(self, packet: bytes) -> int | None:
        """Return the number: it stands before the token."""
        return _before(packet, self._mirrored, self._base)

    def _number(self, data: bytes) -> int | None:
        number = (_WORD.unpack_from(data, _WORD.size)[0] - self._base) & 0xFFFF
        return number if self.packet(number).startswith(data[:_PAYLOAD]) else None


class Syns:
    """TCP SYNs; number and token are the sequence number, the port of the source is ours alone."""

    def __init__(self, family: int, ports: tuple[int, int], base: int, addresses: bytes) -> None:
        """`ports`: source, destination; `base`: 32-bit sequence of number 0; `addresses`: both, packed."""
        self._family = family
        self._source, self._port = ports
        self._base = base
        self._pseudo = addresses + bytes([0, 6]) + _WORD.pack(_SYN.size)  # RFC 9293 section 3.1

    def packet(self, number: int, size: int = 0) -> bytes:  # noqa: ARG002 - a SYN has one size
        """Return the segment; in IPv6 the kernel sums it (RFC 3542 section 3.1)."""
        sequence = (self._base + number) & 0xFFFFFFFF
        fields = (self._source, self._port, sequence, 0, _SYN.size // 4 << 4, _SYN_FLAG, _WINDOW)
        blank = _SYN.pack(*fields, 0, 0, 2, 4, _MSS[self._family])
        if self._family == 6:
            return blank
        return blank[:16] + echo.checksum(self._pseudo + blank).to_bytes(2) + blank[18:]

    def quoted(self, quote: bytes) -> int | None:
        """Return the number."""
        if len(quote) < _TCP_QUOTED.size:
            return None
        source, port, sequence = _TCP_QUOTED.unpack_from(quote)
        return self._number(sequence) if (source, port) == (self._source, self._port) else None

    def answered(self, data: bytes) -> tuple[int, bool] | None:
        """Return the number of the SYN that a SYN-ACK, or a reset, acknowledges; IPv4 gives the IP header too."""
        start = (data[0] & 0xF) * 4 if data and self._family == 4 else 0
        if len(data) < start + _TCP_ANSWER.size:
            return None
        source, port, _sequence, acknowledged, _length, flags = _TCP_ANSWER.unpack_from(data, start)
        kind = flags & (_SYN_FLAG | _RST_FLAG) if flags & _ACK_FLAG else 0
        if (source, port) != (self._port, self._source) or kind not in (_SYN_FLAG, _RST_FLAG):
            return None
        number = self._number((acknowledged - 1) & 0xFFFFFFFF)
        return None if number is None else (number, kind == _RST_FLAG)

    def sent(self, packet: bytes) -> int | None:
        """Return the number of our own SYN: it is the end of what left."""
        return self.quoted(packet[-_SYN.size :])

    def _number(self, sequence: int) -> int | None:
        number = (sequence - self._base) & 0xFFFFFFFF
        return number if number <= 0xFFFF else None


def _mirrored(token: bytes) -> bytes:
    return token + bytes(byte ^ 0xFF for byte in token)


def _before(packet: bytes, mirrored: bytes, base: int) -> int | None:
    """Return the number that stands before the token, wherever that is."""
    place = packet.find(mirrored)
    return None if place < _WORD.size else (_WORD.unpack_from(packet, place - _WORD.size)[0] - base) & 0xFFFF
