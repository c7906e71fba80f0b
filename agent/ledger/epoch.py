"""Beginning a log anew, by command, when the present one cannot go on: restored from a copy, damaged, or a new key.

What must stay true: one name never gets two histories, so the new log has a name of its own, and its first
entry says which log it takes the place of, how far that went and why; the old file is kept as it is. A power
cut at any moment leaves either the old log, or the new one, or one that no agent uses until this is run again.
"""

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import Any

import msgspec

from agent import keys
from agent.ledger import body
from agent.ledger.dossier import KeyChange
from agent.ledger.reading import connect, log_of
from agent.ledger.storage import (
    StorageError,
    earlier_epochs,
    encode_job,
    epoch_name,
    load_key,
    next_file,
    open_storage,
)
from agent.ledger.testimony import Epoch

REASON_CHARACTERS = 1000


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """What can still be told of a log that does not go on; what cannot be read is absent."""

    origin: str = ""
    entries: int = 0
    checkpoint: str = ""
    saved: bytes | None = None
    witnessed: tuple[tuple[Any, ...], ...] = ()


def renew(path: Path, key: Path, origin: str, *, vantage: str, reason: str, now: float, new_key: bool = False) -> str:
    """Begin the next epoch of the ledger at `path` and return its log's name; nobody may have it open.

    `origin` is the name of the agent's first log. `now`: UTC epoch seconds. With `new_key` the log gets a key
    of its own, which the old log's last entry names. Run again after it was interrupted, it finishes.
    Raises StorageError, keys.NoteError, sqlite3.Error or OSError.
    """
    ready = next_file(path)
    if not ready.exists():
        _prepare(path, key, origin, vantage=vantage, reason=reason[:REASON_CHARACTERS], now=now, new_key=new_key)
    return _finish(path, key, origin)


def read_ended(path: Path) -> Ended:
    """Return what the file at `path` still tells."""
    ended = Ended()
    with contextlib.suppress(sqlite3.Error, OSError, UnicodeDecodeError), contextlib.closing(connect(path)) as db:
        ended = msgspec.structs.replace(ended, entries=db.execute("SELECT count(*) FROM leaf").fetchone()[0])
        with contextlib.suppress(StorageError):
            ended = msgspec.structs.replace(ended, origin=log_of(db).name, checkpoint=_newest_good(db))
        row = db.execute("SELECT saved FROM state").fetchone()
        ended = msgspec.structs.replace(ended, saved=bytes(row[0]) if row else None)
        ended = msgspec.structs.replace(ended, witnessed=tuple(db.execute("SELECT * FROM witnessed")))
    return ended


def _newest_good(db: sqlite3.Connection) -> str:
    """Return the newest note with a good signature of the log's key, empty if there is none."""
    key = log_of(db)
    for text, signatures in db.execute("SELECT text, signatures FROM checkpoint ORDER BY size DESC"):
        if isinstance(text, str) and isinstance(signatures, str) and key.verify(text, signatures):
            return f"{text}\n{signatures}"
    return ""


def _prepare(path: Path, key: Path, origin: str, *, vantage: str, reason: str, now: float, new_key: bool) -> None:
    """Make the next epoch's file, whole and signed, beside the present one."""
    fresh, key_ready = path.with_name(f"{path.stem}-new{path.suffix}"), next_file(key)
    for name in (fresh, *_beside(fresh), key_ready):
        name.unlink(missing_ok=True)
    ended = read_ended(path)
    epoch = _present(path, ended.origin, origin) + 1
    if new_key:
        new = load_key(key_ready, origin)
        verifier = keys.VerifierKey(name=epoch_name(origin, epoch), public=new.verifier.public)
        _announce(path, key, origin, (new, verifier), vantage=vantage, reason=reason, now=now)
        ended = read_ended(path)
    entry = Epoch(
        time=body.nanoseconds(now),
        vantage=vantage,
        epoch=epoch,
        previous=ended.origin or epoch_name(origin, epoch - 1),
        reason=reason,
        entries=ended.entries,
        checkpoint=ended.checkpoint,
    )
    storage = open_storage(fresh, key_ready if new_key else key, origin, epoch=epoch)
    try:
        storage.append(encode_job(*body.write(entry), ended.saved, {}))
        storage.connection.executemany("INSERT INTO witnessed VALUES (?, ?, ?, ?, ?)", ended.witnessed)
        storage.sign()
    finally:
        storage.close()
    fresh.rename(next_file(path))
    _sync(path.parent)


def _announce(
    path: Path,
    key: Path,
    origin: str,
    new: tuple[keys.Signer, keys.VerifierKey],
    *,
    vantage: str,
    reason: str,
    now: float,
) -> None:
    """Let the last entry of the old log name the next log's key; both keys sign that."""
    signer, verifier = new
    storage = open_storage(path, key, origin)
    try:
        name, old = storage.verifier.partition("+")[0], storage.verifier
        text = f"demarc key change v1\n{name}\n{old}\n{verifier}\n"
        entry = KeyChange(
            time=body.nanoseconds(now),
            vantage=vantage,
            old=old,
            new=str(verifier),
            by_old=keys.Signer(name=name, seed=storage.identity.seed).sign(text).removesuffix("\n"),
            by_new=keys.Signer(name=verifier.name, seed=signer.seed).sign(text).removesuffix("\n"),
            reason=reason,
        )
        storage.append(encode_job(*body.write(entry), None, {}))
        storage.sign()
    finally:
        storage.close()


def _finish(path: Path, key: Path, origin: str) -> str:
    """Put the next epoch in the present one's place, step by step; each may have been done before."""
    ready = next_file(path)
    with contextlib.closing(connect(ready)) as db:
        name = log_of(db).name
    kept = path.with_name(f"{path.stem}-{_number(name, origin) - 1}{path.suffix}")
    if path.exists() and not kept.exists():
        os.link(path, kept)
    for left, right in zip(_beside(path), _beside(kept), strict=True):
        if left.exists():  # the log of the old file's last changes belongs to it, and would spoil the new one
            left.replace(right)
    _sync(path.parent)
    if next_file(key).exists():
        next_file(key).replace(key)
    ready.replace(path)
    _sync(path.parent)
    return name


def _present(path: Path, name: str, origin: str) -> int:
    """Return the number of the present epoch: as its log says, or as the files before it count."""
    before = [int(one.stem.rpartition("-")[2]) for one in earlier_epochs(path)]
    return max(_number(name, origin), max(before, default=0) + 1)


def _number(name: str, origin: str) -> int:
    rest = name.removeprefix(f"{origin}/")
    return int(rest) if rest != name and rest.isascii() and rest.isdigit() else 1


def _beside(path: Path) -> tuple[Path, Path]:
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def _sync(folder: Path) -> None:
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
