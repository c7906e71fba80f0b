"""The DNS codec."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.dns_message import MAX_ALIASES, Message, Record, decode, encode_query
from probes.kit.dns_names import MAX_LABELS, DecodeError, encode_name, same_name
from probes.kit.dns_records import TYPES, comparable, soa_minimum

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
    "MX": (record(15, b"\0\x0a\x04mail\xc0\x10"), "MX", "10 mail.corp.lab"),
    "null MX": (record(15, b"\0\0\0"), "MX", "0 ."),
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
    "short MX": response(record(15, bytes(2))),
    "short SOA": response(record(6, b"\0\0" + bytes(19))),
    "short TXT": response(record(16, b"\x05ab")),
    "authority missing": response()[:8] + b"\0\x01\0\0" + response()[12:],
    "name too long": response(name=b"".join(b"\x3f" + b"a" * 63 for _ in range(4)) + b"\0"),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_reads_records(case: str) -> None:
    """Every known type has its data as text; others are hex."""
    wire, kind, text = ANSWERS[case]

    message = decode(response(wire))

    assert message.answers == (Record("erp.corp.lab", kind, 60, text),)
    assert message.answers_to("ERP.corp.lab.", kind) == message.answers


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


def test_many_records_share_one_name() -> None:
    """What a pointer led to once is remembered."""
    answers = decode(response(*(record(1, bytes([10, 0, 0, n])) for n in range(3)))).answers

    assert [(one.name, one.data) for one in answers] == [("erp.corp.lab", f"10.0.0.{n}") for n in range(3)]


def test_reads_flags_and_the_authority() -> None:
    """AA, AD and the section that says for how long a denial holds."""
    soa = record(6, b"\x01a\0\x01b\0" + struct.pack("!IIIII", 1, 2, 3, 4, 600), ttl=300)
    message = decode(HEADER.pack(7, 0x85A3, 1, 0, 1, 0) + NAME + b"\0\x01\0\x01" + soa)

    assert (message.authoritative, message.authenticated, message.rcode) == (True, True, "nxdomain")
    assert [(one.type, one.ttl, soa_minimum(one.data)) for one in message.authority] == [("SOA", 300, 600)]
    assert not decode(response()).authoritative


def test_the_extended_code_and_other_classes() -> None:
    """EDNS extends the code (RFC 6891); a record of another class answers nothing."""
    opt = b"\0" + struct.pack("!HHIH", 41, 1232, 1 << 24, 0)
    chaos = b"\xc0\x0c" + struct.pack("!HHIH", 1, 3, 60, 4) + bytes(4)
    message = decode(HEADER.pack(7, 0x8180, 1, 1, 0, 1) + NAME + b"\0\x01\0\x01" + chaos + opt)

    assert (message.rcode, message.answers) == ("16", ())


def test_a_query_announces_what_was_asked_for() -> None:
    """Neither EDNS nor the flag AD unless wanted; both where they are."""
    plain, full = encode_query(7, "a", "A"), encode_query(7, "a", "A", edns_bytes=1232, authenticated=True)

    assert plain == bytes.fromhex("0007 0100 0001 0000 0000 0000 01 61 00 0001 0001")
    assert full == bytes.fromhex("0007 0120 0001 0000 0000 0001 01 61 00 0001 0001 00 0029 04d0 00000000 0000")


def aliases(*pairs: tuple[str, str], end: str = "") -> Message:
    """Return a message of aliases, with an address of `end`."""
    records = [Record(one, "CNAME", 30, other) for one, other in pairs]
    records += [Record(end, "A", 60, "10.0.0.1")] if end else []
    return Message(ident=1, response=True, truncated=False, rcode="noerror", question=None, answers=tuple(records))


CHAINS = {
    "none": (aliases(end="a"), ["10.0.0.1"]),
    "one": (aliases(("A", "b."), end="B"), ["b.", "10.0.0.1"]),
    "out of order": (aliases(("b", "c"), ("a", "b"), end="c"), ["b", "c", "10.0.0.1"]),
    "of another name": (aliases(end="x"), []),
    "leading nowhere": (aliases(("a", "b")), []),
    "in a circle": (aliases(("a", "b"), ("b", "a")), []),
    "onto itself": (aliases(("a", "a")), []),
    "as long as may be": (
        aliases(("a", "n0"), *((f"n{n}", f"n{n + 1}") for n in range(MAX_ALIASES - 1)), end=f"n{MAX_ALIASES - 1}"),
        ["n0", *(f"n{n + 1}" for n in range(MAX_ALIASES - 1)), "10.0.0.1"],
    ),
    "too long": (
        aliases(("a", "n0"), *((f"n{n}", f"n{n + 1}") for n in range(MAX_ALIASES)), end=f"n{MAX_ALIASES}"),
        [],
    ),
}


@pytest.mark.parametrize("case", CHAINS)
def test_aliases_are_followed_to_the_answer(case: str) -> None:
    """Only what the asked name leads to is its answer; circles and long ways lead to none."""
    message, data = CHAINS[case]

    assert [one.data for one in message.answers_to("a", "A")] == data


def test_names_that_pointers_spell_out_for_ever_are_refused() -> None:
    """Every offset into runs of one-byte labels is another long name; their sum is bounded."""
    maze = (b"\x01" * 124 + b"\0") * 100
    start = HEADER.size + 11
    offsets = [run * 125 + n for run in range(100) for n in range(120)]
    records = b"".join(struct.pack("!HHHIH", 0xC000 | start + at, 99, 1, 60, 0) for at in offsets[:4000])
    data = HEADER.pack(7, 0x8180, 0, 4001, 0, 0) + b"\0" + struct.pack("!HHIH", 99, 1, 60, len(maze)) + maze + records

    assert sum((124 - at % 125) // 2 for at in offsets[:4000]) > MAX_LABELS
    with pytest.raises(DecodeError, match="too many"):
        decode(data)


@pytest.mark.parametrize(
    ("one", "other", "record"),
    [
        ("0 10 389 DC1.corp.lab", "0 10 389 dc1.CORP.lab.", "SRV"),
        ("FD00::0:20", "fd00::20", "AAAA"),
        ("a. b. 1 2 3 4 5", "A B 1 2 3 4 5", "SOA"),
        ("0 .", "0 .", "MX"),
    ],
)
def test_equal_data_compare_equal(one: str, other: str, record: str) -> None:
    """As a zone file may write it."""
    assert comparable(one, record) == comparable(other, record)


def test_texts_are_compared_as_they_are() -> None:
    """The case of a TXT record counts."""
    assert comparable("A b", "TXT") != comparable("a b", "TXT")
