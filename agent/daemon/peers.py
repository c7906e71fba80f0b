"""Pulls the recent observations of every configured peer: one task a peer, none can delay another.

What must stay true: an answer has a deadline and a bounded size; with the link to a peer down each
agent goes on alone; a peer that comes back is heard at once.
"""

import asyncio
import ssl
from collections.abc import Callable

from agent.clock import Clock
from agent.daemon.attempts import Log, Spawn
from agent.daemon.http_client import Answer, FetchError, get
from agent.daemon.intake import Intake, Question
from agent.drift.value import Change
from agent.model import Chain, Host, Peer
from agent.observation import Observation
from agent.seal import Pages
from agent.snapshot import PeerNow

# While something is only suspected the finding waits for the other side's rounds: a quarter of their spacing.
SUSPECTED_SECONDS = 0.25
# While something fails the other side's word is wanted at the pace of the rounds.
OPEN_SECONDS = 1.0
# Otherwise half as often: evidence about a fault is still there within two seconds.
IDLE_SECONDS = 2.0
ANSWER_SECONDS = 1.0
# What changed at the other end is for people who look at an incident: half a minute late is soon enough.
CHANGES_SECONDS = 30.0
# Two minutes of a thousand probes of 1 s at about 150 bytes a line.
MOST_BYTES = 20_000_000


class Peers:
    """The peers of one agent."""

    def __init__(
        self,
        *,
        clock: Clock,
        spawn: Spawn,
        log: Log,
        take: Callable[[Observation], None],
        show: Callable[[PeerNow], None],
        back: Callable[[], None],
        pages: Callable[[str, Pages], None],
        changes: Callable[[str, tuple[Change, ...]], None],
    ) -> None:
        """`take` gets each new observation, `show` what is seen of a peer, `back` is called when one returns.

        `pages` hears, with each answer, what the peer at a vantage pages; `changes`, now and then, what changed there.
        """
        self._changes = changes
        self._clock, self._spawn, self._log = clock, spawn, log
        self._take, self._show, self._back, self._pages = take, show, back, pages
        self._tasks: dict[Peer, tuple[asyncio.Task[None], Intake]] = {}
        self._every = IDLE_SECONDS
        self._hurry = asyncio.Event()

    def configure(self, host: Host, chain: Chain) -> None:
        """Take up the peers and the chain of a (re)loaded configuration."""
        for gone in self._tasks.keys() - set(host.peers):
            self._tasks.pop(gone)[0].cancel()
        for _, intake in self._tasks.values():
            intake.configure(chain)
        for peer in host.peers:
            if peer not in self._tasks:
                intake = Intake(peer.vantage, chain)
                self._show(intake.silence("not heard yet"))
                self._tasks[peer] = (self._spawn(self._follow(peer, intake)), intake)

    def pace(self, *, suspected: bool, something_open: bool) -> None:
        """Pull faster while something is suspected or open; a wait that is now too long ends at once."""
        every = SUSPECTED_SECONDS if suspected else OPEN_SECONDS if something_open else IDLE_SECONDS
        if every < self._every:
            self._hurry.set()
            self._hurry = asyncio.Event()
        self._every = every

    async def _follow(self, peer: Peer, intake: Intake) -> None:
        heard, again = False, 0.0
        while True:
            seen = await self._pull(peer, intake)
            self._show(seen)
            if seen.reachable and self._clock.boot() >= again:
                again = self._clock.boot() + CHANGES_SECONDS
                await self._pull_changes(peer, intake)
            if seen.reachable != heard:
                heard = seen.reachable
                self._log.info("peer", vantage=peer.vantage, reachable=heard, detail=seen.detail)
                if heard:
                    self._back()
            await self._pause()

    async def _pull(self, peer: Peer, intake: Intake) -> PeerNow:
        question, asked = intake.question(), self._clock.boot()
        try:
            answer = await ask(peer, question)
        except FetchError as error:
            return intake.silence(str(error))
        try:
            now, took = self._clock.wall(), self._clock.boot() - asked
            seen, fresh = intake.answer(question, answer.status, answer.headers, answer.body, now=now, took=took)
            for observation in fresh:
                self._take(observation)
            if seen.reachable and seen.same_chain:
                self._pages(peer.vantage, intake.pages)
        except Exception as error:
            self._log.error("peer-failed", vantage=peer.vantage, exc_info=error)
            return intake.silence(f"its answer could not be taken: {type(error).__name__}, see the log")
        return seen

    async def _pull_changes(self, peer: Peer, intake: Intake) -> None:
        question = intake.question()
        try:
            answer = await fetch(peer, f"changes?nonce={question.nonce}")
        except FetchError:
            return  # an older agent, or the link went down: the next pull says so
        told = intake.changes(question, answer.status, answer.headers, answer.body, now=self._clock.wall())
        self._changes(peer.vantage, told)

    async def _pause(self) -> None:
        """Wait for the next turn; a longer wait ends early when the pace quickens."""
        await asyncio.sleep(SUSPECTED_SECONDS)
        rest = self._every - SUSPECTED_SECONDS
        if rest > 0:
            try:
                async with asyncio.timeout(rest):
                    await self._hurry.wait()
            except TimeoutError:
                return


async def ask(peer: Peer, question: Question) -> Answer:
    """Return a peer's answer to a question for observations; raises FetchError."""
    return await fetch(peer, f"observations?{question.query()}")


async def fetch(peer: Peer, resource: str) -> Answer:
    """Return a peer's answer to GET `/api/v1/{resource}`; raises FetchError."""
    url = f"{peer.url.rstrip('/')}/api/v1/{resource}"
    try:
        tls = await asyncio.to_thread(tls_context, peer) if peer.url.startswith("https:") else None
    except (OSError, ssl.SSLError) as error:
        raise FetchError(f"{peer.ca_file or 'TLS'}: {error}") from error
    return await get(url, tls=tls, within_seconds=ANSWER_SECONDS, most_bytes=MOST_BYTES)


def tls_context(peer: Peer) -> ssl.SSLContext:
    """Return the context that verifies a peer; read each time, so that a renewed file counts."""
    context = ssl.create_default_context(cafile=peer.ca_file)
    if peer.cert_file is not None:
        context.load_cert_chain(peer.cert_file, peer.key_file)
    return context
