"""The DNS codec."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.dns_message import (
    TYPES,
    DecodeError,
    Message,
    Record,
    decode,
    encode_name,
    encode_query,
    same_name,
)

HEADER = struct.Struct("!HHHHHH")
NAME = encode_name("erp.corp.lab")


def response(*answers: bytes, flags: int = 0x8180, name: bytes = NAME, kind: str = "A") -> bytes:
    """Return a response to a question for erp.corp.lab."""
    head = HEADER.pack(7, flags, 1, len(answers), 0, 0)
    return head + name + struct.pack("!HH", TYPES[kind], 1) + b"".join(answers)


def record(kind: int, data: bytes, ttl: int = 60, name: bytes = b"\xc0\x0c") -> bytes:
    """Return a record whose name points at the question."""
    return name + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data


ANSWERS = {
    "A": (record(1, bytes([10, 20, 0, 20])), "A", "10.20.0.20"),
    "AAAA": (record(28, bytes(15) + b"\x01"), "AAAA", "::1"),
    "CNAME": (record(5, b"\x03www\xc0\x10"), "CNAME", "www.corp.lab"),
    "NS": (record(2, b"\x02ns\xc0\x0c"), "NS", "ns.erp.corp.lab"),
    "PTR": (record(12, b"\0"), "PTR", "."),
    "SRV": (record(33, struct.pack("!HHH", 10, 20, 443) + b"\x01a\xc0\x10"), "SRV", "10 20 443 a.corp.lab"),
    "SOA": (record(6, b"\x01a\0\x01b\0" + struct.pack("!IIIII", 1, 2, 3, 4, 5)), "SOA", "a b 1 2 3 4 5"),
    "TXT": (record(16, b"\x03abc\x02\xffd"), "TXT", "abc\\255d"),
    "unknown type": (record(99, b"\x01\x02"), "TYPE99", "0102"),
    "odd bytes in a name": (record(5, b"\x04a.\x07b\0"), "CNAME", "a\\.\\007b"),
}
BROKEN = {
    "nothing": b"",
    "short header": bytes(11),
    "question missing": HEADER.pack(7, 0x8180, 1, 0, 0, 0),
    "question cut in its type": HEADER.pack(7, 0x8180, 1, 0, 0, 0) + NAME + b"\0",
    "answer missing": response()[:6] + b"\0\x01" + response()[8:],
    "record cut": response(b"\xc0\x0c\0\x01"),
    "data past the end": response(record(1, bytes(4))[:-1]),
    "address too long": response(record(1, bytes(5))),
    "pointer to itself": response(record(5, b"\xc0\x2a")),
    "pointer forward": response(record(5, b"\xc0\xff")),
    "pointer loop": response(record(5, b"\x01a\xc0\x2a")),
    "pointer cut": response(b"\xc0"),
    "reserved label": response(record(5, b"\x40a\0")),
    "label past the end": response(name=b"\x3fa"),
    "name past its data": response(record(5, b"\x01a\0\0")),
    "short SRV": response(record(33, bytes(6))),
    "short SOA": response(record(6, b"\0\0" + bytes(19))),
    "short TXT": response(record(16, b"\x05ab")),
    "name too long": response(name=b"".join(b"\x3f" + b"a" * 63 for _ in range(4)) + b"\0"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_reads_records(case: str) -> None:
    """Every known type has its data as text; others are hex."""
    wire, kind, text = ANSWERS[case]

    message = decode(response(wire))

    assert message.answers == (Record("erp.corp.lab", kind, 60, text),)
    assert message.data_of(kind) == (text,)


@pytest.mark.parametrize("case", BROKEN)
def test_broken_messages_are_decode_errors(case: str) -> None:
    """Whatever is cut, loops or lies about its length is a DecodeError."""
    with pytest.raises(DecodeError):
        decode(BROKEN[case])


def test_reads_the_head() -> None:
    """Identifier, flags, code and question."""
    assert decode(response(flags=0x8383)) == Message(
        ident=7,
        response=True,
        truncated=True,
        rcode="nxdomain",
        question=("erp.corp.lab", "A"),
        answers=(),
    )


def test_a_message_may_have_no_question_or_several() -> None:
    """Only the first question counts; an odd code is its number."""
    none = decode(HEADER.pack(1, 0x800F, 0, 0, 0, 0))
    two = decode(HEADER.pack(1, 0, 2, 0, 0, 0) + (NAME + b"\0\x01\0\x01") + (b"\0" + b"\0\x63\0\x01"))

    assert (none.question, none.rcode, none.response) == (None, "15", True)
    assert (two.question, two.response) == (("erp.corp.lab", "A"), False)


def test_a_ttl_with_the_top_bit_counts_as_zero() -> None:
    """RFC 2181 section 8."""
    assert decode(response(record(1, bytes(4), ttl=2**31))).answers[0].ttl == 0


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_decode_error(data: bytes) -> None:
    """A value or a DecodeError, nothing else, and always an end."""
    with contextlib.suppress(DecodeError):
        decode(data)


@given(st.sampled_from(sorted(ANSWERS)), st.integers(0, 60), st.integers(0, 255))
def test_a_changed_byte_is_a_message_or_a_decode_error(case: str, place: int, value: int) -> None:
    """Nearly right messages are as safe as random ones."""
    wire = bytearray(response(ANSWERS[case][0]))
    wire[place % len(wire)] = value
    with contextlib.suppress(DecodeError):
        decode(bytes(wire))


LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=63)


@given(st.lists(LABEL, min_size=1, max_size=3), st.sampled_from(sorted(TYPES)), st.integers(0, 65535))
def test_a_query_reads_back(labels: list[str], kind: str, ident: int) -> None:
    """What we ask is what a server reads."""
    name = ".".join(labels)

    message = decode(encode_query(ident, name, kind))

    assert (ident, False, (name, kind)) == (message.ident, message.response, message.question)


@pytest.mark.parametrize("name", ["a..b", "a" * 64, ".".join(["a" * 60] * 5), "é.example"])
def test_impossible_names_are_value_errors(name: str) -> None:
    """A name that cannot be sent is refused before sending."""
    with pytest.raises(ValueError, match=r"\S"):
        encode_name(name)


def test_the_root_and_a_final_dot() -> None:
    """The root is one byte; a final dot adds nothing."""
    assert encode_name(".") == b"\0"
    assert encode_name("a.b.") == encode_name("a.b")


def test_names_compare_without_case_or_final_dot() -> None:
    """RFC 4343."""
    assert same_name("ERP.corp.lab.", "erp.CORP.lab")
    assert not same_name("a", "b")
