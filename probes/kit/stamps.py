"""The kernel's time stamps of packets: asking for them, reading them, and seeing that they still mean something.

Linux Documentation/networking/timestamping.rst. Stamps are software stamps on CLOCK_REALTIME, taken where the
driver hands a packet over (sent) and where it takes one in (received). What must stay true: readers take any
bytes and return a value or None; two stamps are compared only when the wall clock did not step between them.
"""

import socket
import struct
from collections.abc import Iterator
from typing import Final

import msgspec

from probes.kit.spec import Clock

# asm-generic/socket.h, linux/net_tstamp.h, linux/errqueue.h; Python 3.11's socket module lacks them.
_SO_TIMESTAMPING: Final = 37
_TX_SOFTWARE, _RX_SOFTWARE, _SOFTWARE, _OPT_ID, _OPT_TSONLY = 1 << 1, 1 << 3, 1 << 4, 1 << 7, 1 << 11
_WITHOUT_KEYS: Final = _TX_SOFTWARE | _RX_SOFTWARE | _SOFTWARE | _OPT_TSONLY
_ORIGIN_TIMESTAMPING: Final = 4
_SENT: Final = 0  # SCM_TSTAMP_SND
_ENOMSG: Final = 42
# struct cmsghdr, and the first of three struct timespec behind it (the software stamp)
_CMSG: Final = struct.Struct("@Nii")
_ALIGNMENT: Final = struct.calcsize("@N")
_SCM_STAMP: Final = struct.Struct("@Niill")
_SCM_STAMP_BYTES: Final = _CMSG.size + 3 * struct.calcsize("@ll")
# struct sock_extended_err: errno, origin, type, code, pad, info, data
_EXTENDED: Final = struct.Struct("=IBBBxII")
_STAMP_AT: Final = _SCM_STAMP_BYTES + _CMSG.size
_SECOND: Final = 1_000_000_000


class Sent(msgspec.Struct, frozen=True):
    """A packet left: its number on the socket (from 0, 32 bits, of every packet handed over) and UTC epoch ns."""

    key: int
    stamp: int


def ask_for_stamps(sock: socket.socket) -> None:
    """Have the kernel stamp every packet of `sock` from now on, sent ones numbered from 0; OSError if it cannot.

    Asked again, the numbers start from 0 again.
    """
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _WITHOUT_KEYS)
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPING, _WITHOUT_KEYS | _OPT_ID)


def received(control: bytes) -> int | None:
    """Return when a packet came in (UTC epoch ns) by its control messages; None without a stamp."""
    if len(control) < _SCM_STAMP_BYTES:
        return None
    _length, level, kind, seconds, nanoseconds = _SCM_STAMP.unpack_from(control)
    if level != socket.SOL_SOCKET or kind != _SO_TIMESTAMPING:
        return None
    return (int(seconds) * _SECOND + int(nanoseconds)) or None


def sent(control: bytes) -> Sent | None:
    """Return the stamp of a sent packet by the control messages of an error-queue entry; None if it is another entry.

    The kernel writes the stamp first, then the `sock_extended_err` that carries the packet's number.
    """
    stamp = received(control)
    if stamp is None or len(control) < _STAMP_AT + _EXTENDED.size:
        return None
    errno, origin, _type, _code, info, key = _EXTENDED.unpack_from(control, _STAMP_AT)
    if errno != _ENOMSG or origin != _ORIGIN_TIMESTAMPING or info != _SENT:
        return None
    return Sent(key, stamp)


def control_messages(control: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield level, type and data of each whole control message (cmsg(3)); what was cut is left out."""
    at = 0
    while at + _CMSG.size <= len(control):
        length, level, kind = _CMSG.unpack_from(control, at)
        if length < _CMSG.size or at + length > len(control):
            return
        yield level, kind, control[at + _CMSG.size : at + length]
        at += -(-length // _ALIGNMENT) * _ALIGNMENT


class WallClock:
    """Watches the wall clock against boot time, so that stamps on both sides of a step are not compared.

    Frequency corrections move both clocks alike; only a step changes their difference.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._doubt = 0.0
        self.ahead = 0.0
        self.steps = -1  # the first look is none
        self.look()

    def look(self) -> float:
        """Compare the clocks; return boot time. `ahead` is wall minus boot in seconds, `steps` counts its changes."""
        for _ in range(3):
            before = self._clock.boot()
            wall = self._clock.wall()
            after = self._clock.boot()
            if after - before < 20e-6:  # else we were interrupted in between, and look again
                break
        # Seconds since 1970 as a float are exact to a quarter of a microsecond.
        doubt = (after - before) / 2 + 1e-6
        ahead = wall - (before + after) / 2
        if abs(ahead - self.ahead) > doubt + self._doubt:
            self.steps += 1
        self.ahead, self._doubt = ahead, doubt
        return after
