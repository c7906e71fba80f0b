"""What the kernel says of a handshake, and how it is read."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes import tcp
from probes.kit.handshake import Ended, Handshake, read_handshake
from probes.kit.result import Outcome
from probes.kit.trouble import LATE, TIMEOUT

ESTABLISHED, SYN_SENT, CLOSE, CLOSE_WAIT = 1, 2, 7, 8


def info(state: int, *, round_trip_us: int = 0, retransmits: int = 0, since_ack_ms: int = 0) -> bytes:
    """Return the head of a struct tcp_info."""
    return struct.pack("=B55xI8xI28xI", state, since_ack_ms, round_trip_us, retransmits)


CASES: dict[str, tuple[bytes, Handshake]] = {
    "connected": (
        info(ESTABLISHED, round_trip_us=250, since_ack_ms=19),
        Handshake(connect_seconds=0.00025, round_trip=0.00025),
    ),
    "connected, and the peer has ended already": (
        info(CLOSE_WAIT, round_trip_us=250),
        Handshake(connect_seconds=0.00025, round_trip=0.00025),
    ),
    "connected, and reset since": (
        info(CLOSE, round_trip_us=250),
        Handshake(connect_seconds=0.00025, round_trip=0.00025),
    ),
    "a SYN was lost": (
        info(ESTABLISHED, round_trip_us=1000, retransmits=1, since_ack_ms=500),
        Handshake(connect_seconds=1.5, syn_retransmits=1),
    ),
    "a SYN was lost, no time stamps": (
        info(ESTABLISHED, retransmits=1, since_ack_ms=500),
        Handshake(connect_seconds=1.5, syn_retransmits=1),
    ),
    "an acknowledgment from before": (
        info(ESTABLISHED, retransmits=1, since_ack_ms=5000),
        Handshake(connect_seconds=0.0, syn_retransmits=1),
    ),
    "under way": (info(SYN_SENT), Handshake(decided=False)),
    "under way, again": (info(SYN_SENT, retransmits=2), Handshake(decided=False, syn_retransmits=2)),
    "failed": (info(CLOSE, since_ack_ms=7), Handshake()),
    "less than we need": (info(ESTABLISHED, round_trip_us=250)[:-1], Handshake()),
    "more than we need": (
        info(ESTABLISHED, round_trip_us=250) + bytes(128),
        Handshake(connect_seconds=0.00025, round_trip=0.00025),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_reads_the_kernels_word(case: str) -> None:
    """The round trip counts only when one SYN was sent; else the kernel's last acknowledgment dates the answer."""
    data, expected = CASES[case]

    assert read_handshake(data, 2.0) == expected


@given(st.binary(max_size=240), st.floats(0, 100))
def test_any_bytes_are_a_handshake(data: bytes, elapsed: float) -> None:
    """No structure breaks the reader, and no duration is negative."""
    found = read_handshake(data, elapsed)

    assert found.connect_seconds is None or found.connect_seconds >= 0


def test_what_each_end_means() -> None:
    """Silence tells how many SYNs were sent again; what our own host caused tells nothing of the wire."""
    silent = tcp.result(Ended(trouble=TIMEOUT, seconds=3.0, handshake=Handshake(decided=False, syn_retransmits=1)), {})
    late = tcp.result(Ended(trouble=LATE, seconds=0.0), {})
    lossy = tcp.result(
        Ended(trouble=None, seconds=1.1, handshake=Handshake(connect_seconds=1.1, syn_retransmits=1)), {"resolve": 0.5}
    )

    assert (silent.fault, silent.seconds, silent.phases) == ("timeout", 3.0, {})
    assert silent.values == {"tcp_syn_retransmits": 1}
    assert (late.outcome, late.values) == (Outcome.UNKNOWN, {})
    assert (lossy.outcome, lossy.seconds) == (Outcome.OK, 1.6)
    assert lossy.phases == {"resolve": 0.5, "connect": 1.1}
    assert lossy.values == {"tcp_syn_retransmits": 1}
