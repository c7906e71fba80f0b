"""What is usual for a probe at this kind of hour: running quantiles of what it measured. Pure.

The reference serves to notice change; it is never a norm and never the frozen baseline. What must stay true:
its size is bounded whatever is measured; old samples fade; what was measured during a disturbance is not
learned (the caller leaves it out); and it never rises further above the lowest that it ever was than the
caller allows, so that a line that worsens in small steps does not become usual unnoticed.
"""

import math
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import msgspec

# Bins two per cent apart: finer than any margin that a contract could name.
_RATIO = math.log(1.02)
# The weight at which everything is halved: a day of one-second samples stays, a fortnight of five-second ones.
_FULL = 200_000.0
# What was learned before a restart counts for so many samples at most, since only its quartiles are kept.
_RESTORED = 20_000.0
# Fewer samples of a kind of hour do not say what is usual: two minutes of a one-second probe.
LEAST_SAMPLES = 120
# From so many on (an hour of a one-second probe) the lowest that it was is held against later rises.
SETTLED = 3_600
_NIGHT_ENDS, _EVENING_BEGINS, _SATURDAY = 7, 19, 5
# Quartiles of a normal distribution lie 1.349 standard deviations apart.
_QUARTILES = 1.349
# A distribution narrower than this is the clock's grain, not the network's calm.
_LEAST_SPREAD, _LEAST_SHARE = 50e-6, 0.02


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """What is usual, in seconds: the median, the quartiles around it, and a standard deviation's worth of spread.

    The quartiles are the outer edges of their bins, so that bounds that are worked out with them hold.
    """

    middle: float
    low: float
    high: float
    spread: float


class SavedSketch(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A sketch as it survives a restart: its weight and quartiles, its attempts, and the lowest that it was."""

    weight: float = 0.0
    quartiles: tuple[float, ...] = ()
    sent: float = 0.0
    lost: float = 0.0
    least: float | None = None
    least_lost: float | None = None


def hour_class(time: float, zone: ZoneInfo) -> str:
    """Return the kind of hour of `time` (UTC epoch seconds): work day or weekend; night, day or evening."""
    local = datetime.fromtimestamp(time, UTC).astimezone(zone)
    part = "night" if local.hour < _NIGHT_ENDS else "day" if local.hour < _EVENING_BEGINS else "evening"
    return f"{'weekend' if local.weekday() >= _SATURDAY else 'workday'}-{part}"


class Sketch:
    """A histogram of durations on a logarithmic scale, and how many attempts were sent and lost."""

    def __init__(self, saved: SavedSketch | None = None) -> None:
        """Go on from what `save` returned: a quarter of the weight between each two quartiles and beyond them."""
        saved = saved or SavedSketch()
        self.weight = min(saved.weight, _RESTORED) if saved.quartiles else 0.0
        self.bins: dict[int, float] = {}
        for quartile, share in zip(saved.quartiles, (0.375, 0.25, 0.375), strict=False):
            self.bins[_bin(quartile)] = self.bins.get(_bin(quartile), 0.0) + share * self.weight
        self.sent, self.lost = saved.sent, saved.lost
        self.least, self.least_lost = saved.least, saved.least_lost

    def add(self, seconds: float) -> None:
        """Take one duration (s, above 0)."""
        number = _bin(seconds)
        self.bins[number] = self.bins.get(number, 0.0) + 1.0
        self.weight += 1.0
        if self.weight > _FULL:
            self.bins = {number: half for number, weight in self.bins.items() if (half := weight / 2) >= 1.0}
            self.weight = sum(self.bins.values())

    def attempt(self, *, lost: bool) -> None:
        """Count one attempt."""
        self.sent += 1.0
        self.lost += lost
        if self.sent > _FULL:
            self.sent, self.lost = self.sent / 2, self.lost / 2

    def level(self, rise: float) -> Level | None:
        """Return what is usual, at most `rise` (s) above the lowest that it was; None while too little is known."""
        if self.weight < LEAST_SAMPLES:
            return None
        low, middle, high = self._quantile(0.25, 0.0), self._quantile(0.5), self._quantile(0.75, 1.0)
        if self.weight >= SETTLED:
            self.least = middle if self.least is None else min(self.least, middle)
        crept = 0.0 if self.least is None else max(0.0, middle - self.least - rise)
        spread = max((high - low) / _QUARTILES, middle * _LEAST_SHARE, _LEAST_SPREAD)
        return Level(middle=middle - crept, low=low - crept, high=high - crept, spread=spread)

    def usual_loss(self, rise: float) -> float | None:
        """Return the share that is usually lost, limited like `level`; None while too little is known."""
        if self.sent < LEAST_SAMPLES:
            return None
        share = self.lost / self.sent
        if self.sent >= SETTLED:
            self.least_lost = share if self.least_lost is None else min(self.least_lost, share)
        return share if self.least_lost is None else min(share, self.least_lost + rise)

    def save(self) -> SavedSketch:
        """Return what survives a restart."""
        known = self.weight >= LEAST_SAMPLES
        return SavedSketch(
            weight=self.weight if known else 0.0,
            quartiles=tuple(self._quantile(share) for share in (0.25, 0.5, 0.75)) if known else (),
            sent=self.sent,
            lost=self.lost,
            least=self.least,
            least_lost=self.least_lost,
        )

    def _quantile(self, share: float, place: float = 0.5) -> float:
        """Return a quantile: the middle of its bin, or another `place` in it (0..1)."""
        # Halves and thirds do not add up exactly; a millionth of a sample is none.
        reached, left = 0.0, share * self.weight - 1e-6
        number = next(n for n in sorted(self.bins) if (reached := reached + self.bins[n]) >= left)
        return math.exp((number + place) * _RATIO)


def _bin(seconds: float) -> int:
    return math.floor(math.log(seconds) / _RATIO)
