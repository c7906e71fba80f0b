"""The duty to record what falls due by itself: terms without a reply, details that are kept no longer."""

from pathlib import Path

from agent.daemon.entering import Enter
from agent.daemon.evidence import RECEIPT_SECONDS
from agent.ledger import body
from agent.ledger.cases import read_cases
from agent.ledger.terms import overdue, unanswered
from agent.model import Retention

# Terms are given in days at least as a rule; the whole ledger is read for it.
EVERY_SECONDS = 900.0


class TermsDuty:
    """Looks every quarter of an hour; `do` runs in a thread."""

    def __init__(self, *, ledger: Path, enter: Enter, vantage: str, retention: Retention) -> None:
        self._ledger, self._enter = ledger, enter
        self._vantage, self._retention = vantage, retention
        self._next = 0.0

    def configure(self, retention: Retention) -> None:
        """Take up a reloaded agent file."""
        self._retention = retention

    def due(self, now: float) -> bool:
        """Say whether it is time to look."""
        return now >= self._next

    def do(self, now: float) -> None:
        """Record everything that has fallen due."""
        self._next = now + EVERY_SECONDS
        cases, at = read_cases(self._ledger), body.nanoseconds(now)
        for entry in unanswered(cases, self._vantage, at):
            self._enter(entry).result(RECEIPT_SECONDS)
        for erasure in overdue(cases, self._retention, self._vantage, at):
            gone = tuple((one.entry, one.name) for one in erasure.erased)
            self._enter(erasure, erase=gone).result(RECEIPT_SECONDS)
