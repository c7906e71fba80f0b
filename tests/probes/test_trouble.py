"""Errors of the kernel and of routers as faults."""

import errno

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.result import Outcome, Stage
from probes.kit.trouble import (
    LATE,
    LOCAL_FAULTS,
    TIMEOUT,
    QueuedError,
    Trouble,
    icmp_fault,
    local_trouble,
    path_faults,
    path_trouble,
    queued_trouble,
    result_of,
)

LOCAL = {row.name for row in LOCAL_FAULTS}
PATH = {row.name for row in path_faults(Stage.CONNECT)}

ICMP = {
    "v4 no route": (4, 3, 0, "network-unreachable"),
    "v4 host": (4, 3, 1, "host-unreachable"),
    "v4 port": (4, 3, 3, "refused"),
    "v4 frag needed": (4, 3, 4, "too-big"),
    "v4 source route": (4, 3, 5, "icmp-error"),
    "v4 filtered": (4, 3, 13, "prohibited"),
    "v4 hops": (4, 11, 0, "ttl-exceeded"),
    "v4 parameter": (4, 12, 0, "icmp-error"),
    "v6 no route": (6, 1, 0, "network-unreachable"),
    "v6 address": (6, 1, 3, "host-unreachable"),
    "v6 port": (6, 1, 4, "refused"),
    "v6 policy": (6, 1, 5, "prohibited"),
    "v6 too big": (6, 2, 0, "too-big"),
    "v6 hops": (6, 3, 0, "ttl-exceeded"),
    "v6 parameter": (6, 4, 0, "icmp-error"),
}


@pytest.mark.parametrize("case", ICMP)
def test_icmp_errors_have_names(case: str) -> None:
    """Type and code of an ICMP error become a fault of the path."""
    family, kind, code, fault = ICMP[case]

    assert fault == icmp_fault(family, kind, code)


@given(st.sampled_from([4, 6]), st.integers(0, 255), st.integers(0, 255))
def test_every_icmp_error_is_in_the_table(family: int, kind: int, code: int) -> None:
    """No type and code has a fault without a row."""
    assert icmp_fault(family, kind, code) in PATH


@given(st.sampled_from(sorted(errno.errorcode)))
def test_every_errno_is_in_a_table(code: int) -> None:
    """A failed call is ours, an error that came back is the path's or ours, and both have rows."""
    error = OSError(code, "text")

    assert local_trouble(error).local
    assert local_trouble(error).fault in LOCAL
    late = path_trouble(error)
    assert late.fault in (LOCAL if late.local else PATH)


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (errno.EMFILE, "no-descriptors"),
        (errno.ENOBUFS, "no-buffers"),
        (errno.EPERM, "no-permission"),
        (errno.ENETUNREACH, "no-route"),
        (errno.EADDRNOTAVAIL, "no-ports"),
        (errno.EAFNOSUPPORT, "no-family"),
        (errno.EMSGSIZE, "too-big-here"),
        (errno.ENOENT, "local-error"),
        (None, "local-error"),
    ],
)
def test_what_our_host_refuses_is_unknown(code: int | None, fault: str) -> None:
    """A call that fails before a packet left says nothing of the network."""
    error = OSError(code, "why") if code else OSError("no number")

    result = result_of(local_trouble(error), Stage.CONNECT)

    assert (Outcome.UNKNOWN, fault, None) == (result.outcome, result.fault, result.stage)


def test_a_router_is_named() -> None:
    """An ICMP error carries its sender, and the next hop's MTU where there is one."""
    error = QueuedError(errno=errno.EMSGSIZE, type=3, code=4, info=1400, offender="192.0.2.1")

    result = result_of(queued_trouble(error, 4, own=False), Stage.CONNECT, 0.5, {"resolve": 0.1})

    assert (
        result.outcome,
        result.stage,
        result.fault,
        result.by,
    ) == (Outcome.FAILED, Stage.CONNECT, "too-big", "192.0.2.1")
    assert result.detail.endswith("next-hop MTU 1400")
    assert (result.seconds, result.phases) == (0.5, {"resolve": 0.1})


def test_another_router_error_has_no_mtu() -> None:
    """Only packet-too-big speaks of an MTU."""
    error = QueuedError(errno=113, type=3, code=1, offender="192.0.2.1")

    assert queued_trouble(error, 4, own=False).detail == "ICMP type 3 code 1 from 192.0.2.1"


def test_our_own_host_unreachable_is_a_silent_neighbour() -> None:
    """When our own kernel says host-unreachable, ARP went unanswered: silence, and nobody's word."""
    error = QueuedError(errno=errno.EHOSTUNREACH, type=3, code=1, offender="10.0.0.5")

    found = queued_trouble(error, 4, own=True)

    assert (found.fault, found.by, found.local) == ("neighbour-silent", None, False)


def test_a_local_queue_entry_is_ours() -> None:
    """An entry without a sender comes from our own kernel."""
    assert queued_trouble(QueuedError(errno=errno.EMSGSIZE), 4, own=False) == Trouble(
        fault="too-big-here", detail="EMSGSIZE", local=True
    )


def test_standing_troubles() -> None:
    """Silence is the path's, a start after the deadline is ours; both have rows."""
    assert (TIMEOUT.fault in PATH, TIMEOUT.local, LATE.fault in LOCAL, LATE.local) == (True, False, True, True)
