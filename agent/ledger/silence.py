"""When a witness is silent: the one rule that ledger, metrics, alert and page follow. Pure.

What must stay true: who has cosigned everything is never silent, whatever the clocks say; each fall and each
return makes one entry, over restarts too.
"""

from collections.abc import Iterable

from agent.ledger.body import nanoseconds
from agent.ledger.entry import Entry
from agent.ledger.testimony import WitnessChange

WITHIN_SECONDS = 3600.0
"""An agent cosigns every minute; an hour spares its host's maintenance, and is soon enough for a dispute.
A witness without an agent has its own term in the chain file."""


class Silences:
    """Which witnesses of one log are silent, by name."""

    def __init__(self, vantage: str, begun: float, entries: Iterable[Entry] = ()) -> None:
        """Go on from the `witness` entries that a log holds, in their order; the agent runs since `begun`."""
        self._vantage, self._begun = vantage, begun
        self._silent: set[str] = set()
        for one in entries:
            if isinstance(one, WitnessChange):
                self._set(one.witness, silent=one.event == "silent")

    def is_silent(self, witness: str) -> bool:
        """Say whether it was when it was last judged."""
        return witness in self._silent

    def judge(
        self, witness: str, *, waiting: float | None, entries: int, now: float, within: float = WITHIN_SECONDS
    ) -> WitnessChange | None:
        """Return the entry to record when a witness falls silent or is back.

        `waiting`: when the oldest entry was written that it has not cosigned (None: there is none); `entries` it
        has. While this agent did not run nobody could cosign. Times in UTC epoch seconds.
        """
        behind = waiting is not None and now - waiting > within
        silent = behind and (self.is_silent(witness) or now - self._begun > within)
        if silent == self.is_silent(witness):
            return None
        self._set(witness, silent=silent)
        return WitnessChange(
            time=nanoseconds(now),
            vantage=self._vantage,
            witness=witness,
            event="silent" if silent else "cosigning",
            since=nanoseconds(now if waiting is None else waiting),
            entries=entries,
        )

    def _set(self, witness: str, *, silent: bool) -> None:
        (self._silent.add if silent else self._silent.discard)(witness)
