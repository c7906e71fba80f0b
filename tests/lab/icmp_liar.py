"""Answers pings wrongly, each address in its own way. Runs inside the router's namespace of path_errors.py.

The namespace's firewall keeps these requests from the kernel; a packet socket still sees them.
"""

import socket
import struct
import sys
from collections.abc import Callable

from probes.kit.echo import checksum

Echo = tuple[bytes, bytes]  # (source address of the reply, ICMP message)
ROUTER = socket.inet_aton("10.0.1.1")


def _icmp(kind: int, code: int, rest: bytes) -> bytes:
    blank = bytes([kind, code, 0, 0]) + rest
    return bytes([kind, code]) + checksum(blank).to_bytes(2) + rest


def _error(asked: bytes, change: Callable[[bytes], bytes] = lambda rest: rest) -> bytes:
    """Return host-unreachable that quotes `asked`."""
    return _icmp(3, 1, bytes(4) + asked[:20] + change(asked[20:28]))


def _bump(at: int) -> Callable[[bytes], bytes]:
    return lambda rest: rest[:at] + bytes([rest[at] ^ 0x5A]) + rest[at + 1 :]


def _every_other() -> Callable[[bytes], list[Echo]]:
    """Answer every second request of a sender."""
    held: set[bytes] = set()

    def answer(packet: bytes) -> list[Echo]:
        held.symmetric_difference_update([packet[24:26]])
        return [] if packet[24:26] in held else [_honest(packet)]

    return answer


def _one_later() -> Callable[[bytes], list[Echo]]:
    """Answer a request when the next one of its sender comes."""
    held: dict[bytes, bytes] = {}

    def answer(packet: bytes) -> list[Echo]:
        before, held[packet[24:26]] = held.get(packet[24:26]), packet
        return [_honest(before)] if before else []

    return answer


def _in_swapped_pairs() -> Callable[[bytes], list[Echo]]:
    """Answer every second request of a sender, and then the one before."""
    held: dict[bytes, bytes] = {}

    def answer(packet: bytes) -> list[Echo]:
        before = held.pop(packet[24:26], None)
        if before is None:
            held[packet[24:26]] = packet
            return []
        return [_honest(packet), _honest(before)]

    return answer


def _honest(packet: bytes) -> Echo:
    return packet[16:20], _icmp(0, 0, packet[24:])


# last octet of the address -> what comes back for one request (IP packet with a 20-byte header)
LIES: dict[int, Callable[[bytes], list[Echo]]] = {
    10: lambda p: [_honest(p)],
    11: lambda p: [(p[16:20], _icmp(0, 0, _bump(4)(p[24:])))],  # another token
    12: lambda p: [(p[16:20], _icmp(0, 0, _bump(20)(p[24:])))],  # our token, another payload
    13: lambda p: [(p[16:20], _icmp(0, 0, _bump(0)(p[24:])))],  # another identifier
    14: lambda p: [(p[16:20], _icmp(0, 0, _bump(2)(p[24:])))],  # another sequence
    15: lambda p: [(ROUTER, _icmp(0, 0, p[24:]))],  # from another address
    16: lambda p: [_honest(p)] * 3,  # three times
    17: lambda p: [(p[16:20], _icmp(0, 0, p[24:40]))],  # cut
    18: lambda p: [(ROUTER, _error(p))],  # an error for us
    19: lambda p: [(ROUTER, _error(p, _bump(4)))],  # an error for another identifier
    20: lambda p: [(ROUTER, _error(p, _bump(6)))],  # an error for another sequence
    21: lambda p: [(p[16:20], b"\x00"), (p[16:20], b""), _honest(p)],  # stubs first
    22: _every_other(),
    23: _in_swapped_pairs(),
    24: _one_later(),
}


def main() -> None:
    """Answer until killed."""
    taps = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        packet, _ = taps.recvfrom(65535)
        if packet[9] != socket.IPPROTO_ICMP or packet[20] != 8 or packet[16:19] != b"\x0a\x00\x01":
            continue
        lie = LIES.get(packet[19])
        for source, message in lie(packet) if lie else []:
            head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 0, 0, 0, 64, 1, 0, source, packet[12:16])
            out.sendto(head + message, (socket.inet_ntoa(packet[12:16]), 0))


if __name__ == "__main__":
    main()
