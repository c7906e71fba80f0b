"""Looks whether somebody took note of an alert: by silencing it in an Alertmanager.

What must stay true: each party's note of each incident is recorded once, over restarts too; an Alertmanager
that cannot be asked costs nothing but the record.
"""

import asyncio
import ssl
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path

from agent.alerts.silences import ALERTS, SILENCES, Silenced, silenced
from agent.clock import Clock
from agent.daemon.attempts import Log
from agent.daemon.evidence import Enter
from agent.daemon.http_client import Answer, FetchError, get
from agent.ledger import body
from agent.ledger.cases import read_recorded
from agent.ledger.dossier import Acknowledgement

EVERY_SECONDS = 15.0
ANSWER_SECONDS = 5.0
MOST_BYTES = 4_000_000
LOOK_BACK_SECONDS = 35 * 86400.0


class Acknowledging:
    """Asks every Alertmanager of one agent while an alert fires."""

    def __init__(
        self,
        *,
        ledger: Path,
        enter: Enter,
        vantage: str,
        clock: Clock,
        log: Log,
        urls: Callable[[], tuple[str, ...]],
        firing: Callable[[], frozenset[tuple[str, str]]],
    ) -> None:
        """Make it; `firing` gives incident and addressed party of every alert that fires."""
        self._ledger, self._enter, self._vantage = ledger, enter, vantage
        self._clock, self._log = clock, log
        self._urls, self._firing = urls, firing
        self._known: set[tuple[str, str]] | None = None
        self._complained: set[str] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            if self._firing():
                await self.look()

    async def look(self) -> None:
        """Ask once and record what is new."""
        if self._known is None:
            self._known = await asyncio.to_thread(self._recorded)
        for url in self._urls():
            for one in await self._ask(url):
                place = (one.incident, one.to)
                if place in self._firing() and place not in self._known:
                    self._known.add(place)
                    self._record(one)

    def _recorded(self) -> set[tuple[str, str]]:
        since = body.nanoseconds(self._clock.wall() - LOOK_BACK_SECONDS)
        found = (one.entry for one in read_recorded(self._ledger, ("acknowledgement",), since))
        return {(one.incident, one.party) for one in found if isinstance(one, Acknowledgement) and one.via == "silence"}

    async def _ask(self, url: str) -> tuple[Silenced, ...]:
        try:
            tls = await asyncio.to_thread(ssl.create_default_context) if url.startswith("https:") else None
            answers = [
                await get(f"{url.rstrip('/')}{path}", tls=tls, within_seconds=ANSWER_SECONDS, most_bytes=MOST_BYTES)
                for path in (ALERTS, SILENCES)
            ]
            found = silenced(*(_body(answer) for answer in answers))
        except (FetchError, ValueError) as error:
            if url not in self._complained:
                self._complained.add(url)
                self._log.warning("silences-unknown", url=url, error=str(error))
            return ()
        self._complained.discard(url)
        return found

    def _record(self, one: Silenced) -> None:
        entry = Acknowledgement(
            time=body.nanoseconds(self._clock.wall()),
            incident=one.incident,
            vantage=self._vantage,
            party=one.to,
            via="silence",
        )
        self._enter(entry, {"person": one.by.encode()} if one.by else None)


def _body(answer: Answer) -> bytes:
    if answer.status != HTTPStatus.OK:
        raise FetchError(f"it answers with status {answer.status}")
    return answer.body
