"""Packets of one flow: alike for routers, told apart by us, and nobody else's taken for ours."""

import asyncio
import socket
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit import echo
from probes.kit.hop_packets import LEAST_BYTES, Datagrams, Echoes, Packets, Syns
from probes.kit.packets import open_workshop

TOKEN = bytes.fromhex("00ff 1122 3344 5566")
ADDRESSES = socket.inet_aton("192.0.2.1") + socket.inet_aton("192.0.2.2")
FLOWS: dict[str, Packets] = {
    "echo": Echoes(4, 0x1234, TOKEN, 0xFFF0, raw=False),
    "echo in IPv6": Echoes(6, 0x1234, TOKEN, 0, raw=False),
    "udp": Datagrams(4, TOKEN, 0xFFF0),
    "tcp": Syns(4, (40000, 443), 0xFFFFFFF0, ADDRESSES),
    "tcp in IPv6": Syns(6, (40000, 443), 7, bytes(32)),
}
numbers = st.integers(0, 0xFFFF)


def reply(name: str, packet: bytes) -> bytes:
    """Return the target's answer to a packet, as the socket gives it."""
    if name.startswith("echo"):
        return bytes([0 if name == "echo" else 129]) + packet[1:]
    return (
        packet if name == "udp" else tcp_answer(packet, 0x12, header=b"" if "6" in name else bytes([0x45]) + bytes(19))
    )


def tcp_answer(packet: bytes, flags: int, *, header: bytes) -> bytes:
    """Return a segment that acknowledges a SYN."""
    source, port, sequence = struct.unpack_from("!HHI", packet)
    return header + struct.pack("!HHIIBBHHH", port, source, 99, (sequence + 1) & 0xFFFFFFFF, 0x50, flags, 0, 0, 0)


@pytest.mark.parametrize("name", FLOWS)
@given(number=numbers, quoted=st.integers(8, 60))
def test_a_packet_is_known_again(name: str, number: int, quoted: int) -> None:
    """By what a router quotes of it, from 8 bytes on, by the target's answer, and when it leaves."""
    packets = FLOWS[name]
    packet = packets.packet(number)
    assert packets.quoted(packet[:quoted]) == number
    assert packets.answered(reply(name, packet)) == (number, False)
    assert packets.sent(b"\x45" + bytes(40) + packet) == number


@pytest.mark.parametrize("name", FLOWS)
@given(one=numbers, other=numbers)
def test_routers_see_one_flow(name: str, one: int, other: int) -> None:
    """The first four bytes are alike, and for pings and UDP so is the sum of the whole packet."""
    packets = FLOWS[name]
    first, second = packets.packet(one), packets.packet(other)
    assert len(first) == len(second)
    if name.startswith(("echo", "tcp")):
        assert first[:2] == second[:2]
    if not name.startswith("tcp"):
        assert echo.checksum(first) == echo.checksum(second)
    if name.startswith("echo"):
        assert first[:6] == second[:6]


@pytest.mark.parametrize("name", FLOWS)
@given(data=st.binary(max_size=80), number=numbers, place=st.integers(0, 60), bit=st.integers(1, 255))
def test_nobody_elses_is_ours(name: str, data: bytes, number: int, place: int, bit: int) -> None:
    """Any bytes give a number or None; one changed byte of token, ports or identifier is not ours."""
    packets = FLOWS[name]
    for read in (packets.quoted, packets.sent):
        found = read(data)
        assert found is None or 0 <= found <= 0xFFFF
    assert packets.answered(data) is None or 0 <= packets.answered(data)[0] <= 0xFFFF  # type: ignore[index]
    packet = bytearray(packets.packet(number))
    if place < len(packet):
        packet[place] ^= bit
        changed = packets.quoted(bytes(packet))
        assert changed is None or changed != number or is_free(name, place)


def is_free(name: str, place: int) -> bool:
    """Return whether a router may alter that byte: checksum and code, or what follows TCP's sequence number."""
    return place >= 8 if name.startswith("tcp") else name.startswith("echo") and place in (1, 2, 3)


ZEROS = bytes(40)
QUOTES: dict[str, tuple[str, bytes, int | None]] = {
    "an echo's header alone": ("echo", FLOWS["echo"].packet(5)[:8], 5),
    "filled up with zeros": ("echo", FLOWS["echo"].packet(5)[:8] + ZEROS, 5),
    "half the token": ("echo", FLOWS["echo"].packet(5)[:12], 5),
    "another token": ("echo", FLOWS["echo"].packet(5)[:8] + b"x" * 20, None),
    "an echo's header cut": ("echo", FLOWS["echo"].packet(5)[:7], None),
    "a reply": ("echo", b"\0" + FLOWS["echo"].packet(5)[1:], None),
    "a datagram's header alone": ("udp", b"", None),
    "a datagram without its token": ("udp", FLOWS["udp"].packet(5)[:4], None),
    "a datagram's half token": ("udp", FLOWS["udp"].packet(5)[:8], 5),
    "TCP's eight bytes": ("tcp", FLOWS["tcp"].packet(5)[:8], 5),
    "TCP's seven": ("tcp", FLOWS["tcp"].packet(5)[:7], None),
    "a sequence of another's": ("tcp", struct.pack("!HHI", 40000, 443, 0x80000000), None),
}


@pytest.mark.parametrize("case", QUOTES)
def test_quotes(case: str) -> None:
    """Routers quote little, or much, or fill up; what they quote must not differ from what we sent."""
    name, quote, expected = QUOTES[case]
    assert FLOWS[name].quoted(quote) == expected


V4 = bytes([0x45]) + bytes(19)
TCP_ANSWERS: dict[str, tuple[bytes, tuple[int, bool] | None]] = {
    "SYN-ACK": (tcp_answer(FLOWS["tcp"].packet(3), 0x12, header=V4), (3, False)),
    "reset": (tcp_answer(FLOWS["tcp"].packet(3), 0x14, header=V4), (3, True)),
    "behind IP options": (tcp_answer(FLOWS["tcp"].packet(3), 0x12, header=bytes([0x46]) + bytes(23)), (3, False)),
    "a bare acknowledgement": (tcp_answer(FLOWS["tcp"].packet(3), 0x10, header=V4), None),
    "a SYN": (tcp_answer(FLOWS["tcp"].packet(3), 0x02, header=V4), None),
    "both at once": (tcp_answer(FLOWS["tcp"].packet(3), 0x16, header=V4), None),
    "for another connection": (tcp_answer(b"\0\1" + FLOWS["tcp"].packet(3)[2:], 0x12, header=V4), None),
    "for a packet never sent": (tcp_answer(struct.pack("!HHI", 40000, 443, 1 << 31), 0x12, header=V4), None),
    "nothing": (b"", None),
}


@pytest.mark.parametrize("case", TCP_ANSWERS)
def test_tcp_answers(case: str) -> None:
    """A SYN-ACK or reset counts when it acknowledges a SYN of ours; a reset is a no."""
    data, expected = TCP_ANSWERS[case]
    assert FLOWS["tcp"].answered(data) == expected


def test_a_raw_socket_gives_the_ip_header() -> None:
    """In IPv4 alone."""
    raw = Echoes(4, 1, TOKEN, 0, raw=True)
    answer = b"\0" + raw.packet(9)[1:]
    assert raw.answered(V4 + answer) == (9, False)
    assert raw.answered(b"") is None
    assert Echoes(6, 1, TOKEN, 0, raw=True).answered(b"\x81" + answer[1:]) == (9, False)


def test_sizes() -> None:
    """Packets are filled up to their size on the wire; a SYN has one size."""
    assert len(FLOWS["echo"].packet(1, 1500)) == 1480
    assert len(FLOWS["udp"].packet(1, 1500)) == 1472
    assert len(FLOWS["tcp"].packet(1, 1500)) == 24
    assert len(FLOWS["echo"].packet(1)) == LEAST_BYTES[4] - 20


HEADER = struct.Struct("!BBHHHBBH")


def behind_ip(name: str, packet: bytes) -> bytes:
    """Return the packet as it is on the wire."""
    protocol = {"echo": 1, "tcp": 6}[name]
    head = HEADER.pack(0x45, 0, 20 + len(packet), 0, 0x4000, 1, protocol, 0) + ADDRESSES
    return head[:10] + echo.checksum(head).to_bytes(2) + head[12:] + packet


def test_another_reader_agrees() -> None:
    """Scapy, in its child, finds the sums right, and the fields that we meant."""

    async def read() -> list[dict[str, Any]]:
        async with open_workshop() as workshop:
            found = [await workshop.dissect(behind_ip(n, FLOWS[n].packet(3)), "IP") for n in ("echo", "tcp")]
            broken = bytearray(behind_ip("tcp", FLOWS["tcp"].packet(3)))
            broken[-1] ^= 1
            return [*found, await workshop.dissect(bytes(broken), "IP")]

    ping, syn, broken = asyncio.run(read())
    fields = {layer["layer"]: layer["fields"] for layer in (*ping["layers"], *syn["layers"])}
    assert (fields["ICMP"]["type"], fields["ICMP"]["id"], fields["ICMP"]["seq"]) == (8, 0x1234, 0xFFF3)
    assert (fields["TCP"]["sport"], fields["TCP"]["dport"], fields["TCP"]["seq"]) == (40000, 443, 0xFFFFFFF3)
    assert (fields["TCP"]["flags"], fields["TCP"]["options"]) == (0x02, ["('MSS', 1460)"])
    assert (ping["sums"], syn["sums"], broken["sums"]) == (True, True, False)
