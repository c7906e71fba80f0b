"""One strongSwan gateway, asked and listened to over its VICI socket.

Two connections: one for questions, one on which the daemon tells of events and its log. An event makes the last
view old and tells who waits for it, so that a terminated SA is looked at within milliseconds; nothing runs while
nothing happens. What must stay true: a question is put one at a time; a connection left in the middle of an
exchange is closed; without events the questions go on, and the next one after a loss listens anew; an older answer
never overtakes the last counters that an event brought.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

from probes.kit.charon_log import UNNAMED, LogReader
from probes.kit.charon_verdict import Situation
from probes.kit.charon_view import View, last_words, read_view, section, sections, text, tunnels
from probes.kit.spec import Clock
from probes.kit.tunnel_state import Progress, Tunnel, advance, follow
from probes.kit.vici import Section, Session, ViciError, ViciUnknownError
from probes.kit.vici_facts import facts

EVENTS: Final = ("ike-updown", "child-updown", "ike-rekey", "child-rekey", "log")
# Events come in bursts, one for each SA and the log's lines between them: the first is told at once, the others
# together after this; while they go on the rest doubles, up to the interval of a fast probe.
REST_SECONDS: Final = 0.05
REST_MOST_SECONDS: Final = 1.0
# A gateway that takes the connection and never confirms the events must not hold a task for ever.
REGISTER_SECONDS: Final = 5.0
GONE: Final = (OSError, asyncio.IncompleteReadError, ViciError)


class Gateway:
    """One VICI socket; `changed` is called in the loop's thread when the daemon tells of a change."""

    def __init__(self, path: str, clock: Clock, changed: Callable[[], None]) -> None:
        self._path = path
        self._clock = clock
        self._changed = changed
        self._lock = asyncio.Lock()
        self._session: Session | None = None
        self._view = View()
        self._tunnels: dict[tuple[str, str], Tunnel] = {}
        self._facts: dict[str, str] = {}
        self._taken = self._event = float("-inf")
        self._progress: dict[str, Progress] = {}
        self._log = LogReader()
        self._downs: Counter[str] = Counter()
        self._rekeys: Counter[str] = Counter()
        self._listener: asyncio.Task[None] | None = None
        self._listening = False
        self._rest: asyncio.TimerHandle | None = None
        self._rest_seconds = REST_SECONDS
        self._told = float("-inf")
        self._again = False
        self.seconds = 0.0

    async def look(self, not_before: float) -> Situation:
        """Return what is known at `not_before` (boot-time seconds) or later; the last answer took `seconds`.

        Raises OSError, asyncio.IncompleteReadError or ViciError when the daemon cannot be asked.
        """
        async with self._lock:
            if self._taken < max(not_before, self._event):
                await self._renew()
            self._listen()
            return Situation(
                now=self._taken,
                view=self._view,
                tunnels=self._tunnels,
                progress=self._progress,
                log=self._log,
                downs=self._downs,
                rekeys=self._rekeys,
                listening=self._listening,
            )

    def facts(self, connection: str | None) -> dict[str, str]:
        """Return what the last answer told of the configuration: of one connection, or of all."""
        own = ("",) if connection is None else (f"{connection} ", f"{connection}/")
        return {name: value for name, value in self._facts.items() if name.startswith(own)}

    async def close(self) -> None:
        """Ask and hear no more."""
        self._forget_session()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait((self._listener,))
        if self._rest is not None:
            self._rest.cancel()

    async def _renew(self) -> None:
        began = self._clock.boot()
        conns, sas, stats = await self._ask()
        self._view = read_view(conns, sas, stats)
        self._facts = facts(conns, sas)
        self.seconds = self._clock.boot() - began
        self._taken = began
        self._tunnels = tunnels(self._view)
        if began >= self._event:
            self._progress = follow(self._progress, self._tunnels.values(), began)
        self._progress = {tunnel.name: self._known(tunnel, began) for tunnel in self._tunnels.values()}

    def _known(self, tunnel: Tunnel, now: float) -> Progress:
        known = self._progress.get(tunnel.name)
        return advance(None, tunnel, now) if known is None else known

    async def _ask(self) -> tuple[list[Section], list[Section], Section | None]:
        session = self._session
        if session is not None:
            try:
                return await self._query(session)
            except (OSError, asyncio.IncompleteReadError):
                self._forget_session()  # the daemon restarted since the last attempt: ask the new one
        self._session = session = await Session.connect(self._path)
        return await self._query(session)

    async def _query(self, session: Session) -> tuple[list[Section], list[Section], Section | None]:
        try:
            conns = await session.stream("list-conns", "list-conn")
            sas = await session.stream("list-sas", "list-sa")
            try:
                stats: Section | None = await session.request("stats")
            except ViciUnknownError:
                stats = None
        except BaseException:
            self._forget_session()  # in the middle of an exchange, also when cancelled by a deadline
            raise
        return conns, sas, stats

    def _forget_session(self) -> None:
        if self._session is not None:
            self._session.close()
            self._session = None

    def _listen(self) -> None:
        """Listen if nobody does: an answered question shows that there is a daemon to listen to."""
        if self._listener is None or self._listener.done():
            self._listener = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        try:
            async with asyncio.timeout(REGISTER_SECONDS):
                session = await Session.connect(self._path)
        except (*GONE, TimeoutError):
            return
        try:
            async with asyncio.timeout(REGISTER_SECONDS):
                await session.register(EVENTS)
            self._listening = True
            while True:
                self._take(*await session.heard())
        except (*GONE, TimeoutError):
            return
        finally:
            session.close()
            self._log = LogReader()  # a new daemon numbers its SAs anew
            if self._listening:
                self._listening = False
                self._tell()

    def _take(self, event: str, message: Section) -> None:
        """Take up one event; the log changes nothing by itself, and a stranger's SA that never got a name nothing."""
        now = self._clock.boot()
        if event == "log":
            if self._log.take(message, now, self._view.peers):
                self._tell()
            return
        if all(connection == UNNAMED for connection, _ in sections([message])):
            return
        for name, child in last_words(event, message):
            known = self._progress.get(name)
            if known is not None:
                ended = Tunnel(name=name, sas={**known.sas, child.spi: child.counters})
                self._progress[name] = advance(known, ended, now)
        self._count(event, message)
        self._event = now
        self._tell()

    def _count(self, event: str, message: Section) -> None:
        for connection, sa in sections([message]):
            if event.endswith("-rekey"):
                self._rekeys[connection] += 1
                self._log.settled(connection)
                self._log.ended(text(section(sa.get("old")).get("uniqueid")))
            elif event == "child-updown" and "up" in message:
                self._log.settled(connection)
            elif event == "child-updown":
                self._downs[connection] += 1
            elif "up" not in message:
                self._log.ended(text(sa.get("uniqueid")))

    def _tell(self) -> None:
        if self._rest is not None:
            self._again = True
            return
        now = self._clock.boot()
        calm = now - self._told > REST_MOST_SECONDS
        self._rest_seconds = REST_SECONDS if calm else min(2 * self._rest_seconds, REST_MOST_SECONDS)
        self._told = now
        self._rest = asyncio.get_running_loop().call_later(self._rest_seconds, self._rested)
        self._changed()

    def _rested(self) -> None:
        self._rest = None
        if self._again:
            self._again = False
            self._tell()
