"""A server's certificate is replaced, and later the server stops: the real agent, from first sight to last change."""

import http.server
import json
import ssl
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.peers.probing import Authority
from tests.peers.running_agent import CHAIN, Listener, RunningAgent, eventually

pytestmark = pytest.mark.peer

CANARY = "canary-7d1f"
PROBE = """  site: {{type: http, from: cloud, target: "https://127.0.0.1:{port}/", ca_file: "{ca}", interval: 200ms,
    timeout: 2s, headers: {{X-Token: {canary}}}, path: [host, gw, app]}}"""


class Page(http.server.BaseHTTPRequestHandler):
    """Answers 204 to everything."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(204)
        self.send_header("connection", "close")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Stay silent."""


class Server(http.server.ThreadingHTTPServer):
    """An HTTPS server whose certificate can be replaced while it runs."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.context = context

    def get_request(self) -> tuple[Any, Any]:
        """Take a connection with the present certificate."""
        connection, address = super().get_request()
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Pass over clients that went away."""


def facts(agent: RunningAgent) -> dict[str, Any]:
    """Return the facts of the probe by name."""
    found = [one for one in json.loads(agent.get("/api/v1/drift")) if one["probe"] == "site"]
    return {fact["name"]: fact for fact in found[0]["facts"]} if found else {}


def standing(agent: RunningAgent) -> str:
    """Return how the certificate stands to what was approved."""
    return str(facts(agent).get("certificate sha256", {}).get("standing", ""))


def command(agent: RunningAgent, *words: str) -> str:
    """Run `demarc` against the agent's data."""
    return subprocess.run(agent.command(*words), capture_output=True, text=True, check=True, timeout=30).stdout


def test_from_first_sight_to_last_change(tmp_path: Path) -> None:
    """Seen, approved, changed, remembered over a restart, beside the incident that follows; nowhere a secret."""
    authority = Authority(tmp_path)
    server = Server(authority.server("127.0.0.1", days=20))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    gateway, application = Listener(), Listener()
    chain = tmp_path / "chain.yml"
    probe = PROBE.format(port=server.server_port, ca=authority.ca_file, canary=CANARY)
    chain.write_text(CHAIN.format(gateway=gateway.port, application=application.port, more=probe))
    agent = RunningAgent(tmp_path / "cloud", chain)
    place = str(agent.folder / "data" / "demarc.sock")
    with agent.start():
        eventually(lambda: standing(agent) == "unapproved")
        command(agent, "drift", "approve", "site", "--party", "incumbent", "--yes", "--socket", place)
        assert standing(agent) == "approved"
        server.context = authority.server("127.0.0.1", days=25)
        eventually(lambda: standing(agent) == "drifted")
        eventually(lambda: agent.metric("demarc_drift_facts", probe="site", standing="drifted") >= 1)
        assert agent.logged("drift-changed")[0]["facts"]["certificate sha256"]["before"]
        peers = f'[{{vantage: cloud, url: "http://127.0.0.1:{agent.port}"}}]'
        with RunningAgent(tmp_path / "onprem", chain, "onprem", peers).start() as other:
            heard = eventually(lambda: json.loads(other.get("/api/v1/changes")))
            assert {(one["vantage"], one["probe"]) for one in heard} == {("cloud", "site")}
            other.end()
        agent.end()
        agent.start()
        eventually(lambda: standing(agent) == "drifted")
        eventually(lambda: agent.metric("demarc_probe_results_total", probe="site", outcome="ok") >= 3)
        server.shutdown()
        server.server_close()
        (incident,) = eventually(lambda: json.loads(agent.get("/api/v1/incidents")))
        assert [one["probe"] for one in incident["last_changes"]] == ["site"]
        shown = agent.get("/") + agent.get("/api/v1/changes") + agent.get("/api/v1/drift")
        agent.end()
    gateway.stop()
    application.stop()
    told = [
        json.loads(json.loads(line)["body"])
        for line in command(agent, "ledger", "export", str(agent.folder / "data")).splitlines()
        if "body" in line
    ]
    kinds = [entry for entry in told if entry["kind"].startswith("drift")]
    assert [entry.get("event", "approval") for entry in kinds] == ["seen", "approval", "changed"]
    written = (agent.folder / "data" / "drift.json").read_text() + json.dumps(kinds) + shown
    assert CANARY not in written
