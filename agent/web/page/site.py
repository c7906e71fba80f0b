"""The routes of the status page: `/`, `/events`, `/static/…`."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from agent.clock import SystemClock
from agent.snapshot import Snapshot
from agent.web.page.assets import StaticFiles
from agent.web.page.document import document
from agent.web.page.live import Live
from agent.words import language_of

# No inline script or style, nothing from elsewhere, no frame around it (CSP level 3).
_HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "vary": "accept-language",
}


def routes(
    get_snapshot: Callable[[], Snapshot],
    wall: Callable[[], float] | None = None,
    *,
    tick_seconds: float = 1.0,
) -> list[Route]:
    """Return the page's routes. `get_snapshot` gives the latest picture, `wall` UTC epoch seconds (the host's)."""
    wall = wall or SystemClock().wall
    static = StaticFiles()
    live = Live(get_snapshot, wall, page=static.version, tick_seconds=tick_seconds)

    async def page(request: Request) -> Response:
        language = chosen_language(request)
        html = await asyncio.to_thread(document, get_snapshot(), wall(), language, static.addresses, static.version)
        return HTMLResponse(html, headers={**_HEADERS, "content-language": language})

    async def events(request: Request) -> Response:
        if live.full:
            return PlainTextResponse("too many readers, reload the page\n", 503, headers={"retry-after": "10"})
        stream = live.messages(chosen_language(request))
        # `x-accel-buffering` keeps nginx from holding messages back.
        return StreamingResponse(
            stream,
            media_type="text/event-stream",
            headers={"cache-control": "no-store", "x-accel-buffering": "no"},
        )

    return [
        Route("/", page),
        Route("/events", events),
        Route("/static/{digest}/{name}", static.serve),
    ]


def chosen_language(request: Request) -> str:
    """Return `?lang=` or else what the browser likes best of Dutch and English."""
    asked = request.query_params.get("lang")
    return language_of(asked) if asked else preferred(request.headers.get("accept-language", ""))


def preferred(accept_language: str) -> str:
    """Return the best of our languages by the header's weights (RFC 9110, section 12.5.4); en by default."""
    best, weight = "en", 0.0
    for item in accept_language.split(","):
        tag, _, quality = item.partition(";")
        primary = tag.strip().lower().split("-")[0]
        if primary not in ("nl", "en"):
            continue
        try:
            q = float(quality.strip().removeprefix("q=")) if quality.strip() else 1.0
        except ValueError:
            continue
        if q > weight:
            best, weight = primary, q
    return best
