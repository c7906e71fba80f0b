"""One attempt of an icmp probe: one echo or a burst of them, and what their replies say. Pure.

What must stay true: loss speaks only of packets that left this host; a limit counts as exceeded only where the
numbers show it; a duration that our own wake-up quantised is never held against a limit.
"""

import math
import statistics
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import msgspec

from probes.kit.result import Outcome, Result, Stage
from probes.kit.trouble import LATE, Trouble, result_of

_JITTER_GAIN: Final = 16  # RFC 3550 section 6.4.1
_Z_95: Final = 1.959964  # the normal quantile of a two-sided 95 % interval


class Precision(IntEnum):
    """Whose stamps a round trip rests on, best first; a burst is as good as its worst reply."""

    KERNEL = 0  # both the kernel's
    USER = 1  # ours for the request (just before the system call), the kernel's for the reply
    LOOSE = 2  # until we noticed: the kernel gave no stamp of the reply, or the wall clock stepped in between


_PRECISION_WORDS: Final = {
    Precision.USER: "user stamp of the request: the device gives none",
    Precision.LOOSE: "no usable kernel stamps: measured until noticed",
}


class Aim(msgspec.Struct, frozen=True):
    """Where to send: what sendto(2) wants, and the packed address from which the reply must come."""

    socket_address: tuple[str, int]
    packed: bytes


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt sends, and what it may show and still be `ok` (None is not judged).

    `count` packets of `size` payload bytes, `gap` seconds apart, with `traffic_class` in the IP header;
    `packet_bytes` is what has crossed if a reply came. `max_loss` is a share, the other limits seconds.
    """

    count: int = 1
    gap: float = 0.0
    size: int = 56
    traffic_class: int = 0
    packet_bytes: int = 84
    max_loss: float | None = None
    max_rtt: float | None = None
    max_jitter: float | None = None


class History(msgspec.Struct, kw_only=True):
    """What a probe saw over its attempts: RFC 3550 jitter (seconds) and counts since the runner opened.

    `late` replies came after their time, `duplicates` after the first to the same request, `reordered`
    after the reply to a later request (RFC 4737).
    """

    jitter: float = 0.0
    last: float | None = None
    asked: int = 0
    highest: int = -1
    duplicates: int = 0
    late: int = 0
    reordered: int = 0

    def arrived(self, number: int) -> None:
        """Count the first reply, in time, to request `number`."""
        if number < self.highest:
            self.reordered += 1
        else:
            self.highest = number

    def measured(self, round_trip: float) -> None:
        """Take the next round trip (seconds) into the jitter: its share of the difference to the one before."""
        if self.last is not None:
            self.jitter += (abs(round_trip - self.last) - self.jitter) / _JITTER_GAIN
        self.last = round_trip


class Burst(msgspec.Struct, kw_only=True, eq=False):
    """One attempt under way. `due` packets are still to be sent, `under_way` wait, `left` left this host.

    `start`, `deadline` and `next_at` (when the next packet is due) are boot time; `wait` is for how many
    seconds each packet may be answered, the same for all; `done` takes the result.
    """

    plan: Plan
    aim: Aim
    history: History
    start: float
    deadline: float
    wait: float
    due: int
    next_at: float
    done: Callable[[Result], None]
    phases: dict[str, float] = {}
    left: int = 0
    under_way: int = 0
    round_trips: list[float] = []
    precision: Precision = Precision.KERNEL
    trouble: Trouble | None = None

    @property
    def over(self) -> bool:
        """Return whether nothing more can come."""
        return self.due == 0 and self.under_way == 0

    def sent(self) -> None:
        """Count a packet that left."""
        self.left += 1
        self.under_way += 1

    def answered(self, round_trip: float, precision: Precision) -> None:
        """Take a reply."""
        self.under_way -= 1
        self.round_trips.append(round_trip)
        self.precision = max(self.precision, precision)
        if precision is not Precision.LOOSE:
            self.history.measured(round_trip)

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


def begin(
    plan: Plan, aim: Aim, history: History, *, start: float, deadline: float, done: Callable[[Result], None]
) -> Burst:
    """Return an attempt that starts at `start` (boot time) and has sent nothing yet."""
    return Burst(
        plan=plan,
        aim=aim,
        history=history,
        start=start,
        deadline=deadline,
        wait=deadline - start - (plan.count - 1) * plan.gap,
        due=plan.count,
        next_at=start,
        done=done,
    )


def verdict(burst: Burst, now: float) -> Result:
    """Return the result of an attempt that is over at `now` (boot time)."""
    values = _values(burst)
    if not burst.round_trips:
        trouble = burst.trouble or LATE
        stage = Stage.ANSWER if trouble.answered else Stage.CONNECT
        failure = result_of(trouble, stage, now - burst.start, burst.phases)
        return failure if trouble.local else msgspec.structs.replace(failure, values=values)
    round_trip = burst.round_trips[0] if len(burst.round_trips) == 1 else statistics.median(burst.round_trips)
    exceeded = _exceeded(burst, round_trip)
    words = [text for _, text in exceeded]
    if burst.precision is not Precision.KERNEL:
        words.append(_PRECISION_WORDS[burst.precision])
    phases = {**burst.phases, "answer": round_trip}
    return Result(
        outcome=Outcome.DEGRADED if exceeded else Outcome.OK,
        fault=exceeded[0][0] if exceeded else None,
        seconds=sum(phases.values()),
        packet_bytes=burst.plan.packet_bytes,
        detail="; ".join(words),
        phases=phases,
        values=values,
    )


def _values(burst: Burst) -> dict[str, float]:
    history = burst.history
    values = {
        "icmp_jitter_seconds": history.jitter,
        "icmp_duplicates": float(history.duplicates),
        "icmp_reordered": float(history.reordered),
        "icmp_late": float(history.late),
    }
    if burst.round_trips:
        values["icmp_kernel_stamps"] = float(burst.precision is Precision.KERNEL)
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


def _exceeded(burst: Burst, round_trip: float) -> list[tuple[str, str]]:
    """Return fault and evidence of every limit that the burst exceeds."""
    found = []
    limits = burst.plan
    lost = burst.left - len(burst.round_trips)
    if limits.max_loss is not None and lost:
        low, high = wilson(lost, burst.left)
        if low > limits.max_loss:
            found.append(
                (
                    "packet-loss",
                    f"{lost} of {burst.left} lost (95 % interval {low:.1%} to {high:.1%}), limit {limits.max_loss:.1%}",
                )
            )
    if burst.precision is Precision.LOOSE:
        return found
    if limits.max_rtt is not None and round_trip > limits.max_rtt:
        found.append(("slow-answer", f"round trip {round_trip * 1e3:.3f} ms, limit {limits.max_rtt * 1e3:g} ms"))
    if limits.max_jitter is not None and burst.history.jitter > limits.max_jitter:
        text = f"jitter {burst.history.jitter * 1e3:.3f} ms, limit {limits.max_jitter * 1e3:g} ms"
        found.append(("unsteady", text))
    return found


def _weight(trouble: Trouble) -> int:
    return 0 if trouble.local else 3 if trouble.answered else 2 if trouble.by else 1
