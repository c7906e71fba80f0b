"""The partition of a period: every second in exactly one class, nothing subtracted. Pure.

By precedence: outside service hours, agreed maintenance, down, unmeasured, up. What must stay true:
the classes are disjoint and together the period.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

import msgspec

from agent.availability.fold import Span, State, merged
from agent.availability.seconds import Seconds, difference, intersection, total, union


class SecondClass(StrEnum):
    """What a second of a period counts as."""

    OUTSIDE = "outside"
    MAINTENANCE = "maintenance"
    DOWN = "down"
    UNMEASURED = "unmeasured"
    UP = "up"


# The worst that was measured counts; a second is unmeasured only when no probe measured it.
_WORST_FIRST = (State.DOWN, State.ERRORED, State.DEGRADED, State.UP, State.UNMEASURED)


class Partition(msgspec.Struct, frozen=True, kw_only=True):
    """The seconds of each class; `degraded` and `errored` are rows within up."""

    outside: Seconds
    maintenance: Seconds
    down: Seconds
    unmeasured: Seconds
    up: Seconds
    degraded: Seconds
    errored: Seconds

    def counts(self) -> dict[SecondClass, int]:
        """Return how many seconds each class has."""
        return {one: total(getattr(self, one.value)) for one in SecondClass}


def in_state(spans: Iterable[Span], *states: State) -> Seconds:
    """Return the seconds of these states."""
    return union((span.start, span.stop) for span in spans if span.state in states)


def together(probes: Sequence[tuple[Span, ...]], start: int, stop: int) -> tuple[Span, ...]:
    """Return the state of a service in [start, stop) from those of its probes: the worst that was measured."""
    taken: Seconds = ()
    spans: list[Span] = []
    for state in _WORST_FIRST:
        own = intersection(union(*(in_state(one, state) for one in probes)), ((start, stop),))
        if state is State.UNMEASURED:
            own = ((start, stop),)
        spans += [Span(first, last, state) for first, last in difference(own, taken)]
        taken = union(taken, own)
    return merged(sorted(spans))


def masked(spans: tuple[Span, ...], blind: Seconds) -> tuple[Span, ...]:
    """Return the spans with the seconds in `blind` (a vantage could not look) as unmeasured."""
    seen = [Span(start, stop, state) for state in State for start, stop in difference(in_state(spans, state), blind)]
    everything = union((span.start, span.stop) for span in spans)
    unseen = [Span(start, stop, State.UNMEASURED) for start, stop in intersection(everything, blind)]
    return merged(sorted([*seen, *unseen]))


def partition(spans: tuple[Span, ...], hours: Seconds, excused: Seconds, start: int, stop: int) -> Partition:
    """Return the classes of the seconds of [start, stop), which `spans` cover.

    `hours` are the seconds of service, `excused` those of agreed maintenance.
    """
    period: Seconds = ((start, stop),)
    inside = intersection(period, hours)
    maintenance = intersection(inside, excused)
    counted = difference(inside, maintenance)
    return Partition(
        outside=difference(period, inside),
        maintenance=maintenance,
        down=intersection(counted, in_state(spans, State.DOWN)),
        unmeasured=intersection(counted, in_state(spans, State.UNMEASURED)),
        up=intersection(counted, in_state(spans, State.UP, State.DEGRADED, State.ERRORED)),
        degraded=intersection(counted, in_state(spans, State.DEGRADED)),
        errored=intersection(counted, in_state(spans, State.ERRORED)),
    )
