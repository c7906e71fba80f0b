"""What exporters tell, for all probes of a type: scrapes that are shared, and the series of a scrape, read.

What must stay true: reading never holds up the loop (much of it is done in a thread, ended by the deadline); the
parser is loaded only where a probe needs it.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Final

import msgspec

from probes.kit.exposition import Malformed, Parser, Reading, Wanted, read
from probes.kit.result import Outcome, Result, unknown
from probes.kit.scrape import Page, Scraped
from probes.kit.scrapes import Scrapes, Taken
from probes.kit.spec import Kit

# Above this the parser works in a thread: 16 KiB take it 16 ms at worst (see probes.kit.exposition).
_THREAD_BYTES: Final = 16 * 1024


class Readings:
    """Shared by all probes of a type."""

    def __init__(self, kit: Kit, parser: Parser) -> None:
        self._clock = kit.clock
        self._parser = parser
        self._scrapes = Scrapes(kit)

    async def take(self, page: Page, wanted: tuple[Wanted, ...], reader: Hashable, deadline: float) -> Taken:
        """Return a scrape of `page` that looks for `wanted` and that `reader` has not had yet."""
        return await self._scrapes.take(page, wanted, reader, deadline)

    async def read(
        self, scraped: Scraped, wanted: tuple[Wanted, ...], deadline: float
    ) -> tuple[Reading, ...] | Malformed | Result:
        """Return the readings of `wanted`, why they cannot be read, or `unknown` where the time did not suffice."""
        found = scraped.found.of(wanted)
        if len(found.first) + sum(map(len, found.kept)) <= _THREAD_BYTES:
            return read(found, self._parser, openmetrics=scraped.openmetrics)
        try:
            async with asyncio.timeout(max(deadline - self._clock.boot(), 0.0)):
                return await asyncio.to_thread(read, found, self._parser, openmetrics=scraped.openmetrics)
        except TimeoutError:
            return unknown("no-time", "reading the series took longer than the deadline")


def timed(result: Result, taken: Taken) -> Result:
    """Return `result` with the times of its scrape; one that could not look has none."""
    seconds = None if result.outcome is Outcome.UNKNOWN else taken.ended - taken.began
    return msgspec.structs.replace(result, seconds=seconds, phases=taken.phases)


@asynccontextmanager
async def open_readings(kit: Kit) -> AsyncIterator[Readings]:
    """Open them; the parser is imported here, in a thread, because that takes 80 ms."""
    module = await asyncio.to_thread(import_module, "prometheus_client.parser")
    yield Readings(kit, module.text_string_to_metric_families)
