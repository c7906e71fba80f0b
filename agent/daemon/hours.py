"""The duty to bind every hour of this vantage's measurements into the ledger.

What must stay true: hours follow each other without a hole, over restarts too; an hour is bound when
nothing of it can still come in, so that what the store says of it later must be the same.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from agent.daemon.evidence import RECEIPT_SECONDS, Enter
from agent.ledger import body
from agent.ledger.cases import read_recorded
from agent.ledger.dossier import Hour
from agent.store.hours import HOUR, all_settled, digest, first_result
from agent.store.tables import connect_reading

# The store folds again what came in five minutes before a crash, and writes minutes and states every minute.
SETTLE_SECONDS = 600
# A slow probe may leave its last seconds open for as long as its interval; its states are then left out.
PATIENCE_SECONDS = 7200
# At most so many hours in one go: after a long pause the other duties come in between.
TOGETHER = 24
_NANO = 1_000_000_000


class HoursDuty:
    """Binds hours; `do` runs in a thread."""

    def __init__(self, *, ledger: Path, store: Path, enter: Enter, vantage: str) -> None:
        self._ledger, self._store = ledger, store
        self._enter = enter
        self._vantage = vantage
        self._begin: int | None = None
        self._next = 0.0

    @property
    def bound_until(self) -> float | None:
        """Return the end of the last bound hour (UTC epoch seconds), None before the first look."""
        return None if self._begin is None else float(self._begin)

    def due(self, now: float) -> bool:
        """Say whether an hour may be due."""
        return now >= self._next

    def do(self, now: float) -> None:
        """Bind every hour that is due."""
        self._next = now + 60.0
        if not self._store.exists():  # the store is only being made
            return
        with closing(connect_reading(self._store)) as connection:
            if self._begin is None:
                self._begin = self._first_hour(connection)
            for _ in range(TOGETHER):
                if self._begin is None or not self._bind_next(connection, self._begin, now):
                    break
        self._next = max(now + 60.0, (self._begin or 0) + HOUR + SETTLE_SECONDS)

    def _first_hour(self, connection: sqlite3.Connection) -> int | None:
        """Return where the last entry ended, or the hour of the first result; None without either."""
        bound = [one.entry.closed for one in read_recorded(self._ledger, ("hour",)) if isinstance(one.entry, Hour)]
        if bound:
            return bound[-1] // _NANO
        first = first_result(connection, self._vantage, 0)
        return None if first is None else int(first) // HOUR * HOUR

    def _bind_next(self, connection: sqlite3.Connection, start: int, now: float) -> bool:
        """Bind the hour from `start` on, or all hours up to the next result; False if it is too early."""
        first = first_result(connection, self._vantage, start)
        over = int(now - SETTLE_SECONDS) // HOUR * HOUR
        nothing_until = over if first is None else int(first) // HOUR * HOUR
        stop = max(start + HOUR, min(nothing_until, over))
        if stop > over:
            return False
        if now < stop + SETTLE_SECONDS + PATIENCE_SECONDS and not all_settled(connection, self._vantage, stop):
            return False
        found = digest(connection, self._vantage, start, stop)
        entry = Hour(
            time=body.nanoseconds(now),
            vantage=self._vantage,
            opened=start * _NANO,
            closed=stop * _NANO,
            observations=found.observations,
            raw=found.raw,
            rollups=found.rollups,
            states=found.states,
            outcomes=found.outcomes,
            seconds=found.seconds,
            probes=found.probes,
        )
        self._enter(entry).result(RECEIPT_SECONDS)
        self._begin = stop
        return True
