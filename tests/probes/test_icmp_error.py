"""Reading a socket's error queue: routers' errors with and without extensions, stamps, our kernel's refusals."""

import socket
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.icmp_error import (
    RECEIVE_ERRORS,
    TIMESTAMPING,
    Ancillary,
    Refused,
    RouterError,
    Sent,
    mpls_labels,
    read_entry,
    read_stamp,
)

LOCAL, ICMP, ICMP6, STAMPS = 1, 2, 3, 4
ECHO = bytes.fromhex("0800 f7ff 1234 0001")  # as quoted by a router that quotes no more than it must


def sockaddr(address: str) -> bytes:
    """Return a struct sockaddr_in or sockaddr_in6."""
    if ":" in address:
        return socket.AF_INET6.to_bytes(2, sys.byteorder) + bytes(6) + socket.inet_pton(socket.AF_INET6, address)
    return socket.AF_INET.to_bytes(2, sys.byteorder) + bytes(2) + socket.inet_aton(address)


def error(
    origin: int,
    kind: int = 11,
    code: int = 0,
    *,
    info: int = 0,
    offset: int = 0,
    flags: int = 0,
    sender: str = "192.0.2.1",
) -> tuple[int, int, bytes]:
    """Return the control message that comes with an entry."""
    level, number = RECEIVE_ERRORS[6 if ":" in sender else 4]
    entry = struct.pack("=IBBBxIHBx", 113, origin, kind, code, info, offset, flags)
    return level, number, entry + (sockaddr(sender) if sender else bytes(16))


def stamp(seconds: int = 1_700_000_000, nanoseconds: int = 500_000_000) -> tuple[int, int, bytes]:
    """Return the control message of a software stamp."""
    return socket.SOL_SOCKET, TIMESTAMPING, struct.pack("@6l", seconds, nanoseconds, 0, 0, 0, 0)


def mpls(*labels: int, kind: int = 1) -> bytes:
    """Return an extension structure with one label stack."""
    stack = b"".join(((label << 12) | 0x101).to_bytes(4) for label in labels)
    return b"\x20\x00\x00\x00" + struct.pack("!HBB", 4 + len(stack), 1, kind) + stack


PADDED = ECHO.ljust(128, b"\0")
READ: dict[str, tuple[bytes, list[tuple[int, int, bytes]], object]] = {
    "a router": (ECHO, [error(ICMP)], RouterError(sender="192.0.2.1", type=11, code=0, quote=ECHO)),
    "with its stamp": (
        ECHO,
        [stamp(), error(ICMP)],
        RouterError(sender="192.0.2.1", type=11, code=0, quote=ECHO, stamp=1_700_000_000.5),
    ),
    "too big": (
        ECHO,
        [error(ICMP, 3, 4, info=1400)],
        RouterError(sender="192.0.2.1", type=3, code=4, quote=ECHO, mtu=1400),
    ),
    "in IPv6": (
        ECHO,
        [error(ICMP6, 2, 0, info=1280, sender="2001:db8::1")],
        RouterError(sender="2001:db8::1", type=2, code=0, quote=ECHO, mtu=1280),
    ),
    "with labels": (
        PADDED + mpls(16, 1048575),
        [error(ICMP, offset=128)],
        RouterError(sender="192.0.2.1", type=11, code=0, quote=PADDED, labels=(16, 1048575)),
    ),
    "extensions that the kernel found broken": (
        PADDED + mpls(16),
        [error(ICMP, offset=128, flags=1)],
        RouterError(sender="192.0.2.1", type=11, code=0, quote=PADDED + mpls(16)),
    ),
    "no sender": (ECHO, [error(ICMP, sender="")], None),
    "a packet of ours left": (b"packet", [stamp(), error(STAMPS)], Sent(packet=b"packet", stamp=1_700_000_000.5)),
    "it left without a stamp": (b"packet", [error(STAMPS)], None),
    "our kernel refused": (b"", [error(LOCAL, info=1500, sender="")], Refused(errno=113, mtu=1500)),
    "an origin of tomorrow": (ECHO, [error(9)], None),
    "other control messages": (ECHO, [(0, 2, b"\x40"), (1, 29, b"")], None),
    "nothing": (b"", [], None),
}


@pytest.mark.parametrize("case", READ)
def test_entries(case: str) -> None:
    """Each kind of entry is read as what it is; what is not understood is left out."""
    data, ancillary, expected = READ[case]
    assert read_entry(data, ancillary) == expected


LABELS: dict[str, tuple[bytes, tuple[int, ...]]] = {
    "one": (mpls(100), (100,)),
    "behind another object": (b"\x20\0\0\0" + b"\x00\x08\x02\x01abcd" + mpls(7)[4:], (7,)),
    "another kind of MPLS object": (mpls(7, kind=2), ()),
    "no object": (b"\x20\0\0\0", ()),
    "version 1": (b"\x10" + mpls(7)[1:], ()),
    "an object of no length": (b"\x20\0\0\0\0\0\1\1", ()),
    "an object longer than the message": (b"\x20\0\0\0\0\x0c\1\1\0\0\x71\1", ()),
    "a cut label": (b"\x20\0\0\0\0\x06\1\1\0\0", ()),
    "a stack without bounds": (mpls(*range(100)), tuple(range(8))),
    "too short": (b"\x20\0", ()),
}


@pytest.mark.parametrize("case", LABELS)
def test_labels(case: str) -> None:
    """A label stack is read from a well-formed extension structure only, and no deeper than carriers stack."""
    extension, expected = LABELS[case]
    assert mpls_labels(extension) == expected


def test_no_stamp() -> None:
    """A control message without a software stamp holds zeros; a cut one holds nothing."""
    assert read_stamp(bytes(48)) is None
    assert read_stamp(b"") is None


@given(
    st.binary(max_size=300),
    st.lists(
        st.tuples(st.sampled_from([0, 1, 41]), st.sampled_from([11, 25, TIMESTAMPING]), st.binary(max_size=48)),
        max_size=3,
    ),
)
def test_any_bytes_give_a_value(data: bytes, ancillary: Ancillary) -> None:
    """Whatever a router wrote, and whatever the kernel makes of it."""
    assert read_entry(data, ancillary) is None or isinstance(read_entry(data, ancillary), RouterError | Sent | Refused)


@given(st.binary(max_size=200), st.binary(max_size=20), st.integers(0, 400))
def test_any_extension_gives_labels(extension: bytes, rest: bytes, offset: int) -> None:
    """Labels are 20 bits wide and few, wherever the extensions are said to begin."""
    for found in (mpls_labels(extension), mpls_labels(b"\x20\0\0\0" + extension)):
        assert len(found) <= 8
        assert all(0 <= label < 1 << 20 for label in found)
    entry = read_entry(extension, [error(ICMP, offset=offset, sender="192.0.2.1")])
    assert isinstance(entry, RouterError)
    assert extension.startswith(entry.quote)
