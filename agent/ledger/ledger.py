"""The ledger as the daemon uses it: append from any thread, acknowledged after the commit.

One writer thread owns the file. What must stay true: an acknowledged entry is on disk; entries are
written in the order of `append`; what is committed is signed within a moment, and nothing else is;
after the first fault nothing more is written until the next start (a failed fsync cannot be retried:
"Can Applications Recover from fsync Failures?", ATC 2020), every later append fails at once, and the
process goes on. The queue is bounded: other kinds are refused while only the incidents' reserve is
left, and an incident's transition waits rather than be lost.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import msgspec

from agent import keys
from agent.clock import SystemClock
from agent.ledger.storage import BUSY_SECONDS, Receipt, Storage, StorageError, encode_job, open_storage

T = TypeVar("T")
Waiting: TypeAlias = tuple[Callable[[Storage], Any], "Future[Any]", bool]
"""A step, its future, and whether it adds an entry."""

QUEUE_ENTRIES = 4096
"""Entries that may wait: minutes of the worst storm seen in the lab, about 8 MB of bodies."""

RESERVE_ENTRIES = 1024
"""The last places in the queue are for incidents only."""

QUIET_SECONDS = 1.0
"""A checkpoint is signed when no entry came for so long: what happens together shares one."""

UNSIGNED_ENTRIES = 1000
UNSIGNED_SECONDS = 10.0
"""So many entries, and one that old, are signed even while more come."""


class LedgerStoppedError(RuntimeError):
    """Recording has stopped; the entry is not in the ledger."""


class LedgerFullError(RuntimeError):
    """Too many entries wait; this one was refused (never an incident's)."""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the ledger records, and if not, why; `refused` counts entries that were turned away."""

    recording: bool
    reason: str = ""
    size: int = 0
    queued: int = 0
    refused: int = 0


def _silent(_reason: str) -> None:
    """Ignore an alarm; `health` still tells."""


class Ledger:
    """The append-only record of one agent. Make it with `Ledger.open`."""

    def __init__(self, storage: Storage | None, reason: str, alarm: Callable[[str], None], capacity: int) -> None:
        self._storage = storage
        self._reason = reason
        self._alarm = alarm
        self._capacity = capacity
        self._reserve = min(RESERVE_ENTRIES, capacity // 4)
        self._refused = 0
        self._closing = False
        self._saved = storage.saved if storage else None
        self._waiting: deque[Waiting] = deque()
        self._changed = threading.Condition()  # guards everything above
        self._writer = threading.Thread(target=self._write, name="ledger", daemon=True)
        self._writer.start()

    @classmethod
    def open(
        cls,
        path: str | Path,
        key: str | Path,
        origin: str,
        *,
        alarm: Callable[[str], None] = _silent,
        capacity: int = QUEUE_ENTRIES,
        busy_seconds: float = BUSY_SECONDS,
    ) -> "Ledger":
        """Open or create the ledger at `path`; never raises for what is wrong with the files.

        `origin` is the log's name for ever; `key` the file with its private key, made if absent.
        `alarm` is called once with the reason when recording stops, from any thread.
        """
        try:
            storage = open_storage(Path(path), Path(key), origin, busy_seconds=busy_seconds)
        except (StorageError, keys.NoteError, sqlite3.Error, OSError) as error:
            reason = f"the ledger cannot be opened: {error}"
            alarm(reason)
            return cls(None, reason, alarm, capacity)
        return cls(storage, "", alarm, capacity)

    def append(
        self,
        kind: str,
        body: Mapping[str, object],
        state: bytes | None = None,
        details: Mapping[str, bytes] | None = None,
        erase: Iterable[tuple[int, str]] = (),
    ) -> Future[Receipt]:
        """Record an entry; the future holds its receipt once it is on disk.

        `body` needs `time` (ns UTC); `kind` is added. `state` replaces the saved incident state in the
        same transaction; `details` are erasable data that the body binds by salted hash, `erase` details
        (leaf, name) of earlier entries that go with this one, which says why. The future
        fails with LedgerStoppedError or LedgerFullError. A body that cannot be recorded is a bug of the
        caller and raises ValueError here. Blocks only for an incident that finds the queue full.
        """
        job = encode_job(kind, body, state, details or {}, erase)
        return self._put(lambda storage: storage.append(job), first=kind == "incident", entry=True)

    def run(self, step: Callable[[Storage], T]) -> "Future[T]":
        """Let the writer's thread take a step in the ledger's file, in its turn among the entries.

        A NoteError in it is its own affair; every other fault stops recording, as in an append.
        """
        return self._put(step, first=False, entry=False)

    def _put(self, step: Callable[[Storage], T], *, first: bool, entry: bool) -> "Future[T]":
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # from here on nobody can cancel what will be written
        places = self._capacity if first else self._capacity - self._reserve
        with self._changed:
            if first:
                self._changed.wait_for(lambda: len(self._waiting) < places or self._ended)
            if self._ended:
                self._refuse(future, LedgerStoppedError(self._reason or "the ledger is closed"))
            elif len(self._waiting) >= places:
                self._refuse(future, LedgerFullError(f"{len(self._waiting)} entries wait already"))
            else:
                self._waiting.append((step, future, entry))
                self._changed.notify_all()
        return future

    def saved_state(self) -> bytes | None:
        """Return the incident state that was saved with an entry before this start."""
        return self._saved

    @property
    def health(self) -> Health:
        """Return how the ledger is; cheap, from any thread."""
        with self._changed:
            return Health(
                recording=not self._ended,
                reason=self._reason or ("the ledger is closed" if self._closing else ""),
                size=self._storage.size if self._storage else 0,
                queued=len(self._waiting),
                refused=self._refused,
            )

    def close(self, timeout_seconds: float = 3.0) -> bool:
        """Write what waits, stop and close the file; return whether that was done in time."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join(timeout_seconds)
        return not self._writer.is_alive()

    @property
    def _ended(self) -> bool:
        return bool(self._reason) or self._closing

    def _write(self) -> None:
        """Write until closed, and sign when it is quiet; after a fault, refuse until closed."""
        clock = SystemClock()
        unsigned, due, latest = 0, 0.0, 0.0
        while not self._done():
            item = self._next(max(0.0, due - clock.boot()) if unsigned else None)
            now = clock.boot()
            if item is not None and self._take(item):
                latest = latest if unsigned else now + UNSIGNED_SECONDS
                unsigned, due = unsigned + 1, min(latest, now + QUIET_SECONDS)
            if unsigned >= UNSIGNED_ENTRIES or (unsigned and now >= due):
                self._sign()
                unsigned = 0
        self._sign()
        if self._storage is not None:
            self._attempt(self._storage.close, always=True)

    def _take(self, item: Waiting) -> bool:
        """Take one step; return whether it added an entry."""
        step, future, entry = item
        if self._storage is None or self._reason:
            self._refuse(future, LedgerStoppedError(self._reason))
            return False
        try:
            told = step(self._storage)
        except keys.NoteError as error:
            future.set_exception(error)
            return False
        except Exception as error:
            self._stop(error)
            self._refuse(future, LedgerStoppedError(self._reason))
            return False
        future.set_result(told)
        return entry

    def _done(self) -> bool:
        with self._changed:
            return self._closing and not self._waiting

    def _next(self, patience_seconds: float | None) -> Waiting | None:
        """Return the next step; None when there is none within the patience, or ever."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closing, patience_seconds)
            item = self._waiting.popleft() if self._waiting else None
            self._changed.notify_all()
            return item

    def _sign(self) -> None:
        if self._storage is not None:
            self._attempt(self._storage.sign)

    def _attempt(self, step: Callable[[], None], *, always: bool = False) -> None:
        """Do a step that is not part of an entry; a fault in it stops recording like any other."""
        if self._reason and not always:
            return
        try:
            step()
        except Exception as error:
            self._stop(error)

    def _stop(self, error: Exception) -> None:
        with self._changed:
            first = not self._reason
            self._reason = self._reason or f"recording stopped: {type(error).__name__}: {error}"
            self._changed.notify_all()
        if first:
            self._alarm(self._reason)

    def _refuse(self, future: "Future[Any]", error: Exception) -> None:
        with self._changed:
            self._refused += 1
        future.set_exception(error)
