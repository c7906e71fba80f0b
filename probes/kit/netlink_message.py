"""Netlink messages as bytes: their framing, what rtnetlink tells of its own accord, and one question about a route.

Pure. What must stay true: any bytes give values or a NetlinkDecodeError; nothing is read beyond the length
that a message gives itself. Layouts: netlink(7), rtnetlink(7), linux/if_link.h, in the host's byte order.
"""

import struct
from collections.abc import Iterator
from enum import StrEnum
from ipaddress import ip_address
from types import MappingProxyType
from typing import Final

import msgspec

# linux/rtnetlink.h: the multicast groups of links, addresses and routes, as bits.
GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400

_HEADER: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
_LINK: Final = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
_ROUTE: Final = struct.Struct("=BBBBBBBBI")  # rtmsg
_ATTRIBUTE: Final = struct.Struct("=HH")  # rtattr: length, type
_INDEX: Final = struct.Struct("=I")
_RTM_NEWROUTE, _RTM_GETROUTE, _NLM_F_REQUEST = 24, 26, 1
_NLM_F_DUMP: Final = 0x300
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_ERRNO: Final = struct.Struct("=i")
_RTA_DST, _RTA_OIF = 1, 4
_NESTED: Final = 0x3FFF  # an attribute's type without the bits that say how it is coded
_UP_AND_RUNNING: Final = 0x1 | 0x40  # linux/if.h: IFF_UP, IFF_RUNNING
_FAMILIES: Final = MappingProxyType({4: 2, 6: 10})  # AF_INET, AF_INET6


class NetlinkDecodeError(ValueError):
    """The bytes are no netlink message."""


class Subject(StrEnum):
    """What a notice is about."""

    LINK = "link"
    ADDRESS = "address"
    ROUTE = "route"


_SUBJECTS: Final = MappingProxyType(
    {
        16: Subject.LINK,
        17: Subject.LINK,
        20: Subject.ADDRESS,
        21: Subject.ADDRESS,
        24: Subject.ROUTE,
        25: Subject.ROUTE,
    }
)
_RTM_DELLINK: Final = 17


class Notice(msgspec.Struct, frozen=True):
    """One change. For a link: its number, and whether it is now without use (gone, off or without carrier)."""

    subject: Subject
    link: int = 0
    lost: bool = False


def notices(data: bytes) -> list[Notice]:
    """Return the changes of one datagram; other messages in it are passed over."""
    found = []
    for kind, _, body in messages(data):
        subject = _SUBJECTS.get(kind)
        if subject is Subject.LINK:
            if len(body) < _LINK.size:
                raise NetlinkDecodeError("a link's message is too short")
            _, _, index, flags, _ = _LINK.unpack_from(body)
            lost = kind == _RTM_DELLINK or flags & _UP_AND_RUNNING != _UP_AND_RUNNING
            found.append(Notice(subject, index, lost))
        elif subject is not None:
            found.append(Notice(subject))
    return found


def route_question(address: str, sequence: int) -> bytes:
    """Return the question by which interface packets for a plain address leave; ValueError if it is none."""
    target = ip_address(address)
    packed = target.packed
    family, bits = _FAMILIES[target.version], len(packed) * 8
    attribute = _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _RTA_DST) + packed
    body = _ROUTE.pack(family, bits, 0, 0, 0, 0, 0, 0, 0) + attribute
    return _HEADER.pack(_HEADER.size + len(body), _RTM_GETROUTE, _NLM_F_REQUEST, sequence, 0) + body


def route_answer(data: bytes, sequence: int) -> int | None:
    """Return the number of that interface; None when there is no route, or the datagram is no answer to it."""
    for kind, number, body in messages(data):
        if number != sequence or kind != _RTM_NEWROUTE:
            continue
        for attribute, value in attributes(body[_ROUTE.size :]):
            if attribute == _RTA_OIF and len(value) >= _INDEX.size:
                return int(_INDEX.unpack_from(value)[0])
    return None


def question(kind: int, sequence: int, body: bytes, *, dump: bool = False) -> bytes:
    """Return a request of this type: a message with its header; `dump` asks for all that there are."""
    flags = _NLM_F_REQUEST | (_NLM_F_DUMP if dump else 0)
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, sequence, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """Return one attribute, padded to its alignment."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


class Part(msgspec.Struct, frozen=True):
    """One datagram of an answer: its messages (type, body), whether it is the last, and the errno of a refusal."""

    messages: tuple[tuple[int, bytes], ...]
    last: bool
    refusal: int = 0


def part(data: bytes, sequence: int) -> Part:
    """Return what a datagram holds of the answer to a dump with this sequence number; others are passed over."""
    found: list[tuple[int, bytes]] = []
    for kind, number, body in messages(data):
        if number != sequence:
            continue
        if kind in {_NLMSG_ERROR, _NLMSG_DONE}:
            # netlink(7): an error is negative; a dump's end has one too when the dump broke off.
            code = _ERRNO.unpack_from(body)[0] if len(body) >= _ERRNO.size else 0
            return Part(tuple(found), last=True, refusal=-min(code, 0))
        found.append((kind, body))
    return Part(tuple(found), last=False)


def messages(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield type, sequence and body of each message."""
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER.size:
            raise NetlinkDecodeError("a header is cut off")
        length, kind, _, sequence, _ = _HEADER.unpack_from(data, at)
        if not _HEADER.size <= length <= len(data) - at:
            raise NetlinkDecodeError(f"a message of {length} bytes in {len(data) - at}")
        yield kind, sequence, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3  # NLMSG_ALIGN


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield type and value of each attribute."""
    at = 0
    while at < len(data):
        if len(data) - at < _ATTRIBUTE.size:
            raise NetlinkDecodeError("an attribute is cut off")
        length, kind = _ATTRIBUTE.unpack_from(data, at)
        if not _ATTRIBUTE.size <= length <= len(data) - at:
            raise NetlinkDecodeError(f"an attribute of {length} bytes in {len(data) - at}")
        yield kind & _NESTED, data[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3  # RTA_ALIGN
