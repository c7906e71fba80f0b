"""The kernel's time stamps of packets: how to ask for them, read them, and see that they still mean something. Pure.

Linux Documentation/networking/timestamping.rst. Stamps are software stamps on CLOCK_REALTIME, taken where the
driver hands a packet over (sent) and where it takes one in (received). What must stay true: readers take any
bytes and return a value or None; two stamps are compared only when the wall clock did not step between them.
"""

import errno
import socket
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from probes.kit.spec import Clock

# asm-generic/socket.h, linux/net_tstamp.h, linux/errqueue.h; Python 3.11's socket module lacks them.
_SO_TIMESTAMPING: Final = 37
_TX_SOFTWARE, _RX_SOFTWARE, _SOFTWARE, _OPT_ID, _OPT_TSONLY = 1 << 1, 1 << 3, 1 << 4, 1 << 7, 1 << 11
_STAMPS: Final = _TX_SOFTWARE | _RX_SOFTWARE | _SOFTWARE | _OPT_TSONLY
ASK_FOR_STAMPS: Final = tuple((socket.SOL_SOCKET, _SO_TIMESTAMPING, flags) for flags in (_STAMPS, _STAMPS | _OPT_ID))
"""Socket options, to be set in this order: every packet is stamped from then on, sent ones numbered from 0 again."""
_ORIGIN_TIMESTAMPING: Final = 4
_SCM_TSTAMP_SND: Final = 0
_CMSG: Final = struct.Struct("@Nii")
_ALIGNMENT: Final = struct.calcsize("@N")
# struct cmsghdr without its length, level and type read as one number; three struct timespec, the software stamp first.
_STAMP: Final = f"{_ALIGNMENT}xqll{4 * struct.calcsize('@l')}x"
_STAMP_BYTES: Final = struct.calcsize(f"@{_STAMP}")
_IS_STAMP: Final = struct.unpack("=q", struct.pack("=ii", socket.SOL_SOCKET, _SO_TIMESTAMPING))[0]
RECEIVED: Final = struct.Struct(f"@{_STAMP}32x")
"""The control messages of a received packet: what the first is, its seconds and nanoseconds; and room for more."""
# Behind it struct cmsghdr and struct sock_extended_err: errno, origin, type, code, pad as one number; info, data.
_ERROR: Final = f"{_CMSG.size}xqII"
_SENT_BYTES: Final = struct.calcsize(f"@{_STAMP}{_ERROR}")
_IS_SENT: Final = struct.unpack("=q", struct.pack("=IB3x", errno.ENOMSG, _ORIGIN_TIMESTAMPING))[0]
SENT: Final = struct.Struct(f"@{_STAMP}{_ERROR}96x")
"""The control messages of an error-queue entry: as RECEIVED, then what the error is, its info and data."""
_SECOND: Final = 1_000_000_000


def received(length: int, kind: int, seconds: int, nanoseconds: int) -> int | None:
    """Return when a packet came in (UTC epoch ns) by `length` bytes of control messages, read as RECEIVED."""
    return seconds * _SECOND + nanoseconds if kind == _IS_STAMP and length >= _STAMP_BYTES else None


def sent(
    entries: Iterable[tuple[tuple[int, int], tuple[int, ...]]], stamps: dict[int, int], base: int = 0
) -> list[int]:
    """Put into `stamps` when packets left (UTC epoch ns, by `base` plus their number on the socket from 0).

    Return which entries are others. `entries` of the error queue: bytes of control messages and of data, and the
    control messages read as SENT. The kernel writes the stamp first, then the `sock_extended_err` that carries the
    packet's number.
    """
    others: list[int] = []
    for index, ((length, _), (kind, seconds, nanoseconds, error, info, number)) in enumerate(entries):
        if kind == _IS_STAMP and error == _IS_SENT and info == _SCM_TSTAMP_SND and length >= _SENT_BYTES:
            stamps[base + number] = seconds * _SECOND + nanoseconds
        else:
            others.append(index)
    return others


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
