"""The number of the round in which an attempt starts.

A round is one tick of `confirm.spacing` on boot time. What must stay true: within one vantage the
numbers rise for ever, over restarts, reloads and clock steps; steady and confirmation attempts that
start in the same tick carry the same number.
"""

import math

# Numbers are reserved this many rounds ahead, so that a kill -9 between two saves repeats none.
RESERVE = 120


def first_round(saved: int | None, wall: float, spacing: float) -> int:
    """Return the first number after a start.

    `saved` is the last number that the former run may have used, None at the very first start.
    Derived from the wall clock (UTC epoch seconds), so that numbers rise even when `saved` is lost.
    """
    floor = math.floor(wall / spacing)
    return floor if saved is None else max(saved + 1, floor)


class Rounds:
    """Counts ticks of `spacing` seconds since `epoch` (boot-time seconds), from number `first` on."""

    def __init__(self, spacing: float, epoch: float, first: int) -> None:
        self.spacing = spacing
        self._epoch = epoch
        self._first = first

    def at(self, boot: float) -> int:
        """Return the number of the round that holds `boot`; the first one for a time before the epoch."""
        # A millionth keeps the start of a round, computed as epoch + n * spacing, inside that round.
        return self._first + max(0, math.floor((boot - self._epoch) / self.spacing + 1e-6))

    def start(self, number: int) -> float:
        """Return the boot time at which round `number` starts."""
        return self._epoch + (number - self._first) * self.spacing


def continued(before: Rounds | None, spacing: float, now: float, first: int) -> Rounds:
    """Return the rounds after a (re)load at boot time `now`: `first` is the very first number."""
    if before is None:
        return Rounds(spacing, now, first)
    return before if before.spacing == spacing else Rounds(spacing, now, before.at(now) + 1)
