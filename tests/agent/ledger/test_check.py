"""What a check says of a ledger that was altered: exactly what is wrong, whatever the rows hold."""

import sqlite3
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent import keys
from agent.ledger import Ledger, merkle, note, schema
from agent.ledger.check import check
from agent.ledger.policy import key_policy
from agent.ledger.verifier import parse_policy
from agent.ledger.verifier.checks import SENTENCES
from tests.agent.ledger.test_ledger import ORIGIN, filled, stop_entry, without_triggers

SIZE = 9


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a sound ledger of nine entries, the fifth with a detail, with checkpoints over eight and nine."""
    for numbers in (range(SIZE - 1), (SIZE - 1,)):
        log = Ledger.open(tmp_path / "ledger.db", tmp_path / "ledger.key", ORIGIN, alarm=pytest.fail)
        for number in numbers:
            details = {"who": b"Jansen"} if number == 4 else {}
            log.append("agent-stop", stop_entry(1000 + number), details=details).result(10)
        assert log.close()
    return tmp_path / "ledger.db"


def put_back(connection: sqlite3.Connection) -> None:
    """Make the triggers again, as somebody would who covers his tracks."""
    for text in schema.STATEMENTS[len(schema.TABLES) :]:
        connection.execute(text)


def altered(path: Path, *statements: str) -> tuple[str, ...]:
    """Do these things to the file, put the triggers back, and return what the check says."""
    connection = without_triggers(path)
    for statement in statements:
        connection.execute(statement)
    put_back(connection)
    connection.close()
    return check(path).problems


def test_a_sound_ledger(ledger: Path) -> None:
    """Entries, name, key and newest checkpoint are told, and on whose word the key rests."""
    verdict = check(ledger)
    assert verdict.ok
    assert (verdict.origin, verdict.entries, verdict.signed, verdict.own_key) == (ORIGIN, SIZE, SIZE, True)
    assert verdict.checkpoint.startswith(f"{ORIGIN}\n{SIZE}\n")
    assert verdict.notes == ()
    assert check(ledger, parse_policy(key_policy(keys.parse_verifier(verdict.key)))).own_key is False


CASES = {
    "a body": (
        "UPDATE leaf SET body = CAST(replace(CAST(body AS TEXT), 'number 1003', 'number 1004') AS BLOB) WHERE idx = 3",
        ["entry 3: the body does not match its hash"],
    ),
    "a body as text": (
        "UPDATE leaf SET body = CAST(body AS TEXT) WHERE idx = 3",
        ["entry 3: the body is text, not bytes"],
    ),
    "a body as a number": ("UPDATE leaf SET body = 5 WHERE idx = 3", ["entry 3: the body is a number, not bytes"]),
    "a hash": (
        "UPDATE leaf SET hash = zeroblob(32) WHERE idx = 3",
        ["entry 3: the body does not match its hash", "the subtree 1/1 over entries 2 to 3 differs"],
    ),
    "a hash as text": (
        "UPDATE leaf SET hash = '" + "x" * 32 + "' WHERE idx = 3",
        ["entry 3: the body does not match its hash"],
    ),
    "a kind": (
        "UPDATE leaf SET kind = 'gap' WHERE idx = 3",
        ["entry 3: the column kind says 'gap', the body 'agent-stop'"],
    ),
    "a time": ("UPDATE leaf SET time = 5 WHERE idx = 3", ["entry 3: the column time says 5, the body 1003"]),
    "a time of another type": (
        "UPDATE leaf SET time = 'never' WHERE idx = 3",
        ["entry 3: the column time says 'never', the body 1003"],
    ),
    "an entry gone": ("DELETE FROM leaf WHERE idx = 3", ["entries 3 to 3 are missing"]),
    "the last entry gone": (
        "DELETE FROM leaf WHERE idx = 8",
        ["the checkpoint over 9 entries speaks of more than the 8 entries here"],
    ),
    "a subtree": (
        "UPDATE node SET hash = zeroblob(32) WHERE level = 1 AND idx = 1",
        [
            "the subtree 1/1 over entries 2 to 3 differs",
            "the subtree 2/0 over entries 0 to 3 differs",
        ],
    ),
    "a subtree gone": (
        "DELETE FROM node WHERE level = 1 AND idx = 1",
        ["the subtree 1/1 over entries 2 to 3 is missing"],
    ),
    "a subtree too many": ("INSERT INTO node VALUES (7, 0, zeroblob(32))", ["1 subtrees belong to no entry here"]),
    "a checkpoint": (
        "UPDATE checkpoint SET text = replace(text, 'cloud', 'clout') WHERE size = 9",
        ["the checkpoint over 9 entries does not match the entries"],
    ),
    "a signature": (
        "UPDATE checkpoint SET signatures = (SELECT signatures FROM checkpoint WHERE size = 8) WHERE size = 9",
        [f"the checkpoint over 9 entries: the checkpoint has no good signature of {ORIGIN}"],
    ),
    "a signature as bytes": (
        "UPDATE checkpoint SET signatures = CAST(signatures AS BLOB) WHERE size = 9",
        ["the checkpoint over 9 entries cannot be read"],
    ),
    "text that is no text": (
        "UPDATE checkpoint SET signatures = CAST(x'ff00ff' AS TEXT) WHERE size = 9",
        ["the checkpoint over 9 entries: a checkpoint is three lines"],
    ),
    "a detail": ("UPDATE detail SET data = x'00'", ["entry 4: the detail 'who' does not match its commitment"]),
    "a detail as text": (
        "UPDATE detail SET data = CAST(data AS TEXT)",
        ["entry 4: the detail 'who' does not match its commitment"],
    ),
    "a detail of nothing": (
        "INSERT INTO detail VALUES (5, 'x', zeroblob(32), x'00')",
        ["entry 5: the detail 'x' is not bound by its body"],
    ),
    "a foreign trigger": (
        "CREATE TRIGGER evil AFTER INSERT ON leaf BEGIN DELETE FROM detail; END",
        ["evil does not belong in a ledger"],
    ),
    "a name that hides": ("CREATE TABLE sqliteX (x)", ["sqliteX does not belong in a ledger"]),
    "another version": ("PRAGMA user_version = 3", ["user_version is 3, not 1"]),
    "another application": ("PRAGMA application_id = 3", [f"application_id is 3, not {schema.APPLICATION_ID}"]),
    "no owner": ("DELETE FROM log", ["the ledger does not say whose it is"]),
    "another owner's name": ("UPDATE log SET origin = 'x'", ["the ledger of x names a key of demarc.example/cloud"]),
    "an owner as bytes": ("UPDATE log SET key = x'00'", ["the ledger does not say whose it is"]),
}


@pytest.mark.parametrize(("statement", "expected"), CASES.values(), ids=CASES.keys())
def test_what_was_altered_is_said(ledger: Path, statement: str, expected: list[str]) -> None:
    """The first sentences name it; nothing raises."""
    problems = altered(ledger, statement)
    assert len(problems) >= len(expected)
    for words, problem in zip(expected, problems, strict=False):
        assert words in problem


@pytest.mark.parametrize("name", ["a body", "a kind", "a body as text", "a detail", "a signature"])
def test_one_alteration_is_one_sentence(ledger: Path, name: str) -> None:
    """What follows from it is not told as well."""
    assert len(altered(ledger, CASES[name][0])) == 1


def test_missing_and_altered_triggers_are_told(ledger: Path) -> None:
    """The triggers are no protection, but their absence is a sign."""
    connection = without_triggers(ledger)
    connection.execute("CREATE TRIGGER leaf_fixed BEFORE UPDATE ON leaf BEGIN SELECT 1; END")
    connection.close()
    problems = check(ledger).problems
    assert "the trigger leaf_kept is missing" in problems
    assert any(problem.startswith("the trigger leaf_fixed was altered") for problem in problems)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE leaf SET body = x'00'",
        "DELETE FROM leaf",
        "INSERT OR REPLACE INTO leaf SELECT * FROM leaf",
        "INSERT OR REPLACE INTO node SELECT * FROM node",
        "UPDATE node SET level = 9",
        "DELETE FROM node",
        "UPDATE checkpoint SET text = ''",
        "DELETE FROM checkpoint",
        "INSERT OR REPLACE INTO checkpoint SELECT * FROM checkpoint",
        "UPDATE log SET origin = ''",
        "DELETE FROM log",
    ],
)
def test_the_triggers_refuse(ledger: Path, statement: str) -> None:
    """An ordinary client cannot change what is fixed."""
    connection = sqlite3.connect(ledger, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError, match="only grows"):
        connection.execute(statement)
    connection.close()
    assert check(ledger).ok


def test_signatures_may_grow(ledger: Path) -> None:
    """Others' cosignatures are added to a checkpoint."""
    connection = sqlite3.connect(ledger, isolation_level=None)
    line = keys.Signer(name="witness.example", seed=bytes(32)).sign("x")
    connection.execute("UPDATE checkpoint SET signatures = signatures || ? WHERE size = 9", (line,))
    connection.close()
    assert check(ledger).ok


def test_a_rewritten_history_is_caught_by_an_earlier_checkpoint_only(tmp_path: Path) -> None:
    """An owner who starts anew with its own key passes its own check; who holds a checkpoint sees it."""
    filled(tmp_path, 5)
    held = note.parse_checkpoint(note.split_note(check(tmp_path / "ledger.db").checkpoint)[0])
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    log = Ledger.open(tmp_path / "ledger.db", tmp_path / "ledger.key", ORIGIN, alarm=pytest.fail)
    for number in range(6):
        log.append("agent-stop", stop_entry(number + (number == 2))).result(10)
    log.close()
    verdict = check(tmp_path / "ledger.db")
    assert verdict.ok
    connection = sqlite3.connect(tmp_path / "ledger.db")
    nodes = {
        **{(0, i): h for i, h in connection.execute("SELECT idx, hash FROM leaf")},
        **{(level, i): h for level, i, h in connection.execute("SELECT level, idx, hash FROM node")},
    }
    connection.close()
    now = note.parse_checkpoint(note.split_note(verdict.checkpoint)[0])
    proof = merkle.consistency_proof(held.size, now.size, lambda level, index: nodes[level, index])
    assert not merkle.verify_consistency(old=held.size, size=now.size, old_root=held.root, root=now.root, proof=proof)


def test_another_key_is_told(ledger: Path) -> None:
    """The key that was agreed on decides, not the one in the file."""
    other = keys.Signer(name=ORIGIN, seed=bytes(32)).verifier
    verdict = check(ledger, parse_policy(key_policy(other)))
    assert f"not {other}" in verdict.problems[0]
    assert "no good signature" in verdict.problems[1]
    assert verdict.own_key is False


def test_a_body_that_is_not_canonical(tmp_path: Path) -> None:
    """Hashes that agree do not make a body one."""
    filled(tmp_path, 1)
    connection = without_triggers(tmp_path / "ledger.db")
    body = b'{"kind": "gap"}'
    connection.execute("UPDATE leaf SET body = ?, hash = ?", (body, merkle.leaf_hash(body)))
    put_back(connection)
    connection.close()
    problems = check(tmp_path / "ledger.db").problems
    assert problems[0] == "entry 0: body: not in canonical form"


def test_a_ledger_is_checked_and_proven_while_it_is_written(tmp_path: Path) -> None:
    """Each look sees one moment: whole, up to a commit."""
    log = Ledger.open(tmp_path / "ledger.db", tmp_path / "ledger.key", ORIGIN, alarm=pytest.fail)
    futures = [log.append("agent-stop", stop_entry(number)) for number in range(600)]
    sizes = []
    while not futures[-1].done():
        verdict = check(tmp_path / "ledger.db")
        assert verdict.problems == ()
        sizes.append(verdict.entries)
    assert sizes == sorted(sizes)
    assert log.close()
    assert check(tmp_path / "ledger.db").entries == 600


def test_what_a_later_version_wrote_is_noted_and_not_refused(tmp_path: Path) -> None:
    """Unknown kinds and keys are sound; a clock that was set back is noted too."""
    log = Ledger.open(tmp_path / "ledger.db", tmp_path / "ledger.key", ORIGIN, alarm=pytest.fail)
    log.append("prophecy", {"time": 7}).result(10)
    log.append("agent-stop", {"time": 5, "more": "x"}).result(10)
    log.close()
    verdict = check(tmp_path / "ledger.db")
    assert verdict.ok
    assert [words.split(": ")[0] for words in verdict.notes] == ["entry 0", "entry 1"]
    assert "is not known to this version" in verdict.notes[0]


def test_details_and_time_of_any_type_are_survived(tmp_path: Path) -> None:
    """A body may be canonical and still hold anything under these names."""
    filled(tmp_path, 2)
    connection = without_triggers(tmp_path / "ledger.db")
    for index, body in enumerate((b'{"details":5,"kind":"x","time":"y"}', b'{"a":1}')):
        connection.execute(
            "UPDATE leaf SET body = ?, hash = ?, kind = 'x', time = 'y' WHERE idx = ?",
            (body, merkle.leaf_hash(body), index),
        )
    put_back(connection)
    connection.close()
    verdict = check(tmp_path / "ledger.db")
    assert "entry 1: the column kind says 'x', the body None" in verdict.problems


def test_a_clock_that_was_set_back_is_noted(tmp_path: Path) -> None:
    """The order of entries is theirs, not the clock's."""
    log = Ledger.open(tmp_path / "ledger.db", tmp_path / "ledger.key", ORIGIN, alarm=pytest.fail)
    for time in (7, 5, 6):
        log.append("agent-stop", stop_entry(time)).result(10)
    log.close()
    assert [words[:7] for words in check(tmp_path / "ledger.db").notes] == ["entry 1", "entry 2"]


def test_sentences_are_bounded(tmp_path: Path) -> None:
    """A ledger that is all wrong does not fill the screen."""
    filled(tmp_path, SENTENCES + 50)
    problems = altered(tmp_path / "ledger.db", "UPDATE leaf SET kind = 'x'")
    assert len(problems) == SENTENCES + 1
    assert problems[-1] == "and 50 more"


@pytest.mark.parametrize("content", [b"", b"nothing like a database at all, whatever it is" * 100])
def test_files_that_are_no_ledger(tmp_path: Path, content: bytes) -> None:
    """They are told, not raised."""
    (tmp_path / "x.db").write_bytes(content)
    assert not check(tmp_path / "x.db").ok


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """And nothing is made in its place."""
    assert "no ledger at" in check(tmp_path / "x.db").problems[0]
    assert list(tmp_path.iterdir()) == []


def test_a_medium_that_cannot_be_written(ledger: Path) -> None:
    """A ledger on a read-only medium has no WAL beside it and is read as it is."""
    before = sorted(ledger.parent.iterdir())
    assert check(ledger).ok
    assert sorted(ledger.parent.iterdir()) == before


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(place=st.integers(0, 2**20), value=st.integers(0, 255))
def test_any_changed_byte_is_survived(ledger: Path, place: int, value: int) -> None:
    """Whatever byte of the file is changed, the check ends with a verdict, and the bodies it passes are unchanged."""
    content = bytearray(ledger.read_bytes())
    place %= len(content)
    content[place] = value
    changed = ledger.with_name("changed.db")
    changed.write_bytes(content)
    verdict = check(changed)
    if verdict.ok:
        assert verdict.checkpoint == check(ledger).checkpoint
