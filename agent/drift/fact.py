"""The memory of one fact: what holds, what may come to hold, and whether it flaps. A state machine.

What must stay true: a value counts when two looks in a row saw it, so that one odd look is no change; a fact that is
not looked at keeps its value for ever; one that changes too often says so once and is quiet until it has been
calm, except that a value it never had before is told.
"""

from typing import Final, NamedTuple

import msgspec

from agent.drift.value import Event, Move

# Five changes in an hour are no maintenance: a load balancer with two certificates changes at every other look.
FLAPS: Final = 5
FLAPPING_SECONDS: Final = 3600.0
CALM_SECONDS: Final = 3600.0
AMONG: Final = 6
"""Values that a flapping fact is told to flap among; further new ones are no news until it is calm."""


class Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`value` holds since `since` and was last seen at `seen` (UTC epoch seconds); None: none has held yet.

    `other` was seen in the latest look, first at `other_since`. `changes` are the times of the latest changes.
    `among` are the values among which it flaps, empty while it does not.
    """

    value: str | None = None
    since: float = 0.0
    seen: float = 0.0
    other: str | None = None
    other_since: float = 0.0
    changes: tuple[float, ...] = ()
    among: tuple[str, ...] = ()

    @property
    def quiet(self) -> bool:
        """Return whether a further look at the same value changes nothing but `seen`."""
        return self.other is None and not self.among


class Moved(NamedTuple):
    """A change of one fact: what, after which look, in which look first."""

    event: Event
    move: Move
    not_before: float | None
    at: float


def look(fact: Fact, value: str, at: float) -> tuple[Fact, Moved | None]:
    """Return the memory after a look that saw `value` at `at`, and what changed."""
    if value == fact.value:
        return _same(msgspec.structs.replace(fact, seen=at, other=None, other_since=0.0), at)
    if value != fact.other:
        return msgspec.structs.replace(fact, other=value, other_since=at), None
    after = msgspec.structs.replace(fact, value=value, since=fact.other_since, seen=at, other=None, other_since=0.0)
    if fact.value is None:
        return after, Moved(Event.SEEN, Move(after=value), None, after.since)
    return _changed(fact, after, fact.value, value)


def _same(fact: Fact, at: float) -> tuple[Fact, Moved | None]:
    """Return what a look at the value that holds means: the end of flapping, when it was calm long enough."""
    if not fact.among or at - fact.changes[-1] < CALM_SECONDS:
        return fact, None
    move = Move(before=fact.among[0], after=fact.value or "")
    return msgspec.structs.replace(fact, among=(), changes=()), Moved(Event.SETTLED, move, fact.changes[-1], fact.since)


def _changed(fact: Fact, after: Fact, before: str, value: str) -> tuple[Fact, Moved | None]:
    at = after.since
    # A clock that stepped back makes later times of earlier changes: they count for nothing.
    times = (*(one for one in fact.changes if 0 <= at - one < FLAPPING_SECONDS), at)[-FLAPS:]
    after = msgspec.structs.replace(after, changes=times)
    if fact.among:
        if value in fact.among or len(fact.among) >= AMONG:
            return after, None
        after = msgspec.structs.replace(after, among=(*fact.among, value))
    elif len(times) >= FLAPS:
        after = msgspec.structs.replace(after, among=(before, value))
        return after, Moved(Event.FLAPPING, Move(before=before, after=" | ".join(after.among)), min(fact.seen, at), at)
    return after, Moved(Event.CHANGED, Move(before=before, after=value), min(fact.seen, at), at)
