"""One attempt of an icmp probe: what its replies say."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probes.kit.echo_burst import KERNEL, LOOSE, USER, Aim, Burst, History, Limits, Plan, verdict, wilson
from probes.kit.result import Outcome, Stage
from probes.kit.trouble import LATE, TIMEOUT, Trouble

AIM = Aim(("10.0.0.1", 0), b"\x0a\0\0\x01", b"")
ROUTER = Trouble(fault="host-unreachable", by="10.0.0.254")
PEER = Trouble(fault="payload-changed", answered=True)
OURS = Trouble(fault="no-permission", local=True)


def burst(count: int = 1, limits: Limits | None = None, *, left: int | None = None, **more: Any) -> Burst:
    """Return an attempt of `count` packets that all left (or `left` of them), started at 10.0."""
    sent = count if left is None else left
    made = Burst(Plan(count=count, limits=limits), AIM, History(), print, 10.0, 11.0, 0, more.pop("phases", {}), **more)
    made.left = made.under_way = sent
    return made


def answered(made: Burst, *round_trips: float, precision: int = KERNEL) -> Burst:
    """Return `made` after these replies, in order."""
    for number, round_trip in enumerate(round_trips):
        made.answered(number, round_trip, precision)
    return made


def test_one_reply_is_ok() -> None:
    """The round trip is the phase and, with what went before, the whole."""
    result = verdict(answered(burst(phases={"resolve": 0.5}), 0.25), 12.0)

    assert (result.outcome, result.fault, result.detail) == (Outcome.OK, None, "")
    assert result.seconds == 0.75
    assert result.phases == {"resolve": 0.5, "answer": 0.25}
    assert result.packet_bytes == 84
    assert result.values["icmp_kernel_stamps"] == 1
    assert "icmp_loss_ratio" not in result.values


def test_a_burst_tells_its_loss_and_spread() -> None:
    """The median stands for the round trip; loss comes with its interval."""
    made = answered(burst(4), 0.3, 0.1, 0.2)
    made.lost(TIMEOUT)

    result = verdict(made, 12.0)

    assert result.outcome is Outcome.OK
    assert result.phases == {"answer": 0.2}
    values = result.values
    assert values["icmp_loss_ratio"] == 0.25
    assert values["icmp_loss_ratio_low"] < 0.25 < values["icmp_loss_ratio_high"]
    assert (values["icmp_rtt_min_seconds"], values["icmp_rtt_max_seconds"]) == (0.1, 0.3)


@pytest.mark.parametrize(
    ("troubles", "outcome", "stage", "fault"),
    [
        ([TIMEOUT], Outcome.FAILED, Stage.CONNECT, "timeout"),
        ([TIMEOUT, ROUTER, TIMEOUT], Outcome.FAILED, Stage.CONNECT, "host-unreachable"),
        ([ROUTER, PEER], Outcome.FAILED, Stage.ANSWER, "payload-changed"),
        ([PEER, ROUTER], Outcome.FAILED, Stage.ANSWER, "payload-changed"),
        ([OURS], Outcome.UNKNOWN, None, "no-permission"),
        ([OURS, TIMEOUT], Outcome.FAILED, Stage.CONNECT, "timeout"),
        ([LATE], Outcome.UNKNOWN, None, "no-time"),
        ([], Outcome.UNKNOWN, None, "no-time"),
    ],
)
def test_the_most_telling_trouble_decides(
    troubles: list[Trouble], outcome: Outcome, stage: Stage | None, fault: str
) -> None:
    """The peer's own word before a router's, that before silence, and silence before our own host's trouble."""
    made = burst(3)
    for trouble in troubles:
        made.lost(trouble)

    result = verdict(made, 12.0)

    assert (result.outcome, result.stage, result.fault) == (outcome, stage, fault)
    assert (result.seconds == 2.0) == (outcome is Outcome.FAILED)
    assert ("icmp_loss_ratio" in result.values) == (outcome is Outcome.FAILED)


def test_packets_that_never_left_are_not_lost() -> None:
    """Loss speaks of what left this host."""
    made = answered(burst(10, left=2), 0.1, 0.1)
    made.hindered(OURS)

    assert verdict(made, 12.0).values["icmp_loss_ratio"] == 0


@pytest.mark.parametrize(
    ("limits", "fault", "words"),
    [
        (Limits(loss=0.05), "packet-loss", "2 of 10 lost (95 % interval 5.7% to 51.0%), limit 5.0%"),
        (Limits(loss=0.06), None, ""),
        (Limits(rtt=0.09), "slow-answer", "round trip 100.000 ms, limit 90 ms"),
        (Limits(rtt=0.1), None, ""),
        (Limits(jitter=0.001), "unsteady", "jitter 5.938 ms, limit 1 ms"),
        (Limits(jitter=0.01), None, ""),
        (Limits(loss=0.0, rtt=0.0, jitter=0.0), "packet-loss", "lost"),
    ],
)
def test_limits_degrade(limits: Limits, fault: str | None, words: str) -> None:
    """Beyond a limit the attempt is degraded and says by how much; loss only once the burst proves it."""
    made = answered(burst(10, limits), 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.2)
    made.lost(TIMEOUT)
    made.lost(TIMEOUT)
    made.history.jitter = 0.0059375

    result = verdict(made, 12.0)

    assert (result.outcome, result.fault) == (Outcome.DEGRADED if fault else Outcome.OK, fault)
    assert words in result.detail
    if limits.loss == 0.0:
        assert result.detail.count(";") == 2


@pytest.mark.parametrize("precision", [USER, LOOSE])
def test_other_stamps_than_the_kernels_are_marked(precision: int) -> None:
    """The worst reply counts, in the metric and in words."""
    made = burst(2)
    made.answered(0, 0.1, KERNEL)
    made.answered(1, 0.1, precision)

    result = verdict(made, 12.0)

    assert result.values["icmp_kernel_stamps"] == 0
    assert "stamp" in result.detail


def test_what_our_wake_up_quantised_is_held_against_nobody() -> None:
    """A loose duration exceeds no limit and makes no jitter; the loss still counts."""
    limits = Limits(loss=0.0, rtt=0.001, jitter=0.0)
    made = answered(burst(3, limits), 0.02, 0.04, precision=LOOSE)
    made.lost(TIMEOUT)

    result = verdict(made, 12.0)

    assert result.fault == "packet-loss"
    assert "round trip" not in result.detail
    assert result.values["icmp_jitter_seconds"] == 0
    assert verdict(answered(burst(1, Limits(rtt=0.001)), 0.02, precision=LOOSE), 12.0).outcome is Outcome.OK


def test_jitter_runs_on_over_attempts() -> None:
    """RFC 3550 section 6.4.1: J += (|D| - J) / 16, over the differences of consecutive round trips."""
    history = History()
    for round_trip in (0.1, 0.18, 0.1):
        made = Burst(Plan(), AIM, history, print, 10.0, 11.0, 0, {}, under_way=1, left=1)
        made.answered(history.highest + 1, round_trip, KERNEL)

    first = 0.08 / 16
    assert history.jitter == pytest.approx(first + (0.08 - first) / 16)


def test_a_reply_after_a_later_ones_is_reordered() -> None:
    """RFC 4737: what comes after a reply to a later request; equal order counts nothing."""
    made = burst(4)
    for number in (1, 0, 2, 3):
        made.answered(number, 0.1, KERNEL)

    assert made.history.reordered == 1


@pytest.mark.parametrize(
    ("hits", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (1, 10, 0.0179, 0.4042), (5, 10, 0.2366, 0.7634), (1, 1, 0.2065, 1.0)],
)
def test_wilson_intervals(hits: int, of: int, low: float, high: float) -> None:
    """Known values of the 95 % score interval."""
    assert wilson(hits, of) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 1000).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_a_share_lies_in_its_interval(share: tuple[int, int]) -> None:
    """The interval holds the share and never leaves 0 to 1."""
    hits, of = share
    low, high = wilson(hits, of)

    assert 0 <= low <= hits / of <= high <= 1


def test_nothing_more_can_come_of_a_burst_that_is_over() -> None:
    """As long as packets are due or under way, a burst is not over."""
    made = burst(2)
    made.due = 1
    assert not made.over
    answered(made, 0.1, 0.1)
    assert not made.over
    made.due = 0
    assert made.over


def test_a_burst_spans_its_gaps() -> None:
    """From the first packet to the last; one packet takes no time."""
    assert (Plan(count=11, gap=0.05).span, Plan().span) == (0.5, 0)
