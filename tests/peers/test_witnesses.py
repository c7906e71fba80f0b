"""Two real agents of two parties cosign each other's ledgers, and one of them is restored from an old copy."""

import json
import socket
import sqlite3
import urllib.error
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent import keys
from agent.cli.ledger_cosign import cosign
from agent.ledger.check import check
from agent.ledger.cosignature import witness_of
from agent.ledger.verifier import Policy, parse_policy
from tests.peers.running_agent import CHAIN, RunningAgent, eventually

pytestmark = pytest.mark.peer


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


class Pair:
    """An agent `cloud` that knows its peer, and an agent `onprem` that knows nobody: one direction is open."""

    def __init__(self, folder: Path) -> None:
        self.signers = {name: keys.generate(f"demarc/{name}") for name in ("cloud", "onprem")}
        text = CHAIN.format(gateway=9, application=9, more="")
        for name, segment in (("cloud", "host"), ("onprem", "far")):
            plain = f"{name}: {{segment: {segment},"
            assert plain in text
            text = text.replace(plain, f'{plain} key: "{self.signers[name].verifier}",')
        chain = folder / "chain.yml"
        chain.write_text(text)
        port = free_port()
        self.onprem = self._agent(folder, chain, "onprem", "[]")
        self.cloud = self._agent(folder, chain, "cloud", f'[{{vantage: onprem, url: "http://127.0.0.1:{port}"}}]')
        self.listen = f"127.0.0.1:{port}"

    def _agent(self, folder: Path, chain: Path, vantage: str, peers: str) -> RunningAgent:
        agent = RunningAgent(folder / vantage, chain, vantage, peers)
        data = folder / vantage / "data"
        data.mkdir()
        (data / "ledger.key").write_text(self.signers[vantage].secret_text() + "\n")
        (data / "ledger.key").chmod(0o600)
        return agent

    def cosigned(self, log: str, witness: str) -> int:
        """Return how many entries of a log have its witness's good cosignature."""
        data = (self.cloud if log == "cloud" else self.onprem).folder / "data" / "ledger.db"
        key = witness_of(self.signers[witness].verifier)
        connection = sqlite3.connect(data)
        try:
            rows = connection.execute("SELECT size, text, signatures FROM checkpoint").fetchall()
        finally:
            connection.close()
        return max((size for size, text, signatures in rows if key.cosigned(text, signatures)), default=0)


def entries(agent: RunningAgent, kind: str) -> list[str]:
    """Return the bodies of a kind in an agent's ledger."""
    connection = sqlite3.connect(agent.folder / "data" / "ledger.db")
    try:
        rows = connection.execute("SELECT body FROM leaf WHERE kind = ?", (kind,)).fetchall()
    finally:
        connection.close()
    return [bytes(body).decode() for (body,) in rows]


def policy_of(pair: Pair, third: keys.Signer) -> Policy:
    """Return the policy that wants the third host's cosignature of the ledger of `onprem`."""
    log = pair.signers["onprem"].verifier
    return parse_policy(f"log {log}\nwitness archive {witness_of(third.verifier)}\nquorum archive\n")


def test_a_host_without_an_agent_is_a_witness_by_a_timer(tmp_path: Path) -> None:
    """One command fetches, cosigns and hands over; the agent shows the witness, and a policy finds it."""
    third = keys.generate("witness.client.example")
    pair = Pair(tmp_path)
    chain = tmp_path / "chain.yml"
    text = f'witnesses: {{archive: {{party: msp, key: "{witness_of(third.verifier)}"}}}}\nprobes:'
    chain.write_text(chain.read_text().replace("probes:", text, 1))
    (tmp_path / "key").write_text(third.secret_text())
    with pair.onprem.start(pair.listen):
        files = [f"--{name}={tmp_path / name}" for name in ("key", "memory")]
        words = [f"http://{pair.listen}", "--log", str(pair.signers["onprem"].verifier), *files]
        eventually(lambda: CliRunner().invoke(cosign, words).exit_code == 0)
        again = CliRunner().invoke(cosign, words)
        assert again.exit_code == 0, again.output
        shown = eventually(lambda: pair.onprem.status()["witnesses"])
        assert [(one["vantage"], one["silent"]) for one in shown] == [("archive", False)]
        assert check(pair.onprem.folder / "data" / "ledger.db", policy_of(pair, third)).ok
        wrong = CliRunner().invoke(cosign, [words[0], "--log", str(pair.signers["cloud"].verifier), *files])
        assert (wrong.exit_code, "'demarc/onprem' is not known here" in wrong.output) == (1, True)


def test_agents_cosign_each_other_and_a_restored_one_stops(tmp_path: Path) -> None:
    """Both ledgers get the other's cosignature; one that went back stops, and the other keeps the evidence."""
    pair = Pair(tmp_path)
    data = pair.cloud.folder / "data"
    with pair.onprem.start(pair.listen), pair.cloud:
        pair.cloud.start().end()
        old = {path: path.read_bytes() for path in data.glob("ledger*")}
        pair.cloud.start()
        eventually(lambda: pair.cosigned("cloud", "onprem") > 2)
        eventually(lambda: pair.cosigned("onprem", "cloud"))
        told = json.loads(pair.onprem.get("/api/v1/ledger/evidence?since=0&until=1&witness=demarc/cloud"))
        assert (told["key"], told["entries"]) == (str(pair.signers["onprem"].verifier), [])
        with pytest.raises(urllib.error.HTTPError, match="400"):
            pair.onprem.get("/api/v1/ledger/evidence?since=yesterday")
        eventually(lambda: pair.cloud.metric("demarc_ledger_cosigned_entries", peer="onprem") > 0)
        pair.cloud.end()
        assert check(data / "ledger.db").ok
        for path in data.glob("ledger*"):
            path.unlink()
        for path, content in old.items():
            path.write_bytes(content)
        for _ in range(2):  # more entries than were cosigned: fewer would contradict nothing
            pair.cloud.start().end()
        pair.cloud.start()
        stopped = eventually(lambda: pair.cloud.logged("ledger-stopped"))
        assert "its key has signed" in stopped[0]["reason"]
        eventually(lambda: entries(pair.onprem, "conflict"))
