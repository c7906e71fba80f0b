"""One question to the kernel over netlink, and the whole of its answer: a dump. Never blocks the loop.

What must stay true: the answer is bounded in messages and by the caller's deadline; whatever the kernel says is
messages, or an OSError with its errno. Its bytes may hold keys: they are handed to a parser and kept nowhere.
"""

import asyncio
import errno
import os
import socket
from itertools import count
from typing import Final

from probes.kit.netlink_message import NetlinkDecodeError, part, question

# linux/netlink.h
NETLINK_XFRM: Final = 6
NETLINK_GENERIC: Final = 16
# Some kB a tunnel: a gateway with 10,000 of them. More is not what we are for.
_MOST_BYTES: Final = 64_000_000
_DATAGRAM: Final = 65_536
_RECEIVE_BYTES: Final = 1_000_000

Messages = tuple[tuple[int, bytes], ...]


class NetlinkDump:
    """A socket of one netlink protocol; one question at a time. Opening raises OSError where it is not allowed."""

    def __init__(self, protocol: int) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        self._socket = socket.socket(socket.AF_NETLINK, kind, protocol)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
        self._socket.bind((0, 0))
        self._sequences = count(1)

    async def ask(self, kind: int, body: bytes, *, dump: bool = True) -> Messages:
        """Return the messages of the answer (type, body); raise OSError with the kernel's refusal."""
        sequence = next(self._sequences) & 0x7FFFFFFF
        self._socket.send(question(kind, sequence, body, dump=dump))
        loop, found, size = asyncio.get_running_loop(), list[tuple[int, bytes]](), 0
        while size < _MOST_BYTES:
            data = await loop.sock_recv(self._socket, _DATAGRAM)
            size += len(data)
            try:
                read = part(data, sequence)
            except NetlinkDecodeError as error:
                raise OSError(errno.EPROTO, str(error)) from None
            if read.refusal:
                raise OSError(read.refusal, os.strerror(read.refusal))
            found += read.messages
            if read.last or (read.messages and not dump):
                return tuple(found)
        raise OSError(errno.EMSGSIZE, "the answer is longer than was bargained for")

    def close(self) -> None:
        """Release the socket; an answer under way is lost."""
        self._socket.close()
