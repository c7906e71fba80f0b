"""One kind of duration of one probe over time: its references, its newest attempts, its triggers. Pure.

What must stay true: bounded size; attempts between two of the probe's own cadence are not taken, since those
that confirm a failure come when it is worst; a lost attempt is never a quick one.
"""

import math
from array import array
from bisect import bisect_left
from collections import deque
from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile
from typing import NamedTuple
from zoneinfo import ZoneInfo

from agent.excess.bounds import LEAST_WINDOW, adding, median_at_least, quarter_at_most, wilson
from agent.excess.reference import SETTLED, Level, SavedSketch, Sketch, hour_class
from agent.excess.trigger import for_delay, for_loss

# The newest attempts that are kept: twenty minutes of a one-second probe, so that one lost in two hundred can be
# bounded. 14 kB.
KEPT = 1200
# Every so many samples, and at each new kind of hour, what is usual is worked out anew.
_RENEWED = 100
# Attempts nearer to each other than this share of the interval are not of one cadence.
_CADENCE = 0.9
# ITU-T Y.1563: ten good seconds end it.
_GOOD_SECONDS = 10.0
# So many attempts wait before they are learned, and are not when a change shows by then: its beginning is not usual.
_WAITING = 60
# A change that lasts so long (s) without reaching a margin becomes usual, as far as the reference may rise.
_SETTLES_SECONDS = 900.0
# Attempts further apart than this and two intervals leave a gap.
_GAP_SECONDS = 5.0
# Attempts that come in so much (s) after newer ones; a timeout is shorter.
_PAST_SECONDS, _PAST_MOST = 120.0, 20
_LEAST_SECONDS = 1e-6
LOST = math.inf
"""The duration of an attempt of which nothing came back."""


class Rise(NamedTuple):
    """How far what is usual may rise above the lowest that it was: s, and a share of attempts."""

    seconds: float
    share: float


class Series:
    """Times are UTC epoch seconds, durations seconds."""

    def __init__(self, zone: ZoneInfo, interval: float, rise: Rise, saved: Mapping[str, SavedSketch]) -> None:
        self.late, self.loss = for_delay(), for_loss()
        self._sketches = {name: Sketch(sketch) for name, sketch in saved.items()}
        self._kept = dict(saved)
        self._times, self._seconds = array("d"), array("f")
        self._zone, self._interval, self._rise = zone, interval, rise
        self._hour, self._class = -1.0, ""
        self._level: Level | None = None
        self._known: Level | None = None
        self._age = self._past = 0
        self._waiting: deque[tuple[float, float]] = deque()

    @property
    def newest(self) -> float:
        """Return when the newest attempt was made."""
        return self._times[-1] if self._times else -math.inf

    def add(self, time: float, seconds: float, *, learn: bool) -> None:
        """Take one attempt. What was lost is known late: later attempts may have come back before it."""
        if self._is_past(time):
            return
        place, least = bisect_left(self._times, time), _CADENCE * self._interval
        if any(abs(time - near) < least for near in self._times[max(0, place - 1) : place + 1]):
            return
        seconds = max(seconds, _LEAST_SECONDS)
        self._keep(place, time, seconds)
        sketch, lost = self._sketch(time), seconds == LOST
        if (usual := sketch.usual_loss(self._rise.share)) is not None:
            self.loss.lost(usual, time, lost=lost)
        level = None if lost else self.level(time)
        if level is not None:
            self.late.late((seconds - level.middle) / level.spread, time)
        self._learn(time, seconds, learn=learn)

    def forget_silence(self) -> None:
        """Drop the attempts since the last that came back: they belong to an outage, which is no loss (Y.1540)."""
        while self._seconds and self._seconds[-1] == LOST:
            self._seconds.pop()
            self._times.pop()
            self.loss.forget()
        while self._waiting and self._waiting[-1][1] == LOST:
            self._waiting.pop()

    def level(self, time: float) -> Level | None:
        """Return what is usual at the kind of hour of `time`."""
        self._age += 1
        sketch = self._sketch(time)
        if self._age >= _RENEWED or self._level is None:
            self._level, self._age = sketch.level(self._rise.seconds), 0
            self._known = self._level or self._known
            self._kept[self._class] = sketch.save()
        return self._level

    def delay(self, since: float) -> tuple[float, float] | None:
        """Return bounds of what attempts from `since` on took beyond the usual (s), None while too little is known."""
        window, level = self._window(since), self.level(self.newest)
        if level is None or len(window) < LEAST_WINDOW:
            return None
        low = median_at_least([s for s in window if s != LOST]) - level.high
        return max(0.0, low), max(0.0, quarter_at_most(window) - level.low)

    def losing(self, since: float) -> tuple[float, float] | None:
        """Return bounds of what was lost from `since` on beyond the usual, in what adds up; None like `delay`."""
        window, sketch = self._window(since), self._sketch(self.newest)
        usual = sketch.usual_loss(self._rise.share)
        if usual is None or len(window) < LEAST_WINDOW:
            return None
        least, most = wilson(usual * sketch.sent, sketch.sent)
        low, high = wilson(sum(s == LOST for s in window), len(window))
        return max(0.0, adding(low) - adding(most)), max(0.0, adding(high) - adding(least))

    def lossy_since(self, since: float) -> float:
        """Return with which lost attempt the loss began that shows from `since` on.

        The one from which on most are lost beyond half the share of all of them: a stray one long before is none.
        """
        first, total = bisect_left(self._times, since), len(self._times)
        gone = [n for n in range(first, total) if self._seconds[n] == LOST]
        half = len(gone) / (2 * (total - first)) if gone else 0.0
        best = max(enumerate(gone), key=lambda one: len(gone) - one[0] - half * (total - one[1]), default=(0, first))
        return self._times[best[1]] if gone else since

    def quick_since(self, margin: float) -> tuple[float, bool] | None:
        """Return since when all attempts are within `margin` of the usual, and whether that is long enough to end it.

        None while too few are to say so. At a kind of hour that is new, the one before says what is usual.
        """
        level = self.level(self.newest) or self._known
        if level is None:
            return None
        most, first, unbroken = level.middle + margin, len(self._times), self._unbroken()
        while first > unbroken and self._seconds[first - 1] < most:
            first -= 1
        if len(self._times) - first < LEAST_WINDOW:
            return None
        return self._times[first], self.newest - self._times[first] + self._interval >= _GOOD_SECONDS

    def whole_since(self, most: float, begun: float) -> float | None:
        """Return since when, from `begun` on, less than `most` beyond the usual is lost (99.5 %), None while it is not.

        It begins after a lost attempt; what was lost by chance before that, seldom enough, is passed over.
        """
        first, total = max(bisect_left(self._times, begun), self._unbroken()), len(self._times)
        if first == total:
            return None
        most += self._sketch(self.newest).usual_loss(self._rise.share) or 0.0
        gone = [n for n in range(first, total) if self._seconds[n] == LOST]
        starts = [first, *(n + 1 for n in gone)]
        for place in range(len(starts) - 1, -1, -1):
            sent, lost = total - starts[place], len(starts) - 1 - place
            if sent and wilson(lost, sent)[1] < most:
                earlier = pairwise(starts[place::-1])
                strays = takewhile(lambda gap: gap[0] - gap[1] > 1 / most, earlier)
                return self._times[min((starts[place], *(before for _, before in strays)))]
        return None

    def save(self) -> dict[str, SavedSketch]:
        """Return what survives a restart, as it was when it was last worked out anew."""
        return dict(self._kept)

    def _learn(self, time: float, seconds: float, *, learn: bool) -> None:
        """Let an attempt wait, and learn the one that has waited long enough; forget all of them in bad times.

        A young reference learns on beside an open incident: one that was begun in a quiet minute would else keep
        the incident open that it made, and never grow.
        """
        settled = self._sketch(time).weight >= SETTLED
        if (settled and not learn) or self._changed(time):
            self._waiting.clear()
            return
        self._waiting.append((time, seconds))
        if len(self._waiting) <= _WAITING:
            return
        then, took = self._waiting.popleft()
        sketch = self._sketch_of(hour_class(then, self._zone)) if then // 3600 != self._hour else self._sketch(time)
        sketch.attempt(lost=took == LOST)
        if took != LOST:
            sketch.add(took)

    def _changed(self, time: float) -> bool:
        """Return whether a change shows that is not to be learned yet."""
        raised = [t.since for t in (self.late, self.loss) if t.raised and t.since is not None]
        return bool(raised) and time - max(raised) < _SETTLES_SECONDS

    def _is_past(self, time: float) -> bool:
        """Return whether an attempt is too old to matter; many such in a row are a clock that was set back."""
        past = time < self.newest - _PAST_SECONDS
        self._past = self._past + 1 if past else 0
        if self._past > _PAST_MOST:
            del self._times[:], self._seconds[:]
            self._waiting.clear()
            self.late.reset()
            self.loss.reset()
            self._past = 0
            return False
        return past

    def _unbroken(self) -> int:
        """Return the first attempt since which there is no gap: no result is no good one."""
        longest, first = _GAP_SECONDS + 2 * self._interval, len(self._times) - 1
        while first > 0 and self._times[first] - self._times[first - 1] <= longest:
            first -= 1
        return max(0, first)

    def _keep(self, place: int, time: float, seconds: float) -> None:
        self._times.insert(place, time)
        self._seconds.insert(place, seconds)
        if len(self._times) > KEPT + _RENEWED:
            del self._times[:_RENEWED], self._seconds[:_RENEWED]

    def _window(self, since: float) -> Sequence[float]:
        return self._seconds[bisect_left(self._times, since) :]

    def _sketch(self, time: float) -> Sketch:
        hour = time // 3600
        if hour != self._hour:
            kind = hour_class(time, self._zone)
            self._hour, self._level = hour, self._level if kind == self._class else None
            self._class = kind
        return self._sketch_of(self._class)

    def _sketch_of(self, kind: str) -> Sketch:
        found = self._sketches.get(kind)
        if found is None:
            found = self._sketches[kind] = Sketch()
        return found
