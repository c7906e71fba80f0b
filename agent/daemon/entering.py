"""Takes in what people on this host hand in for the ledger.

What must stay true: one submission at a time, judged by what the ledger itself holds at that moment, and
recorded or refused before the answer.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Protocol

import msgspec

from agent.clock import Clock
from agent.daemon.evidence import RECEIPT_SECONDS
from agent.ledger import Receipt, body
from agent.ledger.cases import read_cases
from agent.ledger.entry import Entry
from agent.ledger.reading import log_of, with_connection
from agent.model import Chain


class Enter(Protocol):
    """Records an entry."""

    def __call__(
        self, entry: Entry, details: Mapping[str, bytes] | None = None, erase: Iterable[tuple[int, str]] = ()
    ) -> Future[Receipt]:
        """Return the future receipt; from any thread."""
        ...


class Entering:
    """Submissions to one agent's ledger."""

    def __init__(self, *, ledger: Path, enter: Enter, chain: Callable[[], Chain], vantage: str, clock: Clock) -> None:
        self._ledger, self._enter = ledger, enter
        self._chain, self._vantage = chain, vantage
        self._clock = clock
        self._turn = asyncio.Lock()

    async def submit(self, data: bytes) -> Receipt:
        """Record a submission; raises Refused, or what a ledger that has stopped raises."""
        async with self._turn:
            return await asyncio.to_thread(self._submit, data)

    def _submit(self, data: bytes) -> Receipt:
        # Loaded when somebody hands something in: most agents never need it, and their memory has a bound.
        from agent.ledger.drafting import Ground, draft  # noqa: PLC0415
        from agent.ledger.submission import read_submission  # noqa: PLC0415

        submission = read_submission(data)
        ground = Ground(
            chain=self._chain(),
            cases=read_cases(self._ledger, submission.incidents()),
            vantage=self._vantage,
            log=with_connection(self._ledger, log_of).name,
            now=body.nanoseconds(self._clock.wall()),
        )
        made = draft(submission, ground)
        receipt = self._enter(made.entry, made.details, made.erase).result(RECEIPT_SECONDS)
        return msgspec.structs.replace(receipt, id=getattr(made.entry, "id", ""))
