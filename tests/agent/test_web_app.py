"""The HTTP surface by direct calls: no socket, no server."""

import asyncio
import gzip
from collections.abc import Sequence

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Scope

from agent.metrics import Metrics
from agent.observation import Observation
from agent.web.app import REUSE_SECONDS, build
from probes.kit.result import Outcome
from tests.agent.samples import CHAIN, NOW

Answer = tuple[int, dict[str, str], bytes]


class HandClock:
    """A clock that the test moves."""

    now = 1000.0

    def boot(self) -> float:
        """Return the boot time."""
        return self.now

    def wall(self) -> float:
        """Return the wall time."""
        return self.now


async def ask(app: ASGIApp, method: str, path: str, **headers: str) -> Answer:
    """Make one request of an application."""
    target, _, query = path.partition("?")
    scope: Scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "path": target,
        "raw_path": target.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": query.encode(),
        "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)
    fields = {k.decode(): v.decode() for k, v in sent[0]["headers"]}
    return sent[0]["status"], fields, b"".join(m.get("body", b"") for m in sent[1:])


async def extra(_: Request) -> Response:
    """Answer as a page would."""
    return PlainTextResponse("page")


def application(
    metrics: Metrics | None = None, *, ready: bool = True, errors: Sequence[str] = (), clock: HandClock | None = None
) -> ASGIApp:
    """Return an application over fakes."""

    async def reload() -> Sequence[str]:
        return errors

    return build(
        metrics=metrics or Metrics(CHAIN, "cloud", "msp", "1"),
        ready=lambda: ready,
        reload=reload,
        routes=[Route("/", extra)],
        clock=clock,
    )


@pytest.mark.parametrize(
    ("method", "path", "ready", "errors", "status"),
    [
        ("GET", "/-/healthy", False, (), 200),
        ("HEAD", "/-/healthy", True, (), 200),
        ("GET", "/-/ready", True, (), 200),
        ("GET", "/-/ready", False, (), 503),
        ("POST", "/-/reload", True, (), 200),
        ("POST", "/-/reload", True, ("chain.yml:3: bad",), 500),
        ("GET", "/-/reload", True, (), 405),
        ("POST", "/metrics", True, (), 405),
        ("GET", "/", True, (), 200),
        ("GET", "/probe?target=10.0.0.1", True, (), 404),
    ],
)
def test_status(method: str, path: str, ready: bool, errors: Sequence[str], status: int) -> None:
    """Each address answers its method, and nothing takes a target."""
    assert asyncio.run(ask(application(ready=ready, errors=errors), method, path))[0] == status


def test_a_refused_reload_says_why() -> None:
    """The errors of a refused file are the body of the answer."""
    body = asyncio.run(ask(application(errors=["chain.yml:3: a", "chain.yml:9: b"]), "POST", "/-/reload"))[2]
    assert body == b"chain.yml:3: a\nchain.yml:9: b\n"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain; version=0.0.4; charset=utf-8"),
        ("text/html", "text/plain; version=0.0.4; charset=utf-8"),
        (
            "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        ),
    ],
)
def test_metrics_in_the_format_asked_for(accept: str, kind: str) -> None:
    """OpenMetrics for who asks, plain text for everybody else."""
    status, headers, body = asyncio.run(ask(application(), "GET", "/metrics", accept=accept))
    assert (status, headers["content-type"]) == (200, kind)
    assert body.endswith(b"# EOF\n") is kind.startswith("application")
    assert b"demarc_agent_info" in body


def test_metrics_compressed() -> None:
    """A client that takes gzip gets gzip."""
    _, headers, body = asyncio.run(ask(application(), "GET", "/metrics", accept_encoding="gzip, deflate"))
    assert headers["content-encoding"] == "gzip"
    assert b"demarc_agent_info" in gzip.decompress(body)


def test_scrapes_share_a_rendering() -> None:
    """A second scrape at once shows the same picture; a later one shows the new one."""
    clock = HandClock()
    metrics = Metrics(CHAIN, "cloud", "msp", "1")
    app = application(metrics, clock=clock)
    line = b'demarc_probe_results_total{probe="gw",outcome="ok"} 1'

    async def scenario() -> list[bool]:
        seen = [line in (await ask(app, "GET", "/metrics"))[2]]
        metrics.result("gw", Observation(time=NOW, round=1, vantage="cloud", probe="gw", outcome=Outcome.OK))
        seen.append(line in (await ask(app, "GET", "/metrics"))[2])
        clock.now += REUSE_SECONDS * 2
        seen.append(line in (await ask(app, "GET", "/metrics"))[2])
        return seen

    assert asyncio.run(scenario()) == [False, False, True]
