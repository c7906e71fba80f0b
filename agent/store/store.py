"""The observation store as the daemon uses it: a sink that never blocks, and reads for peers and replay.

One writer thread owns the file and writes batches. What must stay true: `observation` returns at once;
what does not fit in the queue is dropped and counted; a fault of the disk stops recording loudly, and
when space returns recording goes on with a gap entry that says what is missing. A file that is damaged
is set aside on the next start and a new one begun: raw results are no evidence, the ledger is.
"""

import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import msgspec

from agent.availability.fold import Cadence
from agent.clock import Clock, SystemClock
from agent.observation import Observation
from agent.store.raw import raw_lines
from agent.store.schema import NewerError
from agent.store.tables import StoreGap, Tables, connect_reading, open_tables, read_recent

_DAY = 86400.0
_LAST_SECOND = 1e11  # the year 5138; in microseconds it still fits 64 bits
_ROUNDS = 2**63
LONGEST_SECONDS = 1e6  # more than any attempt takes; a minute of them in microseconds fits 64 bits
_PAUSE_SECONDS = 0.2  # between two steps of forgetting, so that writing goes on beside it


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of the store. Raw results 7 days and 2 GB, minutes and spans 25 months."""

    raw_seconds: float = 7 * _DAY
    most_bytes: int = 2_000_000_000
    minute_seconds: float = 761 * _DAY  # 25 months
    queue: int = 20_000
    batch: int = 5_000
    batch_seconds: float = 2.0  # what a kill can cost; a commit rewrites a few pages, whatever it holds
    span_seconds: float = 60.0
    forget_seconds: float = 60.0
    retry_seconds: float = 10.0


class StoreHealth(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the store records, and if not, why; counters since the start."""

    recording: bool
    reason: str = ""
    written: int = 0
    dropped: int = 0
    queued: int = 0


def _silent(_text: str) -> None:
    """Ignore an alarm; `health` still tells."""


def _no_gap(_gap: StoreGap) -> None:
    """Ignore a gap; the store has it."""


class Store:
    """The observation store. Make it with `Store.open`."""

    def __init__(
        self,
        path: Path,
        *,
        cadences: Mapping[str, Cadence],
        limits: Limits,
        alarm: Callable[[str], None],
        on_gap: Callable[[StoreGap], None],
        clock: Clock,
    ) -> None:
        self._path = path
        self._cadences = cadences
        self._limits = limits
        self._alarm = alarm
        self._on_gap = on_gap
        self._clock = clock
        self._tables: Tables | None = None
        self._reason = ""
        self._for_good = False
        self._lost: StoreGap | None = None
        self._taken = self._written = self._dropped = 0
        self._closing = self._flushing = self._recadenced = False
        self._next_spans = self._next_forget = self._next_try = 0.0
        self._queue: deque[Observation] = deque()
        self._changed = threading.Condition()  # guards the counters and the reason
        self._writer = threading.Thread(target=self._run, name="store", daemon=True)

    @classmethod
    def open(
        cls,
        path: str | Path,
        *,
        cadences: Mapping[str, Cadence] | None = None,
        limits: Limits | None = None,
        alarm: Callable[[str], None] = _silent,
        on_gap: Callable[[StoreGap], None] = _no_gap,
        clock: Clock | None = None,
    ) -> "Store":
        """Open or create the store at `path`; returns at once, never raises for what is wrong with the files.

        `cadences` names the probes (`vantage>probe`) whose state in every second is kept for reports.
        `alarm` is called with the reason when recording stops, `on_gap` when it goes on, both by the writer.
        """
        store = cls(
            Path(path),
            cadences=cadences or {},
            limits=limits or Limits(),
            alarm=alarm,
            on_gap=on_gap,
            clock=clock or SystemClock(),
        )
        store._writer.start()
        return store

    def observation(self, observation: Observation) -> None:
        """Take one result in; never blocks. Dropped and counted when the queue is full.

        For one thread, the loop's: the writer only takes from the other end of the queue.
        """
        self._taken += 1
        queued = len(self._queue)
        if queued < self._limits.queue and not self._closing and storable(observation):
            self._queue.append(observation)
            if queued + 1 == self._limits.batch:
                with self._changed:
                    self._changed.notify_all()
            return
        with self._changed:
            if storable(observation):
                self._lose(1, observation.time, "the queue was full")
            else:
                self._lose(1, self._clock.wall(), "a result with an impossible time, round or duration")

    def configure(self, cadences: Mapping[str, Cadence]) -> None:
        """Keep the states of other probes from now on; the writer takes them up."""
        with self._changed:
            self._cadences, self._recadenced = cadences, True
            self._changed.notify_all()

    def recent(
        self, vantage: str, *, since_round: int | None = None, since: float | None = None, limit: int = 1000
    ) -> tuple[Observation, ...]:
        """Return the newest results of a vantage that are on disk, oldest first, at most `limit`.

        Those of rounds after `since_round`, and not before `since` (UTC epoch seconds).
        """
        if not self._path.exists():
            return ()
        connection = connect_reading(self._path)
        try:
            return read_recent(connection, vantage, since_round, since, limit)
        finally:
            connection.close()

    def export(self, start: float, stop: float) -> Iterator[bytes]:
        """Yield the results of [start, stop) as JSON Lines without line feeds, in order of time."""
        return export(self._path, start, stop)

    @property
    def health(self) -> StoreHealth:
        """Return how the store is; cheap, from any thread."""
        with self._changed:
            return StoreHealth(
                recording=not self._reason and not self._closing,
                reason=self._reason or ("the store is closed" if self._closing else ""),
                written=self._written,
                dropped=self._dropped,
                queued=len(self._queue),
            )

    def flush(self, timeout_seconds: float = 5.0) -> bool:
        """Wait until everything taken in so far is written or lost; return whether that was in time."""
        with self._changed:
            target = self._taken
            self._flushing = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._written + self._dropped >= target, timeout_seconds)

    def close(self, timeout_seconds: float = 3.0) -> bool:
        """Write what waits, stop and close the file; return whether that was done in time."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._writer.join(timeout_seconds)
        return not self._writer.is_alive()

    def _run(self) -> None:
        self._prepare()
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: (
                        self._closing or self._flushing or self._recadenced or len(self._queue) >= self._limits.batch
                    ),
                    self._limits.batch_seconds,
                )
                self._flushing, closing = False, self._closing
                recadenced, self._recadenced = self._recadenced, False
                batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._limits.batch))]
                more = bool(self._queue)
            if recadenced:
                self._reopen()
            self._step(batch, closing=closing)
            if closing and not more:
                break
        if self._tables is not None:
            self._guard(self._tables.close)

    def _step(self, batch: list[Observation], *, closing: bool) -> None:
        now = self._clock.boot()
        if self._tables is None and not self._for_good and now >= self._next_try:
            self._prepare()
        if batch:
            self._write(batch)
        if self._tables is not None and (closing or now >= self._next_spans):
            self._next_spans = now + self._limits.span_seconds
            self._guard(self._tables.write_spans)
        if self._tables is not None and now >= self._next_forget:
            self._next_forget = now + self._limits.forget_seconds
            self._guard(self._forget)

    def _reopen(self) -> None:
        """Open the file again with the cadences that are now in force."""
        tables = self._tables
        if tables is not None:
            self._guard(tables.write_spans)
            self._guard(tables.close)
            self._tables = None
            self._prepare()

    def _prepare(self) -> None:
        """Open the file; set a damaged one aside and begin a new one."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._tables = open_tables(self._path, self._cadences)
        except NewerError as error:
            self._stop(error, for_good=True)
        except (sqlite3.OperationalError, OSError) as error:
            self._stop(error)
        except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
            self._set_aside(error)

    def _set_aside(self, error: Exception) -> None:
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(self._clock.wall())}")
        try:
            for suffix in ("", "-wal", "-shm"):
                part = self._path.with_name(self._path.name + suffix)
                if part.exists():
                    part.rename(aside.with_name(aside.name + suffix))
            self._tables = open_tables(self._path, self._cadences)
        except (sqlite3.Error, OSError) as second:
            self._stop(second)
            return
        self._alarm(f"the observation store was damaged ({error}); it is kept as {aside.name}, a new one was begun")

    def _write(self, batch: list[Observation]) -> None:
        if self._tables is None:
            with self._changed:
                self._lose(len(batch), batch[0].time, self._reason)
            return
        with self._changed:
            lost = self._lost
        gap = msgspec.structs.replace(lost, closed=max(lost.opened, batch[0].time)) if lost else None
        try:
            self._tables.write(batch, gap)
        except Exception as error:
            self._stop(error)
            with self._changed:
                self._lose(len(batch), batch[0].time, self._reason)
            return
        with self._changed:
            self._written += len(batch)
            self._lost = lost_beyond(lost, self._lost, batch[-1].time)
            self._reason = ""
            self._changed.notify_all()
        if gap is not None:
            self._on_gap(gap)

    def _forget(self) -> None:
        if self._tables is None:
            return
        limits, now = self._limits, self._clock.wall()
        more = self._tables.forget(
            before=now - limits.raw_seconds, minutes_before=now - limits.minute_seconds, most_bytes=limits.most_bytes
        )
        if more:
            self._next_forget = self._clock.boot() + _PAUSE_SECONDS

    def _guard(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            self._stop(error)

    def _stop(self, error: Exception, *, for_good: bool = False) -> None:
        """Stop recording until the next try (never again, for damage or a newer file), and say so once."""
        damaged = isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError)
        tables, self._tables = self._tables, None
        if tables is not None:
            with suppress(sqlite3.Error):  # the fault that brought us here is told below
                tables.close()
        with self._changed:
            first = not self._reason
            self._for_good = self._for_good or for_good or damaged
            self._reason = f"observations are not recorded: {type(error).__name__}: {error}"
        self._next_try = self._clock.boot() + self._limits.retry_seconds
        if first:
            self._alarm(self._reason)

    def _lose(self, count: int, at: float, reason: str) -> None:
        """Count what is lost; the caller holds the lock."""
        self._dropped += count
        lost = self._lost or StoreGap(opened=at, closed=at, dropped=0, reason=reason)
        self._lost = msgspec.structs.replace(lost, closed=max(lost.closed, at), dropped=lost.dropped + count)
        self._changed.notify_all()


def storable(observation: Observation) -> bool:
    """Say whether time, round and duration fit the tables; a peer may send what it likes."""
    return (
        0 <= observation.time < _LAST_SECOND
        and 0 <= observation.round < _ROUNDS
        and (observation.seconds is None or 0 <= observation.seconds <= LONGEST_SECONDS)
    )


def lost_beyond(told: StoreGap | None, lost: StoreGap | None, now: float) -> StoreGap | None:
    """Return what was lost beyond the gap that was just recorded."""
    if lost is None or lost is told:
        return None
    if told is None:
        return lost
    return StoreGap(opened=now, closed=lost.closed, dropped=lost.dropped - told.dropped, reason=lost.reason)


def export(path: Path, start: float, stop: float) -> Iterator[bytes]:
    """Yield the results of [start, stop) (UTC epoch seconds) as JSON Lines without line feeds, in order of time."""
    connection = connect_reading(path)
    try:
        for _, line in raw_lines(connection, start, stop):
            yield line
    finally:
        connection.close()
