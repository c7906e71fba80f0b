"""Structures that the kernel hands out: error queue entries and TCP_INFO."""

import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.sockets import FULL_PACKET, TcpInfo, parse_error, parse_tcp_info
from probes.kit.trouble import QueuedError


def entry(origin: int, sender: bytes) -> bytes:
    """Return a sock_extended_err with its sender."""
    return struct.pack("=IBBBxII", 113, origin, 3, 1, 1400, 0) + sender


SENDER_4 = struct.pack("=HH", socket.AF_INET, 0) + socket.inet_aton("192.0.2.1") + bytes(8)
SENDER_6 = struct.pack("=HHI", socket.AF_INET6, 0, 0) + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + bytes(4)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (entry(2, SENDER_4), QueuedError(errno=113, type=3, code=1, info=1400, offender="192.0.2.1")),
        (entry(3, SENDER_6), QueuedError(errno=113, type=3, code=1, info=1400, offender="2001:db8::1")),
        (entry(2, b""), QueuedError(errno=113, type=3, code=1, info=1400, offender="")),
        (entry(1, SENDER_4), QueuedError(errno=113, info=1400)),
        (b"\0" * 15, QueuedError(errno=0)),
    ],
    ids=["ICMP", "ICMPv6", "no sender", "local", "short"],
)
def test_reads_queue_entries(data: bytes, expected: QueuedError) -> None:
    """Only entries of ICMP origin have a type, a code and a sender."""
    assert expected == parse_error(data)


@given(st.binary(max_size=64))
def test_any_bytes_are_an_entry(data: bytes) -> None:
    """The reader takes anything."""
    parse_error(data, b"quote", "to")


def info(
    *, sent_mss: int = 1448, received_mss: int = 536, received: int = 0, segments: int = 0, our_mss: int = 1460
) -> bytes:
    """Return a struct tcp_info of a connection with time stamps."""
    data = bytearray(232)
    data[5] = 1
    for offset, value in ((16, sent_mss), (20, received_mss), (68, 250), (84, our_mss), (100, 2), (152, segments)):
        data[offset : offset + 4] = value.to_bytes(4, sys.byteorder)
    data[128:136] = received.to_bytes(8, sys.byteorder)
    return bytes(data)


@pytest.mark.parametrize(
    ("given_info", "family", "packet_bytes"),
    [
        (info(), 4, 60),
        (info(received=300, segments=2), 4, 150 + 52),
        (info(received=300, segments=1), 6, 300 + 72),
        (info(received_mss=1000, received=5000, segments=6), 4, 1052),
        (info(received_mss=1448, received=9000, segments=7), 4, FULL_PACKET),
        (info(sent_mss=1348, received_mss=1348, received=9000, segments=7), 4, FULL_PACKET),
        (info(sent_mss=8948, our_mss=8960, received_mss=8948, received=90000, segments=11), 4, 9000),
    ],
    ids=["handshake only", "average", "one segment", "measured", "full", "full behind a clamp", "jumbo"],
)
def test_packet_size_is_never_above_what_came(given_info: bytes, family: int, packet_bytes: int) -> None:
    """A measured segment, else the average, bounds the largest packet from below; full ones count as full."""
    assert parse_tcp_info(given_info, family) == TcpInfo(round_trip=0.00025, retransmits=2, packet_bytes=packet_bytes)


def test_an_old_kernel_gives_no_info() -> None:
    """Less than we need is nothing."""
    assert parse_tcp_info(bytes(104), 4) is None
