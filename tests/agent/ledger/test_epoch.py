"""A log that is begun anew: under its own name, with what can still be told of the one before."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import keys
from agent.ledger import Ledger, body, canonical, epoch
from agent.ledger.check import check
from agent.ledger.dossier import KeyChange
from agent.ledger.policy import key_policy
from agent.ledger.storage import earlier_epochs
from agent.ledger.testimony import Epoch
from agent.ledger.verifier import parse_policy
from tests.agent.ledger.test_ledger import ORIGIN, WAIT, filled, refuses, stop_entry, without_triggers


def renewed(folder: Path, *, new_key: bool = False) -> str:
    """Begin the next epoch of the ledger in a folder."""
    return epoch.renew(
        folder / "ledger.db",
        folder / "ledger.key",
        ORIGIN,
        vantage="cloud",
        reason="restored from a copy",
        now=2000.0,
        new_key=new_key,
    )


def entries(path: Path) -> Iterator[body.AnyEntry | None]:
    """Yield the entries of a file."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        for (form,) in db.execute("SELECT body FROM leaf ORDER BY idx").fetchall():
            yield body.read(canonical.decode(form))


def test_the_next_epoch_says_what_went_before(tmp_path: Path) -> None:
    """Name, entries, checkpoint and reason are its first entry; state and witness's memory go on."""
    filled(tmp_path, 5)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as db, db:
        db.execute("INSERT INTO witnessed VALUES ('demarc/onprem', 3, 'text', 'signatures', 7)")
    newest = check(tmp_path / "ledger.db").checkpoint
    assert renewed(tmp_path) == f"{ORIGIN}/2"
    first = next(entries(tmp_path / "ledger.db"))
    assert isinstance(first, Epoch)
    assert (first.epoch, first.previous, first.entries, first.checkpoint) == (2, ORIGIN, 5, newest)
    with contextlib.closing(sqlite3.connect(tmp_path / "ledger.db")) as db:
        assert db.execute("SELECT * FROM witnessed").fetchall() == [("demarc/onprem", 3, "text", "signatures", 7)]
    log = Ledger.open(tmp_path / "ledger.db", tmp_path / "ledger.key", ORIGIN, alarm=pytest.fail)
    assert log.saved_state() == b"state 4"
    assert log.append("agent-stop", stop_entry(9)).result(WAIT).index == 1
    assert log.close(WAIT)
    for path, name in ((tmp_path / "ledger.db", f"{ORIGIN}/2"), (tmp_path / "ledger-1.db", ORIGIN)):
        verdict = check(path)
        assert (verdict.problems, verdict.origin) == ((), name)


def test_epochs_count_on(tmp_path: Path) -> None:
    """Each keeps the file of the one before."""
    filled(tmp_path, 2)
    assert [renewed(tmp_path) for _ in range(3)] == [f"{ORIGIN}/{number}" for number in (2, 3, 4)]
    assert [path.name for path in earlier_epochs(tmp_path / "ledger.db")] == [f"ledger-{n}.db" for n in (1, 2, 3)]
    assert all(check(path).ok for path in tmp_path.glob("ledger*.db"))


def damaged(path: Path) -> None:
    """Spoil every page but the first."""
    content = bytearray(path.read_bytes())
    content[4096:] = b"x" * (len(content) - 4096)
    path.write_bytes(content)


def gone(path: Path) -> None:
    """Lose the file."""
    renewed(path.parent)
    path.unlink()


def shortened(path: Path) -> None:
    """Take the last entry away."""
    db = without_triggers(path)
    db.execute("DELETE FROM leaf WHERE idx = (SELECT max(idx) FROM leaf)")
    db.close()


@pytest.mark.parametrize("spoil", [damaged, gone, shortened, lambda path: path.write_bytes(b"no database" * 99)])
def test_whatever_became_of_the_file_one_can_go_on(tmp_path: Path, spoil: object) -> None:
    """An agent refuses the file; after the command it records again, under another name."""
    assert callable(spoil)
    filled(tmp_path, 40)
    spoil(tmp_path / "ledger.db")
    refuses(tmp_path, "")
    name = renewed(tmp_path)
    assert name.startswith(f"{ORIGIN}/")
    verdict = check(tmp_path / "ledger.db")
    assert (verdict.problems, verdict.origin, verdict.entries) == ((), name, 1)


def test_a_new_key_is_named_by_the_old_log(tmp_path: Path) -> None:
    """Both keys sign the change, the next log has the new one, and the old one is gone."""
    filled(tmp_path, 3)
    before = keys.parse_signer((tmp_path / "ledger.key").read_text())
    assert renewed(tmp_path, new_key=True) == f"{ORIGIN}/2"
    after = keys.parse_signer((tmp_path / "ledger.key").read_text())
    assert before.seed != after.seed
    *_, last = entries(tmp_path / "ledger-1.db")
    assert isinstance(last, KeyChange)
    text = f"demarc key change v1\n{ORIGIN}\n{last.old}\n{last.new}\n"
    assert keys.parse_verifier(last.old).verify(text, last.by_old)
    assert keys.parse_verifier(last.new).verify(text, last.by_new)
    assert check(tmp_path / "ledger.db", parse_policy(key_policy(keys.parse_verifier(last.new)))).ok
    assert check(tmp_path / "ledger-1.db", parse_policy(key_policy(before.verifier))).signed == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger-1.db", "ledger.db", "ledger.key"]


def link(folder: Path) -> None:
    """Keep the old file under its new name."""
    (folder / "ledger-1.db").hardlink_to(folder / "ledger.db")


def change_key(folder: Path) -> None:
    """Put the new key in place."""
    if (folder / "ledger-next.key").exists():
        (folder / "ledger-next.key").replace(folder / "ledger.key")


@pytest.mark.parametrize("done", [0, 1, 2])
@pytest.mark.parametrize("new_key", [False, True])
def test_an_interrupted_renewal_is_finished_later(tmp_path: Path, done: int, *, new_key: bool) -> None:
    """Wherever it stopped, no agent writes, and the command run again makes it whole."""
    filled(tmp_path, 3)
    (tmp_path / "ledger-new.db").write_bytes(b"left over from an earlier attempt")
    epoch._prepare(
        tmp_path / "ledger.db",
        tmp_path / "ledger.key",
        ORIGIN,
        vantage="cloud",
        reason="restored from a copy",
        now=2000.0,
        new_key=new_key,
    )
    for step in (link, change_key)[:done]:
        step(tmp_path)
    refuses(tmp_path, "not finished")
    assert renewed(tmp_path) == f"{ORIGIN}/2"
    assert all(check(path).ok for path in tmp_path.glob("ledger*.db"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["ledger-1.db", "ledger.db", "ledger.key"]
    filled(tmp_path, 2)
    assert check(tmp_path / "ledger.db").entries == 3
