"""The duty to put the raw results around an incident into the ledger.

What must stay true: what is owed can be told from the ledger alone, so that a restart loses none of it;
evidence that no longer can be had (the results are gone) is left out, and its absence shows.
"""

from collections import Counter, deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path
from typing import Protocol

from agent.incident.value import Incident, Transition
from agent.ledger import Receipt, body
from agent.ledger.cases import read_recorded
from agent.ledger.dossier import Evidence
from agent.ledger.entry import Entry
from agent.ledger.evidence import MOST_CHANGES, Wanted, packed, telling, wanted
from agent.model import Chain
from agent.store.raw import raw_lines
from agent.store.tables import connect_reading

# What an agent that comes back still makes up for: as long as raw results are kept.
LOOK_BACK_SECONDS = 7 * 86400.0
# The ledger's writer is done within milliseconds, or it has stopped.
RECEIPT_SECONDS = 30.0


class Enter(Protocol):
    """Records an entry with its details."""

    def __call__(self, entry: Entry, details: Mapping[str, bytes] | None = None) -> Future[Receipt]:
        """Return the future receipt; from any thread."""
        ...


class EvidenceDuty:
    """Evidence of one agent: `transition` in the loop's thread, `do` in another."""

    def __init__(
        self,
        *,
        ledger: Path,
        store: Path,
        flush: Callable[[], bool],
        enter: Enter,
        chain: Chain,
        vantage: str,
        complete: Callable[[Incident, float], None] = lambda _incident, _now: None,
    ) -> None:
        """Make it; `complete` is called, in the same thread, when an ended incident has all its evidence."""
        self._ledger, self._store = ledger, store
        self._flush, self._enter = flush, enter
        self._chain, self._vantage = chain, vantage
        self._complete = complete
        self._news: deque[Wanted] = deque()
        self._owed: list[Wanted] | None = None
        self._next = 0.0
        self._changes: Counter[str] = Counter()

    def configure(self, chain: Chain) -> None:
        """Take up a reloaded chain."""
        self._chain = chain

    def transition(self, transition: Transition) -> None:
        """Note what a transition asks for."""
        one = wanted(transition)
        if one is not None:
            self._news.append(one)
            self._next = min(self._next, one.due)

    def due(self, now: float) -> bool:
        """Say whether evidence is due."""
        return now >= self._next

    def do(self, now: float) -> None:
        """Record all evidence that is due."""
        if self._owed is None:
            self._owed = self._left_over(now)
        while self._news:
            self._owed.append(self._news.popleft())
        due = [one for one in self._owed if one.due <= now]
        if due:
            self._flush()
        for one in due:
            self._owed.remove(one)
            self._owed.append(one)  # should it fail, the others go first next time
            self._record(one, now)
            self._owed.remove(one)
            if one.part == "end":
                self._complete(one.incident, now)
        waiting = [one.due for one in (*self._owed, *self._news)]
        self._next = min(waiting, default=now + LOOK_BACK_SECONDS)

    def _left_over(self, now: float) -> list[Wanted]:
        """Return what an earlier start of the agent still owed."""
        since = body.nanoseconds(now - LOOK_BACK_SECONDS)
        owed: dict[tuple[str, str], Wanted] = {}
        for one in read_recorded(self._ledger, ("incident", "evidence"), since):
            match one.entry:
                case body.IncidentEntry():
                    asked = wanted(body.to_transition(one.entry))
                    if asked is not None and asked.part != "change":
                        owed[asked.incident.id, asked.part] = asked
                case Evidence():
                    owed.pop((one.entry.incident, one.entry.part), None)
                    self._changes[one.entry.incident] += one.entry.part == "change"
        news = {(one.incident.id, one.part) for one in self._news}
        return [one for place, one in owed.items() if place not in news]

    def _record(self, one: Wanted, now: float) -> None:
        if one.part == "change":
            self._changes[one.incident.id] += 1
            if self._changes[one.incident.id] > MOST_CHANGES:
                return
        order = telling(one.incident, self._chain)
        with closing(connect_reading(self._store)) as connection:
            lines = [line for window in one.windows for line in raw_lines(connection, *window, frozenset(order))]
        if not lines:
            return
        held = packed(lines, order)
        entry = Evidence(
            time=body.nanoseconds(now),
            incident=one.incident.id,
            chain=self._chain.hash,
            vantage=self._vantage,
            part=one.part,
            windows=tuple((body.nanoseconds(start), body.nanoseconds(stop)) for start, stop in one.windows),
            observations=held.observations,
            omitted=held.omitted,
        )
        self._enter(entry, {"observations": held.data}).result(RECEIPT_SECONDS)
