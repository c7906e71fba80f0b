"""A tap on an interface: every packet as it passed, with the kernel's own stamp. The truth that probes are held to.

What must stay true: nothing is read while something is measured (the kernel keeps what passes until it is asked
for), and a tap that has lost a packet says so.
"""

import socket
import struct
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import msgspec

# asm-generic/socket.h, linux/if_packet.h; Python's socket module lacks them.
_SO_TIMESTAMPNS = 35
_SO_RCVBUFFORCE = 33
_SOL_PACKET = 263
_PACKET_STATISTICS = 6
_ETH_P_ALL = 3
_OUTGOING = 4
_TIMESPEC = struct.Struct("@ll")
_KEPT_BYTES = 256 << 20  # what the kernel may keep: 100,000 small packets at about 2 KB each
_HEAD = 160  # bytes of each packet that are kept


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """One packet: `stamp` in ns since the epoch, its EtherType as `protocol`, its `head` from the IP header on."""

    stamp: int
    outgoing: bool
    protocol: int
    head: bytes


class Tap:
    """Listens on one interface while it is open; needs CAP_NET_RAW and CAP_NET_ADMIN."""

    def __init__(self, interface: str) -> None:
        self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK, 0)
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _KEPT_BYTES)
        self._sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._sock.bind((interface, _ETH_P_ALL))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def take(self) -> list[Seen]:
        """Return what has passed since the last call, in order; RuntimeError when the kernel could not keep it all."""
        found = []
        while True:
            try:
                head, ancillary, _flags, sender = self._sock.recvmsg(_HEAD, 64)
            except BlockingIOError:
                break
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            stamp = seconds * 1_000_000_000 + nanoseconds
            found.append(Seen(stamp=stamp, outgoing=sender[2] == _OUTGOING, protocol=sender[1], head=head))
        _, lost = struct.unpack("@II", self._sock.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8))
        if lost:
            raise RuntimeError(f"the tap lost {lost} packets")
        return found


def apart(reported: Sequence[float | None], wire: Sequence[float | None]) -> list[float]:
    """Return how far each reported duration is from the wire's, both in the order of the requests (None: no answer).

    RuntimeError when they are not as many: then nobody knows which belongs to which.
    """
    if len(wire) != len(reported):
        raise RuntimeError(f"{len(reported)} reported, but {len(wire)} asked on the wire")
    pairs = zip(reported, wire, strict=True)
    return [abs(ours - truth) for ours, truth in pairs if ours is not None and truth is not None]
