"""An agent that runs on and on while its world breaks, lies and is changed under it: it does not grow, and stops well.

Under `make soak`, for ten minutes; `ENDURANCE_SECONDS` says otherwise. Each turn of some seconds a service goes and
comes back, the chain file gains or loses probes, every page is read, and a peer answers with the next of its lies.
"""

import itertools
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from agent.config.load import load_chain
from agent.ledger.check import check
from tests.peers.running_agent import CHAIN, Listener, RunningAgent

pytestmark = [pytest.mark.peer, pytest.mark.soak]

SECONDS = float(os.environ.get("ENDURANCE_SECONDS", "600"))
WARM = 0.5
"""What fills for a time (two minutes of observations) has filled by then; from there on nothing may grow."""
GROWN_MOST_KB = 4096
"""Of the medians of the second half's halves: the allocator's own steps are some hundred kB."""
TURN_SECONDS = 5.0
PROBES = 40
PAGES = ("/", "/metrics", "/api/v1/status", "/api/v1/incidents", "/api/v1/observations?since_round=-1", "/api/v1/drift")
NO_BUG = frozenset(("loop-blocked",))
"""What an agent logs as an error on a machine that is busy with other things."""


def more_probes(port: int, silent: int, count: int) -> str:
    """Return probes of several types; those at `silent` never hear an answer."""
    lines = []
    for number in range(count):
        kind, target = [
            ("tcp", f'"127.0.0.1:{port}"'),
            ("icmp", "127.0.0.1"),
            ("http", f'"http://127.0.0.1:{silent}/"'),
            ("tls", f'"127.0.0.1:{silent}"'),
        ][number % 4]
        timing = "from: cloud, interval: 500ms, timeout: 400ms, path: [host, gw, app]"
        lines.append(f"  p{number}: {{type: {kind}, target: {target}, {timing}}}")
    return "\n".join(lines)


def lies(chain_hash: str) -> Iterator[tuple[int, dict[str, str], bytes]]:
    """Yield status, header fields and body of a peer's answers, over and over."""
    line = b'{"time":%d,"round":%d,"vantage":"onprem","probe":"local","outcome":"ok","seconds":%s}\n'
    deep = b'{"x":' + b"[" * 5000 + b"\n"
    for number in itertools.count(1):
        now = time.time()
        said = {"demarc-vantage": "onprem", "demarc-chain": chain_hash, "demarc-time": str(int(now * 1e9))}
        honest = line % (now, number, b"0.1")
        yield 200, said, honest
        yield 200, said, honest + line % (now, 10**40, b"0.1") + line % (now, number, b"1e300") + deep + b"\xff\n"
        yield 200, said | {"demarc-pages": "[" * 5000}, b"x" * 1_000_000
        yield 200, said | {"demarc-chain": "another"}, honest
        yield 200, said | {"demarc-time": "1"}, honest
        yield 500, {}, b"\x1f\x8b" * 1000
        yield 200, {}, b""


@contextmanager
def lying_peer() -> Iterator[tuple[int, list[str]]]:
    """Serve lies on a port; the list's one text is the hash of the chain that they are told under."""
    told = [""]
    answers = lies("")

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, fields, body = next(answers)
            with suppress(OSError):
                self.send_response(status)
                for name, value in fields.items():
                    self.send_header(name, told[0] if name == "demarc-chain" and not value else value)
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port, told
    finally:
        server.shutdown()
        server.server_close()


def holds(process: int) -> tuple[int, int, int]:
    """Return what a process holds: kB of memory, descriptors, threads."""
    status = Path(f"/proc/{process}/status").read_text()
    memory, threads = (int(re.findall(rf"^{name}:\s+(\d+)", status, re.MULTILINE)[0]) for name in ("VmRSS", "Threads"))
    return memory, len(list(Path(f"/proc/{process}/fd").iterdir())), threads


def middle(values: list[int]) -> int:
    """Return the median."""
    return sorted(values)[len(values) // 2]


@pytest.fixture
def tell(capfd: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Return what tells a person who waits how far it is."""

    def told(text: str) -> None:
        with capfd.disabled():
            sys.stderr.write(f"{text}\n")

    return told


def test_an_agent_that_runs_on_does_not_grow(tmp_path: Path, tell: Callable[[str], None]) -> None:
    """Memory, descriptors and threads stay; no bug is logged; ledger and store are whole, and it stops in order."""
    gateway, application, silent = listeners = (Listener(), Listener(), Listener())
    chain = tmp_path / "chain.yml"
    seen: list[tuple[int, int, int]] = []

    def write(count: int) -> None:
        more = more_probes(application.port, silent.port, count)
        chain.write_text(CHAIN.format(gateway=gateway.port, application=application.port, more=more))

    write(PROBES)
    with lying_peer() as (port, told):
        told[0] = load_chain(chain).hash
        peers = f'[{{vantage: onprem, url: "http://127.0.0.1:{port}"}}]'
        with RunningAgent(tmp_path / "a", chain, peers=peers).start() as agent:
            end = time.monotonic() + SECONDS
            for turn in itertools.count():
                if time.monotonic() > end:
                    break
                application.stop()
                time.sleep(TURN_SECONDS / 2)
                application.again()
                time.sleep(TURN_SECONDS / 2)
                write(PROBES if turn % 2 else PROBES - 4)
                told[0] = load_chain(chain).hash
                assert agent.reload() == 200
                for listener in listeners:
                    listener.drain()
                for page in PAGES:
                    agent.get(page)
                seen.append(holds(agent.process.pid))
                tell(f"turn {turn}: {seen[-1][0]} kB, {seen[-1][1]} descriptors, {seen[-1][2]} threads")
            recording = agent.metric("demarc_ledger_recording"), agent.metric("demarc_store_recording")
            assert agent.end(signal.SIGTERM) == 0
    for listener in listeners:
        listener.stop()

    assert [line for line in agent.errors() if line["msg"] not in NO_BUG] == []
    warm = seen[int(len(seen) * WARM) :]
    half = len(warm) // 2
    for name, column in (("descriptors", 1), ("threads", 2)):
        assert middle([one[column] for one in warm[half:]]) <= middle([one[column] for one in warm[:half]]) + 2, name
    assert middle([one[0] for one in warm[half:]]) - middle([one[0] for one in warm[:half]]) < GROWN_MOST_KB
    assert recording == (1.0, 1.0)
    assert check(tmp_path / "a" / "data" / "ledger.db").problems == ()
    assert agent.transitions("confirmed")
