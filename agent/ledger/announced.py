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
from agent.ledger.reading import newest_checkpoint, with_connection


class Announced(msgspec.Struct, frozen=True, kw_only=True):
    """Changes in the order of their entries, and the windows that count."""

    changes: tuple[Change, ...] = ()
    maintenance: tuple[MaintenanceEntry, ...] = ()


def read_announced(path: Path) -> Announced:
    """Read the ledger at `path`; StorageError, sqlite3.Error or OSError when that fails."""
    return with_connection(path, _announced)


def _announced(connection: sqlite3.Connection) -> Announced:
    size, _ = newest_checkpoint(connection)
    entries = [one.entry for one in recorded(connection, ("drift", "maintenance")) if one.index < size]
    return Announced(
        changes=tuple(to_change(one) for one in entries if isinstance(one, DriftEntry)),
        maintenance=tuple(windows(one for one in entries if isinstance(one, MaintenanceEntry)).values()),
    )
