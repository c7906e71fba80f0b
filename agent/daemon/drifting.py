"""The shell around the book of drift: results in, and what changed out to ledger, log and picture.

What must stay true: nothing in here can stop or delay a measurement or change a finding; the state survives a
restart, and a file that is damaged or missing costs approvals and memory, never a wrong "approved".
"""

import asyncio
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, Protocol

import msgspec

from agent.clock import Clock
from agent.daemon.attempts import Log, Spawn
from agent.daemon.picture import Picture
from agent.daemon.state import replace_file
from agent.drift.book import Book, Saved, chain_change
from agent.drift.value import Approve, Change, Event, SignedApproval
from agent.ledger.correction import Signature, check_signature
from agent.ledger.drift_entries import SIGNATURE
from agent.model import Chain, Probe

FILE_NAME: Final = "drift.json"
# After a change the file is written at most so often; a kill within that time makes one change an entry twice.
SOON_SECONDS: Final = 5.0
# Otherwise this often, for the times at which facts were last seen: they bound when a change can have happened.
REST_SECONDS: Final = 600.0


class Record(Protocol):
    """The ledger as drift uses it."""

    def drift(self, change: Change, now: float) -> None:
        """Record a change."""
        ...

    def drift_approved(self, wanted: Approve, now: float, *, role: str, details: Mapping[str, bytes]) -> None:
        """Record an approval; with a role it was signed."""
        ...


class Drifting:
    """All methods run in the loop's thread."""

    def __init__(self, folder: Path, *, clock: Clock, log: Log, spawn: Spawn, record: Record, picture: Picture) -> None:
        self._path = folder / FILE_NAME
        self._clock, self._log, self._spawn = clock, log, spawn
        self._record, self._picture = record, picture
        self._book = Book(self._load())
        self._others: dict[str, tuple[Change, ...]] = {}
        self._shown = -1
        self._changed = False
        self._saved_at = clock.boot()
        self._writing: asyncio.Task[None] | None = None
        self._file = threading.Lock()
        self._number = self._written = 0
        self._failed = False

    def configure(self, chain: Chain, vantage: str) -> None:
        """Take up a chain; another one than before is a change itself."""
        before, self._vantage, self._chain = self._book.chain, vantage, chain
        self._book.configure(chain, vantage)
        if before and before != chain.hash:
            change = chain_change(before, chain.hash, vantage=vantage, at=self._clock.wall())
            self._book.enter(change)
            self._tell(change)
        self._others = {name: told for name, told in self._others.items() if name in chain.vantages}

    def look(self, probe: Probe, facts: Mapping[str, str], at: float) -> None:
        """Take the facts of an attempt that started at `at` (UTC epoch seconds)."""
        for change in self._book.look(probe, facts, at):
            self._tell(change)

    def others(self, vantage: str, changes: Iterable[Change]) -> None:
        """Take the changes that the agent at another vantage tells of."""
        told = tuple(one for one in changes if one.vantage == vantage)
        if told != self._others.get(vantage, ()):
            self._others[vantage] = told
            self._shown = -1

    def approve(self, wanted: Approve, person: str) -> None:
        """Enter an approval of `person`, a user of this host; raises ValueError that says why not."""
        self._approve(wanted, details={"person": person.encode()} if person else {})

    def approve_signed(self, handed: SignedApproval) -> None:
        """Enter an approval that a person of the chain file signed; raises ValueError that says why not."""
        data = handed.proposal.encode()
        try:
            wanted = msgspec.json.decode(data, type=Approve)
        except msgspec.DecodeError as error:
            raise ValueError(f"what was signed is no approval: {error}") from error
        if wanted.vantage != self._vantage:
            raise ValueError(f"it is for the vantage {wanted.vantage!r}, this is {self._vantage!r}")
        signature = Signature(party=wanted.party, person=handed.person, armored=handed.signature)
        approved = check_signature(data, signature, self._chain)
        details = {"person": approved.person.encode(), "proposal": data, SIGNATURE: handed.signature.encode()}
        self._approve(wanted, role=approved.approval.role, details=details)

    def _approve(self, wanted: Approve, *, role: str = "", details: Mapping[str, bytes]) -> None:
        if wanted.party not in self._chain.parties:
            raise ValueError(
                f"{wanted.party!r} is no party of the chain; write one of {', '.join(self._chain.parties)}"
            )
        now = self._clock.wall()
        signed = SIGNATURE in details
        self._book.approve(wanted.probe, wanted.facts, party=wanted.party, at=now, signed=signed)
        self._record.drift_approved(wanted, now, role=role, details=details)
        self._log.info(
            "drift-approved", probe=wanted.probe, party=wanted.party, signed=signed, facts=dict(wanted.facts)
        )
        self._changed = True
        self._show()

    def each_round(self) -> None:
        """Bring the picture up to date, and save when it is time; a bug in here is logged once and hurts no round."""
        try:
            self._show()
            self._save_soon()
        except Exception as error:
            if not self._failed:
                self._log.error("drift-failed", exc_info=error)
            self._failed = True

    def save(self) -> None:
        """Save now, at an orderly stop."""
        self._number += 1
        self._write(self._book.save(), self._number)

    def _save_soon(self) -> None:
        age = self._clock.boot() - self._saved_at
        idle = self._writing is None or self._writing.done()
        if idle and age >= (SOON_SECONDS if self._changed else REST_SECONDS):
            self._saved_at, self._changed = self._clock.boot(), False
            self._number += 1
            self._writing = self._spawn(asyncio.to_thread(self._write, self._book.save(), self._number))

    def _show(self) -> None:
        if self._shown != self._book.version:
            self._shown = self._book.version
            self._picture.drift = self._book.drift(one for told in self._others.values() for one in told)

    def _tell(self, change: Change) -> None:
        self._changed = True
        self._record.drift(change, self._clock.wall())
        moves = msgspec.to_builtins(change.moves)
        tell = self._log.info if change.event in (Event.SEEN, Event.SETTLED) else self._log.warning
        tell(
            f"drift-{change.event.value}",
            probe=change.probe,
            segments=list(change.segments),
            at=change.at,
            not_before=change.not_before,
            facts=len(moves) if change.event is Event.SEEN else moves,
        )

    def _load(self) -> Saved:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Saved)
        except FileNotFoundError:
            return Saved()
        except (OSError, msgspec.DecodeError) as error:
            self._log.warning(
                "drift-state-unreadable", problem=f"{self._path}: {error}", remedy="facts must be approved again"
            )
            return Saved()

    def _write(self, saved: Saved, number: int) -> None:
        """Write in any thread, one at a time; what is older than what was written is not."""
        with self._file:
            if number <= self._written:
                return
            self._written = number
            try:
                replace_file(self._path, msgspec.json.encode(saved))
            except OSError as error:
                self._log.warning("drift-state-not-saved", problem=str(error))
