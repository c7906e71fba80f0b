"""Entries of some kinds read back from the ledger's file, for those who go on from them after a start."""

import sqlite3
from collections.abc import Collection
from pathlib import Path

import msgspec

from agent.ledger import body, canonical
from agent.ledger.reading import with_connection


class Recorded(msgspec.Struct, frozen=True, kw_only=True):
    """An entry with its place: index and leaf hash (hex)."""

    index: int
    hash: str
    entry: body.AnyEntry


def read_recorded(path: Path, kinds: Collection[str], since: int = 0) -> tuple[Recorded, ...]:
    """Return the entries of these kinds from `since` (ns UTC) on, in order; sqlite3.Error, OSError or StorageError.

    What this version does not understand is passed over: `check` notes it.
    """
    return with_connection(path, lambda connection: recorded(connection, kinds, since))


def recorded(connection: sqlite3.Connection, kinds: Collection[str], since: int = 0) -> tuple[Recorded, ...]:
    """Return the same of an open file."""
    marks = ",".join("?" * len(kinds))
    query = f"SELECT idx, hash, body FROM leaf WHERE kind IN ({marks}) AND time >= ? ORDER BY idx"  # noqa: S608 - marks
    found = []
    for index, leaf, data in connection.execute(query, (*kinds, since)):
        try:
            entry = body.read(canonical.decode(data))
        except ValueError:
            continue
        if entry is not None:
            found.append(Recorded(index=index, hash=leaf.hex(), entry=entry))
    return tuple(found)
