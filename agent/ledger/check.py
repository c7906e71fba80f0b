"""The check of a whole ledger: every hash, subtree, signature and trigger, recomputed from the bodies.

What must stay true: nothing in the file is trusted, neither its types nor its tables; every departure
is a sentence that says where it is; one altered entry gives one sentence, not a thousand. That a
ledger is whole does not say whose it is: that needs a key from elsewhere, and a rewritten history
signed with the owner's own key is caught only by those who hold an earlier checkpoint.
"""

import hashlib
import sqlite3
from pathlib import Path

from agent import keys
from agent.ledger import body as kinds
from agent.ledger import canonical, merkle, note, schema
from agent.ledger.dossier import Erasure
from agent.ledger.reading import connect, log_of
from agent.ledger.storage import StorageError
from agent.ledger.verifier import Bad, Policy, Verdict
from agent.ledger.verifier.checks import Findings
from agent.ledger.verifier.trust import LOG, parse_key


def check(path: Path, policy: Policy | None = None) -> Verdict:
    """Check the ledger at `path`, against `policy` if one is given; never raises for what is in the file."""
    try:
        connection = connect(path)
    except (sqlite3.Error, OSError) as error:
        return Verdict(ok=False, what="ledger", problems=(f"the ledger cannot be read: {error}",))
    examination = _Examination(connection, policy)
    try:
        examination.run()
    except (sqlite3.Error, UnicodeDecodeError) as error:  # SQLite quotes damaged bytes in its messages
        examination.problems.append(f"the file is damaged: {error}")
    finally:
        connection.close()
    examination.entries = examination.size
    return examination.verdict("ledger", whole=True)


class _Examination(Findings):
    """One pass over one file."""

    def __init__(self, connection: sqlite3.Connection, policy: Policy | None) -> None:
        super().__init__(policy or Policy(own=True))
        self._db = connection
        self._key: keys.VerifierKey | None = None
        self._tree: list[merkle.Node] = []  # complete subtrees that make up what was read, largest first
        self._commitments: dict[tuple[int, str], str] = {}
        self._checkpoints: dict[int, tuple[object, object]] = {}
        self._erasures: set[tuple[int, str]] = set()
        self.size = 0
        self._nodes = 0
        self._newest_time = 0

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
            if row[0] != self.size:
                self.problems.append(f"entries {self.size} to {row[0] - 1} are missing")
                break
            self._leaf(*row[1:])
            self._checkpoint()
        self._rest()
        self._details()

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
        if self.policy.own:
            self.policy = Policy(logs=(parse_key(str(own), LOG),), own=True)
        agreed = self.policy.keys_of(own.name)
        if str(own) not in map(str, agreed):
            known = ", ".join(str(key) for key in agreed or self.policy.logs)
            self.problems.append(f"the ledger names the key {own}, not {known}")
        self._key = own

    def _leaf(self, kind: object, time: object, stored: object, body: object) -> None:
        """Check one entry by itself, then take it into the tree and check the subtrees that it completes."""
        index = self.size
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
        if fields.get("kind") == "erasure":
            self._erasure(fields)
        details = fields.get("details", {})
        if isinstance(details, dict):
            self._commitments.update(((index, name), str(value)) for name, value in details.items())

    def _erasure(self, fields: dict[str, canonical.Json]) -> None:
        """Remember which details an entry says it took away."""
        try:
            entry = kinds.read(fields)
        except ValueError:
            return
        if isinstance(entry, Erasure):
            self._erasures.update((one.entry, one.name) for one in entry.erased)

    def _meaning(self, index: int, fields: dict[str, canonical.Json]) -> None:
        """Note what this version does not understand; a later version may have written it."""
        try:
            known = kinds.read(fields) is not None
        except ValueError as error:
            self.notes.append(f"entry {index}: {error}")
            return
        if not known:
            self.notes.append(f"entry {index}: the kind {fields.get('kind')!r} is not known to this version")
        time = fields.get("time")
        if isinstance(time, int):
            if time < self._newest_time:
                self.notes.append(f"entry {index}: its time is before that of an earlier entry (the clock was set)")
            self._newest_time = max(self._newest_time, time)

    def _grow(self, leaf: bytes) -> None:
        current = merkle.Node(0, self.size, leaf)
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
        self.size += 1

    def _checkpoint(self) -> None:
        """Check the checkpoint over exactly what was read so far, if there is one."""
        if self.size not in self._checkpoints:
            return
        text, signatures = self._checkpoints.pop(self.size)
        where = f"the checkpoint over {self.size} entries"
        if not isinstance(text, str) or not isinstance(signatures, str) or self._key is None:
            self.problems.append(f"{where} cannot be read")
            return
        root = self._tree[-1].hash
        for node in reversed(self._tree[:-1]):
            root = merkle.node_hash(node.hash, root)
        if text != note.Checkpoint(self._key.name, self.size, root).text():
            self.problems.append(f"{where} does not match the entries: {text!r}")
        else:
            self._signatures(where, f"{text}\n{signatures}")

    def _signatures(self, where: str, whole: str) -> None:
        """Take a checkpoint that is right about the entries, if the signatures under it are good."""
        try:
            self.stands(self.checkpoint(whole), whole)
        except Bad as error:
            self.problems.append(f"{where}: {error}")

    def _rest(self) -> None:
        """Check what speaks of more than there is."""
        self.problems += [
            f"the checkpoint over {size} entries speaks of more than the {self.size} entries here"
            for size in self._checkpoints
        ]
        count = self._db.execute("SELECT count(*) FROM node").fetchone()[0]
        if count > self._nodes:
            self.problems.append(f"{count - self._nodes} subtrees belong to no entry here")
        signed = self.signed.size if self.signed else 0
        if signed < self.size and not self.problems:
            self.notes.append(f"entries {signed} to {self.size - 1} are not signed yet")

    def _details(self) -> None:
        gone = dict(self._commitments)
        for leaf, name, salt, data in self._db.execute("SELECT leaf, name, salt, data FROM detail"):
            commitment = self._commitments.get((leaf, name))
            if commitment is None:
                self.problems.append(f"entry {leaf}: the detail {name!r} is not bound by its body")
                continue
            gone.pop((leaf, name), None)
            whole = isinstance(salt, bytes) and isinstance(data, bytes)
            if not whole or hashlib.sha256(salt + data).hexdigest() != commitment:
                self.problems.append(f"entry {leaf}: the detail {name!r} does not match its commitment")
        self.erased = len(gone)
        self.problems += [
            f"entry {leaf}: the detail {name!r} is gone, and no entry says why"
            for leaf, name in sorted(gone)
            if (leaf, name) not in self._erasures
        ]


def _sort(name: str) -> str:
    return "table" if name in schema.TABLES else "trigger"


def _type(value: object) -> str:
    return {"NoneType": "missing", "str": "text", "int": "a number", "float": "a number"}.get(
        type(value).__name__, type(value).__name__
    )
