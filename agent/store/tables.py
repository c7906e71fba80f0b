"""What the store does with its file: write a batch, forget what is old, read. One connection, one thread.

What must stay true: minutes and spans are derived from the raw results and written once a minute, in one
transaction with the fold that spans come from; on opening after a crash the raw results since then are
counted and folded again, so that it costs nothing. Of one file there is one writer.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from agent.availability.fold import Availability, Cadence, Span, State, covering, finish, fold, merged
from agent.observation import Observation, encode
from agent.store.minute import Minute, add
from agent.store.schema import migrate

_MICRO = 1_000_000
# Where in an encoded observation the part begins that has no column; in a JSON string the quotes would be escaped.
_REST_BEGINS = b',"outcome":'
_MARK = 0  # the row of `fold` that holds the newest time when spans were written; no source has this id
_WHOLE = -1  # the row of `fold` that is there while minutes and spans hold every raw result
_LATE_MICRO = 300 * _MICRO  # a peer's results come in later than our own, by minutes at most
_FIRST_FOLD_MICRO = 3600 * _MICRO  # a probe that gains a cadence is folded from an hour back
# Results are appended and seldom read: half a megabyte of cache (in KiB) is as good as SQLite's two.
_PRAGMAS = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "journal_size_limit=16777216",
    "cell_size_check=ON",
    "cache_size=-500",
)
_INSERT = "INSERT OR IGNORE INTO observation VALUES (?, ?, ?, ?)"
_DELETE_STEP = 2000  # rows a step: under 10 ms on a slow disk


class StoreGap(msgspec.Struct, frozen=True, kw_only=True):
    """Results were lost between `opened` and `closed` (UTC epoch seconds)."""

    opened: float
    closed: float
    dropped: int
    reason: str


def connect(path: Path) -> sqlite3.Connection:
    """Open or create the store for writing."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        migrate(connection)
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")
    except BaseException:
        connection.close()
        raise
    return connection


def connect_reading(path: Path) -> sqlite3.Connection:
    """Open the store for reading beside a running agent, or on a medium that cannot be written."""
    if not path.exists():
        raise FileNotFoundError(f"no observation store at {path}")
    live = path.with_name(path.name + "-wal").exists()  # without one nobody has it open
    how = "mode=ro" if live else "mode=ro&immutable=1"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, timeout=5.0)


class Tables:
    """The store's file with what is remembered beside it; after an exception make a new one."""

    def __init__(self, connection: sqlite3.Connection, cadences: Mapping[str, Cadence]) -> None:
        self._db = connection
        self._cadences = cadences
        self._sources: dict[tuple[str, str], int] = {
            (vantage, probe): number for number, vantage, probe in connection.execute("SELECT * FROM source")
        }
        self._folds, self._spans = catch_up(connection, cadences)
        self._minutes: dict[tuple[int, int], Minute] = {}
        self._whole = bool(connection.execute("SELECT 1 FROM fold WHERE source = ?", (_WHOLE,)).fetchone())
        if not self._whole:
            self._count_again()

    def write(self, batch: Iterable[Observation], gap: StoreGap | None = None) -> int:
        """Write a batch in one transaction; return how many results were new."""
        observations = list(batch)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            if self._whole:
                self._db.execute("DELETE FROM fold WHERE source = ?", (_WHOLE,))
            new = self._insert(observations)
            if gap is not None:
                times = (round(gap.opened * _MICRO), round(gap.closed * _MICRO))
                self._db.execute("INSERT INTO gap VALUES (?, ?, ?, ?)", (*times, gap.dropped, gap.reason))
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._whole = False
        for observation in new:
            self._count(observation)
            self._fold(observation)
        return len(new)

    def _insert(self, observations: list[Observation]) -> list[Observation]:
        """Insert raw results; return those that were not there yet."""
        for observation in observations:
            self._source(observation)
        before = self._db.total_changes
        self._db.execute("SAVEPOINT raw")
        self._db.executemany(_INSERT, map(self._row, observations))
        if self._db.total_changes - before == len(observations):
            return observations
        # Some came in twice (from a peer): one by one it shows which.
        self._db.execute("ROLLBACK TO raw")
        return [one for one in observations if self._db.execute(_INSERT, self._row(one)).rowcount]

    def _row(self, observation: Observation) -> tuple[int, int, int, bytes]:
        return round(observation.time * _MICRO), self._source(observation), observation.round, _rest(observation)

    def write_spans(self) -> None:
        """Write the spans that were settled since the last time, with the folds that they came from."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for key, value in self._folds.items():
                source = self._sources[_pair(key)]
                self._db.execute(
                    "INSERT OR REPLACE INTO fold VALUES (?, ?)", (source, msgspec.json.encode(value).decode())
                )
                for span in merged(self._spans.get(key, [])):
                    self._extend(source, span)
            for place, value_of in self._minutes.items():
                self._put_minute(place, add(self._minute(*place), value_of))
            mark = self._db.execute("SELECT coalesce(max(time), 0) FROM observation").fetchone()[0]
            for row in ((_MARK, str(mark)), (_WHOLE, "")):
                self._db.execute("INSERT OR REPLACE INTO fold VALUES (?, ?)", row)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._spans, self._minutes, self._whole = {}, {}, True

    def forget(self, *, before: float, minutes_before: float, most_bytes: int) -> bool:
        """Delete one small step of what is too old or too much; return whether there is more to do."""
        deleted = self._delete_raw(round(before * _MICRO))
        if not deleted and self.used_bytes() > most_bytes:
            deleted = self._delete_raw(None)
        minutes = self._db.execute("DELETE FROM minute WHERE minute < ?", (int(minutes_before) // 60,)).rowcount
        spans = self._db.execute("DELETE FROM span WHERE stop < ?", (int(minutes_before),)).rowcount
        if minutes or spans:
            self._db.execute("UPDATE kept SET minutes = max(minutes, ?)", (int(minutes_before),))
        self._db.execute("PRAGMA incremental_vacuum(200)").fetchall()
        return deleted >= _DELETE_STEP

    def used_bytes(self) -> int:
        """Return the bytes in use, free pages left out."""
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        used: int = (pages - free) * size
        return used

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _delete_raw(self, before: int | None) -> int:
        """Delete a step of the oldest results, those before a moment (microseconds) or any; note it in `kept`."""
        query = "SELECT time, source FROM observation WHERE time < ? ORDER BY time LIMIT ?"
        rows = self._db.execute(query, (2**62 if before is None else before, _DELETE_STEP)).fetchall()
        if not rows:
            return 0
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.execute("UPDATE kept SET raw = max(raw, ?)", (rows[-1][0] + 1,))
            self._db.executemany("DELETE FROM observation WHERE time = ? AND source = ?", rows)
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        return len(rows)

    def _source(self, observation: Observation) -> int:
        pair = (observation.vantage, observation.probe)
        if pair not in self._sources:
            self._db.execute("INSERT OR IGNORE INTO source (vantage, probe) VALUES (?, ?)", pair)
            query = "SELECT id FROM source WHERE vantage = ? AND probe = ?"
            self._sources[pair] = self._db.execute(query, pair).fetchone()[0]
        return self._sources[pair]

    def _count(self, observation: Observation) -> None:
        place = (int(observation.time // 60), self._source(observation))
        minute = self._minutes.get(place)
        if minute is None:
            minute = self._minutes[place] = Minute()
        minute.take(observation)

    def _count_again(self) -> None:
        """Count the minutes anew that a crash left incomplete."""
        mark = self._db.execute("SELECT value FROM fold WHERE source = ?", (_MARK,)).fetchone()
        start = max(0, int(mark[0]) - _LATE_MICRO) if mark else 0
        for observation in read_observations(self._db, start // (60 * _MICRO) * 60 * _MICRO, None):
            self._count(observation)
        self._db.execute("BEGIN IMMEDIATE")
        for place, minute in self._minutes.items():
            self._put_minute(place, minute)
        self._db.execute("COMMIT")
        self._minutes = {}

    def _put_minute(self, place: tuple[int, int], value: Minute) -> None:
        row = msgspec.structs.astuple(value)
        self._db.execute(
            "INSERT OR REPLACE INTO minute VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*place, *row[:-1], msgspec.json.encode(value.buckets).decode()),
        )

    def _minute(self, minute: int, source: int) -> Minute:
        query = (
            "SELECT ok, degraded, failed, unknown, timed, sum, min, max, buckets FROM minute"
            " WHERE minute = ? AND source = ?"
        )
        row = self._db.execute(query, (minute, source)).fetchone()
        return Minute() if row is None else _to_minute(row)

    def _fold(self, observation: Observation) -> None:
        cadence = self._cadences.get(observation.key)
        if cadence is not None:
            value, spans = fold(self._folds.get(observation.key, Availability()), observation, cadence)
            self._folds[observation.key] = value
            self._spans.setdefault(observation.key, []).extend(spans)

    def _extend(self, source: int, span: Span) -> None:
        """Write a span, joined to the one before it where they touch and agree."""
        query = "UPDATE span SET stop = ? WHERE source = ? AND stop = ? AND state = ?"
        if not self._db.execute(query, (span.stop, source, span.start, span.state)).rowcount:
            self._db.execute("INSERT OR REPLACE INTO span VALUES (?, ?, ?, ?)", (source, *span))


def read_observations(connection: sqlite3.Connection, start: int, stop: int | None) -> Iterator[Observation]:
    """Yield the results of [start, stop) in microseconds UTC, in order of time."""
    query = (
        "SELECT time, round, vantage, probe, rest FROM observation JOIN source ON source.id = source"
        " WHERE time >= ? AND time < ? ORDER BY time, source"
    )
    for row in connection.execute(query, (start, 2**62 if stop is None else stop)):
        yield to_observation(*row)


def read_recent(
    connection: sqlite3.Connection, vantage: str, since_round: int | None, since: float | None, limit: int
) -> tuple[Observation, ...]:
    """Return the newest results of one vantage, oldest first: rounds after `since_round`, times from `since`."""
    query = (
        "SELECT time, round, vantage, probe, rest FROM observation JOIN source ON source.id = source"
        " WHERE vantage = ? AND time >= ? ORDER BY time DESC, source DESC"
    )
    found: list[Observation] = []
    for row in connection.execute(query, (vantage, round((since or 0.0) * _MICRO))):
        if len(found) == limit or (since_round is not None and row[1] <= since_round):
            break
        found.append(to_observation(*row))
    return tuple(reversed(found))


def newest_before(connection: sqlite3.Connection, vantage: str, stop: float) -> float | None:
    """Return the time of the newest result of a vantage before `stop` (UTC seconds), None without any."""
    query = (
        "SELECT time FROM observation JOIN source ON source.id = source"
        " WHERE time < ? AND vantage = ? ORDER BY time DESC LIMIT 1"
    )
    row = connection.execute(query, (round(stop * _MICRO), vantage)).fetchone()
    return row[0] / _MICRO if row else None


def catch_up(
    connection: sqlite3.Connection, cadences: Mapping[str, Cadence]
) -> tuple[dict[str, Availability], dict[str, list[Span]]]:
    """Return the folds of all known probes with a cadence, and the spans that are not written yet.

    The saved folds are taken up and the raw results that came after them folded in.
    """
    saved = dict(connection.execute("SELECT source, value FROM fold").fetchall())
    newest = connection.execute("SELECT coalesce(max(time), 0) FROM observation").fetchone()[0]
    start = int(saved.get(_MARK, newest)) - _LATE_MICRO
    folds: dict[str, Availability] = {}
    for source, vantage, probe in connection.execute("SELECT id, vantage, probe FROM source").fetchall():
        key = f"{vantage}>{probe}"
        if key not in cadences:
            continue
        folds[key] = msgspec.json.decode(saved[source], type=Availability) if source in saved else Availability()
        if source not in saved:
            start = min(start, newest - _FIRST_FOLD_MICRO)
    spans: dict[str, list[Span]] = {}
    for observation in read_observations(connection, start, None) if folds else ():
        value = folds.get(observation.key)
        if value is not None and round(observation.time * _MICRO) > value.held_micro:
            folds[observation.key], more = fold(value, observation, cadences[observation.key])
            spans.setdefault(observation.key, []).extend(more)
    return folds, spans


def read_states(path: Path, cadences: Mapping[str, Cadence], start: int, stop: int) -> dict[str, tuple[Span, ...]]:
    """Return the state of every second of [start, stop) by probe key, up to the newest result on disk."""
    connection = connect_reading(path)
    try:
        written = read_spans(connection, start, stop)
        folds, spans = catch_up(connection, cadences)
    finally:
        connection.close()
    found: dict[str, tuple[Span, ...]] = {}
    for key, cadence in cadences.items():
        rest = finish(folds[key], stop, cadence) if key in folds else ()
        found[key] = covering((*written.get(key, ()), *spans.get(key, ()), *rest), start, stop)
    return found


def read_spans(connection: sqlite3.Connection, start: int, stop: int) -> dict[str, tuple[Span, ...]]:
    """Return the settled spans that touch [start, stop) in seconds UTC, by probe key."""
    query = (
        "SELECT vantage, probe, start, stop, state FROM span JOIN source ON source.id = source"
        " WHERE start < ? AND stop > ? ORDER BY source, start"
    )
    found: dict[str, list[Span]] = {}
    for vantage, probe, first, last, state in connection.execute(query, (stop, start)):
        found.setdefault(f"{vantage}>{probe}", []).append(Span(first, last, State(state)))
    return {key: tuple(spans) for key, spans in found.items()}


def to_observation(time: int, round_number: int, vantage: str, probe: str, rest: bytes) -> Observation:
    """Put an observation together again."""
    fields = msgspec.json.decode(rest)
    whole = fields | {"time": time / _MICRO, "round": round_number, "vantage": vantage, "probe": probe}
    return msgspec.convert(whole, Observation)


def _rest(observation: Observation) -> bytes:
    line = encode(observation)
    return b"{" + line[line.index(_REST_BEGINS) + 1 :]


def _to_minute(row: tuple[object, ...]) -> Minute:
    names = Minute.__struct_fields__
    whole = dict(zip(names, row, strict=True))
    whole["buckets"] = msgspec.json.decode(str(row[-1]))
    return msgspec.convert(whole, Minute)


def _pair(key: str) -> tuple[str, str]:
    vantage, _, probe = key.partition(">")
    return vantage, probe


def open_tables(path: Path, cadences: Mapping[str, Cadence]) -> Tables:
    """Open or create the store; a file that cannot be used is closed again."""
    connection = connect(path)
    try:
        return Tables(connection, cadences)
    except BaseException:
        connection.close()
        raise
