"""What the records of the DNS hold, as a zone file writes it. Pure.

What must stay true: a reader gives text or raises DecodeError, and reads its record's own bytes
(names by compression also earlier ones). A type outside TYPES is hex.
"""

import socket
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from probes.kit.address import canonical
from probes.kit.dns_names import DecodeError, Names

# IANA's numbers (RFC 1035, 2782, 3596).
TYPES: Final[Mapping[str, int]] = MappingProxyType(
    {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}
)
_TYPE_NAMES: Final[Mapping[int, str]] = MappingProxyType({number: name for name, number in TYPES.items()})
_Reader = Callable[[Names, int, int], str]


def type_name(kind: int) -> str:
    """Return a type's name; `TYPE99` for one that we do not know (RFC 3597)."""
    return _TYPE_NAMES.get(kind, f"TYPE{kind}")


def read_data(kind: int, names: Names, start: int, end: int) -> str:
    """Return the data of a record of type `kind` between `start` and `end`, which lie in the message."""
    read = _READERS.get(kind)
    return read(names, start, end) if read else names.data[start:end].hex()


def comparable(data: str, record: str) -> str:
    """Return record data in the form in which equal data are equal text: case and final dots of names go."""
    if record == "TXT":
        return data
    if record in ("A", "AAAA"):
        return canonical(data)
    return " ".join(word.removesuffix(".") for word in data.lower().split())


def soa_minimum(data: str) -> int:
    """Return the last number of SOA data in text: how long a negative answer holds (RFC 2308 section 4)."""
    return int(data.rsplit(" ", 1)[1])


def _address(family: socket.AddressFamily, size: int) -> _Reader:
    def read(names: Names, start: int, end: int) -> str:
        if end - start != size:
            raise DecodeError("an address has the wrong length")
        return socket.inet_ntop(family, names.data[start:end])

    return read


def _name(names: Names, start: int, end: int) -> str:
    return names.read_all(start, end)


def _numbers_and_name(form: str) -> _Reader:
    numbers = struct.Struct(form)

    def read(names: Names, start: int, end: int) -> str:
        if end - start <= numbers.size:
            raise DecodeError("record data is cut short")
        found = numbers.unpack_from(names.data, start)
        return " ".join((*map(str, found), names.read_all(start + numbers.size, end)))

    return read


def _authority(names: Names, start: int, end: int) -> str:
    primary, position = names.read(start)
    mailbox, position = names.read(position)
    if position + 20 != end:
        raise DecodeError("SOA data has the wrong length")
    return " ".join((primary, mailbox, *map(str, struct.unpack_from("!IIIII", names.data, position))))


def _text(names: Names, start: int, end: int) -> str:
    parts: list[str] = []
    while start < end:
        size = names.data[start]
        if start + 1 + size > end:
            raise DecodeError("a TXT string is cut short")
        raw = names.data[start + 1 : start + 1 + size]
        parts.append("".join(chr(b) if 0x20 <= b <= 0x7E else f"\\{b:03d}" for b in raw))
        start += size + 1
    return "".join(parts)


_READERS: Final[Mapping[int, _Reader]] = MappingProxyType(
    {
        TYPES["A"]: _address(socket.AF_INET, 4),
        TYPES["AAAA"]: _address(socket.AF_INET6, 16),
        TYPES["NS"]: _name,
        TYPES["CNAME"]: _name,
        TYPES["PTR"]: _name,
        TYPES["MX"]: _numbers_and_name("!H"),
        TYPES["SRV"]: _numbers_and_name("!HHH"),
        TYPES["SOA"]: _authority,
        TYPES["TXT"]: _text,
    }
)
