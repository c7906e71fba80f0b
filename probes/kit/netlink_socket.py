"""Sockets of the kernel's own routing messages: changes as they happen, and by which interface an address leaves.

What must stay true: nothing here blocks; a storm of changes costs a bounded time per call and is told as
changes, whether or not each of them was seen: a full queue is an `overrun`, after which whoever keeps a
picture of the host looks anew. pyroute2 is not needed, and its reader of events is not used: it lost nine
tenths of a storm of 10,000 routes (facts of this project; 5-6 us an event here, 90 there).
"""

import contextlib
import errno
import socket

import msgspec

from probes.kit.netlink_message import GROUPS, NetlinkDecodeError, notices, route_answer, route_question

# A route's notice takes about 1 kB of the kernel's memory: room for a storm of 10,000 between two looks.
RECEIVE_BYTES = 8_000_000
# Messages read in one call: under 2 ms of the loop.
MOST = 500
_SO_RCVBUFFORCE = 33  # asm-generic/socket.h; takes CAP_NET_ADMIN, else net.core.rmem_max is the bound
_DATAGRAM = 65_536


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What was read: how many changes, the numbers of links seen without use, and whether some were missed."""

    number: int = 0
    lost: frozenset[int] = frozenset()
    overrun: bool = False
    more: bool = False


class HostEvents:
    """Hears of links, addresses and routes that change in this network namespace. Raises OSError if it may not."""

    def __init__(self, receive_bytes: int = RECEIVE_BYTES) -> None:
        self._socket = _open()
        try:
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_bytes)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            self._socket.bind((0, GROUPS))
        except OSError:
            self._socket.close()
            raise

    def fileno(self) -> int:
        """Return the descriptor, readable when something changed."""
        return self._socket.fileno()

    def drain(self) -> Changes:
        """Return what changed since the last call; `more` when it was not all."""
        number, lost, overrun = 0, set[int](), False
        for _ in range(MOST):
            try:
                found = notices(self._socket.recv(_DATAGRAM))
            except BlockingIOError:
                return Changes(number=number, lost=frozenset(lost), overrun=overrun)
            except NetlinkDecodeError:
                overrun = True  # something changed, and we do not know what
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                overrun = True
            else:
                number += len(found)
                lost.update(notice.link for notice in found if notice.lost)
        return Changes(number=number, lost=frozenset(lost), overrun=overrun, more=True)

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


class Ways:
    """Asks the kernel by which interface an address leaves; it answers within the call."""

    def __init__(self) -> None:
        self._socket = _open()
        self._sequence = 0

    def device(self, address: str) -> int | None:
        """Return the interface's number; None when nothing leads there, or the kernel did not say."""
        self._sequence = (self._sequence + 1) & 0x7FFFFFFF
        with contextlib.suppress(OSError, NetlinkDecodeError):
            self._socket.send(route_question(address, self._sequence))
            return route_answer(self._socket.recv(_DATAGRAM), self._sequence)
        return None

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()


def _open() -> socket.socket:
    kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    return socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
