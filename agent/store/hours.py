"""What one hour of one vantage holds, as counts and hashes: the ledger binds them, so that an omission shows.

FORMAT.md of the ledger, section Hours, gives the lines that are hashed. What must stay true: the same rows
give the same hashes, for ever, on every host.
"""

import hashlib
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from math import inf

import msgspec

from agent.availability.fold import Availability, Span, State, merged
from agent.store.raw import raw_lines

HOUR = 3600
_OUTCOME = b',"outcome":"'


class HourDigest(msgspec.Struct, frozen=True, kw_only=True):
    """Counts and hashes (hex) of the results, rollups and states of whole hours."""

    observations: int
    outcomes: dict[str, int]
    raw: str
    rollups: str
    states: str
    seconds: dict[str, int]
    probes: tuple[str, ...]


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """From when on (UTC seconds) the store holds everything that it took in: results, minutes with states."""

    raw: float
    minutes: float


def bounds(connection: sqlite3.Connection) -> Bounds:
    """Return what the store says that it has not forgotten; of a store from before it said so, nothing."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'kept'").fetchone():
        return Bounds(raw=inf, minutes=inf)
    raw, minutes = connection.execute("SELECT raw, minutes FROM kept").fetchone()
    return Bounds(raw=raw / 1e6, minutes=float(minutes))


def digest(
    connection: sqlite3.Connection, vantage: str, start: int, stop: int, probes: Collection[str] | None = None
) -> HourDigest:
    """Return what [start, stop) in UTC seconds holds of `vantage`; states of `probes`, or of all that are settled."""
    known = dict(connection.execute("SELECT id, probe FROM source WHERE vantage = ?", (vantage,)))
    raw, outcomes = hashlib.sha256(), Counter[str]()
    for _, line in raw_lines(connection, start, stop, {f"{vantage}>{probe}" for probe in known.values()}):
        raw.update(line + b"\n")
        _, _, rest = line.partition(_OUTCOME)
        outcomes[rest[: rest.find(b'"')].decode(errors="replace")] += 1
    bound = settled(connection, known, stop) if probes is None else {n for n, p in known.items() if p in probes}
    states = {known[number]: _states(connection, number, start, stop) for number in bound}
    seconds = Counter[str]()
    for spans in states.values():
        for span in spans:
            seconds[span.state.value] += span.stop - span.start
    return HourDigest(
        observations=outcomes.total(),
        outcomes=dict(sorted(outcomes.items())),
        raw=raw.hexdigest(),
        rollups=_hash(_rollups(connection, known, start, stop)),
        states=_hash([probe, *span] for probe, spans in sorted(states.items()) for span in spans),
        seconds=dict(sorted(seconds.items())),
        probes=tuple(sorted(states)),
    )


def states_of(connection: sqlite3.Connection, vantage: str, start: int, stop: int, probes: Collection[str]) -> str:
    """Return the hash of the states of these probes in [start, stop), as `digest` does: cheap, for reports."""
    known = dict(connection.execute("SELECT id, probe FROM source WHERE vantage = ?", (vantage,)))
    states = {known[n]: _states(connection, n, start, stop) for n in known if known[n] in probes}
    return _hash([probe, *span] for probe, spans in sorted(states.items()) for span in spans)


def settled(connection: sqlite3.Connection, known: Collection[int], stop: int) -> set[int]:
    """Return the sources, of those known, whose state is settled for every second before `stop`."""
    found = set()
    for number, text in connection.execute("SELECT source, value FROM fold"):
        if number in known:
            value = msgspec.json.decode(text, type=Availability)
            until = value.run[0].start if value.run else value.second
            if until is not None and until >= stop:
                found.add(number)
    return found


def all_settled(connection: sqlite3.Connection, vantage: str, stop: int) -> bool:
    """Say whether every probe of a vantage whose states are kept is settled up to `stop`."""
    rows = connection.execute("SELECT id FROM source JOIN fold ON fold.source = id WHERE vantage = ?", (vantage,))
    known = {number for (number,) in rows}
    return settled(connection, known, stop) == known


def first_result(connection: sqlite3.Connection, vantage: str, start: int) -> float | None:
    """Return the time of the first result of a vantage from `start` on, None without any."""
    query = (
        "SELECT time FROM observation JOIN source ON source.id = source"
        " WHERE time >= ? AND vantage = ? ORDER BY time LIMIT 1"
    )
    row = connection.execute(query, (start * 1_000_000, vantage)).fetchone()
    return row[0] / 1e6 if row else None


def _rollups(connection: sqlite3.Connection, known: dict[int, str], start: int, stop: int) -> Iterator[list[object]]:
    query = "SELECT * FROM minute WHERE minute >= ? AND minute < ?"
    rows = []
    for minute, source, *counts, buckets in connection.execute(query, (start // 60, stop // 60)):
        if source in known:
            rows.append((minute, known[source], counts, msgspec.json.decode(buckets)))
    for minute, probe, counts, buckets in sorted(rows):
        yield [probe, minute, *counts, buckets]


def _states(connection: sqlite3.Connection, source: int, start: int, stop: int) -> tuple[Span, ...]:
    query = "SELECT start, stop, state FROM span WHERE source = ? AND start < ? AND stop > ? ORDER BY start"
    rows = connection.execute(query, (source, stop, start))
    return merged(Span(max(first, start), min(last, stop), State(state)) for first, last, state in rows)


def _hash(lines: Iterable[list[object]]) -> str:
    whole = hashlib.sha256()
    for line in lines:
        whole.update(msgspec.json.encode(line) + b"\n")
    return whole.hexdigest()
