"""Raw results as the lines that `demarc observations` writes, straight from their rows.

What must stay true: a line is byte for byte what `agent.observation.encode` makes of the result, and the
order is that of time, then vantage, then probe: hashes over these lines stand in ledgers.
"""

import sqlite3
from collections.abc import Collection, Iterator

import msgspec

_MICRO = 1_000_000


def raw_lines(
    connection: sqlite3.Connection, start: float, stop: float, keys: Collection[str] | None = None
) -> Iterator[tuple[str, bytes]]:
    """Yield probe key (`vantage>probe`) and line, without line feed, of the results of [start, stop) (UTC seconds).

    `keys` bounds them to these probes.
    """
    names = {
        number: (vantage, probe)
        for number, vantage, probe in connection.execute("SELECT id, vantage, probe FROM source")
        if keys is None or f"{vantage}>{probe}" in keys
    }
    heads = {
        number: b',"vantage":%b,"probe":%b,' % (msgspec.json.encode(vantage), msgspec.json.encode(probe))
        for number, (vantage, probe) in names.items()
    }
    # The casts: a file that somebody altered may hold other types, and must then differ instead of failing.
    query = (
        "SELECT time, source, CAST(round AS INTEGER), coalesce(CAST(rest AS BLOB), x'') FROM observation"
        " WHERE time >= ? AND time < ? ORDER BY time"
    )
    together: list[tuple[tuple[str, str], bytes]] = []  # of the same microsecond, whose order the table does not keep
    moment = -1
    for time, source, number, rest in connection.execute(query, (round(start * _MICRO), round(stop * _MICRO))):
        if source not in names:
            continue
        if time != moment:
            yield from _ordered(together)
            together, moment = [], time
        line = b'{"time":%b,"round":%d%b%b' % (msgspec.json.encode(time / _MICRO), number, heads[source], rest[1:])
        together.append((names[source], line))
    yield from _ordered(together)


def _ordered(together: list[tuple[tuple[str, str], bytes]]) -> Iterator[tuple[str, bytes]]:
    for (vantage, probe), line in sorted(together):
        yield f"{vantage}>{probe}", line
