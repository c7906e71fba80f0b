"""What a socket's error queue holds of our own packets: routers' errors, transmit stamps, refusals of our kernel. Pure.

ip(7) and ipv6(7) (IP_RECVERR), linux/errqueue.h, RFC 792, RFC 4443, RFC 4884, RFC 4950. What must stay
true: any bytes give a value, nothing else; what cannot be read is left out, never guessed.
"""

import socket
import struct
import sys
from collections.abc import Iterable
from typing import Final

import msgspec

# linux/in.h, linux/in6.h, linux/errqueue.h, asm-generic/socket.h; Python 3.11's socket module lacks them.
RECEIVE_ERRORS: Final = {4: (socket.IPPROTO_IP, 11), 6: (socket.IPPROTO_IPV6, 25)}
# Have the kernel say where RFC 4884's extension objects begin (Linux 5.9).
FIND_EXTENSIONS: Final = {4: (socket.IPPROTO_IP, 26), 6: (socket.IPPROTO_IPV6, 31)}
TIMESTAMPING: Final = 37  # SO_TIMESTAMPING, and the type of its ancillary data
_ENTRY: Final = struct.Struct("=IBBBxI HBx")  # errno, origin, type, code, info, extensions' offset and flags
_TIMESPEC: Final = struct.Struct("@ll")
_LOCAL: Final = 1
_ICMP: Final = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
_STAMP: Final = 4  # SO_EE_ORIGIN_TIMESTAMPING
_INVALID: Final = 1  # SO_EE_RFC4884_FLAG_INVALID: the kernel saw a wrong checksum or length
# sockaddr's family -> where the address stands in it, and its bytes
_ADDRESSES: Final = {socket.AF_INET: (4, 4), socket.AF_INET6: (8, 16)}
_EXTENSION: Final = struct.Struct("!BxH")  # RFC 4884 section 7: version in the upper four bits
_OBJECT: Final = struct.Struct("!HBB")  # section 8: length with this header, class, type
_MPLS: Final = (1, 1)  # RFC 4950 section 3: class and type of the incoming label stack
_MOST_LABELS: Final = 8  # a stack of more is noise: carriers use two or three

Ancillary = Iterable[tuple[int, int, bytes]]


class RouterError(msgspec.Struct, frozen=True, kw_only=True):
    """An ICMP error: who sent it, its type and code, and what it quotes of our packet from its transport header on.

    For UDP sockets the kernel leaves the UDP header out of `quote`. `mtu`: the next hop's, in bytes, of a "too
    big". `labels`: the MPLS labels under which our packet reached the router. `stamp`: when the error came in.
    """

    sender: str
    type: int
    code: int
    quote: bytes
    mtu: int = 0
    labels: tuple[int, ...] = ()
    stamp: float | None = None


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """Our own packet, with its headers, as it was given to the device at `stamp` (UTC epoch seconds)."""

    packet: bytes
    stamp: float


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Our own kernel did not send a packet; `mtu` is its link's when that was the reason, else 0."""

    errno: int
    mtu: int


Entry = RouterError | Sent | Refused


def read_entry(data: bytes, ancillary: Ancillary) -> Entry | None:
    """Read one message of an error queue (MSG_ERRQUEUE); None for what this kernel should not give."""
    stamp = None
    found = b""
    for level, kind, value in ancillary:
        if (level, kind) in RECEIVE_ERRORS.values():
            found = value
        elif (level, kind) == (socket.SOL_SOCKET, TIMESTAMPING):
            stamp = read_stamp(value)
    if len(found) < _ENTRY.size:
        return None
    errno, origin, kind, code, info, offset, flags = _ENTRY.unpack_from(found)
    if origin == _STAMP:
        return None if stamp is None else Sent(packet=data, stamp=stamp)
    if origin == _LOCAL:
        return Refused(errno=errno, mtu=info)
    sender = _address(found[_ENTRY.size :])
    if origin not in _ICMP or not sender:
        return None
    usable = offset and not flags & _INVALID
    return RouterError(
        sender=sender,
        type=kind,
        code=code,
        quote=data[:offset] if usable else data,
        mtu=info,
        labels=mpls_labels(data[offset:]) if usable else (),
        stamp=stamp,
    )


def read_stamp(value: bytes) -> float | None:
    """Return the software stamp of a `struct scm_timestamping` (UTC epoch seconds), None without one."""
    if len(value) < _TIMESPEC.size:
        return None
    seconds, nanoseconds = _TIMESPEC.unpack_from(value)
    return float(seconds + nanoseconds / 1e9) if seconds else None


def mpls_labels(extension: bytes) -> tuple[int, ...]:
    """Return the labels (outermost first) of an extension structure; nothing of what is no well-formed one."""
    if len(extension) < _EXTENSION.size or extension[0] >> 4 != 2:
        return ()
    at = _EXTENSION.size
    while at + _OBJECT.size <= len(extension):
        length, number, kind = _OBJECT.unpack_from(extension, at)
        if length < _OBJECT.size or at + length > len(extension):
            return ()
        if (number, kind) == _MPLS:
            stack = extension[at + _OBJECT.size : at + length]
            entries = range(0, min(len(stack) - 3, 4 * _MOST_LABELS), 4)
            return tuple(int.from_bytes(stack[i : i + 4]) >> 12 for i in entries)
        at += length
    return ()


def _address(sockaddr: bytes) -> str:
    """Return the address in a `struct sockaddr_in` or `sockaddr_in6`; "" when there is none."""
    family = int.from_bytes(sockaddr[:2], sys.byteorder)
    place, size = _ADDRESSES.get(family, (0, 0))  # type: ignore[call-overload] # an AddressFamily is an int
    if not size or len(sockaddr) < place + size:
        return ""
    return socket.inet_ntop(family, sockaddr[place : place + size])
