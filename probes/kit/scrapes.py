"""Scrapes that several probes share: those of one page in the same second cost its exporter one.

What must stay true: no probe reads one scrape twice, so that rounds stay independent; a shared scrape
is SHARED_SECONDS old at most; phases and duration are the scrape's, whoever made it; what one series
needs takes no room from another's.
"""

from collections.abc import Hashable
from typing import Final

import msgspec

from probes.kit.address import KEPT
from probes.kit.exposition import Wanted
from probes.kit.result import unknown
from probes.kit.scrape import Missed, Page, Scrape, Scraped
from probes.kit.shared import Shared
from probes.kit.spec import Kit
from probes.kit.tls import Contexts

SHARED_SECONDS: Final = 1.0
_MOST_SERIES: Final = 16  # series that one scrape looks for; a page with more of them is scraped more often


class Taken(msgspec.Struct, kw_only=True):
    """A scrape: what came of it, its times (boot-time and plain seconds), and who has read it."""

    outcome: Scraped | Missed
    wanted: tuple[Wanted, ...]
    began: float
    ended: float
    phases: dict[str, float]
    readers: set[Hashable]

    def serves(self, wanted: tuple[Wanted, ...], reader: Hashable) -> bool:
        """Return whether `reader` may take it for `wanted`."""
        return reader not in self.readers and all(one in self.wanted for one in wanted)


class Scrapes:
    """The pages that probes ask for."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit
        self._contexts = Contexts()
        self._wanted: dict[Page, list[Wanted]] = {}
        self._last: dict[Page, Taken] = {}
        self._asking: Shared[Page, Taken] = Shared()

    async def take(self, page: Page, wanted: tuple[Wanted, ...], reader: Hashable, deadline: float) -> Taken:
        """Return a scrape of `page` that looks for `wanted` and that `reader` has not had yet."""
        clock = self._kit.clock
        start = clock.boot()
        self._note(page, wanted)  # before waiting, so that the next scrape looks for it
        last = self._last.get(page)
        if last is not None and (
            start - last.began >= SHARED_SECONDS or not last.serves(wanted, reader) or self._too_early(last, deadline)
        ):
            last = None
        if last is None:
            last = await self._asking.ask(
                page,
                lambda: self._scrape(page, self._together(page, wanted), deadline),
                seconds=lambda: deadline - clock.boot(),
                good_enough=lambda taken: taken.serves(wanted, reader) and not self._too_early(taken, deadline),
            )
        if last is None:  # nobody's scrape ended in time
            detail = "the scrape that another probe began did not end in time"
            missed = Missed("exporter-unreachable", detail, unknown("exporter-unreachable", detail))
            return Taken(outcome=missed, wanted=wanted, began=start, ended=clock.boot(), phases={}, readers=set())
        last.readers.add(reader)
        return last

    def _too_early(self, taken: Taken, deadline: float) -> bool:
        """Return whether `taken` gave up before an asker with this deadline would."""
        late = isinstance(taken.outcome, Missed) and taken.outcome.late
        return late and deadline - self._kit.clock.boot() > taken.ended - taken.began

    def _note(self, page: Page, wanted: tuple[Wanted, ...]) -> None:
        if len(self._wanted) >= KEPT:
            self._wanted.clear()
        known = self._wanted.setdefault(page, [])
        known += [one for one in wanted if one not in known]
        del known[:-_MOST_SERIES]

    def _together(self, page: Page, wanted: tuple[Wanted, ...]) -> tuple[Wanted, ...]:
        """Return `wanted` with what else is asked of this page."""
        return (*wanted, *(one for one in self._wanted.get(page, ()) if one not in wanted))

    async def _scrape(self, page: Page, wanted: tuple[Wanted, ...], deadline: float) -> Taken:
        clock = self._kit.clock
        began = clock.boot()
        scrape = Scrape(self._kit, page, wanted, deadline)
        outcome = await scrape.run(self._contexts)
        taken = Taken(
            outcome=outcome, wanted=wanted, began=began, ended=clock.boot(), phases=scrape.phases, readers=set()
        )
        if len(self._last) >= KEPT:
            self._last.clear()
        self._last[page] = taken
        return taken
