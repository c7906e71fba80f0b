"""The agent as a real process: start, stop, reload, faults, restarts, standstill, two agents."""

import json
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.peers.monitoring import free_port
from tests.peers.running_agent import CHAIN, CHECKOUT, PATIENCE_SECONDS, Listener, RunningAgent, eventually

pytestmark = pytest.mark.peer


class Site:
    """A gateway and an application on loopback, and the chain file over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.gateway, self.application = Listener(), Listener()
        self.chain = folder / "chain.yml"
        self.write()

    def write(self, more: str = "") -> None:
        """Write the chain file, with more probes."""
        text = CHAIN.format(gateway=self.gateway.port, application=self.application.port, more=more)
        self.chain.write_text(text)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Return a site whose servers run."""
    made = Site(tmp_path)
    yield made
    made.gateway.stop()
    made.application.stop()


def test_runs_serves_and_stops_in_order(site: Site) -> None:
    """It measures at once, shows page, API and metrics, tells systemd, and leaves an orderly stop behind."""
    address = str(site.folder / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address)
        systemd.settimeout(PATIENCE_SECONDS)
        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "400000"}
        with RunningAgent(site.folder / "a", site.chain, environment=environment).start() as agent:
            assert systemd.recv(4096).decode().splitlines()[0] == "READY=1"
            assert systemd.recv(4096) == b"WATCHDOG=1"
            assert systemd.recv(4096) == b"WATCHDOG=1"
            eventually(lambda: agent.metric("demarc_probe_results_total", outcome="ok", probe="erp") >= 3)
            assert agent.get("/-/ready") == "demarc is ready.\n"
            assert "ERP" in agent.get("/")
            assert eventually(lambda: agent.status()["segments"])[0]["state"] == "ok"
            began = time.monotonic()
            assert agent.end() == 0
            assert time.monotonic() - began < 5
            assert agent.logged("stopping")[0]["reason"] == "SIGTERM"
            said = b""
            while b"STOPPING=1" not in said:
                said = systemd.recv(4096)
    exported = subprocess.run(
        RunningAgent.command("ledger", "export", "--help"), cwd=CHECKOUT, capture_output=True, check=False
    )
    assert exported.returncode == 0
    assert not agent.transitions()


def test_fault_is_attributed_and_survives_a_kill(site: Site) -> None:
    """An application that refuses is its owner's; killed in the middle, the agent goes on with the same incident."""
    with RunningAgent(site.folder / "a", site.chain).start() as agent:
        eventually(lambda: agent.metric("demarc_probe_success", probe="erp"))
        site.application.stop()
        confirmed = eventually(lambda: agent.transitions("confirmed"))[0]
        assert (confirmed["party"], confirmed["segments"]) == ("incumbent", ["app"])
        agent.end(signal.SIGKILL)
        agent.start()
        open_ = eventually(lambda: agent.status()["incidents"])
        assert [incident["id"] for incident in open_] == [confirmed["incident"]]
        site.application.again()
        closed = eventually(lambda: agent.transitions("closed"), 120)
        assert closed[0]["incident"] == confirmed["incident"]
        assert agent.end() == 0


def test_bad_reload_keeps_the_running_configuration(site: Site) -> None:
    """A bad file changes nothing but the metric and the log; a good one keeps counters and adds probes."""
    with RunningAgent(site.folder / "a", site.chain).start() as agent:

        def passed() -> float:
            return agent.metric("demarc_probe_results_total", outcome="ok", probe="erp")

        eventually(lambda: passed() >= 5)
        good = site.chain.read_text()
        site.chain.write_text(good.replace("owner: msp", "owner: nobody", 1))
        assert agent.reload() == 500
        eventually(lambda: agent.metric("demarc_config_last_reload_successful") == 0)
        # The log is written beside the answer.
        eventually(lambda: any("nobody" in line["problem"] for line in agent.logged("reload-refused")))
        before = passed()
        assert eventually(lambda: passed() > before)
        more = f'  more: {{type: tcp, from: cloud, target: "127.0.0.1:{site.gateway.port}", path: [host, gw]}}'
        site.write(more)
        agent.process.send_signal(signal.SIGHUP)
        eventually(lambda: agent.metric("demarc_probe_success", probe="more"))
        eventually(lambda: agent.metric("demarc_config_last_reload_successful") == 1)
        assert passed() > before
        agent.file.write_text(agent.file.read_text().replace("vantage: cloud", "vantage: onprem"))
        assert agent.reload() == 500
        eventually(lambda: any("restart" in line["problem"] for line in agent.logged("reload-refused")))
        assert agent.end() == 0


def test_suspended_process_never_fails_a_probe(site: Site) -> None:
    """While it is stopped the application goes away and returns: that is nobody's fault."""
    with RunningAgent(site.folder / "a", site.chain).start() as agent:
        eventually(lambda: agent.metric("demarc_probe_success", probe="erp"))
        agent.process.send_signal(signal.SIGSTOP)
        time.sleep(1.6)
        agent.process.send_signal(signal.SIGCONT)
        eventually(lambda: agent.metric("demarc_probe_results_total", outcome="failed", probe="self"))
        assert agent.metric("demarc_probe_results_total", outcome="failed", probe="erp") == 0
        opened = eventually(agent.transitions)
        assert {line["kind"] for line in opened} == {"monitor"}
        assert agent.end() == 0


def reachable_peers(agent: RunningAgent) -> list[dict[str, Any]]:
    """Return the peers that answer."""
    return [peer for peer in agent.status()["peers"] if peer["reachable"]]


def corroborated(agent: RunningAgent) -> list[dict[str, Any]]:
    """Return the transitions that rest on both sides' word."""
    return [line for line in agent.transitions() if line["standing"] == "corroborated"]


def test_two_agents_corroborate(site: Site) -> None:
    """Each pulls the other's observations and both name the same party, on both sides' word."""
    ports = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    numbers = [holder.getsockname()[1] for holder in ports]
    for holder in ports:
        holder.close()
    agents = [
        RunningAgent(
            site.folder / vantage,
            site.chain,
            vantage,
            f'[{{vantage: {other}, url: "http://127.0.0.1:{numbers[1 - own]}"}}]',
        )
        for own, (vantage, other) in enumerate((("cloud", "onprem"), ("onprem", "cloud")))
    ]
    with agents[0].start(f"127.0.0.1:{numbers[0]}") as cloud, agents[1].start(f"127.0.0.1:{numbers[1]}") as onprem:
        for agent in (cloud, onprem):
            assert eventually(partial(reachable_peers, agent))[0]["same_chain"] is True
        site.application.stop()
        for agent in (cloud, onprem):
            assert {line["party"] for line in eventually(partial(corroborated, agent))} == {"incumbent"}
        site.write("  more: {type: tcp, from: cloud, target: '127.0.0.1:9', path: [host, gw]}")
        assert onprem.reload() == 200
        eventually(lambda: cloud.status()["peers"][0]["same_chain"] is False)
        onprem.end()
        eventually(lambda: cloud.status()["peers"][0]["reachable"] is False)
        assert cloud.end() == 0


def test_with_keys_only_signed_answers_count(site: Site) -> None:
    """Once the chain file names an agent's key only its signed answers count, a stranger's do not."""
    port = free_port()
    peer = f'[{{vantage: onprem, url: "http://127.0.0.1:{port}"}}]'
    cloud = RunningAgent(site.folder / "cloud", site.chain, "cloud", peer)
    onprem = RunningAgent(site.folder / "onprem", site.chain, "onprem")
    with cloud.start(), onprem.start(f"127.0.0.1:{port}"):
        assert eventually(partial(reachable_peers, cloud))[0]["signed"] is False
        key = run("ledger", "key", str(site.folder / "onprem" / "data")).stdout.strip()
        text = site.chain.read_text()
        site.chain.write_text(text.replace("operator: incumbent", f"operator: incumbent, key: {key}"))
        assert (onprem.reload(), cloud.reload()) == (200, 200)
        signed = eventually(lambda: [p for p in cloud.status()["peers"] if p["signed"] and p["same_chain"]])[0]
        assert abs(signed["clock_offset"]) <= signed["clock_error"]
        assert onprem.end() == 0
    impostor = RunningAgent(site.folder / "impostor", site.chain, "onprem")
    with cloud.start(), impostor.start(f"127.0.0.1:{port}"):
        refused = eventually(lambda: [p for p in cloud.status()["peers"] if "not signed" in p["detail"]])[0]
        assert refused["reachable"] is False


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run `demarc` to its end."""
    return subprocess.run(
        RunningAgent.command(*words), cwd=CHECKOUT, capture_output=True, text=True, timeout=60, check=False
    )


def test_what_keeps_it_from_starting(site: Site, tmp_path: Path) -> None:
    """Every reason has its exit code and says what to do."""
    agent = RunningAgent(site.folder / "a", site.chain)
    words = ("run", "--config.file", str(agent.file), "--web.listen-address")
    taken = run(*words, f"127.0.0.1:{site.gateway.port}")
    assert (taken.returncode, "another --web.listen-address" in taken.stderr) == (69, True)
    with agent.start():
        used = run(*words, "127.0.0.1:0")
        assert (used.returncode, "another agent uses the data directory" in used.stderr) == (73, True)
    (agent.folder / "file").write_text("")
    agent.file.write_text(agent.file.read_text().replace("/data", "/file/data"))
    unwritable = run(*words, "127.0.0.1:0")
    assert (unwritable.returncode, "install -d" in unwritable.stderr) == (73, True)
    site.chain.write_text(site.chain.read_text().replace("owner: msp", "owner: nobody"))
    wrong = run(*words, "127.0.0.1:0")
    assert wrong.returncode == 78
    assert wrong.stderr.count("nobody") == 2
    assert "chain.yml:" in wrong.stderr


def test_probe_shows_one_attempt(site: Site) -> None:
    """`demarc probe` tells passed from failed by its exit code, with meaning and remedy of a fault."""
    agent = RunningAgent(site.folder / "a", site.chain)
    words = ("probe", "erp", "--config.file", str(agent.file))
    passed = run(*words)
    assert (passed.returncode, "outcome    ok" in passed.stdout) == (0, True)
    site.application.stop()
    failed = run(*words, "--format", "json")
    told = json.loads(failed.stdout)
    assert (failed.returncode, told["outcome"], told["stage"], told["fault"]) == (1, "failed", "connect", "refused")
    assert told["remedy"]
    assert run("probe", "local", *words[2:]).returncode == 2
    site.application.again()


def test_doctor_finds_what_is_missing(site: Site) -> None:
    """`demarc doctor` names a peer that is silent, without failing for it."""
    peers = '[{vantage: onprem, url: "http://127.0.0.1:9"}]'
    agent = RunningAgent(site.folder / "a", site.chain, peers=peers)
    done = run("doctor", "--config.file", str(agent.file), "--format", "json")
    findings = {finding["subject"]: finding for finding in json.loads(done.stdout)["findings"]}
    assert findings["packages"]["state"] == "ok"
    assert findings["data"]["state"] == "ok"
    assert findings["peer onprem"]["state"] == "warn"
    assert findings["peer onprem"]["remedy"]
    assert done.returncode == 0
