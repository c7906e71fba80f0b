"""The agent's HTTP surface: metrics, health, readiness, reload, and the routes of page and API.

There is no `?target=`: nobody makes an agent probe anything by a URL. A scrape is rendered in a
thread from a copy of the values, at most once per REUSE_SECONDS however many ask.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, Router

from agent.clock import Clock, SystemClock
from agent.metrics import Exposition, Metrics
from agent.metrics.negotiation import chosen, takes_gzip

# Two Prometheus servers of a pair scrape independently; a flood of scrapes costs four renderings a second.
REUSE_SECONDS = 0.25
# Level 1 costs a fifth of the default for a few per cent of size (facts/performance.md, Metrics).
GZIP_LEVEL = 1

Reload = Callable[[], Awaitable[Sequence[str]]]


def build(
    *,
    metrics: Metrics,
    ready: Callable[[], bool],
    reload: Reload,
    routes: Iterable[BaseRoute] = (),
    clock: Clock | None = None,
) -> Router:
    """Return the application.

    `ready` is true once there is an observation. `reload` loads the files again and returns the
    errors that kept the old configuration in force, none when it was taken. `routes` are those of
    the page and the API.
    """
    scrapes = Scrapes(metrics, clock or SystemClock())

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("demarc is healthy.\n")

    async def is_ready(_: Request) -> Response:
        if ready():
            return PlainTextResponse("demarc is ready.\n")
        return PlainTextResponse("demarc has no observation yet.\n", 503)

    async def do_reload(_: Request) -> Response:
        errors = await reload()
        if errors:
            return PlainTextResponse("".join(f"{error}\n" for error in errors), 500)
        return PlainTextResponse("reloaded\n")

    own = [
        Route("/metrics", scrapes.answer, methods=["GET"]),
        Route("/-/healthy", healthy, methods=["GET"]),
        Route("/-/ready", is_ready, methods=["GET"]),
        Route("/-/reload", do_reload, methods=["POST"]),
    ]
    return Router(routes=[*own, *routes])


class Scrapes:
    """Renders scrapes one at a time, in a thread, and reuses what is fresh."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        self._metrics = metrics
        self._exposition = Exposition()
        self._clock = clock
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="scrape")
        self._turn = asyncio.Lock()
        self._fresh: dict[tuple[str, bool], tuple[float, bytes]] = {}

    async def answer(self, request: Request) -> Response:
        """Answer GET /metrics in the format that the client asks for."""
        form = chosen(request.headers.get("accept", ""))
        packed = takes_gzip(request.headers.get("accept-encoding", ""))
        async with self._turn:
            body = await self._body(form, packed=packed)
        headers = {"content-type": form, "vary": "accept, accept-encoding"}
        return Response(body, headers=headers | ({"content-encoding": "gzip"} if packed else {}))

    async def _body(self, form: str, *, packed: bool) -> bytes:
        now = self._clock.boot()
        at, body = self._fresh.get((form, packed), (0.0, b""))
        if not body or now - at > REUSE_SECONDS:
            view = self._metrics.view()
            body = await asyncio.get_running_loop().run_in_executor(
                self._pool, lambda: _packed(self._exposition.render(view, form), packed=packed)
            )
            self._fresh[form, packed] = now, body
        return body


def _packed(body: bytes, *, packed: bool) -> bytes:
    return gzip.compress(body, GZIP_LEVEL, mtime=0) if packed else body
