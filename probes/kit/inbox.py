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
_HEADER: Final = struct.Struct("@PIPNPNi0PI0P")
_LENGTHS: Final = struct.Struct(f"@{struct.calcsize('@PIPNP')}xN{struct.calcsize('@i0P')}xI0P")
_IOVEC: Final = struct.Struct("@PN")
# struct sockaddr_in and sockaddr_in6, in the room of the larger one: the address alone.
_ADDRESS: Final = {4: struct.Struct("4x4s20x"), 6: struct.Struct("8x16s4x")}
_NAME_BYTES: Final = 28


class Inbox:
    """Room for `count` messages of `size` bytes, from sockets of one family.

    `control` reads the head of a message's control messages, and leaves room for all of them.
    """

    def __init__(self, family: int, count: int, size: int, control: struct.Struct) -> None:
        self.count = count
        self.size = size
        self._kinds = (_LENGTHS, _ADDRESS[family], struct.Struct(f"{size}s"), control)
        self._buffers = tuple(bytearray(count * kind.size) for kind in self._kinds)
        headers, names, data, controls = self._buffers
        self._views = tuple(memoryview(buffer) for buffer in self._buffers)
        vectors = bytearray(count * _IOVEC.size)
        self._start, name_at, data_at, control_at, vector_at = map(
            _address_of, (headers, names, data, controls, vectors)
        )
        for n in range(count):
            _IOVEC.pack_into(vectors, n * _IOVEC.size, data_at + n * size, size)
            name, vector, first = name_at + n * _NAME_BYTES, vector_at + n * _IOVEC.size, control_at + n * control.size
            _HEADER.pack_into(headers, n * _HEADER.size, name, _NAME_BYTES, vector, 1, first, control.size, 0, 0)
        self._vectors = vectors
        self._fresh = bytes(headers)
        self._receive = ctypes.PyDLL(None, use_errno=True).recvmmsg
        self._receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)

    def take(self, sock: socket.socket, flags: int = 0) -> int:
        """Receive what waits, at most `count` messages, and return how many; raises OSError, not for an empty queue."""
        self._buffers[0][:] = self._fresh
        found: int = self._receive(sock.fileno(), self._start, self.count, flags | socket.MSG_DONTWAIT, None)
        if found >= 0:
            return found
        code = ctypes.get_errno()
        if code in (errno.EAGAIN, errno.EINTR):
            return 0
        raise OSError(code, os.strerror(code))

    def lengths(self, found: int) -> Iterator[tuple[int, int]]:
        """Yield the bytes of control messages and of data of the `found` messages of the last `take`."""
        return _LENGTHS.iter_unpack(self._views[0][: found * _LENGTHS.size])

    def addresses(self, found: int) -> Iterator[tuple[bytes]]:
        """Yield from whom each message came (error queue: to whom it went), where the kernel says so."""
        kind = self._kinds[1]
        return kind.iter_unpack(self._views[1][: found * kind.size])

    def data(self, found: int) -> Iterator[tuple[bytes]]:
        """Yield the room of each message's bytes; beyond its length are those of earlier messages."""
        kind = self._kinds[2]
        return kind.iter_unpack(self._views[2][: found * kind.size])

    def controls(self, found: int) -> Iterator[tuple[Any, ...]]:
        """Yield each message's control messages as the struct reads them; beyond their length are earlier ones."""
        kind = self._kinds[3]
        return kind.iter_unpack(self._views[3][: found * kind.size])

    def control(self, index: int, length: int) -> bytes:
        """Return all `length` bytes of control messages of message `index`."""
        first = index * self._kinds[3].size
        return bytes(self._buffers[3][first : first + length])


def _address_of(buffer: bytearray) -> int:
    """Return where `buffer` lies."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
