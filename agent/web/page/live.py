"""Live updates: Server-Sent Events with the parts of the page that changed.

One message a second also when nothing changed, so that a reader's browser notices silence. What
must stay true: rendering happens in a thread and once for all readers of a language, so a crowd
never delays a probe; the number of readers is bounded.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable

import msgspec

from agent.snapshot import Snapshot
from agent.web.page.document import parts
from agent.web.page.view import View, clock

# Browsers keep one stream each; a room of screens fits, a crowd falls back to reloading.
READERS = 64
# Ticks between two messages about these parts: their times change at every tick.
SLOW = {"probes": 3, "peers": 3, "tunnels": 3}


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """One rendered picture; `rendered` in UTC epoch seconds, `cost` in seconds, `at` its moment as HTML."""

    rendered: float
    cost: float
    at: str
    parts: dict[str, str]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser gets; `page` is the version of the page's files."""

    page: str
    at: str
    parts: dict[str, str]


class Live:
    """All readers of the page. Belongs to one event loop."""

    def __init__(
        self,
        get_snapshot: Callable[[], Snapshot],
        wall: Callable[[], float],
        *,
        page: str,
        tick_seconds: float = 1.0,
    ) -> None:
        self._get_snapshot = get_snapshot
        self._wall = wall
        self._page = page
        self._tick_seconds = tick_seconds
        self._latest: dict[str, Moment] = {}
        self._rendering: dict[str, asyncio.Lock] = {}
        self.readers = 0

    @property
    def full(self) -> bool:
        """Tell whether another reader would be one too many."""
        return self.readers >= READERS

    async def messages(self, language: str) -> AsyncGenerator[bytes, None]:
        """Give the stream of one reader: first the whole page, then what changed, for ever."""
        self.readers += 1
        sent: dict[str, str] = {}
        tick = 0
        try:
            while True:
                moment = await self._moment(language)
                due = {
                    name: html
                    for name, html in moment.parts.items()
                    if sent.get(name) != html and (name not in sent or tick % SLOW.get(name, 1) == 0)
                }
                sent.update(due)
                message = msgspec.json.encode(Message(page=self._page, at=moment.at, parts=due))
                yield b"data: " + message + b"\n\n"
                tick += 1
                await asyncio.sleep(self._tick_seconds)
        finally:
            self.readers -= 1

    async def _moment(self, language: str) -> Moment:
        """Return the present picture, rendered once for all who ask within half a tick.

        A chain that is dear to render is rendered less often: at most a tenth of the time.
        """
        async with self._rendering.setdefault(language, asyncio.Lock()):
            now, latest = self._wall(), self._latest.get(language)
            # A clock that was set back must not freeze the picture.
            if latest is None or not 0 <= now - latest.rendered < max(self._tick_seconds / 2, 10 * latest.cost):
                latest = await asyncio.to_thread(_render, self._get_snapshot(), now, language)
                latest = msgspec.structs.replace(latest, cost=max(0.0, self._wall() - now))
                self._latest[language] = latest
            return latest


def _render(snapshot: Snapshot, now: float, language: str) -> Moment:
    view = View(snapshot=snapshot, now=now, language=language)
    at = str(clock(view, snapshot.at))
    return Moment(rendered=now, cost=0.0, at=at, parts=parts(snapshot, now, language))
