"""The kernel's time stamps: control messages read, and a wall clock watched."""

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.stamps import RECEIVED, SENT, WallClock, control_messages, received, sent

TIMESTAMPING, RECVERR = 37, 11
SECONDS, NANOSECONDS = 1_795_000_000, 123_456_789
STAMP_NS = SECONDS * 10**9 + NANOSECONDS


def message(level: int, kind: int, data: bytes) -> bytes:
    """Return one control message as the kernel writes it (cmsg(3))."""
    whole = struct.pack("@Nii", struct.calcsize("@Nii") + len(data), level, kind) + data
    return whole + bytes(-len(whole) % struct.calcsize("@N"))


def stamp(kind: int = TIMESTAMPING, level: int = socket.SOL_SOCKET) -> bytes:
    """Return a time stamp: of three, the first is the software's."""
    return message(level, kind, struct.pack("@6l", SECONDS, NANOSECONDS, 0, 0, 0, 0))


def reason(error: int = errno.ENOMSG, origin: int = 4, info: int = 0, number: int = 7) -> bytes:
    """Return a `struct sock_extended_err` with no offender."""
    extended = struct.pack("=IBBBxII", error, origin, 0, 0, info, number)
    return message(socket.IPPROTO_IP, RECVERR, extended + bytes(16))


def entry(control: bytes) -> tuple[tuple[int, int], tuple[int, ...]]:
    """Return an error-queue entry as an inbox gives it: what the buffer held before stands behind it."""
    return (len(control), 0), SENT.unpack((control + b"\xff" * SENT.size)[: SENT.size])


def test_a_reply_has_the_softwares_stamp() -> None:
    """Seconds and nanoseconds of the first of three."""
    control = stamp()

    assert received(len(control), *RECEIVED.unpack(control.ljust(RECEIVED.size, b"\xff"))) == STAMP_NS


@pytest.mark.parametrize("control", [b"", stamp()[:-1], stamp(kind=35), stamp(level=0)], ids=str)
def test_other_control_messages_are_no_stamps(control: bytes) -> None:
    """What is cut, or another message, is none, though the buffer still holds an older stamp."""
    older = stamp().ljust(RECEIVED.size, b"\xff")

    assert received(len(control), *RECEIVED.unpack(control + older[len(control) :])) is None


def test_stamps_of_sent_packets_come_by_their_numbers() -> None:
    """The rest of the error queue is told apart by its place."""
    entries = [
        entry(stamp() + reason(number=7)),
        entry(stamp() + reason(error=errno.EHOSTUNREACH, origin=2)),
        entry(stamp() + reason(number=2**32 - 1)),
        entry(reason(error=errno.ECONNREFUSED, origin=2)),
        entry(stamp() + reason(info=1)),
        entry(stamp()),
        entry((stamp() + reason())[:80]),
        entry(b""),
    ]

    stamps: dict[int, int] = {}

    assert sent(entries, stamps, base=2**32) == [1, 3, 4, 5, 6, 7]
    assert stamps == {2**32 + 7: STAMP_NS, 2**33 - 1: STAMP_NS}


def test_control_messages_one_by_one() -> None:
    """Each with level, type and data, however long."""
    control = message(0, 1, b"abc") + message(41, 25, b"") + stamp()

    assert list(control_messages(control))[:2] == [(0, 1, b"abc"), (41, 25, b"")]
    assert [kind for _, kind, _ in control_messages(control)] == [1, 25, TIMESTAMPING]


@pytest.mark.parametrize("length", [0, 15, 17, 2**62])
def test_a_length_that_cannot_be_ends_the_messages(length: int) -> None:
    """Too short for its own header, or longer than what there is: nothing is read beyond."""
    assert list(control_messages(struct.pack("@Nii", length, 0, 0))) == []


@given(st.binary(max_size=200))
def test_any_control_bytes_are_read(data: bytes) -> None:
    """A value or nothing, never an exception, and never more bytes than came."""
    assert sum(len(part) for _, _, part in control_messages(data)) <= len(data)
    received(len(data), *RECEIVED.unpack(data.ljust(RECEIVED.size, b"\0")[: RECEIVED.size]))
    sent([((len(data), 0), SENT.unpack(data.ljust(SENT.size, b"\0")[: SENT.size]))], {})


class Clock:
    """Clocks set by hand; each look at boot time may take a while."""

    def __init__(self, *delays: float) -> None:
        self.now = 1000.0
        self.ahead = 1_795_000_000.0
        self.delays = list(delays)

    def boot(self) -> float:
        """Return boot time."""
        self.now += self.delays.pop(0) if self.delays else 0.0
        return self.now

    def wall(self) -> float:
        """Return wall time."""
        return self.now + self.ahead


@pytest.mark.parametrize("seconds", [3600.0, -3600.0, 0.001, -0.0001, 1e-5])
def test_a_step_is_seen(seconds: float) -> None:
    """Forward or back, down to ten microseconds; and once."""
    clock = Clock()
    wall = WallClock(clock)
    clock.ahead += seconds

    wall.look()
    wall.look()

    assert wall.steps == 1
    assert wall.ahead == pytest.approx(clock.ahead, abs=1e-6)


def test_time_that_passes_is_no_step() -> None:
    """Both clocks go on together."""
    clock = Clock()
    wall = WallClock(clock)
    for _ in range(100):
        clock.now += 0.777
        assert wall.look() == clock.now

    assert wall.steps == 0


def test_an_interruption_between_two_looks_is_no_step() -> None:
    """It looks again, and what it then does not know exactly it does not take for a step."""
    clock = Clock()
    wall = WallClock(clock)
    clock.delays = [0.0, 0.005, 0.0, 0.0]
    wall.look()
    clock.delays = [0.0, 0.005, 0.0, 0.005, 0.0, 0.005]
    wall.look()
    wall.look()

    assert wall.steps == 0
