"""Which changes stand beside an incident: for people to look at first, never as its cause."""

from collections.abc import Iterable
from typing import Final

from agent.drift.value import Change, Event
from agent.incident.value import Incident

WINDOW_SECONDS: Final = 86_400.0
"""So long before an incident a change still stands beside it: what is changed at night is noticed in the morning."""

MOST: Final = 3


def beside(incident: Incident, changes: Iterable[Change]) -> tuple[Change, ...]:
    """Return the latest changes that may have happened before the incident opened, newest first.

    They speak of a segment that the incident names (or of all), were seen at most `WINDOW_SECONDS` before it opened,
    or after it while the change may have happened before: then nobody looked in between.
    """
    found = [one for one in changes if _before(one, incident.opened) and _near(one, incident)]
    return tuple(sorted(found, key=lambda one: one.at, reverse=True)[:MOST])


def _before(change: Change, opened: float) -> bool:
    earliest = change.at if change.not_before is None else change.not_before
    return earliest <= opened and abs(change.at - opened) <= WINDOW_SECONDS


def _near(change: Change, incident: Incident) -> bool:
    if change.event is Event.SEEN:
        return False
    return not change.segments or not set(change.segments).isdisjoint(incident.segments)
