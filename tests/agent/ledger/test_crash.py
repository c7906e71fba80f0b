"""A writer that is killed at any moment: what it had acknowledged is there, and the whole is sound."""

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from agent.ledger.check import check

CHILD = """
import sys
from agent.ledger import Ledger
ledger = Ledger.open(sys.argv[1] + "/ledger.db", sys.argv[1] + "/ledger.key", "demarc.example/cloud")
for number in range(10**9):
    body = {"time": number, "vantage": "cloud", "reason": "x" * (number % 3000)}
    receipt = ledger.append("agent-stop", body, state=b"%d" % number).result()
    print(receipt.index, receipt.hash, flush=True)
"""


def killed_again_and_again(folder: Path, kills: int) -> None:
    """Kill a writer with SIGKILL at no particular moment and check what it had acknowledged, each time."""
    acknowledged: dict[int, str] = {}
    for kill in range(kills):
        with subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            for _ in range(5 + kill * 7 % 40):
                index, digest = child.stdout.readline().split()
                acknowledged[int(index)] = digest
            child.send_signal(signal.SIGKILL)
            for line in child.stdout.read().splitlines(keepends=True):
                if line.endswith("\n"):
                    index, digest = line.split()
                    acknowledged[int(index)] = digest
        verdict = check(folder / "ledger.db")
        assert verdict.problems == ()
        connection = sqlite3.connect(folder / "ledger.db")
        kept = {index: digest.hex() for index, digest in connection.execute("SELECT idx, hash FROM leaf")}
        leaf = connection.execute("SELECT leaf FROM state").fetchone()[0]
        connection.close()
        assert acknowledged.items() <= kept.items()
        assert leaf == max(kept)  # state and entry were written together


def test_kill_at_any_time_loses_nothing_acknowledged(tmp_path: Path) -> None:
    """A few times; the full count runs under soak."""
    killed_again_and_again(tmp_path, 3)


@pytest.mark.soak
def test_kill_at_any_time_loses_nothing_acknowledged_in_the_long_run(tmp_path: Path) -> None:
    """Two hundred times."""
    killed_again_and_again(tmp_path, 200)
