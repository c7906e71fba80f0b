"""ICMP echo on the wire."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.echo import ICMP_HEADER, Form, Reply, checksum, parse_quote, parse_reply, reply_filter, tokens

IP4 = bytes([0x45]) + bytes(19)
IDENT, SEQUENCE = 0x1234, 0xFFFE
TOKEN = bytes(range(100, 108))
# Around the 18 bytes of token, complement and sequence, odd ones too, and more.
SIZES = (0, 1, 7, 8, 17, 18, 19, 56, 1473)


def request(family: int, size: int = 56, ident: int = IDENT, sequence: int = SEQUENCE) -> bytes:
    """Return a request as the port sends it."""
    return Form(family, ident, size, b"fill" * 400).packet(sequence, TOKEN)


def answered(family: int, packet: bytes) -> bytes:
    """Return the echo reply to `packet`."""
    return bytes([0 if family == 4 else 129]) + packet[1:]


@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.parametrize("size", SIZES)
def test_a_reply_gives_back_what_was_asked(family: int, size: int) -> None:
    """Identifier, sequence and payload survive the round trip; the payload starts with the token."""
    packet = request(family, size)

    reply = parse_reply(family, answered(family, packet))

    assert reply == Reply(IDENT, SEQUENCE, packet[ICMP_HEADER:])
    assert len(reply.payload) == size
    assert reply.payload[:8] == TOKEN[:size]


@pytest.mark.parametrize(
    "data",
    [b"", b"\0" * 7, b"\x08" + b"\0" * 20, b"\0\x01" + b"\0" * 20],
    ids=["empty", "short", "a request", "a code"],
)
def test_other_packets_are_not_replies(data: bytes) -> None:
    """Whatever is not an echo reply is nothing."""
    assert parse_reply(4, data) is None


@pytest.mark.parametrize("family", [4, 6])
def test_an_error_quotes_our_request(family: int) -> None:
    """The first eight bytes of the request are enough to know it."""
    assert parse_quote(family, request(family)[:8]) == (IDENT, SEQUENCE)


@pytest.mark.parametrize("quote", [b"", b"\x08\0\0\0\0\0\0", b"\0" * 8])
def test_other_quotes_are_not_ours(quote: bytes) -> None:
    """A short quote or that of another packet is nothing."""
    assert parse_quote(4, quote) is None


@given(st.sampled_from([4, 6]), st.binary(max_size=64))
def test_any_bytes_are_a_reply_or_nothing(family: int, data: bytes) -> None:
    """The parsers take anything."""
    parse_reply(family, data)
    parse_quote(family, data)


@given(
    size=st.sampled_from(SIZES),
    ident=st.integers(0, 0xFFFF),
    sequence=st.integers(0, 0xFFFF),
    token=st.binary(min_size=8, max_size=8),
    fill=st.binary(min_size=1473, max_size=1473),
)
def test_every_packet_of_a_form_has_a_valid_checksum(
    size: int, ident: int, sequence: int, token: bytes, fill: bytes
) -> None:
    """RFC 1071: the sum over a packet with its checksum is zero, though most forms compute it once."""
    packet = Form(4, ident, size, fill).packet(sequence, token)

    assert checksum(packet) == 0
    assert len(packet) == ICMP_HEADER + size


def run(program: bytes, packet: bytes) -> int:
    """Interpret the instructions that `reply_filter` uses; a load past the end rejects (linux/filter.rst)."""
    lines = [struct.unpack_from("=HBBI", program, n) for n in range(0, len(program), 8)]
    accumulator = index = position = 0
    while True:
        code, true, false, operand = lines[position]
        position += 1
        try:
            if code == 0xB1:
                index = 4 * (packet[operand] & 0xF)
            elif code == 0x01:
                index = operand
            elif code == 0x50:
                accumulator = packet[index + operand]
            elif code == 0x48:
                accumulator = packet[index + operand] << 8 | packet[index + operand + 1]
            elif code == 0x15:
                position += true if accumulator == operand else false
            else:
                return int(operand)
        except IndexError:
            return 0


@pytest.mark.parametrize("family", [4, 6])
def test_the_filter_passes_our_replies_only(family: int) -> None:
    """Other identifiers, other types and stubs do not wake us."""
    header = IP4 if family == 4 else b""
    mine = answered(family, request(family))
    foreign = answered(family, request(family, ident=IDENT + 1))
    program = reply_filter(family, IDENT)

    assert run(program, header + mine) > 0
    assert run(program, header + foreign) == 0
    assert run(program, header + request(family)) == 0
    assert run(program, header + mine[:3]) == 0


def test_tokens_come_with_their_complements() -> None:
    """All that were drawn, and each pair cancels out in the checksum."""
    drawn = bytes(range(16))

    found = list(tokens(drawn))

    assert [token for token, _ in found] == [drawn[:8], drawn[8:]]
    assert all(a ^ b == 0xFF for token, complement in found for a, b in zip(token, complement, strict=True))
    assert Form(4, IDENT, 56, bytes(99)).packet(1, *found[0]) == Form(4, IDENT, 56, bytes(99)).packet(1, found[0][0])
