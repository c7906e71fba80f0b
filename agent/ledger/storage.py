"""The ledger's file: opening it, and one entry in one transaction. Used by one thread at a time.

What must stay true: a leaf, the nodes it completes, its details and the incident state go in one
transaction (WAL with synchronous=FULL, so a commit that returned is on disk); a checkpoint is signed
only for what is committed, and for one size there is one root. Anything that does not fit raises
`StorageError`: the caller stops, it does not repair.
"""

import hashlib
import re
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from agent import keys
from agent.ledger import canonical, merkle, note, schema
from agent.ledger.keyfile import read_signer, write_signer

BUSY_SECONDS = 10.0
"""How long an append waits for another process's lock (a backup); after that recording stops."""


_EPOCH = "/[1-9][0-9]{0,5}"


class StorageError(RuntimeError):
    """The ledger's file cannot be used, or is not what it was."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One entry to append, its body encoded already; `state` replaces the saved incident state.

    `erase` names details (leaf, name) that go in the same transaction: the entry says why.
    """

    kind: str
    time: int
    body: bytes
    state: bytes | None = None
    details: tuple[tuple[str, bytes, bytes], ...] = ()
    erase: tuple[tuple[int, str], ...] = ()


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A committed entry: its index and leaf hash (hex); `id` is its own name, where it has one."""

    index: int
    hash: str
    id: str = ""


def commit_detail(data: bytes) -> tuple[bytes, str]:
    """Return a fresh salt and the commitment (hex) that binds `data`: SHA-256(salt || data)."""
    salt = secrets.token_bytes(32)
    return salt, hashlib.sha256(salt + data).hexdigest()


def load_key(path: Path, origin: str) -> keys.Signer:
    """Read the signing key, or make one (mode 0600, synced to disk) where there is none."""
    try:
        signer = read_signer(path)
    except FileNotFoundError:
        signer = keys.generate(origin)
        write_signer(path, signer.secret_text())
    if signer.name != origin:
        raise StorageError(f"the key {path.name} belongs to the log {signer.name!r}, not to {origin!r}")
    return signer


class Storage:
    """An open ledger file. Made by `open_storage`; every method may raise sqlite3.Error or OSError."""

    def __init__(self, connection: sqlite3.Connection, identity: keys.Signer, epoch: int = 1) -> None:
        """`identity` is the agent's key under its own name; a log that is made here gets the name of its epoch."""
        self._db = connection
        self._signer = keys.Signer(name=epoch_name(identity.name, epoch), seed=identity.seed)
        self.identity = identity
        self.size = 0
        self.saved: bytes | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        """Return the connection, for steps of the writer's thread that leave entries alone."""
        return self._db

    @property
    def verifier(self) -> str:
        """Return the key that verifies this log, in signed-note form."""
        return str(self._signer.verifier)

    def prepare(self) -> None:
        """Create the tables in an empty file; otherwise check that the file is whole and ours."""
        if self._one("SELECT count(*) FROM sqlite_master") == 0:
            self._create()
        if self._one("PRAGMA application_id") != schema.APPLICATION_ID:
            raise StorageError("the file is a database, but not a ledger")
        version = self._one("PRAGMA user_version")
        if version != schema.USER_VERSION:
            raise StorageError(f"the ledger has format {version}, this agent knows {schema.USER_VERSION}")
        owner = self._db.execute("SELECT origin, key FROM log").fetchone()
        if owner and is_epoch_of(owner[0], self.identity.name):
            self._signer = keys.Signer(name=owner[0], seed=self.identity.seed)
        if owner != (self._signer.name, self.verifier):
            raise StorageError(f"the ledger is signed with another key: {owner}")
        self._resume()

    def append(self, job: Job) -> Receipt:
        """Write one entry and return after it is on disk."""
        leaf = merkle.leaf_hash(job.body)
        index = self.size
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._check_alone(index)
            self._db.execute("INSERT INTO leaf VALUES (?, ?, ?, ?, ?)", (index, job.kind, job.time, leaf, job.body))
            nodes = merkle.completed(index, leaf, self.read)
            self._db.executemany("INSERT INTO node VALUES (?, ?, ?)", nodes)
            self._db.executemany("INSERT INTO detail VALUES (?, ?, ?, ?)", [(index, *one) for one in job.details])
            self._db.executemany("DELETE FROM detail WHERE leaf = ? AND name = ?", job.erase)
            if job.state is not None:
                self._db.execute("INSERT OR REPLACE INTO state VALUES (1, ?, ?)", (index, job.state))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self.size = index + 1
        if job.erase:
            self._clear_wal()
        return Receipt(index=index, hash=leaf.hex())

    def _clear_wal(self) -> None:
        """Fold the WAL into the file: it still holds what was erased.

        A reader can be in the way; it is not waited for, and a later fold or the close does it.
        """
        waits = self._one("PRAGMA busy_timeout")
        self._db.execute("PRAGMA busy_timeout = 0")
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {waits}")

    def sign(self) -> None:
        """Sign the committed size, once; a no-op while nothing was added."""
        if self.size == 0 or self._last_checkpoint_size() == self.size:
            return
        text = note.Checkpoint(self._signer.name, self.size, merkle.root(self.size, self.read)).text()
        self._db.execute("INSERT INTO checkpoint VALUES (?, ?, ?)", (self.size, text, self._signer.sign(text)))

    def read(self, level: int, index: int) -> bytes:
        """Return the hash of a complete subtree (see `merkle.Reader`)."""
        query = (
            "SELECT hash FROM leaf WHERE idx = ?2 AND ?1 = 0"
            if level == 0
            else ("SELECT hash FROM node WHERE level = ?1 AND idx = ?2")
        )
        row = self._db.execute(query, (level, index)).fetchone()
        if row is None or not isinstance(row[0], bytes):
            raise StorageError(f"the subtree {level}/{index} is missing")
        return row[0]

    def close(self) -> None:
        """Close the file; the last connection folds the WAL into it."""
        self._db.close()

    def _one(self, query: str) -> object:
        row = self._db.execute(query).fetchone()
        return row[0] if row else None

    def _create(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        for statement in schema.STATEMENTS:
            self._db.execute(statement)
        self._db.execute("INSERT INTO log VALUES (1, ?, ?)", (self._signer.name, self.verifier))
        self._db.execute(f"PRAGMA application_id = {schema.APPLICATION_ID}")
        self._db.execute(f"PRAGMA user_version = {schema.USER_VERSION}")
        self._db.execute("COMMIT")

    def _check_alone(self, index: int) -> None:
        if self._one("SELECT coalesce(max(idx) + 1, 0) FROM leaf") != index:
            raise StorageError("another process has written to this ledger")

    def _last_checkpoint_size(self) -> int:
        size = self._one("SELECT max(size) FROM checkpoint")
        return size if isinstance(size, int) else 0

    def _resume(self) -> None:
        """Take up where the file stands: last leaf, last checkpoint and saved state must agree with the tree."""
        count, highest = self._db.execute("SELECT count(*), coalesce(max(idx) + 1, 0) FROM leaf").fetchone()
        if count != highest:
            raise StorageError(f"the ledger has {count} entries, numbered up to {highest}")
        self.size = int(count)
        self._check_last_leaf()
        self._check_last_checkpoint()
        row = self._db.execute("SELECT saved FROM state").fetchone()
        self.saved = bytes(row[0]) if row else None
        self.sign()

    def _check_last_leaf(self) -> None:
        row = self._db.execute("SELECT hash, body FROM leaf WHERE idx = ?", (self.size - 1,)).fetchone()
        if row is not None and not (isinstance(row[1], bytes) and merkle.leaf_hash(row[1]) == row[0]):
            raise StorageError(f"entry {self.size - 1} does not match its hash")

    def _check_last_checkpoint(self) -> None:
        row = self._db.execute("SELECT size, text FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
        if row is None:
            return
        size, text = row
        if size > self.size:
            raise StorageError(f"the checkpoint over {size} entries is newer than the {self.size} entries here")
        if text != note.Checkpoint(self._signer.name, size, merkle.root(size, self.read)).text():
            raise StorageError(f"the checkpoint over {size} entries does not match them")


def epoch_name(origin: str, epoch: int) -> str:
    """Return the name of an agent's log in its `epoch`-th epoch, counted from 1."""
    return origin if epoch == 1 else f"{origin}/{epoch}"


def first_name(name: str) -> str:
    """Return the name of the first log of the agent whose log is called `name` (see `keys.origin`)."""
    return re.sub(_EPOCH + r"\Z", "", name) if name.count("/") > 1 else name


def is_epoch_of(name: object, origin: str) -> bool:
    """Say whether `name` is that of a log of the agent with the first log's name `origin`."""
    return isinstance(name, str) and (name == origin or bool(re.fullmatch(re.escape(origin) + _EPOCH, name)))


def earlier_epochs(path: Path) -> tuple[Path, ...]:
    """Return the files of the epochs before the one at `path`, oldest first."""
    found = [one for one in path.parent.glob(f"{path.stem}-*{path.suffix}") if _number_of(one, path)]
    return tuple(sorted(found, key=lambda one: _number_of(one, path)))


def _number_of(earlier: Path, path: Path) -> int:
    number = earlier.stem.removeprefix(f"{path.stem}-")
    return int(number) if re.fullmatch("[1-9][0-9]{0,5}", number) else 0


def next_file(path: Path) -> Path:
    """Return where the next epoch is made ready; while it is there, no agent may use `path`."""
    return path.with_name(f"{path.stem}-next{path.suffix}")


def open_storage(path: Path, key: Path, origin: str, *, busy_seconds: float = BUSY_SECONDS, epoch: int = 1) -> Storage:
    """Open or create the ledger at `path`, signed with the key in the file `key`.

    `origin` is the name of the agent's first log; a file that is there says in which `epoch` it is.
    Raises StorageError, keys.NoteError, sqlite3.Error or OSError; then nothing is left open.
    """
    keys.valid_name(origin)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not key.exists():
        raise StorageError(f"the ledger is here, but its key {key.name} is not")
    if next_file(path).exists():
        raise StorageError("a new epoch was begun and not finished: run `demarc ledger renew` again")
    if not path.exists() and earlier_epochs(path):
        raise StorageError(
            f"{path.name} is gone, but earlier epochs are here: begin a new one with `demarc ledger renew`"
        )
    identity = load_key(key, origin)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=busy_seconds)
    try:
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "cell_size_check=ON"):
            connection.execute(f"PRAGMA {pragma}")
        storage = Storage(connection, identity, epoch)
        storage.prepare()
    except BaseException:
        connection.close()
        raise
    return storage


def encode_job(
    kind: str,
    body: Mapping[str, object],
    state: bytes | None,
    details: Mapping[str, bytes],
    erase: Iterable[tuple[int, str]] = (),
) -> Job:
    """Return the job of one entry; CanonicalError or ValueError when the body cannot be recorded."""
    time = body.get("time")
    if not isinstance(time, int) or isinstance(time, bool):
        raise canonical.CanonicalError("body.time: integer nanoseconds UTC are needed")
    sealed = {name: commit_detail(data) for name, data in sorted(details.items())}
    whole = dict(body) | {"kind": kind}
    if sealed:
        whole["details"] = {name: commitment for name, (_, commitment) in sealed.items()}
    return Job(
        kind=kind,
        time=time,
        body=canonical.encode(whole),
        state=state,
        details=tuple((name, salt, details[name]) for name, (salt, _) in sealed.items()),
        erase=tuple(erase),
    )
