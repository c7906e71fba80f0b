"""The DNS message on the wire (RFC 1035, EDNS of RFC 6891): build a query, read a response. Pure.

What must stay true: `decode` takes any bytes and returns a Message or raises DecodeError, nothing
else; what answers a question is found by following its aliases, never by taking what happens to
stand in the message.
"""

import struct
from typing import Final

import msgspec

from probes.kit.dns_names import DecodeError, Names, encode_name, same_name
from probes.kit.dns_records import TYPES, read_data, type_name

_INTERNET: Final = 1
_OPT: Final = 41
RCODES: Final[dict[int, str]] = {0: "noerror", 1: "formerr", 2: "servfail", 3: "nxdomain", 4: "notimp", 5: "refused"}
_HEADER: Final = struct.Struct("!HHHHHH")
_RECORD: Final = struct.Struct("!HHIH")
_FLAG_RESPONSE: Final = 0x8000
_FLAG_AUTHORITATIVE: Final = 0x0400
_FLAG_TRUNCATED: Final = 0x0200
_FLAG_RECURSION_DESIRED: Final = 0x0100
_FLAG_AUTHENTICATED: Final = 0x0020  # RFC 6840 section 5.7: in a query it asks for the flag in the answer
# Aliases followed for one question; BIND follows 16, RFC 1034 section 3.6.2 wants chains short and loops noticed.
MAX_ALIASES: Final = 16


class Record(msgspec.Struct, frozen=True):
    """One resource record; `data` as a zone file writes it (hex for types outside TYPES)."""

    name: str
    type: str
    ttl: int
    data: str


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A response: `rcode` in words of RCODES (else its number), the question echoed, answers and authority."""

    ident: int
    response: bool
    truncated: bool
    rcode: str
    question: tuple[str, str] | None
    authoritative: bool = False
    authenticated: bool = False
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()

    def answers_to(self, name: str, record: str) -> tuple[Record, ...]:
        """Return the aliases of `name` in the order in which they lead on, then its records of type `record`.

        Empty when there is no such record, or its aliases lead in a circle or are more than MAX_ALIASES.
        """
        aliases: list[Record] = []
        while len(aliases) <= MAX_ALIASES:
            found = tuple(one for one in self.answers if one.type == record and same_name(one.name, name))
            if found:
                return (*aliases, *found)
            alias = next((one for one in self.answers if one.type == "CNAME" and same_name(one.name, name)), None)
            if alias is None:
                break
            aliases.append(alias)
            name = alias.data
        return ()


def encode_query(ident: int, name: str, record_type: str, *, edns_bytes: int = 0, authenticated: bool = False) -> bytes:
    """Return a query with recursion desired; ValueError for an impossible name.

    `edns_bytes` is the largest answer in a datagram that we announce (0: none, so 512),
    `authenticated` asks whether the server has checked the answer's signatures.
    """
    flags = _FLAG_RECURSION_DESIRED | (_FLAG_AUTHENTICATED if authenticated else 0)
    head = _HEADER.pack(ident, flags, 1, 0, 0, 1 if edns_bytes else 0)
    extra = b"\0" + _RECORD.pack(_OPT, edns_bytes, 0, 0) if edns_bytes else b""
    return head + encode_name(name) + struct.pack("!HH", TYPES[record_type], _INTERNET) + extra


def decode(data: bytes) -> Message:
    """Read a message; DecodeError for anything malformed. Records of other classes are left out."""
    if len(data) < _HEADER.size:
        raise DecodeError("shorter than a header")
    ident, flags, questions, answers, authority, additional = _HEADER.unpack_from(data)
    names = Names(data)
    position = _HEADER.size
    question: tuple[str, str] | None = None
    for index in range(questions):
        name, position = names.read(position)
        if position + 4 > len(data):
            raise DecodeError("the message is cut short")
        if index == 0:
            question = (name, type_name(int.from_bytes(data[position : position + 2])))
        position += 4
    sections: list[tuple[Record, ...]] = []
    rcode = flags & 0xF
    for count in (answers, authority, additional):
        records = []
        for _ in range(count):
            record, high_rcode, position = _record(names, position)
            rcode |= high_rcode
            if record is not None:
                records.append(record)
        sections.append(tuple(records))
    return Message(
        ident=ident,
        response=bool(flags & _FLAG_RESPONSE),
        truncated=bool(flags & _FLAG_TRUNCATED),
        rcode=RCODES.get(rcode, str(rcode)),
        question=question,
        authoritative=bool(flags & _FLAG_AUTHORITATIVE),
        authenticated=bool(flags & _FLAG_AUTHENTICATED),
        answers=sections[0],
        authority=sections[1],
    )


def _record(names: Names, position: int) -> tuple[Record | None, int, int]:
    """Return the record at `position` (None: not of the Internet), high bits of an rcode, the position behind it."""
    name, position = names.read(position)
    if position + _RECORD.size > len(names.data):
        raise DecodeError("a record is cut short")
    kind, class_, ttl, length = _RECORD.unpack_from(names.data, position)
    start = position + _RECORD.size
    end = start + length
    if end > len(names.data):
        raise DecodeError("record data runs past the end")
    if kind == _OPT:  # RFC 6891 section 6.1.3: the first byte of its TTL extends the rcode
        return None, ttl >> 24 << 4, end
    if class_ != _INTERNET:
        return None, 0, end
    # RFC 2181 section 8: a TTL with the top bit set counts as zero.
    data = read_data(kind, names, start, end)
    return Record(name, type_name(kind), ttl if ttl < 2**31 else 0, data), 0, end
