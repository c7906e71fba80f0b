"""Noticing a change that lasts: one-sided cumulative sums (Page, Biometrika 41, 1954). Pure.

They say that something changed and since when; whether it matters, the contract's margin says.
"""

import msgspec

# Winsorised, in standard deviations: in twelve days of heavy-tailed diurnal data no false alarm, 60 s to notice
# 6 ms. One sample counts for three at most, so that no spike raises it, but only a change that lasts.
_SLACK, _ALARM, _MOST = 1.5, 15.0, 3.0
# The likelihood ratio of a loss five times the usual, in units of a lost attempt: (5 - 1) / ln 5. Eight lost beyond
# what is usual are chance once in 5^8 attempts, four days of a one-second probe; the margin stands beside it.
_LOST_SLACK, _LOST_ALARM = 2.49, 8.0
# Less than this is not told from nothing.
_LEAST_SHARE = 0.002


class Cusum(msgspec.Struct, kw_only=True):
    """A sum that `alarm` raises, and when the samples that it holds began (UTC epoch seconds)."""

    alarm: float = _ALARM
    sum: float = 0.0
    since: float | None = None

    @property
    def raised(self) -> bool:
        """Return whether a lasting change shows."""
        return self.sum >= self.alarm

    def late(self, deviation: float, time: float) -> None:
        """Take how much longer than usual a sample took, in standard deviations."""
        self._step(min(deviation, _MOST) - _SLACK, time)

    def lost(self, usual: float, time: float, *, lost: bool) -> None:
        """Take an attempt, of which the share `usual` is lost."""
        self._step(float(lost) - _LOST_SLACK * max(usual, _LEAST_SHARE), time)

    def forget(self) -> None:
        """Take one lost attempt back."""
        self.sum = max(0.0, self.sum - 1.0)

    def reset(self) -> None:
        """Begin anew."""
        self.sum, self.since = 0.0, None

    def _step(self, step: float, time: float) -> None:
        # Twice the alarm at most: a long disturbance does not take as long to be over.
        self.sum = min(max(0.0, self.sum + step), 2 * self.alarm)
        if self.sum == 0.0:
            self.since = None
        elif self.since is None:
            self.since = time


def for_delay() -> Cusum:
    """Return a sum of deviations."""
    return Cusum(alarm=_ALARM)


def for_loss() -> Cusum:
    """Return a sum of lost attempts."""
    return Cusum(alarm=_LOST_ALARM)
