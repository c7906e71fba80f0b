"""What the ledger tells a report beside its incidents: changes of configurations, and maintenance announced in time.

What must stay true: only what stands under the newest checkpoint counts; a window counts only if its entry was
written before it began, and so does its withdrawal.
"""

import sqlite3
from pathlib import Path

import msgspec

from agent.drift.value import Change
from agent.ledger.cases import recorded
from agent.ledger.changes import DriftEntry, MaintenanceEntry, windows
from agent.ledger.drift_entries import to_change
from agent.ledger.entry import Entry
from agent.ledger.reading import newest_checkpoint, over_epochs


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """Changes in the order of their entries, and the windows that count."""

    changes: tuple[Change, ...] = ()
    maintenance: tuple[MaintenanceEntry, ...] = ()


def read_announced(path: Path) -> Announced:
    """Read the ledger at `path`, earlier epochs included; StorageError, sqlite3.Error or OSError when that fails."""
    nothing: tuple[Entry, ...] = ()
    entries, _ = over_epochs(path, _entries, nothing)
    return Announced(
        changes=tuple(to_change(one) for one in entries if isinstance(one, DriftEntry)),
        maintenance=tuple(windows(one for one in entries if isinstance(one, MaintenanceEntry)).values()),
    )


def _entries(connection: sqlite3.Connection, before: tuple[Entry, ...]) -> tuple[Entry, ...]:
    size, _ = newest_checkpoint(connection)
    found = recorded(connection, ("drift", "maintenance"))
    return (*before, *(one.entry for one in found if one.index < size))
