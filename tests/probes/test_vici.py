"""The VICI codec: a message or a ViciError, whatever arrives."""

import struct
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from vici.protocol import Message, Packet

from probes.kit.vici import ViciError, frame, parse

NAMES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
SECTIONS = st.recursive(
    st.dictionaries(NAMES, st.binary(max_size=20) | st.lists(st.binary(max_size=9), max_size=3), max_size=4),
    lambda inner: st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


@given(SECTIONS, NAMES)
def test_an_event_comes_back_as_it_was_written(section: dict[str, object], name: str) -> None:
    """An event packet gives its name and its message."""
    packet = struct.pack("!BB", Packet.EVENT, len(name)) + name.encode() + Message.serialize(section)
    parsed = parse(packet)
    assert (parsed.kind, parsed.event, parsed.message) == (Packet.EVENT, name, section)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_message_or_a_vici_error(packet: bytes) -> None:
    """No other exception leaves the parser."""
    try:
        parsed = parse(packet)
    except ViciError:
        return
    assert 0 <= parsed.kind <= 255


@given(SECTIONS, st.integers(min_value=0, max_value=300), st.binary(max_size=3))
def test_a_damaged_packet_gives_a_message_or_a_vici_error(section: dict[str, object], cut: int, tail: bytes) -> None:
    """A message cut anywhere and continued with other bytes is parsed or refused."""
    packet = bytes([Packet.CMD_RESPONSE]) + Message.serialize(section)
    with suppress(ViciError):
        parse(packet[:cut] + tail)


@given(SECTIONS, NAMES)
def test_a_truncated_event_is_refused(section: dict[str, object], name: str) -> None:
    """A packet that ends within its name or within a value is no message, wherever it was cut."""
    head = struct.pack("!BB", Packet.EVENT, len(name)) + name.encode()
    whole = head + Message.serialize({"a": section, "z": b"last"})
    # Between two elements a cut leaves a message that is whole; within one, and within an open section, never.
    for end in (*range(1, len(head)), len(head) + 1, len(head) + 2, len(whole) - 1, len(whole) - 5):
        with pytest.raises(ViciError):
            parse(whole[:end])


def test_a_frame_carries_its_length_in_network_order() -> None:
    """Four bytes of length stand before the packet."""
    assert frame(b"\x00\x09list-sas") == b"\x00\x00\x00\x0a\x00\x09list-sas"


def test_an_empty_packet_is_refused() -> None:
    """A packet has at least its type."""
    with pytest.raises(ViciError):
        parse(b"")
