"""Has the peers cosign our ledger, and cosigns theirs: one task a peer, beside the one that hears its observations.

What must stay true: every call has a deadline and a bounded size; a peer that is silent, lies or shows two
histories changes nothing here but what is shown and recorded of it; one open direction between two agents
is enough for both ledgers.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from functools import partial

import msgspec

from agent.clock import Clock
from agent.daemon.attempts import Log, Spawn
from agent.daemon.cosigning import Cosigning
from agent.daemon.http_client import FetchError
from agent.daemon.lasting import lasting
from agent.daemon.witness_calls import CallError, call, fetched, said, submit
from agent.keys import NoteError, VerifierKey
from agent.ledger import LedgerFullError, LedgerStoppedError
from agent.ledger.cosignature import Refusal, WitnessKey, witness_of
from agent.ledger.entry import Entry
from agent.ledger.note import parse_checkpoint, split_note
from agent.ledger.silence import WITHIN_SECONDS, Silences
from agent.model import Chain, Host, Peer
from agent.snapshot import WitnessNow

# What was written within the last minute is not yet anybody's dispute, and costs a few calls a minute.
EVERY_SECONDS = 60.0
# The entries of a start are signed by then; and a peer that was restarted with us is there.
SOON_SECONDS = 2.0
AGAIN_SECONDS = 10.0


class Witnesses:
    """The witnesses of one agent: whoever has a key in the chain file, as an agent or a host without one."""

    def __init__(
        self,
        cosigning: Cosigning,
        vantage: str,
        *,
        clock: Clock,
        spawn: Spawn,
        log: Log,
        show: Callable[[str, WitnessNow | None], None],
        enter: Callable[[Entry], object],
        recall: Callable[[], Iterable[Entry]],
    ) -> None:
        """`show` gets how things stand with a witness, None of one that is none, `enter` records an entry.

        `recall` reads the `witness` entries of this ledger, in a thread.
        """
        self._cosigning, self._vantage = cosigning, vantage
        self._clock, self._spawn, self._log = clock, spawn, log
        self._show, self._enter, self._recall = show, enter, recall
        self._tasks: dict[Peer, asyncio.Task[None]] = {}
        self._awaiting: asyncio.Task[None] | None = None
        self._begun = clock.wall()
        self._silences: Silences | None = None
        self._recalling = asyncio.Lock()

    def configure(self, host: Host, chain: Chain) -> None:
        """Take up the peers and the chain of a (re)loaded configuration."""
        self._cosigning.configure(chain)
        for gone in self._tasks.keys() - set(host.peers):
            self._tasks.pop(gone).cancel()
        for peer in host.peers:
            if peer not in self._tasks:
                self._tasks[peer] = self._last(partial(self._follow, peer))
        if self._awaiting is not None:
            self._awaiting.cancel()
        self._awaiting = self._last(partial(self._await_others, chain, {peer.vantage for peer in host.peers}))

    def _last(self, part: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        return self._spawn(lasting(part, self._log, "witness-failed"))

    async def _follow(self, peer: Peer) -> None:
        told = ""
        await asyncio.sleep(SOON_SECONDS)
        while True:
            key = self._cosigning.key_of(peer.vantage)
            if key is None:
                self._show(peer.vantage, WitnessNow(vantage=peer.vantage, detail="the chain file has no key of it"))
            else:
                try:
                    seen = await self._turn(peer, key)
                    await self._judge(seen)
                except (LedgerStoppedError, LedgerFullError) as error:  # nobody's silence but ours
                    seen = WitnessNow(vantage=peer.vantage, detail=str(error))
                    self._show(peer.vantage, seen)
                if seen.detail != told:
                    told = seen.detail
                    self._log.info("witness", vantage=peer.vantage, detail=told, entries=seen.entries)
            await asyncio.sleep(AGAIN_SECONDS if told else EVERY_SECONDS)

    async def _await_others(self, chain: Chain, called: Collection[str]) -> None:
        """Look now and then how far those have cosigned whom we do not call: they come, or files are carried."""
        agents = {name: key for name in chain.vantages if (key := self._cosigning.key_of(name)) and name not in called}
        told = ""
        await asyncio.sleep(SOON_SECONDS)
        while True:
            try:
                for name, key in agents.items():
                    seen = await self._seen(name, witness_of(key))
                    if seen.entries or seen.cosigned:
                        await self._judge(seen)
                    else:  # nobody said that these two should know each other
                        self._show(name, None)
                for name, third in self._cosigning.third_hosts().items():
                    await self._judge(await self._seen(name, third), chain.witnesses[name].within)
                told = ""
            except (LedgerStoppedError, LedgerFullError) as error:
                if told != str(error):
                    told = str(error)
                    self._log.info("witness", vantage=self._vantage, detail=told, entries=0)
            await asyncio.sleep(EVERY_SECONDS)

    async def _seen(self, name: str, witness: WitnessKey, *, conflict: bool = False, detail: str = "") -> WitnessNow:
        """Return how things stand in this ledger's file."""
        standing = await self._cosigning.standing(witness)
        return WitnessNow(
            vantage=name,
            entries=standing.entries,
            time=standing.time,
            waiting=standing.waiting,
            cosigned=standing.cosigned,
            conflict=conflict,
            detail=detail,
        )

    async def _judge(self, seen: WitnessNow, within: float = WITHIN_SECONDS) -> None:
        """Show how things stand, and record when a witness falls silent or is back."""
        async with self._recalling:
            if self._silences is None:
                self._silences = Silences(self._vantage, self._begun, await asyncio.to_thread(self._recall))
        entry = self._silences.judge(
            seen.vantage, waiting=seen.waiting, entries=seen.entries, now=self._clock.wall(), within=within
        )
        if entry is not None:
            self._enter(entry)
        self._show(seen.vantage, msgspec.structs.replace(seen, silent=self._silences.is_silent(seen.vantage)))

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
        problem = "its ledger shows two histories" if conflict else "; ".join(problems)
        return await self._seen(peer.vantage, witness_of(key), conflict=conflict, detail=problem)

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
