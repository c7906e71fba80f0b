"""The agent as a process beside a real Alertmanager: a fault pages once, through kill -9, until it has recovered."""

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.peers.monitoring import ROOT, Webhook, alertmanager, answers, free_port, query_text, until
from tests.peers.test_alertmanager import CONFIG, QUIET_SECONDS, ends

pytestmark = pytest.mark.peer

CHAIN = """
version: 1
effective: 2026-01-15T00:00
timezone: Europe/Amsterdam
director: msp
parties: {{msp: {{name: MSP}}, carrier: {{name: GlasNet}}, incumbent: {{name: Zittende ICT, language: nl}}}}
segments:
  host: {{owner: msp, side: cloud}}
  gw: {{owner: carrier, side: transit}}
  app: {{owner: incumbent, side: onprem}}
vantages: {{cloud: {{segment: host, operator: msp}}}}
services: {{erp: {{name: ERP}}}}
confirm: {{rounds: 3, spacing: 300ms}}
probes:
  gw: {{type: tcp, from: cloud, target: "127.0.0.1:{gw}", interval: 1s, path: [host, gw]}}
  app: {{type: tcp, from: cloud, target: "127.0.0.1:{app}", interval: 1s, path: [host, gw, app], service: erp}}
"""
RUN = "from agent.cli.main import main; main()"


class Listener:
    """Takes connections on a port, and can be taken away and put back."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._sock: socket.socket | None = None

    def up(self) -> None:
        """Listen."""
        self._sock = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._take, args=(self._sock,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections from now on."""
        assert self._sock is not None
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _take(self, sock: socket.socket) -> None:
        with suppress(OSError):
            while True:
                sock.accept()[0].close()


@contextmanager
def running(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the agent until the block ends; it is up when it is ready."""
    command = [sys.executable, "-c", RUN, "run", "--config.file", str(folder / "agent.yml")]
    command += ["--web.listen-address", f"127.0.0.1:{port}"]
    with (folder / "agent.log").open("ab") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT) as agent:
        try:
            until(lambda: answers(f"http://127.0.0.1:{port}/-/ready") or agent.poll() is not None, 30)
            assert agent.poll() is None, (folder / "agent.log").read_text()
            yield agent
        finally:
            agent.kill()


@contextmanager
def chain(folder: Path) -> Iterator[tuple[Listener, Listener]]:
    """Write the chain file; its gateway and its application listen."""
    gateway, app = Listener(free_port()), Listener(free_port())
    gateway.up()
    app.up()
    (folder / "chain.yml").write_text(CHAIN.format(gw=gateway.port, app=app.port))
    (folder / "data").mkdir()
    yield gateway, app
    gateway.down()


def agent_file(folder: Path, alertmanager_url: str) -> None:
    """Write the agent file."""
    text = f'vantage: cloud\nchain: chain.yml\ndata: {folder / "data"}\nalertmanagers: ["{alertmanager_url}"]\n'
    (folder / "agent.yml").write_text(text)


def watched(port: int) -> None:
    """Wait until the application was seen to answer."""
    until(lambda: 'demarc_probe_verified{probe="app"} 1' in query_text(f"http://127.0.0.1:{port}/metrics"))


def test_a_fault_pages_once_through_a_crash(tmp_path: Path) -> None:
    """The application stops, the agent is killed and started again, the application comes back."""
    port = free_port()
    with (
        chain(tmp_path) as (_, app),
        Webhook() as hook,
        alertmanager(tmp_path / "am", CONFIG.format(url=hook.url)) as url,
    ):
        agent_file(tmp_path, url)
        with running(tmp_path, port) as agent:
            watched(port)
            app.down()
            until(lambda: hook.of("msp") and hook.of("incumbent"))
            time.sleep(1.5)
            agent.send_signal(signal.SIGKILL)
            agent.wait(10)
        with running(tmp_path, port):
            time.sleep(QUIET_SECONDS)
            assert {(n["status"], n["groupLabels"]["to"]) for n in hook.received} == {
                ("firing", "msp"),
                ("firing", "incumbent"),
            }
            assert len(hook.received) == 2, hook.received
            app.up()
            until(lambda: len(hook.received) == 4, 40)
    last = hook.received[2:]
    assert {(n["status"], n["groupLabels"]["to"]) for n in last} == {("resolved", "msp"), ("resolved", "incumbent")}
    assert [ends(n) for n in last] == [["recovered"], ["recovered"]]
    assert len({n["groupLabels"]["incident"] for n in hook.received}) == 1
    app.down()


def announced(folder: Path) -> datetime:
    """Announce an hour of the incumbent's work; return when it begins."""
    for ahead in (2, 20):  # what comes too late is refused; a busy host needs seconds to start the command
        begin = datetime.now(UTC) + timedelta(seconds=ahead)
        window = ["--from", begin.isoformat(), "--to", (begin + timedelta(hours=1)).isoformat()]
        words = ["maintenance", "announce", "--party", "incumbent", "--agreed", "msp", *window]
        command = [sys.executable, "-c", RUN, *words, "--config.file", str(folder / "agent.yml")]
        done = subprocess.run(command, check=False, cwd=ROOT, timeout=60, capture_output=True, text=True)
        if done.returncode == 0:
            return begin
    raise AssertionError(done.stderr)


def test_who_announced_the_work_is_not_paged_for_it(tmp_path: Path) -> None:
    """The owner announces work on its application, which then stops: the director's page, the owner's warning."""
    port = free_port()
    with (
        chain(tmp_path) as (_, app),
        Webhook() as hook,
        alertmanager(tmp_path / "am", CONFIG.format(url=hook.url)) as url,
    ):
        agent_file(tmp_path, url)
        with running(tmp_path, port):
            watched(port)
            begin = announced(tmp_path)
            # A fault belongs to the work once that has begun.
            time.sleep(max(0.0, (begin - datetime.now(UTC)).total_seconds()))
            app.down()
            until(lambda: hook.of("msp") and hook.of("incumbent"))
    severities = {n["groupLabels"]["to"]: n["commonLabels"]["severity"] for n in hook.received}
    assert severities == {"msp": "critical", "incumbent": "warning"}
