"""The store's tables and their forward-only migrations.

`observation` is clustered by time: export, retention and `recent` are range scans, and a result that
comes in twice (from a peer) is stored once. Times are integer microseconds UTC; `rest` is the
observation's JSON without vantage, probe, time and round. `kept` says from when on nothing was forgotten:
raw results in microseconds, minutes and spans in seconds.
"""

import sqlite3

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE source (
        id INTEGER PRIMARY KEY, vantage TEXT NOT NULL, probe TEXT NOT NULL, UNIQUE (vantage, probe)
    );
    CREATE TABLE observation (
        time INTEGER NOT NULL, source INTEGER NOT NULL, round INTEGER NOT NULL, rest BLOB NOT NULL,
        PRIMARY KEY (time, source)
    ) WITHOUT ROWID;
    CREATE TABLE minute (
        minute INTEGER NOT NULL, source INTEGER NOT NULL,
        ok INTEGER NOT NULL, degraded INTEGER NOT NULL, failed INTEGER NOT NULL, unknown INTEGER NOT NULL,
        timed INTEGER NOT NULL, sum INTEGER NOT NULL, min INTEGER, max INTEGER, buckets TEXT NOT NULL,
        PRIMARY KEY (minute, source)
    ) WITHOUT ROWID;
    CREATE TABLE span (
        source INTEGER NOT NULL, start INTEGER NOT NULL, stop INTEGER NOT NULL, state TEXT NOT NULL,
        PRIMARY KEY (source, start)
    ) WITHOUT ROWID;
    CREATE TABLE fold (source INTEGER PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE gap (opened INTEGER NOT NULL, closed INTEGER NOT NULL, dropped INTEGER NOT NULL, reason TEXT NOT NULL);
    """,
    """
    CREATE TABLE kept (one INTEGER PRIMARY KEY CHECK (one = 1), raw INTEGER NOT NULL, minutes INTEGER NOT NULL);
    INSERT INTO kept SELECT 1, coalesce(min(time), 0), 0 FROM observation;
    """,
)
"""Statements that lead from each version (its place here) to the next."""


class NewerError(RuntimeError):
    """The file was written by a newer version."""


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the file to the newest version, each step in one transaction; NewerError if it is ahead."""
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > len(MIGRATIONS):
        raise NewerError(f"the store has version {version}, this agent knows {len(MIGRATIONS)}")
    if version == 0:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # only an empty file can take it
    for number in range(version, len(MIGRATIONS)):
        connection.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[number]} PRAGMA user_version = {number + 1}; COMMIT")
