"""The ledger under its daemon: acknowledgement, restart, a full queue, and every way in which its file can fail."""

import os
import sqlite3
import stat
import threading
from concurrent.futures import Future
from contextlib import closing
from pathlib import Path

import pytest

from agent.ledger import Ledger, LedgerFullError, LedgerStoppedError, Receipt
from agent.ledger.check import check
from agent.ledger.ledger import Health
from agent.ledger.storage import Job, Storage, StorageError, open_storage

ORIGIN = "demarc.example/cloud"
WAIT = 10.0


def opened(folder: Path, alarms: list[str] | None = None, **more: float) -> Ledger:
    """Open the ledger of a folder."""
    alarm = alarms.append if alarms is not None else pytest.fail
    return Ledger.open(folder / "ledger.db", folder / "ledger.key", ORIGIN, alarm=alarm, **more)  # type: ignore[arg-type]


def stop_entry(number: int) -> dict[str, object]:
    """Return a body of kind agent-stop."""
    return {"time": number, "vantage": "cloud", "reason": f"number {number}"}


def filled(folder: Path, count: int) -> None:
    """Make a ledger of so many entries and close it."""
    ledger = opened(folder)
    for number in range(count):
        ledger.append("agent-stop", stop_entry(number), state=b"state %d" % number)
    assert ledger.close(WAIT)


def test_an_acknowledged_entry_is_in_the_file(tmp_path: Path) -> None:
    """The receipt names index and hash, and another connection sees them at once."""
    ledger = opened(tmp_path)
    receipts = [ledger.append("agent-stop", stop_entry(number)).result(WAIT) for number in range(5)]
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        rows = connection.execute("SELECT idx, hash FROM leaf").fetchall()
    assert [(receipt.index, bytes.fromhex(receipt.hash)) for receipt in receipts] == rows
    ledger.close()


def test_a_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """State and numbering survive, and the whole is still sound and signed."""
    for start in range(0, 21, 3):
        ledger = opened(tmp_path)
        assert ledger.health == Health(recording=True, size=start)
        assert ledger.saved_state() == (b"state %d" % (start - 1) if start else None)
        for number in range(start, start + 3):
            ledger.append("agent-stop", stop_entry(number), state=b"state %d" % number)
        assert ledger.close(WAIT)
    verdict = check(tmp_path / "ledger.db")
    assert (verdict.ok, verdict.entries, verdict.signed, verdict.problems) == (True, 21, 21, ())


def test_an_entry_without_state_keeps_the_saved_one(tmp_path: Path) -> None:
    """Only an incident's entry brings a new state."""
    filled(tmp_path, 2)
    ledger = opened(tmp_path)
    ledger.append("agent-stop", stop_entry(3)).result(WAIT)
    ledger.close()
    ledger = opened(tmp_path)
    assert ledger.saved_state() == b"state 1"
    ledger.close()


def test_an_entry_can_erase_details_of_others(tmp_path: Path) -> None:
    """What is erased is in no byte of the files; the entries and the other details stand."""
    ledger = opened(tmp_path)
    ledger.append("agent-stop", stop_entry(1), details={"person": b"erased-Jansen", "place": b"kept-Utrecht"})
    why: dict[str, object] = {
        "vantage": "v",
        "erased": [{"entry": 0, "name": "person"}],
        "basis": "request",
        "reason": "left",
    }
    ledger.append("erasure", {"time": 2, **why}, erase=[(0, "person")]).result(WAIT)
    ledger.append("agent-stop", stop_entry(3)).result(WAIT)
    held = b"".join(file.read_bytes() for file in tmp_path.glob("ledger.db*"))
    assert (b"erased-Jansen" in held, b"kept-Utrecht" in held) == (False, True)
    ledger.close()
    verdict = check(tmp_path / "ledger.db")
    assert (verdict.erased, verdict.problems) == (1, ())


def test_the_key_is_private_and_made_once(tmp_path: Path) -> None:
    """Mode 0600 whatever the umask, and the second start uses the first one's key."""
    before = os.umask(0)
    try:
        opened(tmp_path).close()
    finally:
        os.umask(before)
    key = tmp_path / "ledger.key"
    text = key.read_text()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    opened(tmp_path).close()
    assert key.read_text() == text


def test_details_are_bound_and_can_be_erased(tmp_path: Path) -> None:
    """A detail verifies while it is there, and the entry without it."""
    ledger = opened(tmp_path)
    ledger.append("agent-stop", stop_entry(1), details={"person": b"Jansen"}).result(WAIT)
    ledger.close()
    assert check(tmp_path / "ledger.db").erased == 0
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("DELETE FROM detail")
    connection.close()
    verdict = check(tmp_path / "ledger.db")
    assert (verdict.problems, verdict.erased) == (("entry 0: the detail 'person' is gone, and no entry says why",), 1)
    assert b"Jansen" not in (tmp_path / "ledger.db").read_bytes()


def test_a_body_that_cannot_be_recorded_is_the_callers_mistake(tmp_path: Path) -> None:
    """Nothing is written and the ledger goes on."""
    ledger = opened(tmp_path)
    with pytest.raises(ValueError, match="float"):
        ledger.append("agent-stop", {"time": 1, "reason": 0.5})
    with pytest.raises(ValueError, match="integer nanoseconds"):
        ledger.append("agent-stop", {"reason": "no time"})
    assert ledger.append("agent-stop", stop_entry(1)).result(WAIT).index == 0
    ledger.close()


def test_after_closing_nothing_is_taken_in(tmp_path: Path) -> None:
    """A late entry is refused, not forgotten."""
    ledger = opened(tmp_path)
    assert ledger.close(WAIT)
    assert ledger.close(WAIT)
    with pytest.raises(LedgerStoppedError, match="closed"):
        ledger.append("incident", stop_entry(1)).result(WAIT)
    assert not ledger.health.recording


class Gate(Storage):
    """A storage that waits, or fails, on demand."""

    def __init__(self) -> None:
        self.size = 0
        self.saved = None
        self.open = threading.Event()
        self.fault: Exception | None = None
        self.signed = 0

    def append(self, job: Job) -> Receipt:
        """Wait for the gate, then fail or count."""
        assert self.open.wait(WAIT)
        if self.fault:
            raise self.fault
        self.size += 1
        return Receipt(index=self.size - 1, hash=job.kind)

    def sign(self) -> None:
        """Count, or fail."""
        if self.fault:
            raise self.fault
        self.signed += 1

    def close(self) -> None:
        """Fail if a fault was set."""
        if self.fault:
            raise self.fault


def test_the_queue_is_bounded_and_keeps_places_for_incidents() -> None:
    """Other kinds are refused first; an incident waits for a place and is written."""
    gate, alarms = Gate(), list[str]()
    ledger = Ledger(gate, "", alarms.append, 8)
    first = ledger.append("agent-stop", stop_entry(0))
    while ledger.health.queued:  # the writer has taken the first one and stands at the gate
        pass
    futures = [ledger.append("agent-stop", stop_entry(number)) for number in range(7)]
    futures += [ledger.append("incident", stop_entry(number)) for number in range(2)]
    waiting: list[Future[Receipt]] = []
    thread = threading.Thread(target=lambda: waiting.append(ledger.append("incident", stop_entry(9))))
    thread.start()
    thread.join(0.05)
    assert thread.is_alive()
    assert ledger.health == Health(recording=True, queued=8, refused=1)
    gate.open.set()
    thread.join(WAIT)
    assert ledger.close(WAIT)
    assert first.result(WAIT).index == 0
    assert [future.exception(WAIT) is None for future in futures] == [True] * 6 + [False] + [True] * 2
    assert isinstance(futures[6].exception(WAIT), LedgerFullError)
    assert waiting[0].result(WAIT).index == 9
    assert gate.signed <= 3  # for ten entries: those that wait together share a checkpoint


def test_a_fault_stops_recording_for_good_and_is_told_once() -> None:
    """What waits and what comes is refused, also when the disk would work again; the process goes on."""
    gate, alarms = Gate(), list[str]()
    ledger = Ledger(gate, "", alarms.append, 8)
    gate.fault = OSError(28, "No space left on device")
    futures = [ledger.append("incident", stop_entry(number)) for number in range(3)]
    gate.open.set()
    assert all(isinstance(future.exception(WAIT), LedgerStoppedError) for future in futures)
    gate.fault = None
    assert isinstance(ledger.append("incident", stop_entry(4)).exception(WAIT), LedgerStoppedError)
    assert alarms == ["recording stopped: OSError: [Errno 28] No space left on device"]
    assert ledger.health == Health(recording=False, reason=alarms[0], refused=4)
    ledger.close()


def test_a_checkpoint_that_cannot_be_written_stops_recording_too() -> None:
    """The entry was committed and stays acknowledged; the next one is refused."""
    gate, alarms = Gate(), list[str]()
    ledger = Ledger(gate, "", alarms.append, 8)
    gate.open.set()
    assert ledger.append("incident", stop_entry(1)).result(WAIT).index == 0
    while gate.signed == 0:
        pass
    gate.fault = sqlite3.OperationalError("disk I/O error")
    ledger.close(WAIT)
    assert alarms == ["recording stopped: OperationalError: disk I/O error"]


def test_a_waiting_incident_is_released_when_recording_stops() -> None:
    """A caller that waits for a place is not left standing."""
    gate = Gate()
    ledger = Ledger(gate, "", lambda _: None, 2)
    gate.fault = OSError(5, "EIO")
    threads = [threading.Thread(target=ledger.append, args=("incident", stop_entry(n))) for n in range(6)]
    for thread in threads:
        thread.start()
    gate.open.set()
    for thread in threads:
        thread.join(WAIT)
    assert not any(thread.is_alive() for thread in threads)
    assert ledger.health.refused == 6
    ledger.close()


def refuses(folder: Path, words: str) -> None:
    """Check that the ledger opens without recording, and that it says why."""
    alarms: list[str] = []
    ledger = opened(folder, alarms, busy_seconds=0.05)
    assert not ledger.health.recording
    assert words in ledger.health.reason
    assert alarms == [ledger.health.reason]
    assert isinstance(ledger.append("incident", stop_entry(1)).exception(WAIT), LedgerStoppedError)
    assert ledger.saved_state() is None
    ledger.close()


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """The data directory is a file."""
    (tmp_path / "data").write_text("")
    refuses(tmp_path / "data", "cannot be opened")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """It is left alone."""
    filled(tmp_path, 1)
    (tmp_path / "ledger.db").write_bytes(b"not a database, not at all" * 50)
    refuses(tmp_path, "file is not a database")


def test_a_database_that_is_no_ledger(tmp_path: Path) -> None:
    """Somebody else's tables are left alone."""
    filled(tmp_path, 1)
    (tmp_path / "ledger.db").unlink()
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()
    refuses(tmp_path, "not a ledger")


def test_a_damaged_page(tmp_path: Path) -> None:
    """Bytes that changed under the ledger stop it before it writes."""
    filled(tmp_path, 200)
    path = tmp_path / "ledger.db"
    content = bytearray(path.read_bytes())
    for start in range(4096, len(content), 4096):
        content[start : start + 64] = bytes(64)
    path.write_bytes(content)
    refuses(tmp_path, "cannot be opened")


def test_a_newer_format(tmp_path: Path) -> None:
    """A ledger of a later version is not written to."""
    filled(tmp_path, 1)
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection, connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    refuses(tmp_path, "format 2")


def test_a_missing_key(tmp_path: Path) -> None:
    """No new key is made for a ledger that has one."""
    filled(tmp_path, 1)
    (tmp_path / "ledger.key").unlink()
    refuses(tmp_path, "its key ledger.key is not")
    assert not (tmp_path / "ledger.key").exists()


def test_another_key(tmp_path: Path) -> None:
    """A ledger is signed by one key."""
    filled(tmp_path / "a", 1)
    filled(tmp_path / "b", 1)
    (tmp_path / "a" / "ledger.key").replace(tmp_path / "b" / "ledger.key")
    refuses(tmp_path / "b", "signed with another key")


def test_a_key_file_that_is_none(tmp_path: Path) -> None:
    """The reason does not repeat what stands in it."""
    (tmp_path / "ledger.key").write_text("secret")
    refuses(tmp_path, "does not hold a private key")


def test_another_origin(tmp_path: Path) -> None:
    """A log's name is for ever."""
    filled(tmp_path, 1)
    alarms: list[str] = []
    ledger = Ledger.open(tmp_path / "ledger.db", tmp_path / "ledger.key", "another", alarm=alarms.append)
    assert "belongs to the log 'demarc.example/cloud', not to 'another'" in ledger.health.reason
    ledger.close()


def test_a_name_that_no_log_may_have(tmp_path: Path) -> None:
    """It is refused before anything is made."""
    ledger = Ledger.open(tmp_path / "ledger.db", tmp_path / "ledger.key", "a log", alarm=lambda _: None)
    assert "cannot name a log" in ledger.health.reason
    ledger.close()
    assert list(tmp_path.iterdir()) == []


def without_triggers(path: Path) -> sqlite3.Connection:
    """Open a ledger as somebody who wants to change it."""
    connection = sqlite3.connect(path, isolation_level=None)
    names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for (name,) in names:
        connection.execute(f"DROP TRIGGER {name}")
    return connection


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("DELETE FROM leaf WHERE idx = 6", "newer than the 6 entries"),
        ("DELETE FROM leaf WHERE idx = 3", "numbered up to 7"),
        ("UPDATE leaf SET body = 'text' WHERE idx = 6", "entry 6 does not match its hash"),
        ("UPDATE node SET hash = zeroblob(32)", "does not match them"),
        ("DELETE FROM node", "the subtree 2/0 is missing"),
    ],
)
def test_an_altered_ledger_is_not_continued(tmp_path: Path, statement: str, words: str) -> None:
    """To sign on would give one size two roots."""
    filled(tmp_path, 7)
    connection = without_triggers(tmp_path / "ledger.db")
    connection.execute(statement)
    connection.close()
    refuses(tmp_path, words)


def test_a_locked_ledger_stops_recording_after_a_bounded_wait(tmp_path: Path) -> None:
    """Another process that holds the lock cannot hold the agent."""
    alarms: list[str] = []
    ledger = opened(tmp_path, alarms, busy_seconds=0.05)
    ledger.append("agent-stop", stop_entry(1)).result(WAIT)
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None, timeout=WAIT)
    other.execute("BEGIN IMMEDIATE")
    error = ledger.append("incident", stop_entry(2)).exception(WAIT)
    other.execute("ROLLBACK")
    other.close()
    assert "database is locked" in str(error)
    assert not ledger.health.recording
    ledger.close()


def test_a_second_writer_is_noticed(tmp_path: Path) -> None:
    """Two agents on one data directory: the later one stops, nothing is overwritten."""
    first, alarms = opened(tmp_path), list[str]()
    second = opened(tmp_path, alarms)
    first.append("agent-stop", stop_entry(1)).result(WAIT)
    error = second.append("agent-stop", stop_entry(2)).exception(WAIT)
    assert "another process has written" in str(error)
    first.append("agent-stop", stop_entry(3)).result(WAIT)
    first.close()
    second.close()
    assert check(tmp_path / "ledger.db").ok


def test_a_crash_between_commit_and_signature_is_mended(tmp_path: Path) -> None:
    """The entry was acknowledged; the next start signs it."""
    storage = open_storage(tmp_path / "ledger.db", tmp_path / "ledger.key", ORIGIN)
    storage.append(Job(kind="k", time=1, body=b'{"kind":"k","time":1}'))
    storage.close()
    verdict = check(tmp_path / "ledger.db")
    assert (verdict.signed, verdict.notes[-1]) == (0, "entries 0 to 0 are not signed yet")
    opened(tmp_path).close()
    assert check(tmp_path / "ledger.db").signed == 1


def test_questions_do_not_keep_entries_from_being_signed(tmp_path: Path) -> None:
    """Whoever asks for checkpoints all the time gets one."""

    def checkpoints(storage: Storage) -> int:
        return int(storage.connection.execute("SELECT count(*) FROM checkpoint").fetchone()[0])

    ledger = opened(tmp_path)
    ledger.append("agent-stop", stop_entry(1)).result(WAIT)
    asked = 0
    while not ledger.run(checkpoints).result(WAIT):
        asked += 1
        assert asked < 10_000_000
    assert asked > 0
    assert ledger.close(WAIT)


def test_a_truncated_wal_is_noticed(tmp_path: Path) -> None:
    """A WAL cut off behind our back loses entries: a held checkpoint shows it, and what is left stays sound."""
    ledger = opened(tmp_path)
    for number in range(20):
        ledger.append("agent-stop", stop_entry(number)).result(WAIT)
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("ledger.db", "ledger.db-wal", "ledger.key"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    ledger.close()
    wal = copy / "ledger.db-wal"
    os.truncate(wal, wal.stat().st_size // 2 + 100)  # in the middle of a frame
    verdict = check(copy / "ledger.db")
    assert verdict.ok
    assert 0 < verdict.entries < 20
    mended = opened(copy)
    assert mended.health == Health(recording=True, size=verdict.entries)
    mended.close()


def test_a_missing_subtree_cannot_be_read(tmp_path: Path) -> None:
    """An append above a hole stops instead of hashing nothing."""
    filled(tmp_path, 3)
    storage = open_storage(tmp_path / "ledger.db", tmp_path / "ledger.key", ORIGIN)
    connection = without_triggers(tmp_path / "ledger.db")
    connection.execute("DELETE FROM node")
    connection.close()
    with pytest.raises(StorageError, match="the subtree 1/0 is missing"):
        storage.append(Job(kind="k", time=1, body=b'{"kind":"k","time":1}'))
    assert storage.size == 3
    storage.close()
