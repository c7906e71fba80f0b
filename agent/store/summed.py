"""The minutes of a long time, summed by probe, for a baseline and what is compared with one."""

import hashlib
from collections import Counter
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import msgspec

from agent.store.minute import Minute
from agent.store.tables import connect_reading


class Summed(msgspec.Struct, frozen=True, kw_only=True):
    """The sums by probe key, and SHA-256 (hex) over the minutes as lines (FORMAT.md, section Baseline)."""

    probes: dict[str, Minute]
    digest: str


def read_summed(path: Path, start: int, stop: int, keys: frozenset[str] | None = None) -> Summed:
    """Sum the minutes that begin in [start, stop) (UTC seconds), of these probes or all.

    Some 6 s for a million minutes. Raises sqlite3.Error or OSError.
    """
    sums: dict[int, Minute] = {}
    shapes, seen = Counter[tuple[int, str]](), hashlib.sha256()
    with closing(connect_reading(path)) as db:
        names = {number: f"{vantage}>{probe}" for number, vantage, probe in db.execute("SELECT * FROM source")}
        quoted = {number: msgspec.json.encode(name).decode() for number, name in names.items()}
        wanted = {number for number, name in names.items() if keys is None or name in keys}
        # In the order of the table's key: any other would sort, or read the time once for every probe.
        query = "SELECT * FROM minute WHERE minute >= ? AND minute < ? ORDER BY minute, source"
        rows = db.execute(query, (-(-start // 60), -(-stop // 60)))
        for _, together in groupby((row for row in rows if row[1] in wanted), key=itemgetter(0)):
            for minute, number, *counts, shape in sorted(together, key=lambda row: names[row[1]]):
                shapes[number, shape] += 1
                _add(sums.setdefault(number, Minute()), counts)
                told = ",".join(["null" if one is None else str(one) for one in counts])
                seen.update(f"[{quoted[number]},{minute},{told},{shape}]\n".encode())
    for (number, text), count in shapes.items():
        sums[number].buckets = [
            have + count * more for have, more in zip(sums[number].buckets, msgspec.json.decode(text), strict=True)
        ]
    probes = {names[number]: total for number, total in sums.items() if _results(total)}
    return Summed(probes=dict(sorted(probes.items())), digest=seen.hexdigest())


def _add(total: Minute, counts: list[Any]) -> None:
    ok, degraded, failed, unknown, timed, added, low, high = counts
    total.ok += ok
    total.degraded += degraded
    total.failed += failed
    total.unknown += unknown
    total.timed += timed
    total.sum += added
    if low is not None:
        total.min = low if total.min is None else min(total.min, low)
        total.max = high if total.max is None else max(total.max, high)


def _results(one: Minute) -> int:
    return one.ok + one.degraded + one.failed + one.unknown
