"""Kinds of entry about what changed, was approved or announced. FORMAT.md, section Changes, specifies them. Pure."""

from collections.abc import Iterable
from typing import TypeAlias

from agent.drift.value import Event, Move
from agent.ledger.entry import Entry


class DriftEntry(Entry, frozen=True, kw_only=True, tag="drift"):
    """A probe saw facts of a configuration for the first time, or saw them change; it names no cause of anything.

    It happened after `since` and not after `opened`. `probe` is absent where the chain file itself changed.
    """

    event: Event
    vantage: str
    opened: int
    facts: dict[str, Move]
    probe: str = ""
    segments: tuple[str, ...] = ()
    since: int = 0


class DriftApproval(Entry, frozen=True, kw_only=True, tag="drift-approval"):
    """A person of `party` approved these values of a probe's facts; who that was is the detail `person`.

    `means`: `command` (a user of the agent's host), or `ssh`: a person of the chain file, in the role `role`, signed
    the detail `proposal`; the detail `approval-1` is that signature.
    """

    vantage: str
    probe: str
    party: str
    facts: dict[str, str]
    means: str
    role: str = ""
    reason: str = ""


class MaintenanceEntry(Entry, frozen=True, kw_only=True, tag="maintenance"):
    """A party announced that it works on its segments in [opened, closed); `state`: announced or withdrawn.

    It counts for a report only if its index precedes `opened`: what is declared afterwards is a correction.
    """

    id: str
    vantage: str
    party: str
    opened: int
    closed: int
    agreed: str
    state: str = "announced"
    services: tuple[str, ...] = ()


class ClockEntry(Entry, frozen=True, kw_only=True, tag="clock"):
    """The clock of the agent at `peer` was `offset` ahead of this one's, within `error` either way, both in ns."""

    vantage: str
    peer: str
    offset: int
    error: int


AnyChangeEntry: TypeAlias = DriftEntry | DriftApproval | MaintenanceEntry | ClockEntry

KINDS: dict[str, type[Entry]] = {
    "drift": DriftEntry,
    "drift-approval": DriftApproval,
    "maintenance": MaintenanceEntry,
    "clock": ClockEntry,
}


def windows(entries: Iterable[MaintenanceEntry]) -> dict[str, MaintenanceEntry]:
    """Return, by id, the windows that were announced before they began and not withdrawn before they began."""
    known: dict[str, MaintenanceEntry] = {}
    for entry in entries:
        window = known.get(entry.id, entry)
        if entry.time >= window.opened:
            continue
        if entry.state == "withdrawn":
            known.pop(entry.id, None)
        else:
            known.setdefault(entry.id, entry)
    return known
