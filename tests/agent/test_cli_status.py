"""`demarc status` and `demarc incidents` against an agent's socket, and without one."""

import http.client
import http.server
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from agent.cli import incidents, status
from agent.cli.running import Refusal, ask, find_socket, trouble
from agent.seal import Voice
from agent.snapshot import Snapshot
from agent.web.answers import StatusAnswer
from agent.web.api import routes
from tests.agent.asgi import get
from tests.agent.samples import CARRIER, SNAPSHOTS


class Server(socketserver.ThreadingUnixStreamServer):
    """An HTTP server on a unix socket that answers from the API's routes."""

    daemon_threads = True

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        super().__init__(str(path), Handler)


class Handler(http.server.BaseHTTPRequestHandler):
    """Passes a GET on to the API."""

    server: Server

    def do_GET(self) -> None:
        """Answer one request."""
        if self.server.snapshot.vantage == "broken":
            self.send_response(502)
            self.end_headers()
            self.wfile.write(b"<html>no</html>")
            return
        reply = get(
            routes(lambda: self.server.snapshot, lambda _: (), lambda: Voice(vantage="cloud", chain="", time=0.0)),
            self.path,
        )
        self.send_response(reply.status)
        self.end_headers()
        self.wfile.write(reply.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Stay silent."""

    def address_string(self) -> str:
        """A unix socket's client has no address."""
        return "-"


@contextmanager
def agent(path: Path, snapshot: Snapshot) -> Iterator[Path]:
    """Run an agent's socket at `path`."""
    with Server(path, snapshot) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield path
        finally:
            server.shutdown()
            thread.join()


def run(command: object, path: Path, *arguments: str) -> Result:
    """Run a command against a socket, 80 columns wide."""
    return CliRunner(env={"COLUMNS": "80"}).invoke(command, ["--socket", str(path), *arguments])  # type: ignore[arg-type]  # a click command


SHOWS = {
    "healthy": ["✓ the whole chain works", "demarcation line", "cloud>gw", "✓ reachable"],
    "carrier": ["✗ carrier (GlasNet) fails", "to act: GlasNet", "✗ fails", "◌ masked", "no answer came in time"],
    "suspected": ["? Suspected disturbance (erp-app)", "? possible cause"],
    "mtuhole": ["carrier      ? possible cause", "cloud-gw     ✓ works"],
    "stopped": [
        "✗ the ledger has stopped recording: database or disk is full",
        "onprem works with another chain file",
        "✗ silent  onprem",
    ],
    "unverified": [
        "- no disturbance found; not measured: onprem-fw",
        "(unverified)",
        "no result yet",
        "connection refused",
    ],
}


@pytest.mark.parametrize("name", SHOWS)
def test_status_as_text(name: str, tmp_path: Path) -> None:
    """The text holds the findings, the chain with its lines, the probes; no line is wider than the terminal."""
    with agent(tmp_path / "s", SNAPSHOTS[name]) as path:
        result = run(status.command, path)
    assert result.exit_code == 0, result.output
    assert all(text in result.output for text in SHOWS[name])
    assert max(len(line) for line in result.output.splitlines()) <= 80
    assert "\x1b" not in result.output


def test_status_in_dutch(tmp_path: Path) -> None:
    """The words follow --lang."""
    with agent(tmp_path / "s", SNAPSHOTS["carrier"]) as path:
        assert "◌ afgedekt" in run(status.command, path, "--lang", "nl").output


def test_status_as_json(tmp_path: Path) -> None:
    """JSON is the API's answer."""
    with agent(tmp_path / "s", SNAPSHOTS["carrier"]) as path:
        result = run(status.command, path, "--format", "json")
    assert msgspec.json.decode(result.output, type=StatusAnswer).incidents[0].id == CARRIER.id


def test_incidents_as_text(tmp_path: Path) -> None:
    """Each incident is told in its sentences, wrapped."""
    with agent(tmp_path / "s", SNAPSHOTS["carrier"]) as path:
        opened, everything = run(incidents.command, path), run(incidents.command, path, "--all")
    assert "owned by GlasNet alone" in " ".join(opened.output.split())
    assert "opened 2026-11-23T14:01:35Z" in opened.output
    assert "Ended: vpn failed" not in opened.output
    assert "Ended: vpn failed" in everything.output
    assert max(len(line) for line in everything.output.splitlines()) <= 80


def test_one_incident(tmp_path: Path) -> None:
    """An id shows one; an unknown id says where to look."""
    with agent(tmp_path / "s", SNAPSHOTS["carrier"]) as path:
        assert run(incidents.command, path, CARRIER.id).output.startswith("carrier (GlasNet) fails")
        as_json = run(incidents.command, path, CARRIER.id, "--format", "json")
        assert msgspec.json.decode(as_json.output)["id"] == CARRIER.id
        unknown = run(incidents.command, path, "nope")
    assert unknown.exit_code == 65
    assert "state=all" in unknown.output


def test_no_incident(tmp_path: Path) -> None:
    """Nothing open is said in words."""
    with agent(tmp_path / "s", SNAPSHOTS["healthy"]) as path:
        assert run(incidents.command, path).output == "✓ no open incident\n"
        assert run(incidents.command, path, "--all").output == "✓ no open or recent incident\n"
        assert run(incidents.command, path, "--format", "json").output == "[]\n"


def test_no_agent(tmp_path: Path) -> None:
    """Without a socket the command says so and what to do."""
    result = run(status.command, tmp_path / "none")
    assert result.exit_code == 69
    assert "no agent runs here" in result.output
    assert "systemctl start demarc" in result.output


def test_an_agent_that_has_stopped(tmp_path: Path) -> None:
    """A socket that nobody listens on is told from none at all."""
    with agent(tmp_path / "s", SNAPSHOTS["healthy"]):
        pass
    result = run(status.command, tmp_path / "s")
    assert result.exit_code == 69
    assert "nobody listens" in result.output


def test_what_is_no_socket(tmp_path: Path) -> None:
    """A folder or a file is no agent that has stopped."""
    result = run(status.command, tmp_path)
    assert result.exit_code == 69
    assert "is no socket" in result.output
    assert "demarc.sock" in result.output


TROUBLES = {
    "no right": (PermissionError(13, "no"), 77, "member of the group"),
    "silence": (TimeoutError("timed out"), 69, "did not answer within 5 s"),
    "another protocol": (http.client.BadStatusLine("SSH-2.0"), 69, "does not answer as an agent"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_each_trouble_has_its_remedy(name: str) -> None:
    """What root or a quick test cannot provoke is told as well."""
    error, code, words = TROUBLES[name]
    refusal = trouble(Path("/run/x"), error)
    assert refusal.exit_code == code
    assert words in refusal.message


def test_watch_shows_the_agent_going_and_coming(tmp_path: Path) -> None:
    """Watching outlives the agent: its absence is shown, not an end of the command."""
    assert "no agent runs here" in status.watched(tmp_path / "s", "text", "en")
    with agent(tmp_path / "s", SNAPSHOTS["healthy"]) as path:
        assert "the whole chain works" in status.watched(path, "text", "en")


def test_something_else_on_the_socket(tmp_path: Path) -> None:
    """What is no agent is not read as one."""
    broken = msgspec.structs.replace(SNAPSHOTS["healthy"], vantage="broken")
    with agent(tmp_path / "s", broken) as path, pytest.raises(Refusal, match="status 502"):
        ask(path, "status")


def test_where_the_socket_is(tmp_path: Path) -> None:
    """As said, or in the usual data directory; a bad agent file is refused with the command to check it."""
    assert find_socket(tmp_path / "x", None) == tmp_path / "x"
    assert find_socket(None, None) == Path("/var/lib/demarc/demarc.sock")
    bad = tmp_path / "agent.yml"
    bad.write_text("vantage: [\n")
    with pytest.raises(Refusal, match="demarc check"):
        find_socket(None, bad)


def test_where_the_socket_is_by_the_agent_file(tmp_path: Path) -> None:
    """The agent file names the data directory."""
    file = tmp_path / "agent.yml"
    file.write_text(f"vantage: cloud\nchain: chain.yml\ndata: {tmp_path}/data\n")
    assert find_socket(None, file) == tmp_path / "data" / "demarc.sock"
