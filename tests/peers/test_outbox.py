"""Many messages in one system call, with the real kernel on loopback."""

import errno
import socket
import struct

import pytest

from probes.kit.inbox import Inbox
from probes.kit.outbox import Outbox

pytestmark = pytest.mark.peer

NO_STAMP = struct.Struct("@0N")


def name_of(listener: socket.socket) -> bytes:
    """Return where `listener` listens, as the kernel writes it."""
    address, port, *_ = listener.getsockname()
    if listener.family == socket.AF_INET:
        return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(address))
    whole = struct.pack("!HI16sI", port, 0, socket.inet_pton(socket.AF_INET6, address), 0)
    return struct.pack("=H", socket.AF_INET6) + whole


@pytest.mark.parametrize(("family", "kind", "here"), [(4, socket.AF_INET, "127.0.0.1"), (6, socket.AF_INET6, "::1")])
def test_messages_go_each_to_its_address(family: int, kind: socket.AddressFamily, here: str) -> None:
    """What one call sends another takes in: in order, whole, from whom it came; what was not asked for stays."""
    with socket.socket(kind, socket.SOCK_DGRAM) as ours, socket.socket(kind, socket.SOCK_DGRAM) as theirs:
        ours.bind((here, 0))
        theirs.bind((here, 0))
        theirs.settimeout(5)
        box = Outbox(family, 4, 3)
        for place, data in enumerate((b"one", b"two", b"six", b"ten")):
            box.put(place, name_of(theirs), data)

        assert box.send(ours, 1, 3) == 2

        assert [theirs.recv(10), theirs.recv(10)] == [b"two", b"six"]
        assert box.send(ours, 3, 4) == 1
        inbox = Inbox(family, 4, 5, NO_STAMP)
        assert inbox.take(theirs) == 1
        assert list(inbox.messages(1)) == [(socket.inet_pton(kind, here), b"ten\0\0")]
        assert [size for _, size in inbox.lengths(1)] == [3]
        assert inbox.take(theirs) == 0


def test_a_message_that_cannot_leave_ends_the_call() -> None:
    """Those before it are gone; the next call begins with it and says why."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        good = name_of(closed)
        forbidden = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", 9, b"\xff\xff\xff\xff")
        box = Outbox(4, 3, 1)
        for place, name in enumerate((good, forbidden, good)):
            box.put(place, name, b"x")

        assert box.send(ours, 0, 3) == 1
        with pytest.raises(PermissionError) as told:
            box.send(ours, 1, 3)

        assert told.value.errno == errno.EACCES
