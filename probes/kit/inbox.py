"""Many messages of one socket in one system call: recvmmsg(2), which Python's socket module lacks.

What must stay true: the kernel writes only into buffers that this object owns and never resizes; the call
does not block, so it keeps the interpreter's lock; nothing is read of a message beyond its own length.
"""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Iterator
from typing import Any, Final

# struct mmsghdr: name, namelen, iov, iovlen, control, controllen, flags; then the received length.
HEADER: Final = struct.Struct("@PIPNPNi0PI0P")
_LENGTHS: Final = struct.Struct(f"@{struct.calcsize('@PIPNP')}xN{struct.calcsize('@i0P')}xI0P")
IOVEC: Final = struct.Struct("@PN")
# struct sockaddr_in and sockaddr_in6, in the room of the larger one: the address alone.
_ADDRESS: Final = {4: "4x4s20x", 6: "8x16s4x"}
NAME_BYTES: Final = 28
DONTWAIT: Final = int(socket.MSG_DONTWAIT)  # a number: to join members of an enumeration takes a microsecond
ALIGNED: Final = "0N"  # at the end of a struct: what follows is aligned as control messages must be


class Inbox:
    """Room for `count` messages of `size` bytes, from sockets of one family.

    `control` reads the head of a message's control messages, and leaves room for all of them.
    """

    def __init__(self, family: int, count: int, size: int, control: struct.Struct) -> None:
        self.count = count
        self.size = size
        # A message's room: its control messages, from whom it came, its bytes.
        self._whole = struct.Struct(f"{control.format}{_ADDRESS[family]}{size}s{ALIGNED}")
        self._heads = struct.Struct(f"{control.format}{NAME_BYTES}x{size}x{ALIGNED}")
        self._control = control.size
        headers, rooms, vectors = (bytearray(count * n) for n in (HEADER.size, self._whole.size, IOVEC.size))
        self._start, room, vector = map(address_of, (headers, rooms, vectors))
        for n in range(count):
            name = room + control.size
            IOVEC.pack_into(vectors, n * IOVEC.size, name + NAME_BYTES, size)
            HEADER.pack_into(headers, n * HEADER.size, name, NAME_BYTES, vector, 1, room, control.size, 0, 0)
            room, vector = room + self._whole.size, vector + IOVEC.size
        self._vectors = vectors
        self._headers, self._rooms = memoryview(headers), memoryview(rooms)
        self._fresh = bytes(headers)
        self._receive = ctypes.PyDLL(None, use_errno=True).recvmmsg
        self._receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)

    def take(self, sock: socket.socket, flags: int = 0) -> int:
        """Receive what waits, at most `count` messages, and return how many; raises OSError, not for an empty queue."""
        self._headers[:] = self._fresh
        found: int = self._receive(sock.fileno(), self._start, self.count, flags | DONTWAIT, None)
        if found >= 0:
            return found
        code = ctypes.get_errno()
        if code in (errno.EAGAIN, errno.EINTR):
            return 0
        raise OSError(code, os.strerror(code))

    def lengths(self, found: int) -> Iterator[tuple[int, int]]:
        """Yield the bytes of control messages and of data of the `found` messages of the last `take`."""
        return _LENGTHS.iter_unpack(self._headers[: found * _LENGTHS.size])

    def controls(self, found: int) -> Iterator[tuple[Any, ...]]:
        """Yield each message's control messages as the struct reads them; beyond their length are earlier ones."""
        return self._heads.iter_unpack(self._rooms[: found * self._heads.size])

    def messages(self, found: int) -> Iterator[tuple[Any, ...]]:
        """Yield of each message what `controls` does, its address and the room of its bytes.

        The address is from whom it came (error queue: to whom it went), where the kernel says so; beyond a
        message's length are the bytes of earlier ones.
        """
        return self._whole.iter_unpack(self._rooms[: found * self._whole.size])

    def control(self, index: int, length: int) -> bytes:
        """Return all `length` bytes of control messages of message `index`."""
        first = index * self._whole.size
        return bytes(self._rooms[first : first + min(length, self._control)])


def address_of(buffer: bytearray) -> int:
    """Return where `buffer` lies."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
