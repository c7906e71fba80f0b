"""Keeps a part running that must not end while the agent runs.

What must stay true: a bug or a failing disk costs such a part a rest, and never the part; each failure is logged.
"""

import asyncio
from collections.abc import Awaitable, Callable

from agent.daemon.attempts import Log

AGAIN_SECONDS = 60.0
"""How long a part rests that failed, if nobody waits for it."""


async def lasting(
    part: Callable[[], Awaitable[None]], log: Log, event: str, again_seconds: float = AGAIN_SECONDS
) -> None:
    """Run `part` until cancelled, anew whenever it ends; `event` is what the log calls a failure of it."""
    while True:
        try:
            await part()
        except Exception as error:
            log.error(event, exc_info=error)  # noqa: TRY400 - our Log has no `exception`
        await asyncio.sleep(again_seconds)
