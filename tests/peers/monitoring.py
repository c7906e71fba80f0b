"""Real Prometheus and Alertmanager processes, a webhook that collects what they send, and an agent's web server.

Everything on loopback, on ports that the kernel chose, with its data in the test's own folder.
"""

import asyncio
import json
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self

from agent.metrics import Metrics
from agent.web.app import build
from agent.web.server import serve

ROOT = Path(__file__).parents[2]
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTMANAGER = ROOT / "deploy" / "alertmanager"
# A loaded two-core machine needs some seconds to start a Go program.
START_SECONDS = 30.0


def free_port() -> int:
    """Return a port that was free a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def fetch(url: str) -> Any:
    """Return the JSON at `url`; raises OSError."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        body = answer.read()
    return json.loads(body) if body[:1] in b"{[" else body.decode()


def query_text(url: str) -> str:
    """Return the text at `url`."""
    return str(fetch(url))


def until(condition: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Return the first true value of `condition`; fails after `seconds`."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < limit, "the condition did not come true in time"
        time.sleep(0.05)
    return value


@contextmanager
def process(command: list[str], ready: str, log: Path) -> Iterator[None]:
    """Run a server until the block ends; it is up when `ready` (a URL) answers."""
    with log.open("wb") as out, subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT) as running:
        try:
            until(lambda: answers(ready) or running.poll() is not None, START_SECONDS)
            assert running.poll() is None, log.read_text()
            yield
        finally:
            running.terminate()
            try:
                running.wait(10)
            except subprocess.TimeoutExpired:
                running.kill()


def answers(url: str) -> bool:
    """Tell whether `url` answers with a success."""
    try:
        fetch(url)
    except (OSError, ValueError):
        return False
    return True


class Webhook:
    """Collects the JSON bodies that are posted to it."""

    def __init__(self) -> None:
        received: list[dict[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                received.append(json.loads(body))
                self.send_response(200)
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self.received = received
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def of(self, to: str) -> list[dict[str, Any]]:
        """Return the notifications of the groups addressed to `to`."""
        return [n for n in self.received if n.get("groupLabels", {}).get("to") == to]


@contextmanager
def alertmanager(folder: Path, config: str) -> Iterator[str]:
    """Run Alertmanager with `config` (YAML); yields its base URL."""
    folder.mkdir(exist_ok=True)
    file = folder / "alertmanager.yml"
    file.write_text(config)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus-alertmanager",
        f"--config.file={file}",
        f"--storage.path={folder / 'data'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--cluster.listen-address=",
    ]
    with process(command, f"{url}/-/ready", folder / "alertmanager.log"):
        yield url


@contextmanager
def prometheus(folder: Path, config: str) -> Iterator[str]:
    """Run Prometheus with `config` (YAML); yields its base URL."""
    folder.mkdir(exist_ok=True)
    file = folder / "prometheus.yml"
    file.write_text(config)
    url = f"http://127.0.0.1:{free_port()}"
    command = [
        "prometheus",
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address={url.removeprefix('http://')}",
        "--rules.alert.resend-delay=1s",
    ]
    with process(command, f"{url}/-/ready", folder / "prometheus.log"):
        yield url


@contextmanager
def agent(metrics: Metrics) -> Iterator[int]:
    """Serve `metrics` as an agent does, in a thread; yields the port."""
    port: list[int] = []
    started, stop = threading.Event(), threading.Event()

    async def reload() -> tuple[str, ...]:
        return ()

    async def main() -> None:
        app = build(metrics=metrics, ready=lambda: True, reload=reload)
        async with serve(app, "127.0.0.1:0") as served:
            port.append(served.port)
            started.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert started.wait(START_SECONDS)
    try:
        yield port[0]
    finally:
        stop.set()
        thread.join(10)


def query(url: str, expression: str) -> list[dict[str, Any]]:
    """Return the result of an instant query."""
    answer = fetch(f"{url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
    return list(answer["data"]["result"])
