"""Many messages of one socket in one system call: recvmmsg(2), which Python's socket module lacks.

What must stay true: the kernel writes only into buffers that this object owns and never resizes; the call
does not block, so it keeps the interpreter's lock. A system call a packet costs twice as much [measured,
docs/benchmarks.md].
"""

import ctypes
import errno
import os
import socket
import struct
from typing import Final

import msgspec

# struct mmsghdr: name, namelen, iov, iovlen, control, controllen, flags; then the received length.
_HEADER: Final = struct.Struct("@PIPNPNi0PI0P")
_IOVEC: Final = struct.Struct("@PN")
_NAME_BYTES: Final = 28  # struct sockaddr_in6
# Where the address stands in a struct sockaddr_in and sockaddr_in6, by its length.
_ADDRESS: Final = {16: slice(4, 8), 28: slice(8, 24)}


class Message(msgspec.Struct, frozen=True):
    """One message: who sent it (error queue: to whom it went) as packed address, its bytes, its control messages."""

    address: bytes
    data: bytes
    control: bytes


class Inbox:
    """Room for `count` messages of `size` bytes and their control messages."""

    def __init__(self, count: int, size: int, control_size: int) -> None:
        self.count = count
        self.size = size
        self._control_size = control_size
        self._names = bytearray(count * _NAME_BYTES)
        self._data = bytearray(count * size)
        self._control = bytearray(count * control_size)
        self._vectors = bytearray(count * _IOVEC.size)
        self._headers = bytearray(count * _HEADER.size)
        names, data, control, vectors, self._start = map(
            _address_of, (self._names, self._data, self._control, self._vectors, self._headers)
        )
        for n in range(count):
            _IOVEC.pack_into(self._vectors, n * _IOVEC.size, data + n * size, size)
            _HEADER.pack_into(
                self._headers,
                n * _HEADER.size,
                names + n * _NAME_BYTES,
                _NAME_BYTES,
                vectors + n * _IOVEC.size,
                1,
                control + n * control_size,
                control_size,
                0,
                0,
            )
        self._fresh = bytes(self._headers)
        self._receive = ctypes.PyDLL(None, use_errno=True).recvmmsg
        self._receive.argtypes = (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p)

    def take(self, sock: socket.socket, flags: int = 0) -> list[Message]:
        """Return what waits, at most `count` messages; raises OSError, not for an empty queue."""
        found: int = self._receive(sock.fileno(), self._start, self.count, flags | socket.MSG_DONTWAIT, None)
        if found < 0:
            code = ctypes.get_errno()
            if code in (errno.EAGAIN, errno.EINTR):
                return []
            raise OSError(code, os.strerror(code))
        used = found * _HEADER.size
        size, control_size = self.size, self._control_size
        messages = []
        name_at = data_at = control_at = 0
        for header in _HEADER.iter_unpack(self._headers[:used]):
            address = _ADDRESS.get(header[1])
            messages.append(
                Message(
                    bytes(self._names[name_at : name_at + _NAME_BYTES][address]) if address else b"",
                    bytes(self._data[data_at : data_at + header[7]]),
                    bytes(self._control[control_at : control_at + header[5]]),
                )
            )
            name_at += _NAME_BYTES
            data_at += size
            control_at += control_size
        self._headers[:used] = self._fresh[:used]
        return messages


def _address_of(buffer: bytearray) -> int:
    """Return where `buffer` lies; the reference that ctypes keeps forbids to resize it."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))
