"""The store in trouble: a full disk, damage, a newer file, a lock, another process."""

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from agent.observation import decode
from agent.store import DATABASE
from agent.store.schema import MIGRATIONS
from agent.store.store import export
from agent.store.tables import Tables, connect
from tests.agent.store.opened import NOW, QUICK, WAIT, Opened, seen


class Broken(Tables):
    """Tables that fail on demand."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def write(self, batch: object, gap: object = None) -> int:
        """Fail."""
        raise self.fault

    def write_spans(self) -> None:
        """Do nothing."""

    def forget(self, *, before: float, minutes_before: float, most_bytes: int) -> bool:
        """Do nothing."""
        return False

    def close(self) -> None:
        """Do nothing."""


def test_a_full_disk_stops_recording_and_space_resumes_it(tmp_path: Path) -> None:
    """Loudly once; what was lost in between is a gap with its reason."""
    opened = Opened(tmp_path, msgspec.structs.replace(QUICK, retry_seconds=0.3))
    opened.take(seen(0))
    opened.store._tables = Broken(sqlite3.OperationalError("database or disk is full"))
    opened.take(seen(1), seen(2))
    health = opened.store.health
    assert (health.recording, health.dropped) == (False, 2)
    assert "database or disk is full" in health.reason
    number = 3
    while not opened.store.health.recording:
        opened.take(seen(number))
        number += 1
    opened.store.close(WAIT)
    assert opened.alarms == [health.reason]
    assert len(opened.gaps) == 1
    assert opened.gaps[0].opened == seen(1).time
    assert opened.gaps[0].dropped == opened.store.health.dropped
    assert opened.gaps[0].reason == health.reason


def test_damage_while_running_stops_until_the_next_start(tmp_path: Path) -> None:
    """A damaged file is not written to again; the next start sets it aside if it cannot be read."""
    opened = Opened(tmp_path)
    opened.take(seen(99))
    opened.store._tables = Broken(sqlite3.DatabaseError("database disk image is malformed"))
    for number in range(20):
        opened.take(seen(number))
    assert not opened.store.health.recording
    assert opened.store.health.dropped == 20
    opened.store.close(WAIT)
    assert len(opened.alarms) == 1


def test_a_damaged_file_is_set_aside_on_opening(tmp_path: Path) -> None:
    """It is kept under another name, and a new one begun."""
    content = b"this was a database once" * 100
    (tmp_path / DATABASE).write_bytes(content)
    opened = Opened(tmp_path)
    opened.take(seen(1))
    assert opened.store.health.recording
    opened.store.close(WAIT)
    assert (tmp_path / f"{DATABASE}.damaged-{int(NOW)}").read_bytes() == content
    assert "was damaged" in opened.alarms[0]


def test_a_folder_that_cannot_be_made_is_tried_again(tmp_path: Path) -> None:
    """The data directory is a file at first."""
    (tmp_path / "data").write_text("")
    opened = Opened(tmp_path / "data")
    opened.take(seen(0))
    assert not opened.store.health.recording
    assert opened.store.recent("cloud") == ()
    (tmp_path / "data").unlink()
    number = 1
    while not opened.store.health.recording:
        opened.take(seen(number))
        number += 1
    opened.store.close(WAIT)
    assert len(opened.gaps) == 1


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    """An older agent does not touch it."""
    Tables(connect(tmp_path / DATABASE), {}).close()
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection, connection:
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    opened = Opened(tmp_path)
    opened.take(seen(1))
    assert "this agent knows" in opened.store.health.reason
    opened.store.close(WAIT)


def test_a_locked_file_is_tried_again(tmp_path: Path) -> None:
    """Another process that holds the lock costs results, not the agent."""
    Tables(connect(tmp_path / DATABASE), {}).close()
    connection = connect(tmp_path / DATABASE)
    connection.execute("PRAGMA busy_timeout = 10")
    tables = Tables(connection, {})
    other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        tables.write([seen(1)])
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        tables.write_spans()
    other.execute("ROLLBACK")
    other.close()
    assert tables.write([seen(1)]) == 1
    tables.close()


def test_a_transaction_is_whole_or_not_at_all(tmp_path: Path) -> None:
    """A batch that fails halfway leaves nothing behind."""
    tables = Tables(connect(tmp_path / DATABASE), {})
    bad = msgspec.structs.replace(seen(2), round=2**70)  # SQLite has no such integer
    with pytest.raises(OverflowError):
        tables.write([seen(1), bad])
    tables.close()
    assert list(export(tmp_path / DATABASE, 0, 5e9)) == []


def test_no_store_is_told(tmp_path: Path) -> None:
    """Reading does not make one."""
    with pytest.raises(FileNotFoundError, match="no observation store"):
        next(export(tmp_path / DATABASE, 0, 1))
    assert list(tmp_path.iterdir()) == []


def test_reading_beside_a_writer(tmp_path: Path) -> None:
    """An export runs while results come in, and sees what was there when it began."""
    opened = Opened(tmp_path)
    opened.take(*(seen(number) for number in range(50)))
    lines = opened.store.export(0, 5e9)
    first = next(lines)
    opened.take(*(seen(number) for number in range(50, 100)))
    assert decode(first).round == 0
    assert len(list(lines)) == 49
    opened.store.close(WAIT)
