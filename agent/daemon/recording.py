"""The ledger's side of the daemon: what is recorded, and how a stop of recording becomes known.

What must stay true: recording never blocks or stops probing; when it stops, the picture, the log and
the metrics say so.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from agent import __version__
from agent.alerts import ALERTNAME, Handed
from agent.drift.value import Approve, Change
from agent.incident.value import Transition
from agent.keys import NoteError, Signer, origin
from agent.ledger import DATABASE, KEY, Ledger, Receipt, body
from agent.ledger.cases import Recorded, read_recorded
from agent.ledger.changes import ClockEntry
from agent.ledger.drift_entries import SIGNATURE, from_approval, from_change
from agent.ledger.entry import Entry
from agent.ledger.keyfile import exposed, key_path
from agent.ledger.storage import StorageError, load_key
from agent.model import Chain


class Recorder:
    """Writes what the daemon does into the ledger of its data directory.

    `stopped` is called with the reason, in any thread, at most once per start; `refused` likewise for
    a single entry that did not fit. `exposed` says so when others can read the key.
    """

    def __init__(
        self,
        folder: Path,
        chain: Chain,
        vantage: str,
        *,
        stopped: Callable[[str], None],
        refused: Callable[[str], None],
    ) -> None:
        key = key_path(folder, KEY)
        self._file = folder / DATABASE
        self.ledger = Ledger.open(self._file, key, origin(vantage), alarm=stopped)
        self.signer = _signer(key, vantage)
        self.exposed = exposed(key) if self.signer else ""
        self._vantage = vantage
        self._chain = chain
        self._refused = refused
        self.entered: Callable[[Recorded], None] = lambda _: None

    @property
    def saved_state(self) -> bytes | None:
        """Return the engine's state that was saved before this start."""
        return self.ledger.saved_state()

    @property
    def size(self) -> int:
        """Return the number of entries."""
        return self.ledger.health.size

    @property
    def trouble(self) -> str:
        """Return why nothing is recorded, empty while it is."""
        health = self.ledger.health
        return "" if health.recording else health.reason

    def started(self, now: float) -> None:
        """Record that the agent began, and under which chain (`now`: UTC epoch seconds)."""
        at = body.nanoseconds(now)
        key = self.signer.verifier if self.signer else ""
        self._append(body.AgentStart(time=at, agent=__version__, vantage=self._vantage, key=str(key)))
        self._chain_in_force(at)

    def loaded(self, chain: Chain, now: float) -> None:
        """Record that a configuration was taken up."""
        at, changed = body.nanoseconds(now), chain.hash != self._chain.hash
        self._chain = chain
        self._append(body.Configuration(time=at, hash=chain.hash, vantage=self._vantage, result="loaded"))
        if changed:
            self._chain_in_force(at)

    def refused_configuration(self, reason: str, now: float) -> None:
        """Record that a configuration was refused and the running one kept."""
        at = body.nanoseconds(now)
        self._append(
            body.Configuration(
                time=at, hash=self._chain.hash, vantage=self._vantage, result="refused", reason=reason[:1000]
            )
        )

    def gap(self, what: str, *, opened: float, closed: float, reason: str, dropped: int, now: float) -> None:
        """Record that `what` recorded nothing for a while (UTC epoch seconds)."""
        self._append(
            body.Gap(
                time=body.nanoseconds(now),
                what=what,
                vantage=self._vantage,
                opened=body.nanoseconds(opened),
                closed=body.nanoseconds(closed),
                reason=reason[:1000],
                dropped=dropped,
            )
        )

    def transition(self, transition: Transition, state: bytes) -> None:
        """Record a transition with the engine's state, in one transaction."""
        entry = body.from_transition(transition, chain=self._chain.hash, vantage=self._vantage)
        self._append(entry, state)

    def escalation(self, handed: Handed, now: float) -> None:
        """Record that an Alertmanager took an alert, or its end; who reads it is another matter."""
        self._append(
            body.Escalation(
                time=body.nanoseconds(now),
                incident=handed.key.incident,
                vantage=self._vantage,
                to=handed.key.to,
                via=handed.url,
                alertname=ALERTNAME,
                severity=handed.key.severity.value,
                state="resolved" if handed.ended else "firing",
                ended=handed.ended.value if handed.ended else "",
            )
        )

    def enter(
        self, entry: Entry, details: Mapping[str, bytes] | None = None, erase: Iterable[tuple[int, str]] = ()
    ) -> Future[Receipt]:
        """Record an entry of another part of the agent, from any thread; the future holds its receipt."""
        kind, fields = body.write(entry)
        future = self.ledger.append(kind, fields, None, details, erase)
        future.add_done_callback(partial(self._entered_or_not, entry))
        return future

    def drift(self, change: Change, now: float) -> None:
        """Record that facts of a configuration were first seen or changed."""
        for entry in from_change(change, now):
            self._append(entry)

    def clock(self, peer: str, offset: float, error: float, now: float) -> None:
        """Record how far a peer's clock is ahead of ours, within `error` (seconds)."""
        entry = ClockEntry(
            time=body.nanoseconds(now),
            vantage=self._vantage,
            peer=peer,
            offset=body.nanoseconds(offset),
            error=body.nanoseconds(error),
        )
        self._append(entry)

    def drift_approved(self, wanted: Approve, now: float, *, role: str, details: Mapping[str, bytes]) -> None:
        """Record that a person approved facts; who that was, and what was signed, can be erased."""
        for entry in from_approval(wanted, now, vantage=self._vantage, role=role, signed=SIGNATURE in details):
            self._append(entry, details=dict(details))

    def witness_entries(self) -> tuple[Entry, ...]:
        """Return what the ledger holds of witnesses that fell silent and came back; none where it cannot be read."""
        try:
            return tuple(one.entry for one in read_recorded(self._file, ("witness",)))
        except (StorageError, sqlite3.Error, OSError):
            return ()

    def stop(self, now: float, reason: str, within_seconds: float) -> bool:
        """Record an orderly stop and close; return whether everything was written in time."""
        self._append(body.AgentStop(time=body.nanoseconds(now), vantage=self._vantage, reason=reason))
        return self.ledger.close(within_seconds)

    def _chain_in_force(self, at: int) -> None:
        chain = self._chain
        entry = body.ChainEntry(time=at, hash=chain.hash, effective=chain.effective, vantage=self._vantage)
        self._append(entry, details={"source": chain.source} if chain.source else None)

    def _append(self, entry: Entry, state: bytes | None = None, details: dict[str, bytes] | None = None) -> None:
        kind, fields = body.write(entry)
        self.ledger.append(kind, fields, state, details).add_done_callback(self._settled)

    def _entered_or_not(self, entry: Entry, future: Future[Receipt]) -> None:
        self._settled(future)
        if future.exception() is None:
            receipt = future.result()
            self.entered(Recorded(index=receipt.index, hash=receipt.hash, entry=entry))

    def _settled(self, future: Future[Receipt]) -> None:
        error = future.exception()
        if error is not None:
            self._refused(str(error))


def _signer(path: Path, vantage: str) -> Signer | None:
    """Return the key that signs ledger and answers, None where it cannot be had (the ledger says why)."""
    try:
        return load_key(path, origin(vantage))
    except (StorageError, NoteError, OSError):
        return None
