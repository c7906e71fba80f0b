"""The ike probe against real strongSwan daemons: alive, dead, filtered, and nothing left behind at the peer."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.peers.test_strongswan_charon import Gateway, run, wait_for

pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("charon-systemd"), reason="root and charon-systemd"),
]

NO_PROPOSAL_CHOSEN = 14.0
SETUPS = 7
PROBES = 20


class Peer(Gateway):
    """A gateway that writes its log to a file and can be asked for its counts."""

    def __init__(self, directory: Path, name: str, own: int, *, initiates: bool) -> None:
        super().__init__(directory, name, own, initiates=initiates)
        self.log = directory / f"{own}.log"
        with (directory / f"{own}.conf").open("a") as file:
            file.write(
                f"charon-systemd {{ filelog {{ log {{ path = {self.log}\n default = 1\n flush_line = yes }} }} }}\n"
            )

    def said(self, *arguments: str) -> str:
        """Return what swanctl prints."""
        done = subprocess.run(
            ["swanctl", *arguments, "--uri", f"unix://{self.vici}"],
            env=self.environment,
            check=True,
            capture_output=True,
            timeout=20,
            text=True,
        )
        return done.stdout

    def half_open(self) -> int:
        """Return the half-open IKE SAs that it holds."""
        found = re.search(r"(\d+) half-open", self.said("--stats"))
        assert found is not None
        return int(found[1])

    def ask(self, target: str, count: int = 1, *more: str) -> list[tuple[str | None, float | None, str, str | None]]:
        """Probe `target` from this gateway's own address: (fault, notification, detail, by) of each attempt."""
        asking = (sys.executable, "-m", "tests.peers.ike_asking", target, str(count), *more)
        done = subprocess.run(
            ["ip", "netns", "exec", self.namespace, *asking],
            cwd=Path(__file__).parents[2],
            check=True,
            capture_output=True,
            timeout=60,
            text=True,
        )
        return [tuple(row) for row in json.loads(done.stdout)]

    def setup_seconds(self) -> float:
        """Return how long the tunnel takes to stand again, median of SETUPS."""
        taken = []
        for _ in range(SETUPS):
            self.swanctl("--terminate", "--ike", "site", "--force")
            began = time.monotonic()
            self.swanctl("--initiate", "--child", "net")
            taken.append(time.monotonic() - began)
        return statistics.median(taken)


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[tuple[Peer, Peer]]:
    """Give an initiator and a responder, each configured, without a tunnel yet."""
    name = f"dk{uuid.uuid4().hex[:6]}-"
    # Both wait to be told: a tunnel that comes by itself would be counted as half-open on its way.
    near, far = (Peer(tmp_path, name, own, initiates=False) for own in (1, 2))
    try:
        for gateway in (near, far):
            run("ip", "netns", "add", gateway.namespace)
        run("ip", "-n", near.namespace, "link", "add", "wan", "type", "veth", "peer", "wan", "netns", far.namespace)
        for gateway in (near, far):
            run("ip", "-n", gateway.namespace, "addr", "add", f"192.0.2.{gateway.own}/24", "dev", "wan")
            run("ip", "-n", gateway.namespace, "addr", "add", f"10.{gateway.own}.0.1/24", "dev", "lo")
            for link in ("lo", "wan"):
                run("ip", "-n", gateway.namespace, "link", "set", link, "up")
            gateway.start()
            gateway.load()
        yield near, far
    finally:
        for gateway in (near, far):
            gateway.stop()
            run("ip", "netns", "del", gateway.namespace, check=False)


def test_a_live_daemon_keeps_nothing_of_us(peers: tuple[Peer, Peer]) -> None:
    """Twenty probes leave no half-open SA, and the real tunnel is set up as fast as before."""
    near, far = peers
    near.swanctl("--initiate", "--child", "net")
    before = near.setup_seconds()
    near.swanctl("--terminate", "--ike", "site", "--force")
    found = near.ask("192.0.2.2", PROBES)
    assert far.half_open() == 0
    assert [row[:3] for row in found] == [(None, NO_PROPOSAL_CHOSEN, "NO_PROPOSAL_CHOSEN")] * PROBES
    near.swanctl("--initiate", "--child", "net")
    after = near.setup_seconds()
    assert after < 2 * before + 0.2, f"{before:.3f} s before, {after:.3f} s after"
    log = far.log.read_text()
    assert log.count("received proposals unacceptable") == PROBES
    assert log.count("IKE_SA_INIT response 0 [ N(NO_PROP) ]") == PROBES


def test_an_accepted_proposal_would_be_kept(peers: tuple[Peer, Peer]) -> None:
    """The counter-test: a proposal that the peer accepts leaves half-open SAs, then cookies, and says so."""
    near, far = peers
    found = near.ask("192.0.2.2", 3, "--accept")
    assert far.half_open() == 3
    assert all("half-open" in row[2] for row in found)


def test_probing_while_the_tunnel_stands(peers: tuple[Peer, Peer]) -> None:
    """On both ports, from the address of a gateway whose tunnel is up: answered, and the tunnel stays."""
    near, far = peers
    near.swanctl("--initiate", "--child", "net")
    for more in ((), ("--nat-traversal",)):
        ((fault, notify, *_),) = near.ask("192.0.2.2", 1, *more)
        assert (fault, notify) == (None, NO_PROPOSAL_CHOSEN)
    assert far.half_open() == 0
    assert "ESTABLISHED" in near.said("--list-sas")
    assert far.said("--stats").count("IKE_SAs: 1 total") == 1


def test_a_gateway_that_knows_us_not_still_answers(peers: tuple[Peer, Peer]) -> None:
    """Without any configuration for our address the daemon refuses too: alive is not configured."""
    near, far = peers
    (far.dir / "none").write_text("")
    far.swanctl("--load-all", "--clear", "--file", str(far.dir / "none"))
    ((fault, notify, *_),) = near.ask("192.0.2.2")
    assert (fault, notify) == (None, NO_PROPOSAL_CHOSEN)


def test_dead_filtered_and_hung_are_told_apart(peers: tuple[Peer, Peer]) -> None:
    """A hung daemon is silent, a dead one's port is refused, a filter that says so is named."""
    near, far = peers
    assert far.daemon is not None
    far.daemon.send_signal(signal.SIGSTOP)
    try:
        assert near.ask("192.0.2.2")[0][0] == "timeout"
    finally:
        far.daemon.send_signal(signal.SIGCONT)
    far.inside("nft", "add table inet f; add chain inet f in { type filter hook input priority 0; }")
    far.inside("nft", "add rule inet f in udp dport 500 reject with icmp type admin-prohibited")
    ((fault, _, _, by),) = near.ask("192.0.2.2")
    assert (fault, by) == ("prohibited", "192.0.2.2")
    far.inside("nft", "flush chain inet f in; add rule inet f in udp dport 500 drop")
    assert near.ask("192.0.2.2")[0][0] == "timeout"
    assert near.ask("192.0.2.2", 1, "--nat-traversal")[0][0] is None
    far.inside("nft", "delete table inet f")
    far.stop()
    assert near.ask("192.0.2.2")[0][0] == "refused"
    near.inside("ip", "link", "set", "wan", "down")
    assert near.ask("192.0.2.2")[0][0] == "no-route"


def test_a_gateway_that_comes_back_is_seen(peers: tuple[Peer, Peer]) -> None:
    """The next attempt after a restart is answered."""
    near, far = peers
    far.stop()
    assert near.ask("192.0.2.2")[0][0] == "refused"
    far.start()
    wait_for(lambda: near.ask("192.0.2.2")[0][0] is None)
