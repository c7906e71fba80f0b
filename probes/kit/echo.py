"""ICMP echo on the wire: requests, replies, quotes in errors, and a socket filter. Pure.

RFC 792 and RFC 4443 section 4. What must stay true: parsers take any bytes and return a value or
None, nothing else; a reply is ours only by type, identifier, sequence and payload.
"""

import struct
from collections.abc import Iterator
from typing import Final

import msgspec

_HEADER: Final = struct.Struct("!BBHHH")
# (request type, reply type) per family
_TYPES: Final = {4: (8, 0), 6: (128, 129)}
IP_HEADER: Final = {4: 20, 6: 40}
ICMP_HEADER: Final = _HEADER.size
TOKEN_BYTES: Final = 8
TAIL: Final = 4
"""From here on (identifier, sequence, payload) a reply repeats its request."""
REPLY: Final = {family: bytes([reply, 0]) for family, (_, reply) in _TYPES.items()}
"""How the ICMP message of an echo reply starts, by family."""
# The part of a payload that differs from packet to packet: token, its complement, the sequence's complement.
_MARK: Final = f"H{TOKEN_BYTES}s{TOKEN_BYTES}sH"
_MARK_BYTES: Final = struct.calcsize(f"!{_MARK}") - 2
_TOKEN: Final = struct.Struct(f"{TOKEN_BYTES}s")
_COMPLEMENT: Final = bytes(range(255, -1, -1))
# linux/filter.h: opcode, jump if true, jump if false, operand
_INSTRUCTION: Final = struct.Struct("=HBBI")
_LOAD_IP_LENGTH: Final = 0xB1  # BPF_LDX | BPF_B | BPF_MSH: X = 4 * (P[k] & 0xf)
_LOAD_BYTE: Final = 0x50  # BPF_LD | BPF_B | BPF_IND: A = P[X + k]
_LOAD_HALF: Final = 0x48  # BPF_LD | BPF_H | BPF_IND
_ZERO_X: Final = 0x01  # BPF_LDX | BPF_IMM: X = k
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K


class Reply(msgspec.Struct, frozen=True, gc=False):
    """An echo reply: identifier, sequence, payload."""

    ident: int
    sequence: int
    payload: bytes


class Form:
    """Requests of one identifier and size, prepared but for sequence and token.

    The payload is a random token (8 bytes), its complement, the sequence's complement, and `fill`.
    Each of them cancels out in the ones' complement sum (RFC 1071), so that one checksum holds for
    every packet. A payload too short for that gets as much of it as fits, and a sum of its own.
    """

    def __init__(self, family: int, ident: int, size: int, fill: bytes) -> None:
        """`fill` pads the payload to `size`; random bytes, which no link can compress."""
        self._head = _HEADER.pack(_TYPES[family][0], 0, 0, ident, 0)[:-2]
        self._cut = ICMP_HEADER + size if size < _MARK_BYTES else None
        self._fill = fill[: max(0, size - _MARK_BYTES)]
        self._own_sum = family == 4 and size < _MARK_BYTES  # RFC 3542 section 3.1: for family 6 the kernel sums
        if family == 4 and not self._own_sum:
            total = checksum(self._head + bytes(2 + _MARK_BYTES) + self._fill)
            self._head = self._head[:2] + total.to_bytes(2) + self._head[4:]
        self._whole = struct.Struct(f"!{len(self._head)}s{_MARK}{len(self._fill)}s")

    def packet(self, sequence: int, token: bytes, complement: bytes | None = None) -> bytes:
        """Return the request with `sequence` and a token of TOKEN_BYTES bytes; its payload follows ICMP_HEADER.

        `complement` is the token's, where it is at hand (see `tokens`).
        """
        if complement is None:
            complement = token.translate(_COMPLEMENT)
        whole = self._whole.pack(self._head, sequence, token, complement, sequence ^ 0xFFFF, self._fill)
        if self._cut is None:
            return whole
        cut = whole[: self._cut]
        return cut[:2] + checksum(cut).to_bytes(2) + cut[4:] if self._own_sum else cut


def tokens(drawn: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the tokens in `drawn`, random bytes for whole ones, each with its complement."""
    for (token,), (complement,) in zip(
        _TOKEN.iter_unpack(drawn), _TOKEN.iter_unpack(drawn.translate(_COMPLEMENT)), strict=True
    ):
        yield token, complement


def checksum(data: bytes) -> int:
    """Return the internet checksum of `data` (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def parse_reply(family: int, data: bytes) -> Reply | None:
    """Read an echo reply, from its ICMP header on."""
    if len(data) < ICMP_HEADER:
        return None
    kind, code, _checksum, ident, sequence = _HEADER.unpack_from(data)
    if kind != _TYPES[family][1] or code != 0:
        return None
    return Reply(ident, sequence, data[ICMP_HEADER:])


def parse_quote(family: int, quote: bytes) -> tuple[int, int] | None:
    """Return (identifier, sequence) of the echo request that an ICMP error quotes, else None."""
    if len(quote) < _HEADER.size:
        return None
    kind, _code, _checksum, ident, sequence = _HEADER.unpack_from(quote)
    return (ident, sequence) if kind == _TYPES[family][0] else None


def reply_filter(family: int, ident: int) -> bytes:
    """Return a classic BPF program for a raw socket: echo replies with `ident` pass, all else does not.

    A raw IPv4 socket sees the IP header, a raw IPv6 socket starts at the ICMPv6 header.
    """
    start = (_LOAD_IP_LENGTH, 0, 0, 0) if family == 4 else (_ZERO_X, 0, 0, 0)
    program = (
        start,
        (_LOAD_BYTE, 0, 0, 0),
        (_EQUAL, 0, 3, _TYPES[family][1]),
        (_LOAD_HALF, 0, 0, 4),
        (_EQUAL, 0, 1, ident),
        (_RETURN, 0, 0, 0xFFFFFFFF),
        (_RETURN, 0, 0, 0),
    )
    return b"".join(_INSTRUCTION.pack(*line) for line in program)
