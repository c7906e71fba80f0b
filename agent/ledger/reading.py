"""Reading a ledger's file without trusting it, and without changing it."""

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from agent import keys
from agent.ledger import canonical, merkle
from agent.ledger.storage import StorageError, earlier_epochs

T = TypeVar("T")
NAME_IT = "name the file `ledger.db` or the agent's data directory"
"""What to do when a path is no ledger."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the ledger for reading, beside a running agent or on a medium that cannot be written.

    Nothing is made beside it: without a WAL file nobody has it open, and it is read as it stands.
    Raises sqlite3.Error or OSError. Text that is not UTF-8 comes as surrogates instead of failing.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no ledger at {path}: {NAME_IT}")
    live = path.with_name(path.name + "-wal").exists()
    how = "mode=ro" if live else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=5.0)
    connection.text_factory = _lenient
    connection.execute("PRAGMA trusted_schema = OFF")
    return connection


def with_connection(path: Path, step: Callable[[sqlite3.Connection], T]) -> T:
    """Return what `step` makes of the open file, in one read transaction; the file is closed after it.

    Raises as `connect`, and StorageError for a file that is no ledger.
    """
    connection = connect(path)
    try:
        connection.execute("BEGIN")
        return step(connection)
    except UnicodeDecodeError as error:  # SQLite quotes damaged bytes in its messages
        raise StorageError("the file is damaged") from error
    except sqlite3.DatabaseError as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB" or "no such table" in str(error):
            raise StorageError(f"{path} is no ledger ({error}): {NAME_IT}") from error
        raise
    finally:
        connection.close()


def over_epochs(path: Path, step: Callable[[sqlite3.Connection, T], T], first: T) -> tuple[T, tuple[str, ...]]:
    """Take a step in each epoch of the ledger at `path`, oldest first, each with what the one before came to.

    Returns what the last came to, and a sentence for each earlier file that cannot be read: such a one is passed
    over, since it is often why there is a later epoch. Raises as `with_connection` for the present one.
    """
    told, unread = first, []
    for earlier in earlier_epochs(path):
        try:
            told = with_connection(earlier, partial(_swapped, step, told))
        except (StorageError, sqlite3.Error, OSError) as error:
            unread.append(f"the earlier epoch {earlier.name} cannot be read: {error}")
    return with_connection(path, partial(_swapped, step, told)), tuple(unread)


def _swapped(step: Callable[[sqlite3.Connection, T], T], before: T, connection: sqlite3.Connection) -> T:
    return step(connection, before)


def log_of(connection: sqlite3.Connection) -> keys.VerifierKey:
    """Return the key that the ledger says it is signed with; StorageError if it says none."""
    row = connection.execute("SELECT origin, key FROM log").fetchone()
    try:
        key = keys.parse_verifier(row[1])
    except (TypeError, AttributeError, keys.NoteError) as error:
        raise StorageError("the ledger does not say whose it is") from error
    if key.name != row[0]:
        raise StorageError(f"the ledger of {row[0]} names a key of {key.name}")
    return key


def newest_checkpoint(connection: sqlite3.Connection) -> tuple[int, str]:
    """Return size and note of the newest checkpoint; StorageError if nothing is signed yet."""
    row = connection.execute("SELECT size, text, signatures FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    if row is None:
        raise StorageError("nothing in this ledger is signed yet")
    return int(row[0]), f"{row[1]}\n{row[2]}"


def bodies(connection: sqlite3.Connection, size: int, first: int = 0) -> Iterator[tuple[int, bytes]]:
    """Yield index and body of the first `size` leaves, in order, from the `first` one on."""
    query = "SELECT idx, body FROM leaf WHERE idx >= ? AND idx < ? ORDER BY idx"
    for index, body in connection.execute(query, (first, size)):
        if not isinstance(body, bytes):
            raise StorageError(f"entry {index} has no body")
        yield index, body


def fields(body: bytes) -> dict[str, canonical.Json]:
    """Return the fields of a body; StorageError if it is not canonical."""
    try:
        return canonical.decode(body)
    except canonical.CanonicalError as error:
        raise StorageError(str(error)) from error


def node_reader(connection: sqlite3.Connection) -> merkle.Reader:
    """Return the reader of the stored subtrees."""

    def read(level: int, index: int) -> bytes:
        table = "SELECT hash FROM node WHERE level = ? AND idx = ?"
        leaf = "SELECT hash FROM leaf WHERE ? = 0 AND idx = ?"
        row = connection.execute(table if level else leaf, (level, index)).fetchone()
        if row is None or not isinstance(row[0], bytes):
            raise StorageError(f"the subtree {level}/{index} is missing")
        return row[0]

    return read


def _lenient(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")
