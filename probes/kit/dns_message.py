"""The DNS message on the wire (RFC 1035): build a query, read a response. Pure.

What must stay true: `decode` takes any bytes and returns a Message or raises DecodeError, nothing
else; a compression pointer must point before the name that uses it, so no loop is possible; names
are text with every odd byte escaped as RFC 4343 writes it, so they are safe on a screen.
"""

import socket
import struct
from collections.abc import Callable
from typing import Final

import msgspec

TYPES: Final[dict[str, int]] = {
    "A": 1,
    "NS": 2,
    "CNAME": 5,
    "SOA": 6,
    "PTR": 12,
    "TXT": 16,
    "AAAA": 28,
    "SRV": 33,
}
_TYPE_NAMES: Final = {number: name for name, number in TYPES.items()}
_INTERNET: Final = 1
RCODES: Final[dict[int, str]] = {0: "noerror", 1: "formerr", 2: "servfail", 3: "nxdomain", 4: "notimp", 5: "refused"}
_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")
_FLAG_RESPONSE: Final = 0x8000
_FLAG_TRUNCATED: Final = 0x0200
_FLAG_RECURSION_DESIRED: Final = 0x0100
_ESCAPED: Final = frozenset(b'."\\()@;$')


class DecodeError(ValueError):
    """The bytes are not a DNS message; the text says where."""


class Record(msgspec.Struct, frozen=True):
    """One resource record; `data` as a zone file writes it (hex for types outside TYPES)."""

    name: str
    type: str
    ttl: int
    data: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A response: `rcode` in words of RCODES (else its number), the question echoed, the answer section."""

    ident: int
    response: bool
    truncated: bool
    rcode: str
    question: tuple[str, str] | None
    answers: tuple[Record, ...]

    def data_of(self, record_type: str) -> tuple[str, ...]:
        """Return the data of the answers of one type."""
        return tuple(record.data for record in self.answers if record.type == record_type)


def encode_name(name: str) -> bytes:
    """Return a name's wire form; ValueError when it is too long or has an empty label."""
    bare = name.removesuffix(".")
    if not bare:
        return b"\0"
    wire = bytearray()
    for label in bare.split("."):
        raw = label.encode("ascii", "strict")
        if not 1 <= len(raw) <= 63:
            raise ValueError(f"{name!r}: a label has 1 to 63 characters")
        wire += bytes([len(raw)]) + raw
    if len(wire) > 254:
        raise ValueError(f"{name!r}: a name has at most 253 characters")
    return bytes(wire) + b"\0"


def encode_query(ident: int, name: str, record_type: str) -> bytes:
    """Return a query with recursion desired; ValueError for an impossible name."""
    head = _HEADER.pack(ident, _FLAG_RECURSION_DESIRED, 1, 0, 0, 0)
    return head + encode_name(name) + struct.pack("!HH", TYPES[record_type], _INTERNET)


def decode(data: bytes) -> Message:
    """Read a message's header, first question and answers; DecodeError for anything malformed."""
    if len(data) < _HEADER.size:
        raise DecodeError("shorter than a header")
    ident, flags, questions, answers, _authority, _additional = _HEADER.unpack_from(data)
    position = _HEADER.size
    question: tuple[str, str] | None = None
    for index in range(questions):
        name, position = _name(data, position)
        kind, position = _short(data, position)
        _class, position = _short(data, position)
        if index == 0:
            question = (name, _type_name(kind))
    records = []
    for _ in range(answers):
        record, position = _record(data, position)
        records.append(record)
    rcode = flags & 0xF
    return Message(
        ident=ident,
        response=bool(flags & _FLAG_RESPONSE),
        truncated=bool(flags & _FLAG_TRUNCATED),
        rcode=RCODES.get(rcode, str(rcode)),
        question=question,
        answers=tuple(records),
    )


def same_name(one: str, other: str) -> bool:
    """Return whether two names are equal: case and a final dot do not matter (RFC 4343)."""
    return one.removesuffix(".").lower() == other.removesuffix(".").lower()


def _record(data: bytes, position: int) -> tuple[Record, int]:
    name, position = _name(data, position)
    if position + _RECORD.size > len(data):
        raise DecodeError("a record is cut short")
    kind, _class, ttl, length = _RECORD.unpack_from(data, position)
    start = position + _RECORD.size
    end = start + length
    if end > len(data):
        raise DecodeError("record data runs past the end")
    read = _READERS.get(kind)
    text = read(data, start, end) if read else data[start:end].hex()
    # RFC 2181 section 8: a TTL with the top bit set counts as zero.
    return Record(name, _type_name(kind), ttl if ttl < 2**31 else 0, text), end


def _name(data: bytes, position: int) -> tuple[str, int]:
    """Return the name at `position` and the position behind it."""
    labels: list[str] = []
    limit = position
    after = -1
    length = 0
    while True:
        if position >= len(data):
            raise DecodeError("a name runs past the end")
        size = data[position]
        if size >= 0xC0:
            if position + 1 >= len(data):
                raise DecodeError("a pointer is cut short")
            target = (size & 0x3F) << 8 | data[position + 1]
            if target >= limit:
                raise DecodeError("a compression pointer does not point back")
            after = position + 2 if after < 0 else after
            position = limit = target
            continue
        if size > 63:
            raise DecodeError("a label of unknown type")
        if size == 0:
            break
        label = data[position + 1 : position + 1 + size]
        length += size + 1
        if len(label) < size or length > 254:
            raise DecodeError("a label is cut short or the name is too long")
        labels.append(_escape(label))
        position += size + 1
    return ".".join(labels) or ".", position + 1 if after < 0 else after


def _escape(label: bytes) -> str:
    return "".join(
        f"\\{byte:03d}" if not 0x21 <= byte <= 0x7E else f"\\{chr(byte)}" if byte in _ESCAPED else chr(byte)
        for byte in label
    )


def _short(data: bytes, position: int) -> tuple[int, int]:
    if position + 2 > len(data):
        raise DecodeError("the message is cut short")
    return int.from_bytes(data[position : position + 2]), position + 2


def _type_name(kind: int) -> str:
    return _TYPE_NAMES.get(kind, f"TYPE{kind}")


def _exactly(name_and_end: tuple[str, int], end: int) -> str:
    name, stop = name_and_end
    if stop != end:
        raise DecodeError("record data has the wrong length")
    return name


def _read_address(family: socket.AddressFamily, size: int) -> "Callable[[bytes, int, int], str]":
    def read(data: bytes, start: int, end: int) -> str:
        if end - start != size:
            raise DecodeError("an address has the wrong length")
        return socket.inet_ntop(family, data[start:end])

    return read


def _read_name(data: bytes, start: int, end: int) -> str:
    return _exactly(_name(data, start), end)


def _read_service(data: bytes, start: int, end: int) -> str:
    if end - start < 7:
        raise DecodeError("SRV data is cut short")
    priority, weight, port = struct.unpack_from("!HHH", data, start)
    return f"{priority} {weight} {port} {_exactly(_name(data, start + 6), end)}"


def _read_authority(data: bytes, start: int, end: int) -> str:
    primary, position = _name(data, start)
    mailbox, position = _name(data, position)
    if position + 20 != end:
        raise DecodeError("SOA data has the wrong length")
    return " ".join((primary, mailbox, *map(str, struct.unpack_from("!IIIII", data, position))))


def _read_text(data: bytes, start: int, end: int) -> str:
    parts: list[str] = []
    while start < end:
        size = data[start]
        if start + 1 + size > end:
            raise DecodeError("a TXT string is cut short")
        raw = data[start + 1 : start + 1 + size]
        parts.append("".join(chr(b) if 0x20 <= b <= 0x7E else f"\\{b:03d}" for b in raw))
        start += size + 1
    return "".join(parts)


_READERS: Final[dict[int, "Callable[[bytes, int, int], str]"]] = {
    TYPES["A"]: _read_address(socket.AF_INET, 4),
    TYPES["AAAA"]: _read_address(socket.AF_INET6, 16),
    TYPES["NS"]: _read_name,
    TYPES["CNAME"]: _read_name,
    TYPES["PTR"]: _read_name,
    TYPES["SRV"]: _read_service,
    TYPES["SOA"]: _read_authority,
    TYPES["TXT"]: _read_text,
}
