"""The web side of the daemon: page, API, metrics and control on one application.

Loaded late: the web server is a third of the imports of a start.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from agent.clock import Clock
from agent.daemon.errors import EX_UNAVAILABLE, StartError
from agent.daemon.options import Options
from agent.metrics import Metrics
from agent.observation import Observation
from agent.seal import Voice
from agent.snapshot import Snapshot

if TYPE_CHECKING:
    from agent.daemon.cosigning import Cosigning
    from agent.web.approving import Approver
    from agent.web.entering import Submit
    from agent.web.server import Served


class Surface(msgspec.Struct, frozen=True, kw_only=True):
    """What the web server may ask of the agent; every callable is for the loop's thread."""

    metrics: Metrics
    snapshot: Callable[[], Snapshot]
    ready: Callable[[], bool]
    reload: Callable[[], Awaitable[tuple[str, ...]]]
    recent: Callable[[int], tuple[Observation, ...]]
    voice: Callable[[], Voice]
    witness: "Cosigning"
    submit: "Submit"
    approver: "Approver"


@asynccontextmanager
async def serving(surface: Surface, options: Options, control: Path, clock: Clock) -> "AsyncIterator[Served]":
    """Serve until the block ends; raises StartError when the address cannot be had, ConfigError for web.yml."""
    from agent.web import api, approving, entering, witness  # noqa: PLC0415 - see the module's docstring
    from agent.web.app import build  # noqa: PLC0415
    from agent.web.page import site  # noqa: PLC0415
    from agent.web.server import serve  # noqa: PLC0415

    app = build(
        metrics=surface.metrics,
        ready=surface.ready,
        reload=surface.reload,
        routes=[
            *site.routes(surface.snapshot, clock.wall),
            *witness.routes(surface.witness),
            *entering.routes(surface.submit),
            *approving.routes(surface.approver),
            *api.routes(surface.snapshot, surface.recent, surface.voice),
        ],
        clock=clock,
    )
    server = serve(app, options.listen, options.web_config, control)
    try:
        served = await server.__aenter__()
    except ValueError as error:
        raise StartError(str(error), "see demarc run --help", EX_UNAVAILABLE) from error
    except OSError as error:
        raise StartError(
            f"cannot listen on {options.listen} and {control}: {error.strerror or error}",
            "see who listens with `ss -ltnp`, or choose another --web.listen-address",
            EX_UNAVAILABLE,
        ) from error
    try:
        yield served
    finally:
        await server.__aexit__(None, None, None)
