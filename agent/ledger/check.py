"""The check of a whole ledger: every hash, subtree, signature and trigger, recomputed from the bodies.

What must stay true: nothing in the file is trusted, neither its types nor its tables; every departure
is a sentence that says where it is; one altered entry gives one sentence, not a thousand. That a
ledger is whole does not say whose it is: that needs a key from elsewhere, and a rewritten history
signed with the owner's own key is caught only by those who hold an earlier checkpoint.
"""

import hashlib
import sqlite3
from pathlib import Path

import msgspec

from agent import keys
from agent.ledger import body as kinds
from agent.ledger import canonical, merkle, note, schema
from agent.ledger.reading import connect, log_of
from agent.ledger.storage import StorageError

PROBLEMS = 100
"""After so many sentences the rest is only counted."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found. `problems` is empty when the ledger is whole.

    `own_key` is true when the only key at hand was the one in the ledger itself. `signed` is the size
    under the newest good checkpoint, `checkpoint` its note.
    """

    ok: bool
    origin: str = ""
    key: str = ""
    own_key: bool = True
    entries: int = 0
    signed: int = 0
    erased: int = 0
    checkpoint: str = ""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check(path: Path, key: keys.VerifierKey | None = None) -> Verdict:
    """Check the ledger at `path`, against `key` if one is given; never raises for what is in the file."""
    try:
        connection = connect(path)
    except (sqlite3.Error, OSError) as error:
        return Verdict(ok=False, problems=(f"the ledger cannot be read: {error}",))
    examination = _Examination(connection, key)
    try:
        examination.run()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes damaged bytes in its messages
        examination.problems.append(f"the file is damaged: {error}")
    finally:
        connection.close()
    return examination.verdict()


class _Examination:
    """One pass over one file."""

    def __init__(self, connection: sqlite3.Connection, key: keys.VerifierKey | None) -> None:
        self._db = connection
        self._given = key
        self._key = key
        self._tree: list[merkle.Node] = []  # complete subtrees that make up what was read, largest first
        self._commitments: dict[tuple[int, str], str] = {}
        self._checkpoints: dict[int, tuple[object, object]] = {}
        self._notes: list[str] = []
        self._size = 0
        self._signed = 0
        self._note = ""
        self._nodes = 0
        self._newest_time = 0
        self._erased = 0
        self.problems: list[str] = []

    def run(self) -> None:
        """Read everything once."""
        self._db.execute("BEGIN")
        self._file()
        self._log()
        self._checkpoints = {
            size: (text, signatures)
            for size, text, signatures in self._db.execute("SELECT size, text, signatures FROM checkpoint")
        }
        for row in self._db.execute("SELECT idx, kind, time, hash, body FROM leaf ORDER BY idx"):
            if row[0] != self._size:
                self.problems.append(f"entries {self._size} to {row[0] - 1} are missing")
                break
            self._leaf(*row[1:])
            self._checkpoint()
        self._rest()
        self._details()

    def verdict(self) -> Verdict:
        """Return what was found."""
        shown = self.problems[:PROBLEMS]
        if len(self.problems) > PROBLEMS:
            shown.append(f"and {len(self.problems) - PROBLEMS} more")
        return Verdict(
            ok=not self.problems,
            origin=self._key.name if self._key else "",
            key=str(self._key) if self._key else "",
            own_key=self._given is None,
            entries=self._size,
            signed=self._signed,
            erased=self._erased,
            checkpoint=self._note,
            problems=tuple(shown),
            notes=tuple(self._notes),
        )

    def _file(self) -> None:
        """Check what SQLite thinks of the file, and that tables and triggers are the ones of FORMAT.md."""
        for (text,) in self._db.execute("PRAGMA quick_check(5)"):
            if text != "ok":
                self.problems.append(f"the file is damaged: {text}")
        for pragma, expected in (("application_id", schema.APPLICATION_ID), ("user_version", schema.USER_VERSION)):
            found = self._db.execute(f"PRAGMA {pragma}").fetchone()[0]
            if found != expected:
                self.problems.append(f"{pragma} is {found}, not {expected}")
        expected_names = dict(zip((*schema.TABLES, *schema.TRIGGERS), schema.STATEMENTS, strict=True))
        query = "SELECT name, sql FROM sqlite_master WHERE substr(name, 1, 7) <> 'sqlite_'"
        found_names = dict(self._db.execute(query))
        for name, text in expected_names.items():
            if name not in found_names:
                self.problems.append(f"the {_sort(name)} {name} is missing")
            elif found_names[name] != text:
                self.problems.append(f"the {_sort(name)} {name} was altered: {found_names[name]}")
        self.problems += [f"{name} does not belong in a ledger" for name in found_names if name not in expected_names]

    def _log(self) -> None:
        try:
            own = log_of(self._db)
        except StorageError as error:
            self.problems.append(str(error))
            return
        if self._given is not None and str(own) != str(self._given):
            self.problems.append(f"the ledger names the key {own}, not {self._given}")
        self._key = self._given or own

    def _leaf(self, kind: object, time: object, stored: object, body: object) -> None:
        """Check one entry by itself, then take it into the tree and check the subtrees that it completes."""
        index = self._size
        computed = merkle.leaf_hash(body) if isinstance(body, bytes) else None
        if not isinstance(body, bytes):
            self.problems.append(f"entry {index}: the body is {_type(body)}, not bytes")
        elif stored != computed:
            self.problems.append(f"entry {index}: the body does not match its hash")
        else:
            self._body(index, kind, time, body)
        # The stored hash goes into the tree: then one altered body is one sentence, and an altered hash
        # shows in the subtree above it.
        leaf = stored if isinstance(stored, bytes) and len(stored) == 32 else computed or bytes(32)
        self._grow(leaf)

    def _body(self, index: int, kind: object, time: object, body: bytes) -> None:
        try:
            fields = canonical.decode(body)
        except canonical.CanonicalError as error:
            self.problems.append(f"entry {index}: {error}")
            return
        for name, column in (("kind", kind), ("time", time)):
            if type(column) is not type(fields.get(name)) or column != fields.get(name):
                self.problems.append(f"entry {index}: the column {name} says {column!r}, the body {fields.get(name)!r}")
        self._meaning(index, fields)
        details = fields.get("details", {})
        if isinstance(details, dict):
            self._commitments.update(((index, name), str(value)) for name, value in details.items())

    def _meaning(self, index: int, fields: dict[str, canonical.Json]) -> None:
        """Note what this version does not understand; a later version may have written it."""
        try:
            known = kinds.read(fields) is not None
        except ValueError as error:
            self._notes.append(f"entry {index}: {error}")
            return
        if not known:
            self._notes.append(f"entry {index}: the kind {fields.get('kind')!r} is not known to this version")
        time = fields.get("time")
        if isinstance(time, int):
            if time < self._newest_time:
                self._notes.append(f"entry {index}: its time is before that of an earlier entry (the clock was set)")
            self._newest_time = max(self._newest_time, time)

    def _grow(self, leaf: bytes) -> None:
        current = merkle.Node(0, self._size, leaf)
        while self._tree and self._tree[-1].level == current.level:
            left = self._tree.pop()
            level, number = current.level + 1, left.number >> 1
            current = merkle.Node(level, number, merkle.node_hash(left.hash, current.hash))
            self._nodes += 1
            query = "SELECT hash FROM node WHERE level = ? AND idx = ?"
            row = self._db.execute(query, (level, number)).fetchone()
            if row is None or row[0] != current.hash:
                span = f"entries {number << level} to {((number + 1) << level) - 1}"
                self.problems.append(
                    f"the subtree {level}/{number} over {span} {'is missing' if row is None else 'differs'}"
                )
                if row is not None and isinstance(row[0], bytes) and len(row[0]) == 32:
                    current = merkle.Node(level, number, row[0])  # one sentence, as for a leaf
        self._tree.append(current)
        self._size += 1

    def _checkpoint(self) -> None:
        """Check the checkpoint over exactly what was read so far, if there is one."""
        if self._size not in self._checkpoints:
            return
        text, signatures = self._checkpoints.pop(self._size)
        where = f"the checkpoint over {self._size} entries"
        if not isinstance(text, str) or not isinstance(signatures, str) or self._key is None:
            self.problems.append(f"{where} cannot be read")
            return
        root = self._tree[-1].hash
        for node in reversed(self._tree[:-1]):
            root = merkle.node_hash(node.hash, root)
        if text != note.Checkpoint(self._key.name, self._size, root).text():
            self.problems.append(f"{where} does not match the entries: {text!r}")
        elif not self._key.verify(text, signatures):
            self.problems.append(f"{where} has no good signature of {self._key.name}")
        else:
            self._signed, self._note = self._size, f"{text}\n{signatures}"

    def _rest(self) -> None:
        """Check what speaks of more than there is."""
        self.problems += [
            f"the checkpoint over {size} entries speaks of more than the {self._size} entries here"
            for size in self._checkpoints
        ]
        count = self._db.execute("SELECT count(*) FROM node").fetchone()[0]
        if count > self._nodes:
            self.problems.append(f"{count - self._nodes} subtrees belong to no entry here")
        if self._signed < self._size and not self.problems:
            self._notes.append(f"entries {self._signed} to {self._size - 1} are not signed yet")

    def _details(self) -> None:
        self._erased = len(self._commitments)
        for leaf, name, salt, data in self._db.execute("SELECT leaf, name, salt, data FROM detail"):
            commitment = self._commitments.get((leaf, name))
            if commitment is None:
                self.problems.append(f"entry {leaf}: the detail {name!r} is not bound by its body")
                continue
            self._erased -= 1
            whole = isinstance(salt, bytes) and isinstance(data, bytes)
            if not whole or hashlib.sha256(salt + data).hexdigest() != commitment:
                self.problems.append(f"entry {leaf}: the detail {name!r} does not match its commitment")


def _sort(name: str) -> str:
    return "table" if name in schema.TABLES else "trigger"


def _type(value: object) -> str:
    return {"NoneType": "missing", "str": "text", "int": "a number", "float": "a number"}.get(
        type(value).__name__, type(value).__name__
    )
