"""One attempt of an icmp probe: one echo or a burst of them, and what their replies say. Pure.

What must stay true: loss speaks only of packets that left this host; a limit counts as exceeded only where the
numbers show it; a duration that our own wake-up quantised is never held against a limit.
"""

import math
from collections.abc import Callable
from typing import Final

import msgspec

from probes.kit.result import Outcome, Result, Stage
from probes.kit.trouble import LATE, Trouble, result_of

_OK: Final = Outcome.OK  # looked up once: an enumeration's member costs as much as a small dictionary
_JITTER_GAIN: Final = 16  # RFC 3550 section 6.4.1
_Z_95: Final = 1.959964  # the normal quantile of a two-sided 95 % interval


# Whose stamps a round trip rests on, best first; a burst is as good as its worst reply.
KERNEL: Final = 0  # both the kernel's
USER: Final = 1  # one of ours stands in: just before the request's system call, or at once after the reply's wake-up
LOOSE: Final = 2  # until the wheel's next turn: the kernel gave no stamp of the reply, or the wall clock stepped
_PRECISION_WORDS: Final = {
    USER: "a stamp of our own stands in for the kernel's",
    LOOSE: "no usable kernel stamps: measured until noticed",
}


class Aim(msgspec.Struct, frozen=True):
    """Where to send, as Python and as the kernel write it, and the packed address from which the reply must come.

    `name` is a `struct sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)).
    """

    socket_address: tuple[str, int]
    packed: bytes
    name: bytes


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt may show and still be `ok`: loss as a share, the others in seconds; None is not judged."""

    loss: float | None = None
    rtt: float | None = None
    jitter: float | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt sends: `count` packets of `size` payload bytes, `gap` seconds apart, and its limits if any.

    `traffic_class` stands in the IP header; `packet_bytes` is what has crossed if a reply came.
    """

    count: int = 1
    gap: float = 0.0
    size: int = 56
    traffic_class: int = 0
    packet_bytes: int = 84
    limits: Limits | None = None

    @property
    def span(self) -> float:
        """Return the seconds from the first packet to the last."""
        return (self.count - 1) * self.gap


class History(msgspec.Struct, kw_only=True):
    """What a probe saw over its attempts: RFC 3550 jitter (seconds) and counts since the runner opened.

    `late` replies came after their time, `duplicates` after the first to the same request, `reordered`
    after the reply to a later request (RFC 4737). `asked` numbers the requests.
    """

    jitter: float = 0.0
    last: float | None = None
    asked: int = 0
    highest: int = -1
    duplicates: int = 0
    late: int = 0
    reordered: int = 0


class Burst(msgspec.Struct, eq=False, gc=False):
    """One attempt under way. `due` packets are still to be sent, `under_way` wait, `left` left this host.

    `start`, `deadline` and `next_at` (when the next packet is due) are boot time; `done` takes the result.
    `phases` went before (seconds), `precision` is that of the worst reply.
    """

    plan: Plan
    aim: Aim
    history: History
    done: Callable[[Result], None]
    start: float
    deadline: float
    due: int
    phases: dict[str, float]
    next_at: float = 0.0
    left: int = 0
    under_way: int = 0
    round_trips: list[float] = []
    precision: int = KERNEL
    trouble: Trouble | None = None

    @property
    def over(self) -> bool:
        """Return whether nothing more can come."""
        return self.due == 0 and self.under_way == 0

    def answered(self, number: int, round_trip: float, precision: int) -> None:
        """Take the first reply, in time, to request `number`, and the round trip into the jitter.

        RFC 3550 section 6.4.1: a sixteenth of the difference to the round trip before.
        """
        history = self.history
        if number < history.highest:
            history.reordered += 1
        else:
            history.highest = number
        self.under_way -= 1
        self.round_trips.append(round_trip)
        if precision:  # else it is the best, and most are
            self.precision = max(self.precision, precision)
        if precision != LOOSE:
            last, history.last = history.last, round_trip
            if last is not None:
                jitter = history.jitter
                history.jitter = jitter + (abs(round_trip - last) - jitter) / _JITTER_GAIN

    def lost(self, trouble: Trouble) -> None:
        """Take what came instead of a reply."""
        self.under_way -= 1
        self.hindered(trouble)

    def hindered(self, trouble: Trouble) -> None:
        """Keep the most telling trouble: the peer's own word, a router's, silence, our own host's."""
        if self.trouble is None or _weight(trouble) > _weight(self.trouble):
            self.trouble = trouble


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share `hits / of` (Wilson 1927); `of` is at least 1."""
    share, z2 = hits / of, _Z_95 * _Z_95
    middle = share + z2 / (2 * of)
    spread = _Z_95 * math.sqrt(share * (1 - share) / of + z2 / (4 * of * of))
    scale = 1 + z2 / of
    low = 0.0 if hits == 0 else (middle - spread) / scale
    high = 1.0 if hits == of else (middle + spread) / scale
    return low, high


def verdict(burst: Burst, now: float) -> Result:
    """Return the result of an attempt that is over at `now` (boot time)."""
    round_trips = burst.round_trips
    if not round_trips:
        trouble = burst.trouble or LATE
        stage = Stage.ANSWER if trouble.answered else Stage.CONNECT
        failure = result_of(trouble, stage, now - burst.start, burst.phases)
        return failure if trouble.local else msgspec.structs.replace(failure, values=_values(burst))
    round_trip = round_trips[0] if len(round_trips) == 1 else _median(round_trips)
    plan = burst.plan
    phases = {**burst.phases, "answer": round_trip}
    seconds = sum(burst.phases.values(), round_trip) if burst.phases else round_trip
    size, values = plan.packet_bytes, _values(burst)
    if plan.limits is None and burst.precision == KERNEL:
        return Result(outcome=_OK, seconds=seconds, packet_bytes=size, phases=phases, values=values)
    fault, detail = _judged(burst, plan.limits or Limits(), round_trip)
    return Result(
        outcome=_OK if fault is None else Outcome.DEGRADED,
        fault=fault,
        seconds=seconds,
        packet_bytes=size,
        detail=detail,
        phases=phases,
        values=values,
    )


def _median(values: list[float]) -> float:
    """Return the median; the standard library's brings half a megabyte along."""
    ordered = sorted(values)
    return (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2


def _values(burst: Burst) -> dict[str, float]:
    history = burst.history
    values: dict[str, float] = {
        "icmp_jitter_seconds": history.jitter,
        "icmp_duplicates_total": history.duplicates,
        "icmp_reordered_total": history.reordered,
        "icmp_late_total": history.late,
    }
    if burst.round_trips:
        values["icmp_kernel_stamps"] = 1.0 if burst.precision == KERNEL else 0.0
    if burst.plan.count > 1 and burst.left:
        lost = burst.left - len(burst.round_trips)
        low, high = wilson(lost, burst.left)
        values["icmp_loss_ratio"] = lost / burst.left
        values["icmp_loss_ratio_low"] = low
        values["icmp_loss_ratio_high"] = high
        if burst.round_trips:
            values["icmp_rtt_min_seconds"] = min(burst.round_trips)
            values["icmp_rtt_max_seconds"] = max(burst.round_trips)
    return values


def _judged(burst: Burst, limits: Limits, round_trip: float) -> tuple[str | None, str]:
    """Return the fault of the first limit that the burst exceeds, if any, and the evidence of all and of the stamps."""
    exceeded: list[str] = []
    words: list[str] = []
    lost = burst.left - len(burst.round_trips)
    if lost and limits.loss is not None:
        low, high = wilson(lost, burst.left)
        if low > limits.loss:
            exceeded.append("packet-loss")
            share = f"{lost} of {burst.left} lost (95 % interval {low:.1%} to {high:.1%})"
            words.append(f"{share}, limit {limits.loss:.1%}")
    judged = burst.precision != LOOSE
    if judged and limits.rtt is not None and round_trip > limits.rtt:
        exceeded.append("slow-answer")
        words.append(f"round trip {round_trip * 1e3:.3f} ms, limit {limits.rtt * 1e3:g} ms")
    jitter = burst.history.jitter
    if judged and limits.jitter is not None and jitter > limits.jitter:
        exceeded.append("unsteady")
        words.append(f"jitter {jitter * 1e3:.3f} ms, limit {limits.jitter * 1e3:g} ms")
    if burst.precision != KERNEL:
        words.append(_PRECISION_WORDS[burst.precision])
    return next(iter(exceeded), None), "; ".join(words)


def _weight(trouble: Trouble) -> int:
    return 0 if trouble.local else 3 if trouble.answered else 2 if trouble.by else 1
