"""A disk that fails a call, and power that goes at any moment: nothing acknowledged is lost, and nothing forks.

A small C library stands between SQLite and the C library; see `ledger_disk/shim.c`.
"""

import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from agent.ledger import Ledger, note
from agent.ledger.check import check
from tests.peers.ledger_disk.power import Disk, Event, events

pytestmark = pytest.mark.peer

HERE = Path(__file__).parent / "ledger_disk"
ORIGIN = "demarc.example/cloud"
WAIT = 30.0
CALLS = (
    "open",
    "pwrite",
    "short",
    "write",
    "pread",
    "ftruncate",
    "fdatasync",
    "fsync",
    "unlink",
    "link",
    "fstat",
    "mmap",
    "lock",
)


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the compiled shim; skipped where there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    path = tmp_path_factory.mktemp("shim") / "shim.so"
    words = [compiler, "-shared", "-fPIC", "-O1", "-o", str(path), str(HERE / "shim.c"), "-ldl"]
    subprocess.run(words, check=True, timeout=60)
    return path


def driven(shim: Path, *words: str) -> list[dict[str, object]]:
    """Run the driver under the shim; return what it prints."""
    environment = {**os.environ, "LD_PRELOAD": str(shim)}
    command = [sys.executable, str(HERE / "driver.py"), *words]
    checkout = str(HERE.parents[2])
    done = subprocess.run(
        command,
        env=environment | {"PYTHONPATH": checkout},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


class Told:
    """What a writer told the world before it ended: entries and checkpoints, by index and size."""

    def __init__(self) -> None:
        self.entries: dict[int, str] = {}
        self.checkpoints: dict[int, str] = {}

    def hear(self, text: str) -> None:
        """Take one line."""
        what, _, rest = text.partition(" ")
        if what == "entry":
            index, digest = rest.split()
            self.entries[int(index)] = digest
        elif what == "checkpoint":
            told = json.loads(rest)
            self.checkpoints[note.parse_checkpoint(told).size] = told

    def holds(self, folder: Path) -> None:
        """Check that the ledger in a folder has all of it, before and after the agent has gone on with it."""
        before = check(folder / "ledger.db")
        if before.ok:
            self._kept(folder)
        alarms: list[str] = []
        ledger = Ledger.open(folder / "ledger.db", folder / "ledger.key", ORIGIN, alarm=alarms.append)
        ledger.append("agent-stop", {"time": 1, "vantage": "cloud", "reason": "after"}).exception(WAIT)
        ledger.close(WAIT)
        assert alarms == []
        assert check(folder / "ledger.db").problems == ()
        self._kept(folder)

    def _kept(self, folder: Path) -> None:
        connection = sqlite3.connect(folder / "ledger.db")
        kept = {index: digest.hex() for index, digest in connection.execute("SELECT idx, hash FROM leaf")}
        signed = dict(connection.execute("SELECT size, text FROM checkpoint"))
        connection.close()
        assert self.entries.items() <= kept.items()
        assert self.checkpoints.items() <= signed.items()


def failing(shim: Path, folder: Path, call: str, number: int, *, once: bool, first: int, last: int, step: int) -> int:
    """Let one call fail at each of these times; return how often it did."""
    hits = 0
    words = (call, str(number), str(int(once)), str(first), str(last), str(step))
    for case in driven(shim, "fail", str(folder), *words):
        told, lines = Told(), case["told"]
        assert isinstance(lines, list)
        assert lines[-1].startswith("end "), case
        for line in lines:
            told.hear(line)
        hit = lines[-1].split(" ")[1] != "0"
        hits += hit
        told.holds(folder / str(case["at"]))
        if not hit:
            break
    return hits


@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_loses_nothing(shim: Path, tmp_path: Path, call: str) -> None:
    """Some places for each call; every place under soak."""
    assert failing(shim, tmp_path, call, errno.EIO, once=False, first=1, last=59, step=29)


@pytest.mark.soak
@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("once", [False, True])
@pytest.mark.parametrize("call", CALLS)
def test_a_call_that_fails_anywhere_loses_nothing(
    shim: Path, tmp_path: Path, call: str, number: int, *, once: bool
) -> None:
    """At each of its times, once and for good."""
    # SQLite waits ten seconds for a lock that never comes (walTryBeginRead), so not at all of those.
    step = 1 if once or call != "lock" else 13
    assert failing(shim, tmp_path, call, number, once=once, first=1, last=200, step=step)


def power_cuts(shim: Path, folder: Path, cuts: int) -> None:
    """Write once, and cut the power at so many moments of it."""
    (told,) = driven(shim, "trace", str(folder / "data"), str(folder / "trace"), "300")
    assert told == {"reason": ""}
    recorded = list(events((folder / "trace").read_bytes()))
    assert sum(event.kind == "s" for event in recorded) > 300
    rng = random.Random(cuts)
    moments = sorted(rng.sample(range(len(recorded)), cuts))
    disk, heard = Disk(), Told()
    for moment, event in enumerate(recorded):
        if moments and moment == moments[0]:
            moments.pop(0)
            after_cut(disk, rng, heard, folder / "cut")
        take(disk, heard, event)
    assert heard.entries


def take(disk: Disk, heard: Told, event: Event) -> None:
    """Let disk and world hear of an event."""
    if event.kind == "m":
        heard.hear(event.name)
    elif not event.name.endswith("-shm"):  # shared memory: nothing that must last
        disk.take(event)


def after_cut(disk: Disk, rng: random.Random, heard: Told, folder: Path) -> None:
    """Put what the cut leaves into a folder and check it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, content in disk.cut(rng).items():
        (folder / name).write_bytes(content)
    heard.holds(folder)


def test_power_cuts_lose_nothing(shim: Path, tmp_path: Path) -> None:
    """Forty moments; fifteen hundred under soak."""
    power_cuts(shim, tmp_path, 40)


@pytest.mark.soak
def test_fifteen_hundred_power_cuts_lose_nothing(shim: Path, tmp_path: Path) -> None:
    """With torn sectors, at moments all over a run that folds its log into the file several times."""
    power_cuts(shim, tmp_path, 1500)
