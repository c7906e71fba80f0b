"""The duty to record, once after a start, for how long nothing was measured before it and why.

What must stay true: the gap begins with the last result that is on disk, so that what a crash took with it
counts as not measured.
"""

from contextlib import closing
from pathlib import Path

from agent.daemon.evidence import RECEIPT_SECONDS, Enter
from agent.ledger.body import AgentStart, AgentStop, Gap, nanoseconds
from agent.ledger.cases import Recorded, read_recorded
from agent.store.tables import connect_reading, newest_before


class RestartDuty:
    """Records the gap before this start; `do` runs in a thread."""

    def __init__(self, *, ledger: Path, store: Path, enter: Enter, vantage: str) -> None:
        self._ledger, self._store, self._enter = ledger, store, enter
        self._vantage = vantage
        self._done = False

    def due(self, now: float) -> bool:  # noqa: ARG002 - a duty's signature
        """Say whether it was not done since the start."""
        return not self._done

    def do(self, now: float) -> None:
        """Record the gap, if the agent ran before."""
        entries = read_recorded(self._ledger, ("agent-start", "agent-stop"))
        starts = [number for number, one in enumerate(entries) if isinstance(one.entry, AgentStart)]
        if starts and starts[-1] > 0:
            start, before = entries[starts[-1]].entry.time, entries[starts[-1] - 1]
            opened = self._last_result(start) or before.entry.time
            if opened < start:
                gap = Gap(
                    time=nanoseconds(now),
                    what="probing",
                    vantage=self._vantage,
                    opened=opened,
                    closed=start,
                    reason=_why(before),
                )
                self._enter(gap).result(RECEIPT_SECONDS)
        self._done = True

    def _last_result(self, start: int) -> int | None:
        with closing(connect_reading(self._store)) as connection:
            found = newest_before(connection, self._vantage, start / 1e9)
        return None if found is None else nanoseconds(found)


def _why(before: Recorded) -> str:
    """Return how the run before this one ended."""
    if isinstance(before.entry, AgentStop):
        return f"the agent was stopped ({before.entry.reason})"
    return "the agent ended without recording a stop (killed, crashed, or the host lost power)"
