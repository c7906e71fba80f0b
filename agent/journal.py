"""The incident log: one JSON object a line for each transition of an incident.

Transitions only, never observations. A confirmation and an end are always written; of the others,
those that repeat (the same event of the same segments) at most `MOST` a `WINDOW`: the next line that
is written says how many were left out.
"""

from collections.abc import Callable, MutableMapping
from typing import Any

import msgspec
import structlog

from agent.incident.value import Event, Transition

# A flapping line gives a suspicion every few seconds; five lines a minute show that it flaps.
MOST = 5
WINDOW = 60.0
# Keys are combinations of segments, so few; the bound is against a chain file nobody has seen.
KEYS = 1000
ALWAYS = frozenset((Event.CONFIRMED, Event.CLOSED, Event.MERGED))

Key = tuple[Event, tuple[str, ...]]


class Repeats(msgspec.Struct, frozen=True):
    """How often a key came in the window that began at `since` (UTC epoch seconds)."""

    since: float
    count: int = 1

    @property
    def suppressed(self) -> int:
        """Return how many of them were left out."""
        return max(0, self.count - MOST)


def step(before: Repeats | None, at: float) -> tuple[Repeats, int | None]:
    """Return the new count and, when this one is to be written, how many were left out before it.

    None: leave this one out. A clock that stepped back begins a new window.
    """
    if before is None or not 0 <= at - before.since < WINDOW:
        return Repeats(at), before.suppressed if before else 0
    after = Repeats(before.since, before.count + 1)
    return after, 0 if after.count <= MOST else None


class Journal:
    """Writes transitions. `write` takes one line and does not block (see agent.log.LineWriter)."""

    def __init__(self, write: Callable[[str], object], *, chain_hash: str, vantage: str) -> None:
        self._log = structlog.wrap_logger(
            _Line(write),
            processors=[_event_first, structlog.processors.JSONRenderer()],
            wrapper_class=structlog.BoundLoggerBase,
        )
        self._chain_hash = chain_hash
        self._vantage = vantage
        self._repeats: dict[Key, Repeats] = {}

    def reloaded(self, chain_hash: str) -> None:
        """Name another chain in the lines from now on."""
        self._chain_hash = chain_hash

    def transition(self, transition: Transition) -> None:
        """Write one transition, unless it repeats too often."""
        suppressed = self._admit(transition)
        if suppressed is not None:
            more = {"suppressed": suppressed} if suppressed else {}
            fields = line(transition, chain_hash=self._chain_hash, vantage=self._vantage)
            self._log._proxy_to_logger("msg", **fields, **more)  # noqa: SLF001 - structlog's way to log without a level

    def _admit(self, transition: Transition) -> int | None:
        if transition.event in ALWAYS:
            return 0
        key = (transition.event, transition.incident.segments)
        if key not in self._repeats and len(self._repeats) >= KEYS:
            self._repeats.clear()
        self._repeats[key], suppressed = step(self._repeats.get(key), transition.at)
        return suppressed


def _event_first(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put the event before the rest, where a reader of the raw line looks first."""
    return {"event": fields["event"], **fields}


class _Line:
    """The end of structlog's chain."""

    def __init__(self, write: Callable[[str], object]) -> None:
        self.msg = write


def line(transition: Transition, *, chain_hash: str, vantage: str) -> dict[str, Any]:
    """Return the fields of one line; times in UTC epoch seconds, absent facts null or empty."""
    incident = transition.incident
    return {
        "event": transition.event.value,
        "time": transition.at,
        "incident": incident.id,
        "state": incident.state.value,
        "kind": incident.kind.value,
        "party": incident.party,
        "candidates": list(incident.candidates),
        "mover": incident.mover,
        "side": incident.side,
        "segments": list(incident.segments),
        "services": list(incident.services),
        "standing": incident.standing.value if incident.standing else None,
        "rests_on": list(incident.rests_on),
        "opened": incident.opened,
        "closed": incident.closed,
        "vantage": vantage,
        "chain_hash": chain_hash,
        **({"excess": msgspec.to_builtins(incident.excess)} if incident.excess else {}),
    }
