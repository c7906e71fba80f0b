"""A disk that is really full, or cannot be written: ledger and store on a tiny file system, and under a limit."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.ledger import Ledger, LedgerStoppedError
from agent.ledger.check import check
from agent.observation import Observation
from agent.store import Store
from agent.store.store import Limits
from probes.kit.result import Outcome

pytestmark = pytest.mark.peer

WAIT = 20.0
TINY = "size=512k"
START = time.time()  # what is older than a week is forgotten


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of half a megabyte; skipped where it cannot be mounted."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", TINY, "tmpfs", str(tmp_path)], capture_output=True, text=True, check=False
    )
    if made.returncode:
        pytest.skip(f"cannot mount a tmpfs: {made.stderr.strip()}")
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def test_the_ledger_stops_loudly_and_loses_nothing_acknowledged(tiny: Path) -> None:
    """What was acknowledged verifies; after the fault nothing is written, also when there is space again."""
    alarms: list[str] = []
    ledger = Ledger.open(tiny / "ledger.db", tiny / "ledger.key", "demarc.example/full", alarm=alarms.append)
    acknowledged = 0
    for number in range(10_000):
        future = ledger.append("agent-stop", {"time": number, "vantage": "v", "reason": "x" * 2000})
        if future.exception(WAIT) is not None:
            break
        acknowledged += 1
    assert 10 < acknowledged < 10_000
    assert not ledger.health.recording
    assert len(alarms) == 1
    assert "full" in alarms[0]
    subprocess.run(["mount", "-o", "remount,size=4m", str(tiny)], check=True)
    assert isinstance(
        ledger.append("incident", {"time": 1, "vantage": "v", "reason": "r"}).exception(WAIT), LedgerStoppedError
    )
    ledger.close()
    verdict = check(tiny / "ledger.db")
    assert verdict.problems == ()
    assert verdict.entries == acknowledged
    again = Ledger.open(tiny / "ledger.db", tiny / "ledger.key", "demarc.example/full", alarm=pytest.fail)
    again.append("agent-stop", {"time": 1, "vantage": "v", "reason": "r"}).result(WAIT)
    assert again.close()
    assert check(tiny / "ledger.db").ok


def test_the_store_resumes_when_space_returns(tiny: Path) -> None:
    """The results of the meantime are lost, counted, and a gap says so."""
    alarms: list[str] = []
    limits = Limits(batch_seconds=0.01, retry_seconds=0.05)
    store = Store.open(tiny / "observations.db", limits=limits, alarm=alarms.append)
    number = 0

    def give(count: int) -> None:
        nonlocal number
        for _ in range(count):
            number += 1
            store.observation(
                Observation(
                    time=START + number, round=number, vantage="v", probe="p", outcome=Outcome.OK, detail="x" * 500
                )
            )
        assert store.flush(WAIT)

    while store.health.recording and number < 100_000:
        give(50)
    assert number < 100_000
    assert "full" in alarms[0]
    lost = store.health.dropped
    assert lost > 0
    subprocess.run(["mount", "-o", "remount,size=8m", str(tiny)], check=True)
    while not store.health.recording:
        give(1)
    give(50)
    assert store.close(WAIT)
    assert len(alarms) == 1
    assert len(list(store.export(0, 1e12))) == store.health.written


def test_a_medium_that_cannot_be_written(tiny: Path) -> None:
    """A ledger on it is checked as it stands; an agent on it does not record, and says why."""
    ledger = Ledger.open(tiny / "ledger.db", tiny / "ledger.key", "demarc.example/ro", alarm=pytest.fail)
    ledger.append("agent-stop", {"time": 1, "vantage": "v", "reason": "r"}).result(WAIT)
    assert ledger.close()
    subprocess.run(["mount", "-o", "remount,ro", str(tiny)], check=True)
    verdict = check(tiny / "ledger.db")
    assert (verdict.ok, verdict.entries) == (True, 1)
    alarms: list[str] = []
    ledger = Ledger.open(tiny / "ledger.db", tiny / "ledger.key", "demarc.example/ro", alarm=alarms.append)
    failure = ledger.append("incident", {"time": 1, "vantage": "v", "reason": "r"}).exception(WAIT)
    assert isinstance(failure, LedgerStoppedError)
    assert not ledger.health.recording
    assert len(alarms) == 1
    ledger.close()
    store = Store.open(tiny / "observations.db", alarm=alarms.append)
    store.observation(Observation(time=START, round=1, vantage="v", probe="p", outcome=Outcome.OK))
    assert store.flush(WAIT)
    assert not store.health.recording
    store.close()
    assert len(alarms) == 2


CHILD = """
import resource, sys
from agent.ledger import Ledger
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
ledger = Ledger.open(sys.argv[1] + "/ledger.db", sys.argv[1] + "/ledger.key", "demarc.example/limit")
count = 0
for number in range(10_000):
    future = ledger.append("agent-stop", {"time": number, "vantage": "v", "reason": "x" * 500})
    if future.exception() is not None:
        break
    count += 1
print(count, ledger.health.recording, ledger.close())
"""


def test_a_limit_on_file_sizes(tmp_path: Path) -> None:
    """The process goes on, and what was acknowledged verifies."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(tmp_path)], capture_output=True, text=True, check=True)
    count, recording, _ = done.stdout.split()
    assert 0 < int(count) < 10_000
    assert recording == "False"
    verdict = check(tmp_path / "ledger.db")
    assert verdict.problems == ()
    assert verdict.entries == int(count)
