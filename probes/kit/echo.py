"""ICMP echo on the wire: requests, replies, quotes in errors, and a socket filter. Pure.

RFC 792 and RFC 4443 section 4. What must stay true: parsers take any bytes and return a value or
None, nothing else; a reply is ours only by type, identifier, sequence and payload.
"""

import struct
from typing import Final

import msgspec

_HEADER: Final = struct.Struct("!BBHHH")
# (request type, reply type) per family
_TYPES: Final = {4: (8, 0), 6: (128, 129)}
IP_HEADER: Final = {4: 20, 6: 40}
ICMP_HEADER: Final = _HEADER.size
# linux/filter.h: opcode, jump if true, jump if false, operand
_INSTRUCTION: Final = struct.Struct("=HBBI")
_LOAD_IP_LENGTH: Final = 0xB1  # BPF_LDX | BPF_B | BPF_MSH: X = 4 * (P[k] & 0xf)
_LOAD_BYTE: Final = 0x50  # BPF_LD | BPF_B | BPF_IND: A = P[X + k]
_LOAD_HALF: Final = 0x48  # BPF_LD | BPF_H | BPF_IND
_ZERO_X: Final = 0x01  # BPF_LDX | BPF_IMM: X = k
_EQUAL: Final = 0x15  # BPF_JMP | BPF_JEQ | BPF_K
_RETURN: Final = 0x06  # BPF_RET | BPF_K


class Reply(msgspec.Struct, frozen=True):
    """An echo reply: identifier, sequence, payload."""

    ident: int
    sequence: int
    payload: bytes


def checksum(data: bytes) -> int:
    """Return the internet checksum of `data` (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def request(family: int, ident: int, sequence: int, payload: bytes) -> bytes:
    """Return an echo request; for family 6 the kernel fills in the checksum (RFC 3542 section 3.1)."""
    kind = _TYPES[family][0]
    if family == 6:
        return _HEADER.pack(kind, 0, 0, ident, sequence) + payload
    blank = _HEADER.pack(kind, 0, 0, ident, sequence) + payload
    return _HEADER.pack(kind, 0, checksum(blank), ident, sequence) + payload


def parse_reply(family: int, data: bytes, *, with_ip_header: bool) -> Reply | None:
    """Read an echo reply as a socket gives it; raw IPv4 sockets give the IP header too."""
    if with_ip_header:
        if not data or data[0] >> 4 != 4:
            return None
        data = data[(data[0] & 0xF) * 4 :]
    if len(data) < _HEADER.size:
        return None
    kind, code, _checksum, ident, sequence = _HEADER.unpack_from(data)
    if kind != _TYPES[family][1] or code != 0:
        return None
    return Reply(ident, sequence, data[_HEADER.size :])


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
