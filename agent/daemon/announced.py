"""The duty to know which maintenance is announced: whoever announced it is not paged for it.

What must stay true: only what the ledger holds counts, by the ledger's own rule (written before it began).
"""

from collections.abc import Callable
from pathlib import Path

from agent.alerts import Work
from agent.ledger import body
from agent.ledger.cases import Recorded, read_over_epochs
from agent.ledger.changes import MaintenanceEntry, windows


class AnnouncedDuty:
    """Reads the ledger after the start and after each entry about maintenance; `tell` hears of all that counts."""

    def __init__(self, ledger: Path, tell: Callable[[tuple[Work, ...]], None]) -> None:
        self._ledger, self._tell = ledger, tell
        self._news, self._told = 1, 0

    def entered(self, recorded: Recorded) -> None:
        """Take a new entry, from any thread."""
        if isinstance(recorded.entry, MaintenanceEntry):
            self._news += 1

    def due(self, now: float) -> bool:  # noqa: ARG002 - a duty's signature
        """Say whether the ledger is to be read."""
        return self._told != self._news

    def do(self, now: float) -> None:
        """Read it, in a thread; work that is over is left out."""
        news = self._news  # an entry that comes while the ledger is read makes it due again
        entries = [one.entry for epoch in read_over_epochs(self._ledger, ("maintenance",)) for one in epoch]
        known = windows(one for one in entries if isinstance(one, MaintenanceEntry))
        works = (work_of(one) for one in known.values())
        self._tell(tuple(work for work in works if work.closed > now))
        self._told = news


def work_of(entry: MaintenanceEntry) -> Work:
    """Return an announcement as paging needs it."""
    return Work(
        party=entry.party,
        opened=body.seconds(entry.opened),
        closed=body.seconds(entry.closed),
        services=entry.services,
    )
