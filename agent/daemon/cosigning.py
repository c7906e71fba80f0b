"""The ledger as a witness and as one that is witnessed: what web side and peers ask of its file.

What must stay true: only logs and witnesses whose keys stand in the chain file count; each step runs in the
ledger's own thread, in turn with the entries; a log that shows two histories is never cosigned again by
itself, and what it showed is recorded.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import msgspec

from agent.clock import Clock
from agent.daemon.attempts import Log
from agent.keys import NoteError, VerifierKey, parse_verifier
from agent.ledger import Ledger, LedgerStoppedError, witnessing
from agent.ledger.body import nanoseconds, seconds
from agent.ledger.cosignature import Held, Refusal, Request, WitnessKey, parse_request, parse_witness, witness_of
from agent.ledger.entry import Entry
from agent.ledger.note import split_note
from agent.ledger.storage import Storage, StorageError, is_epoch_of
from agent.ledger.testimony import Conflict
from agent.ledger.witnessing import Cosigned, Split
from agent.model import Chain

T = TypeVar("T")
# One log can fill no ledger with its contradictions: after this they are only shown.
CONFLICTS_RECORDED = 10


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How far two ledgers are cosigned; see `agent.snapshot.WitnessNow`."""

    entries: int
    time: float | None
    waiting: float | None
    cosigned: int


class Cosigning:
    """The witness's side of one ledger. Its methods are for the loop's thread."""

    def __init__(
        self, ledger: Ledger, chain: Chain, vantage: str, *, clock: Clock, log: Log, enter: Callable[[Entry], object]
    ) -> None:
        """`enter` records an entry."""
        self._ledger, self._chain, self._vantage = ledger, chain, vantage
        self._clock, self._log, self._enter = clock, log, enter
        self._conflicts: dict[str, set[str]] = {}

    def configure(self, chain: Chain) -> None:
        """Take up the keys of a chain."""
        self._chain = chain

    def key_of(self, vantage: str) -> VerifierKey | None:
        """Return the key of another vantage's agent, None where the chain file has none."""
        known = self._chain.vantages.get(vantage)
        return parse_verifier(known.key) if known and known.key and vantage != self._vantage else None

    def log_key(self, origin: str) -> VerifierKey | None:
        """Return the key of the log `origin`, of whatever epoch; None when it is not one of the chain's."""
        for vantage in self._chain.vantages:
            key = self.key_of(vantage)
            if key is not None and is_epoch_of(origin, key.name):
                return VerifierKey(name=origin, public=key.public)
        return None

    async def add_checkpoint(self, text: str) -> Cosigned | Refusal:
        """Answer an add-checkpoint call (tlog-witness): cosign another log's checkpoint, or refuse.

        NoteError when it is no such call; LedgerStoppedError while nothing can be remembered.
        """
        request = parse_request(text)
        log = self.log_key(request.note.partition("\n")[0])
        if log is None:
            return Refusal(status=404, reason="no agent of this chain signs a log of that name")
        return await self.cosign(request, log)

    async def cosign(self, request: Request, log: VerifierKey) -> Cosigned | Refusal:
        """Cosign what a known log asks, or refuse; what contradicts itself is recorded."""
        at = int(self._clock.wall())
        told = await self._run(
            lambda storage: witnessing.add_checkpoint(storage.connection, storage.identity, request, log, at)
        )
        if isinstance(told, Split):
            self.split(told.log, told.refusal.reason, told.held, told.offered)
            return told.refusal
        return told

    def split(self, log: str, reason: str, held: str, offered: str) -> None:
        """Keep the evidence that a log showed two histories, and say so loudly; each pair once."""
        known = self._conflicts.setdefault(log, set())
        if offered in known or len(known) >= CONFLICTS_RECORDED:
            return
        known.add(offered)
        self._log.error("ledger-conflict", log=log, reason=reason, remedy="both notes stand in this ledger as evidence")
        at = nanoseconds(self._clock.wall())
        self._enter(Conflict(time=at, vantage=self._vantage, log=log, reason=reason, held=held, offered=offered))

    async def request(self, old: int) -> Request | Refusal:
        """Return what asks a witness that has cosigned `old` entries of this ledger to cosign the rest."""
        return await self._run(lambda storage: witnessing.request_of(storage.connection, old))

    async def evidence(self, since: int, until: int, witness: str) -> str:
        """Return a proof file of the evidence about [since, until) (ns UTC) that a witness has cosigned."""
        from agent.ledger.proof import file_text, prove_evidence  # noqa: PLC0415 - most agents are never asked

        told = await self._run(
            lambda storage: prove_evidence(storage.connection, since=since, until=until, witness=witness)
        )
        return file_text(told)

    async def keep(self, note: str) -> Cosigned:
        """Keep a cosignature of this ledger, given as the cosigned note; NoteError when it is nobody's."""
        text, signatures = split_note(note)
        keys = (key for vantage in self._chain.vantages if (key := self.key_of(vantage)) is not None)
        for witness in (*map(witness_of, keys), *self.third_hosts().values()):
            if witness.cosigned(text, signatures) is not None:
                return await self._keep(witness, note)
        raise NoteError("no witness of this chain has cosigned that")

    def third_hosts(self) -> dict[str, WitnessKey]:
        """Return the keys of the chain's witnesses that run no agent, by name."""
        return {one.id: parse_witness(one.key) for one in self._chain.witnesses.values()}

    async def _keep(self, witness: WitnessKey, note: str) -> Cosigned:
        return await self._run(lambda storage: witnessing.keep_cosignature(storage.connection, witness, note))

    async def held(self, origin: str) -> Held | None:
        """Return the newest checkpoint of the log `origin` that was cosigned here."""
        return await self._run(lambda storage: witnessing.held_of(storage.connection, origin))

    async def disown(self, note: str) -> str:
        """Stop recording when a witness holds a note of this log's own key that this ledger does not continue.

        Returns why, empty when the note shows nothing of the kind.
        """

        def step(storage: Storage) -> None:
            reason = witnessing.disowned(storage.connection, note)
            if reason:
                raise StorageError(f"{reason}; was it restored from a copy? Begin anew with `demarc ledger renew`")

        try:
            await self._run(step)
        except LedgerStoppedError as error:
            return str(error)
        return ""

    async def standing(self, witness: WitnessKey) -> Standing:
        """Return how far a witness has cosigned this ledger, and we the ledger of the agent with its name."""

        def step(storage: Storage) -> Standing:
            db = storage.connection
            size, time = witnessing.newest_cosigned(db, witness) or (0, None)
            first = witnessing.first_after(db, size)
            held = db.execute("SELECT origin, size FROM witnessed").fetchall()
            return Standing(
                entries=size,
                time=None if time is None else float(time),
                waiting=None if first is None else seconds(first),
                cosigned=max((size for name, size in held if is_epoch_of(name, witness.name)), default=0),
            )

        return await self._run(step)

    def _run(self, step: Callable[[Storage], T]) -> "asyncio.Future[T]":
        return asyncio.wrap_future(self._ledger.run(step))
