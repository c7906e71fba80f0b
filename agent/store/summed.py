"""The minutes of a long time, summed by probe, for a baseline and what is compared with one."""

import hashlib
from collections import Counter
from contextlib import closing
from pathlib import Path

import msgspec

from agent.store.minute import Minute
from agent.store.tables import connect_reading


class Summed(msgspec.Struct, frozen=True, kw_only=True):
    """The sums by probe key, and SHA-256 (hex) over the minutes as lines (FORMAT.md, section Baseline)."""

    probes: dict[str, Minute]
    digest: str


def read_summed(path: Path, start: int, stop: int, keys: frozenset[str] | None = None) -> Summed:
    """Sum the minutes that begin in [start, stop) (UTC seconds), of these probes or all.

    Some 3 s for a million minutes. Raises sqlite3.Error or OSError.
    """
    place = "minute >= ? AND minute < ?"
    times = (-(-start // 60), -(-stop // 60))
    sums, shapes, seen = {}, Counter[tuple[int, str]](), hashlib.sha256()
    with closing(connect_reading(path)) as db:
        names = {number: f"{vantage}>{probe}" for number, vantage, probe in db.execute("SELECT * FROM source")}
        wanted = sorted((n for n, key in names.items() if keys is None or key in keys), key=names.__getitem__)
        query = (
            "SELECT minute, ok, degraded, failed, unknown, timed, sum, min, max, buckets FROM minute"  # noqa: S608 - fixed text
            f" WHERE source = ? AND {place} ORDER BY minute"
        )
        for number in wanted:
            name = msgspec.json.encode(names[number]).decode()
            total = Minute()
            for row in db.execute(query, (number, *times)):
                shapes[number, row[9]] += 1
                _add(total, row)
                seen.update(f"[{name},{','.join('null' if one is None else str(one) for one in row)}]\n".encode())
            sums[number] = total
    for (number, text), count in shapes.items():
        sums[number].buckets = [
            have + count * more for have, more in zip(sums[number].buckets, msgspec.json.decode(text), strict=True)
        ]
    probes = {names[number]: total for number, total in sums.items() if _results(total)}
    return Summed(probes=probes, digest=seen.hexdigest())


def _add(total: Minute, row: tuple[int, ...]) -> None:
    total.ok += row[1]
    total.degraded += row[2]
    total.failed += row[3]
    total.unknown += row[4]
    total.timed += row[5]
    total.sum += row[6]
    if row[7] is not None:
        total.min = row[7] if total.min is None else min(total.min, row[7])
        total.max = row[8] if total.max is None else max(total.max, row[8])


def _results(one: Minute) -> int:
    return one.ok + one.degraded + one.failed + one.unknown
