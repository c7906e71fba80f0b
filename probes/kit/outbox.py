"""Many messages over one socket in one system call: sendmmsg(2), which Python's socket module lacks.

A turn of the interpreter between two packets finds its caches emptied by the kernel's whole way out, and the other
way round; packets that are made one after another and handed over together cost half as much. What must stay true:
the kernel reads only from buffers that this object owns and never resizes; the call does not block, so it keeps the
interpreter's lock.
"""

import ctypes
import os
import socket
import struct
from typing import Final

from probes.kit.inbox import ALIGNED, DONTWAIT, HEADER, IOVEC, NAME_BYTES, address_of

# struct sockaddr_in; struct sockaddr_in6: the length that the kernel wants of each.
_NAME_LENGTH: Final = {4: 16, 6: 28}


class Outbox:
    """Room for `count` messages of `size` bytes each, to addresses of one family."""

    def __init__(self, family: int, count: int, size: int) -> None:
        self.count = count
        self._room = struct.Struct(f"@{NAME_BYTES}s{size}s{ALIGNED}")
        headers, rooms, vectors = (bytearray(count * n) for n in (HEADER.size, self._room.size, IOVEC.size))
        self._start, room, vector = map(address_of, (headers, rooms, vectors))
        for n in range(count):
            IOVEC.pack_into(vectors, n * IOVEC.size, room + NAME_BYTES, size)
            HEADER.pack_into(headers, n * HEADER.size, room, _NAME_LENGTH[family], vector, 1, 0, 0, 0, 0)
            room, vector = room + self._room.size, vector + IOVEC.size
        self._kept, self._rooms = (headers, vectors), rooms
        self._send = ctypes.PyDLL(None, use_errno=True).sendmmsg
        self._send.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int)

    def put(self, place: int, name: bytes, data: bytes) -> None:
        """Make `data`, to the packed socket address `name`, the message at `place` (from 0)."""
        self._room.pack_into(self._rooms, place * self._room.size, name, data)

    def send(self, sock: socket.socket, first: int, end: int) -> int:
        """Send the messages from `first` to before `end`; return how many left, at least one; else raise OSError.

        Why the one after them did not leave is not said: the next call begins with it.
        """
        at = self._start + first * HEADER.size
        left: int = self._send(sock.fileno(), at, end - first, DONTWAIT)
        if left < 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))
        return left
