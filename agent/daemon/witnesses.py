"""Has the peers cosign our ledger, and cosigns theirs: one task a peer, beside the one that hears its observations.

What must stay true: every call has a deadline and a bounded size; a peer that is silent, lies or shows two
histories changes nothing here but what is shown and recorded of it; one open direction between two agents
is enough for both ledgers.
"""

import asyncio
from collections.abc import Callable

from agent.clock import Clock
from agent.daemon.attempts import Log, Spawn
from agent.daemon.cosigning import Cosigning
from agent.daemon.http_client import FetchError
from agent.daemon.witness_calls import CallError, call, fetched, said, submit
from agent.keys import NoteError, VerifierKey
from agent.ledger import LedgerFullError, LedgerStoppedError
from agent.ledger.body import nanoseconds
from agent.ledger.cosignature import Refusal
from agent.ledger.entry import Entry
from agent.ledger.note import parse_checkpoint, split_note
from agent.ledger.testimony import WitnessChange
from agent.model import Chain, Host, Peer
from agent.snapshot import WitnessNow

# What was written within the last minute is not yet anybody's dispute, and costs a few calls a minute.
EVERY_SECONDS = 60.0
# The entries of a start are signed by then; and a peer that was restarted with us is there.
SOON_SECONDS = 2.0
AGAIN_SECONDS = 10.0
# A night's maintenance of the other side is no news; within a working day it is.
SILENT_SECONDS = 6 * 3600.0


class Witnesses:
    """The witnesses of one agent: the peers whose key stands in the chain file."""

    def __init__(
        self,
        cosigning: Cosigning,
        vantage: str,
        *,
        clock: Clock,
        spawn: Spawn,
        log: Log,
        show: Callable[[WitnessNow], None],
        enter: Callable[[Entry], object],
    ) -> None:
        """`show` gets how things stand with a peer, `enter` records an entry."""
        self._cosigning, self._vantage = cosigning, vantage
        self._clock, self._spawn, self._log = clock, spawn, log
        self._show, self._enter = show, enter
        self._tasks: dict[Peer, asyncio.Task[None]] = {}
        self._silent: set[str] = set()

    def configure(self, host: Host, chain: Chain) -> None:
        """Take up the peers and the chain of a (re)loaded configuration."""
        self._cosigning.configure(chain)
        for gone in self._tasks.keys() - set(host.peers):
            self._tasks.pop(gone).cancel()
        for peer in host.peers:
            if peer not in self._tasks:
                self._tasks[peer] = self._spawn(self._follow(peer))

    async def _follow(self, peer: Peer) -> None:
        told = ""
        await asyncio.sleep(SOON_SECONDS)
        while True:
            key = self._cosigning.key_of(peer.vantage)
            if key is None:
                self._show(WitnessNow(vantage=peer.vantage, detail="the chain file has no key of it"))
            else:
                try:
                    seen = await self._turn(peer, key)
                except (LedgerStoppedError, LedgerFullError) as error:
                    seen = WitnessNow(vantage=peer.vantage, detail=str(error))
                self._show(seen)
                self._note_silence(seen)
                if seen.detail != told:
                    told = seen.detail
                    self._log.info("witness", vantage=peer.vantage, detail=told, entries=seen.entries)
            await asyncio.sleep(AGAIN_SECONDS if told else EVERY_SECONDS)

    async def _turn(self, peer: Peer, key: VerifierKey) -> WitnessNow:
        """Let the peer cosign our ledger, cosign the peer's, and return how things stand."""
        problems: list[str] = []
        conflict = False
        try:
            await submit(peer, key, self._cosigning)
        except (FetchError, NoteError, CallError) as error:
            problems.append(f"it does not cosign our ledger: {error}")
        try:
            conflict = await self._cosign(peer)
        except (FetchError, NoteError, CallError) as error:
            problems.append(f"its ledger cannot be cosigned: {error}")
        standing = await self._cosigning.standing(key)
        return WitnessNow(
            vantage=peer.vantage,
            entries=standing.entries,
            time=standing.time,
            waiting=standing.waiting,
            cosigned=standing.cosigned,
            conflict=conflict,
            detail="its ledger shows two histories" if conflict else "; ".join(problems),
        )

    async def _cosign(self, peer: Peer) -> bool:
        """Cosign the peer's newest checkpoint and hand the cosignature over; return whether it contradicts itself."""
        newest = await fetched(peer, 0)
        if isinstance(newest, int):
            raise CallError(f"it answers with a size of {newest} where any will do")
        origin = parse_checkpoint(split_note(newest.note)[0]).origin
        key = self._cosigning.log_key(origin)
        if key is None:
            raise CallError(f"its log is {origin!r}, and the chain file has no key of that")
        held = await self._cosigning.held(origin)
        if held is not None:
            offered = await fetched(peer, held.size)
            if isinstance(offered, int):
                reason = f"{held.size} entries were cosigned, {offered} are offered"
                self._cosigning.split(origin, reason, held.note, newest.note)
                return True
            newest = offered
        told = await self._cosigning.cosign(newest, key)
        if isinstance(told, Refusal):
            if told.conflict:
                return True
            raise CallError(told.reason)
        answer = await call(peer, "/cosignature", f"{split_note(newest.note)[0]}\n{told.line}")
        if answer.status != 200:
            raise CallError(said(answer))
        return False

    def _note_silence(self, seen: WitnessNow) -> None:
        """Record when a witness falls silent, and when it cosigns again."""
        now = self._clock.wall()
        silent = seen.waiting is not None and now - seen.waiting > SILENT_SECONDS
        if silent == (seen.vantage in self._silent):
            return
        (self._silent.add if silent else self._silent.discard)(seen.vantage)
        self._enter(
            WitnessChange(
                time=nanoseconds(now),
                vantage=self._vantage,
                witness=seen.vantage,
                event="silent" if silent else "cosigning",
                since=nanoseconds(seen.waiting if seen.waiting is not None else now),
                entries=seen.entries,
            )
        )
