"""From the observations of one probe to its state in every second, one observation at a time.

The rule is ITU-T Y.1563's, as design.md words it. `down` begins with the first of 10 consecutive bad
seconds (interval above 1 s: with the first of two consecutive bad samples); `up` with the first of
10 consecutive good ones. A result holds until the next one, at most interval + timeout; after that
the seconds are unmeasured, and so they are while the result is `unknown` or the probe unverified.
An unmeasured second ends every run, and leaves the service where it was. Bad seconds that are too
few to be `down` are `errored`: they count as up, and are shown.

What must stay true: the spans that come out follow each other without gap or overlap from the first
observation's second on; the value is of bounded size; folding one by one gives what `spans_of` gives.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

import msgspec

from agent.observation import Observation
from probes.kit.result import Outcome

RUN_SECONDS = 10
"""Seconds in a row that change the state (ITU-T Y.1563)."""

RUN_SAMPLES = 2
"""Bad samples in a row that mean `down` where the interval is above `SECOND`."""

_MICRO = 1_000_000


class State(StrEnum):
    """What a second counts as; `degraded` and `errored` are kinds of up."""

    UP = "up"
    DEGRADED = "degraded"
    ERRORED = "errored"
    DOWN = "down"
    UNMEASURED = "unmeasured"


class Level(StrEnum):
    """What was measured of a second."""

    GOOD = "good"
    DEGRADED = "degraded"
    BAD = "bad"
    NOTHING = "nothing"


_WORSE = {Level.NOTHING: 0, Level.GOOD: 1, Level.DEGRADED: 2, Level.BAD: 3}
_LEVELS = {
    Outcome.OK: Level.GOOD,
    Outcome.DEGRADED: Level.DEGRADED,
    Outcome.FAILED: Level.BAD,
    Outcome.UNKNOWN: Level.NOTHING,
}
_WHILE_UP = {
    Level.GOOD: State.UP,
    Level.DEGRADED: State.DEGRADED,
    Level.BAD: State.ERRORED,
    Level.NOTHING: State.UNMEASURED,
}


class Span(NamedTuple):
    """Seconds [start, stop) in one state."""

    start: int
    stop: int
    state: State


class Cadence(msgspec.Struct, frozen=True, kw_only=True):
    """How often a probe measures and how long an attempt may take, in seconds."""

    interval: float
    timeout: float

    @property
    def hold_micro(self) -> int:
        """Return for how many microseconds a result speaks."""
        return round((self.interval + self.timeout) * _MICRO)


class Availability(msgspec.Struct, frozen=True, kw_only=True):
    """All that has to be remembered of one probe. The start value has seen nothing.

    `second` is the first one not yet closed; `worst` what its own samples say (None: none yet) and
    `bad` how many of them failed. `held` is the newest result, from `held_micro` (µs UTC) on. `run`
    are the seconds whose state is still open: bad ones while up, good ones while down, with
    `run_bad` bad samples among them.
    """

    second: int | None = None
    worst: Level | None = None
    bad: int = 0
    held: Level = Level.NOTHING
    held_micro: int = 0
    down: bool = False
    run: tuple[Span, ...] = ()
    run_bad: int = 0


def level_of(observation: Observation) -> Level:
    """Return what one observation says; an unverified failure says nothing."""
    if observation.outcome is Outcome.FAILED and not observation.verified:
        return Level.NOTHING
    return _LEVELS[observation.outcome]


def fold(value: Availability, observation: Observation, cadence: Cadence) -> tuple[Availability, tuple[Span, ...]]:
    """Take one observation in; return the new value and the spans that it settles, in order.

    Observations come in order of time; one that falls in a closed second is left out (a second is
    settled once).
    """
    micro = round(observation.time * _MICRO)
    second, level = micro // _MICRO, level_of(observation)
    if value.second is not None and second < value.second:
        return value, ()
    value, settled = advance(value, second, cadence)
    worst = level if value.worst is None else max(value.worst, level, key=_WORSE.__getitem__)
    newest = micro >= value.held_micro
    return msgspec.structs.replace(
        value,
        second=second,
        worst=worst,
        bad=value.bad + (level is Level.BAD),
        held=level if newest else value.held,
        held_micro=micro if newest else value.held_micro,
    ), settled


def advance(value: Availability, second: int, cadence: Cadence) -> tuple[Availability, tuple[Span, ...]]:
    """Close every second before `second`, by the newest result or as unmeasured.

    A live caller lets results come in first: it advances to the present less `cadence.timeout`.
    """
    if value.second is None or second <= value.second:
        return value, ()
    pieces: list[_Piece] = []
    start = value.second
    if value.worst is not None:
        pieces.append(_Piece(start, start + 1, value.worst, value.bad))
        start += 1
    held_stop = min(second, max(start, -(-(value.held_micro + cadence.hold_micro) // _MICRO)))
    pieces += [_Piece(start, held_stop, value.held, 0), _Piece(held_stop, second, Level.NOTHING, 0)]
    settled: list[Span] = []
    for piece in pieces:
        if piece.start < piece.stop:
            value, more = _classify(value, piece, cadence)
            settled.extend(more)
    return msgspec.structs.replace(value, second=second, worst=None, bad=0), merged(settled)


def state_at(value: Availability, now: float, cadence: Cadence) -> State:
    """Return the state as far as it is known at `now` (UTC epoch seconds).

    A run that has not lasted long enough changes nothing yet: bad seconds show as `errored`.
    """
    if value.second is None or now * _MICRO >= value.held_micro + cadence.hold_micro or value.held is Level.NOTHING:
        return State.UNMEASURED
    return State.DOWN if value.down else _WHILE_UP[value.held]


def spans_of(observations: Iterable[Observation], cadence: Cadence, start: int, stop: int) -> tuple[Span, ...]:
    """Return the state of every second in [start, stop); observations in order of time.

    Give observations from before `start` too (a minute, or two intervals), so that runs and held
    results that reach into the period are known.
    """
    value, settled = Availability(), list[Span]()
    for observation in observations:
        value, more = fold(value, observation, cadence)
        settled.extend(more)
    return covering((*settled, *finish(value, stop, cadence)), start, stop)


def finish(value: Availability, stop: int, cadence: Cadence) -> tuple[Span, ...]:
    """Return the spans up to `stop` that are still open in `value`; an undecided run changes no state."""
    value, settled = advance(value, stop, cadence)
    return merged((*settled, *_dismissed(value)))


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Join spans that touch and agree; empty ones disappear."""
    out: list[Span] = []
    for span in spans:
        if span.start >= span.stop:
            continue
        if out and out[-1].stop == span.start and out[-1].state is span.state:
            out[-1] = Span(out[-1].start, span.stop, span.state)
        else:
            out.append(span)
    return tuple(out)


def covering(spans: Iterable[Span], start: int, stop: int) -> tuple[Span, ...]:
    """Clip ordered spans to [start, stop) and fill what they leave open as unmeasured."""
    out: list[Span] = []
    at = start
    for span in spans:
        clipped = Span(max(span.start, at), min(span.stop, stop), span.state)
        if clipped.start < clipped.stop:
            out += [Span(at, clipped.start, State.UNMEASURED), clipped]
            at = clipped.stop
    return merged([*out, Span(at, stop, State.UNMEASURED)])


class _Piece(NamedTuple):
    """Seconds [start, stop) of one level, with so many bad samples in them."""

    start: int
    stop: int
    level: Level
    bad: int


def _classify(value: Availability, piece: _Piece, cadence: Cadence) -> tuple[Availability, tuple[Span, ...]]:
    """Settle the seconds of a piece, or add them to the run that they belong to."""
    in_run = piece.level in (Level.GOOD, Level.DEGRADED) if value.down else piece.level is Level.BAD
    if not in_run:
        state = State.DOWN if piece.level is Level.BAD else _WHILE_UP[piece.level]
        settled = (*_dismissed(value), Span(piece.start, piece.stop, state))
        return msgspec.structs.replace(value, run=(), run_bad=0), settled
    run = merged((*value.run, Span(piece.start, piece.stop, _WHILE_UP[piece.level])))
    run_bad = value.run_bad + piece.bad
    if not _long_enough(value.down, piece.stop - run[0].start, run_bad, cadence):
        return msgspec.structs.replace(value, run=run, run_bad=run_bad), ()
    settled = run if value.down else (Span(run[0].start, piece.stop, State.DOWN),)
    return msgspec.structs.replace(value, down=not value.down, run=(), run_bad=0), settled


def _long_enough(down: bool, seconds: int, bad_samples: int, cadence: Cadence) -> bool:
    if down or cadence.interval <= 1:
        return seconds >= RUN_SECONDS
    return bad_samples >= RUN_SAMPLES


def _dismissed(value: Availability) -> tuple[Span, ...]:
    """Return a run that came to nothing: good seconds while down stay down, bad ones while up are errored."""
    return tuple(Span(span.start, span.stop, State.DOWN) for span in value.run) if value.down else value.run
