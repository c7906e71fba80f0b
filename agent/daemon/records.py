"""Which of the ledger's entries stand beside an incident: shown with it, on the page and in the API.

What must stay true: shown is what is on disk; a restart shows the same again.
"""

from collections.abc import Callable
from pathlib import Path

from agent.ledger import body
from agent.ledger.cases import Recorded, read_recorded
from agent.snapshot import Noted

KINDS = (
    "evidence",
    "reattribution",
    "hold",
    "correction",
    "request",
    "reply",
    "objection",
    "decision",
    "acknowledgement",
)
# Older incidents are in reports and proofs; the page shows those that are open or ended lately.
LOOK_BACK_SECONDS = 35 * 86400.0


def noted(recorded: Recorded) -> tuple[str, Noted] | None:
    """Return an entry as it is shown, with the incident that it stands beside; None if it is about none."""
    kind, fields = body.write(recorded.entry)
    about = fields.get("incident", "")
    incident = about.get("id", "") if isinstance(about, dict) else about
    if kind not in KINDS or not incident:
        return None
    return incident, Noted(index=recorded.index, hash=recorded.hash, kind=kind, body=fields)


class Records:
    """Tells `show` every such entry: those of before the start once (a duty), new ones as they are recorded."""

    def __init__(self, ledger: Path, show: Callable[[tuple[str, Noted]], None]) -> None:
        self._ledger, self._show = ledger, show
        self._loaded = False

    def due(self, now: float) -> bool:  # noqa: ARG002 - a duty's signature
        """Say whether the entries of before the start are still to be read."""
        return not self._loaded

    def do(self, now: float) -> None:
        """Read them, in a thread."""
        for one in read_recorded(self._ledger, KINDS, body.nanoseconds(now - LOOK_BACK_SECONDS)):
            self.entered(one)
        self._loaded = True

    def entered(self, recorded: Recorded) -> None:
        """Take a new entry, from any thread."""
        shown = noted(recorded)
        if shown is not None:
            self._show(shown)
