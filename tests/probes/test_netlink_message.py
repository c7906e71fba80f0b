"""The kernel's routing messages: notices, a question and its answer, and any other bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.netlink_message import (
    NetlinkDecodeError,
    Notice,
    Subject,
    notices,
    route_answer,
    route_question,
)


def message(kind: int, body: bytes, sequence: int = 0) -> bytes:
    """Return a message, padded as the kernel pads it."""
    return struct.pack("=IHHII", 16 + len(body), kind, 0, sequence, 0) + body + b"\0" * (-len(body) % 4)


def link(index: int, flags: int) -> bytes:
    """Return the body of a link's message."""
    return struct.pack("=BxHiII", 0, 1, index, flags, 0)


def route(*attributes: tuple[int, bytes]) -> bytes:
    """Return the body of a route's message."""
    parts = [struct.pack("=HH", 4 + len(v), k) + v + b"\0" * (-len(v) % 4) for k, v in attributes]
    return bytes(12) + b"".join(parts)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(b"", [], id="nothing"),
        pytest.param(message(16, link(3, 0x1 | 0x40)), [Notice(Subject.LINK, 3, False)], id="up with a carrier"),
        pytest.param(message(16, link(3, 0x1)), [Notice(Subject.LINK, 3, True)], id="carrier lost"),
        pytest.param(message(16, link(3, 0x40)), [Notice(Subject.LINK, 3, True)], id="switched off"),
        pytest.param(message(17, link(3, 0x1 | 0x40)), [Notice(Subject.LINK, 3, True)], id="gone"),
        pytest.param(message(20, bytes(8)), [Notice(Subject.ADDRESS)], id="address"),
        pytest.param(
            message(24, route()) + message(25, route()), [Notice(Subject.ROUTE), Notice(Subject.ROUTE)], id="two"
        ),
        pytest.param(message(28, bytes(12)), [], id="a neighbour is passed over"),
        pytest.param(message(24, b"abc"), [Notice(Subject.ROUTE)], id="padding at the end"),
    ],
)
def test_notices(data: bytes, expected: list[Notice]) -> None:
    """Links say whether they are of use; everything else only that it changed."""
    assert notices(data) == expected


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x10\0\0", id="header cut"),
        pytest.param(struct.pack("=IHHII", 17, 24, 0, 0, 0), id="longer than what came"),
        pytest.param(struct.pack("=IHHII", 15, 24, 0, 0, 0), id="shorter than its header"),
        pytest.param(message(16, bytes(8)), id="a link's message too short"),
    ],
)
def test_what_makes_no_sense(data: bytes) -> None:
    """A typed error, never another one."""
    with pytest.raises(NetlinkDecodeError):
        notices(data)


OIF = (4, struct.pack("=I", 7))


@pytest.mark.parametrize(
    ("data", "device"),
    [
        pytest.param(message(24, route((1, bytes(4)), OIF), 5), 7, id="the answer"),
        pytest.param(message(24, route(OIF), 4), None, id="an answer to another question"),
        pytest.param(message(2, struct.pack("=i", -101), 5), None, id="no route"),
        pytest.param(message(24, route((1, b"abc")), 5), None, id="no interface in it"),
        pytest.param(message(24, route((4, b"ab")), 5), None, id="half a number"),
        pytest.param(message(25, route(OIF), 5) + message(24, route(OIF), 5), 7, id="the second message"),
    ],
)
def test_route_answer(data: bytes, device: int | None) -> None:
    """The interface's number, where the message is the answer and names one."""
    assert route_answer(data, 5) == device


@pytest.mark.parametrize("body", [bytes(12) + b"\1", route()[:12] + struct.pack("=HH", 3, 4)])
def test_attributes_that_make_no_sense(body: bytes) -> None:
    """A typed error here too."""
    with pytest.raises(NetlinkDecodeError):
        route_answer(message(24, body, 5), 5)


def test_route_question() -> None:
    """The question for an address of each family; a name is none."""
    assert len(route_question("192.0.2.1", 9)) == 16 + 12 + 8
    asked = route_question("2001:db8::1", 9)
    assert (len(asked), asked[16], asked[17]) == (16 + 12 + 20, 10, 128)
    with pytest.raises(ValueError, match="does not appear"):
        route_question("host.example", 9)


@given(st.binary(max_size=200) | st.tuples(st.integers(0, 30), st.binary(max_size=60)).map(lambda m: message(*m, 5)))
def test_any_bytes(data: bytes) -> None:
    """Any bytes give values or the typed error."""
    for read in (notices, lambda bytes_: route_answer(bytes_, 5)):
        try:
            read(data)
        except NetlinkDecodeError:
            continue
