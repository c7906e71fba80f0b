"""Proof files, exports and the command, offline."""

import base64
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from agent import keys
from agent.cli.ledger import command
from agent.incident.value import Event, Incident, Kind, State, Transition
from agent.ledger import Ledger, body, canonical, dossier, merkle, note
from agent.ledger.policy import key_policy
from agent.ledger.proof import export_lines, file_text, prove_incident, tlog_files
from agent.ledger.storage import StorageError
from agent.ledger.verifier import check_export, check_proof, parse_policy
from tests.agent.ledger.test_ledger import ORIGIN, filled, stop_entry, without_triggers

CHAIN = "ab" * 32


def transition(incident: str, event: Event) -> dict[str, Any]:
    """Return the body of a transition."""
    value = Incident(id=incident, state=State.CONFIRMED, kind=Kind.UNDETERMINED, mover="msp", opened=1.5)
    return body.write(body.from_transition(Transition(event=event, at=2.5, incident=value), chain=CHAIN, vantage="v"))[
        1
    ]


def made(folder: Path) -> Path:
    """Return a ledger with two incidents among other entries."""
    log = Ledger.open(folder / "ledger.db", folder / "ledger.key", ORIGIN, alarm=pytest.fail)
    log.append("incident", transition("i-1", Event.SUSPECTED), details={"note": b"by Jansen"})
    log.append("agent-stop", {**stop_entry(1), "reason": "i-1"})  # names an incident and is not of it
    log.append("incident", transition("i-2", Event.SUSPECTED))
    log.append("incident", transition("i-1", Event.CONFIRMED))
    escalation = body.Escalation(
        time=3, incident="i-1", vantage="v", to="msp", via="am", alertname="a", severity="page", state="firing"
    )
    log.append(*body.write(escalation))
    assert log.close()
    return folder / "ledger.db"


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """Return a ledger with two incidents among other entries."""
    return made(tmp_path)


def test_every_entry_about_an_incident_is_proven(ledger: Path) -> None:
    """Transitions and escalations of this incident, none of another."""
    file = prove_incident(ledger, "i-1")
    indices = [note.parse_proof(entry["proof"]).leaf for entry in file["entries"]]
    assert indices == [0, 3, 4]
    verdict = check_proof(file_text(file).encode())
    assert (verdict.problems, verdict.entries, verdict.origin) == ((), 3, ORIGIN)
    files = dict(tlog_files(file))
    assert files["entry-3.json"] == file["entries"][1]["body"]
    assert files["entry-3.json.tlog-proof"] == file["entries"][1]["proof"]


def test_details_are_disclosed_only_on_demand(ledger: Path) -> None:
    """They may name people."""
    assert "details" not in prove_incident(ledger, "i-1")["entries"][0]
    file = prove_incident(ledger, "i-1", disclose=True)
    detail = file["entries"][0]["details"]["note"]
    assert base64.b64decode(detail["data"]) == b"by Jansen"
    assert check_proof(file_text(file).encode()).ok
    detail["data"] = base64.b64encode(b"by Pietersen").decode()
    assert "does not match its commitment" in check_proof(file_text(file).encode()).problems[0]


def test_an_unknown_incident_has_no_proof(ledger: Path) -> None:
    """It is said, not proven empty."""
    with pytest.raises(StorageError, match="no signed entry speaks of i-9"):
        prove_incident(ledger, "i-9")


def test_another_key_refuses(ledger: Path) -> None:
    """The key that was agreed on decides."""
    other = parse_policy(key_policy(keys.Signer(name=ORIGIN, seed=bytes(32)).verifier))
    verdict = check_proof(file_text(prove_incident(ledger, "i-1")).encode(), other)
    assert not verdict.ok
    assert any("no good signature" in problem for problem in verdict.problems)


@pytest.mark.parametrize(
    ("since", "until", "indices"),
    [(2, None, [2, 3]), (None, 3, [0, 1, 2]), (1, 4, [1, 2, 3]), (0, 2**62, [0, 1, 2, 3])],
)
def test_a_part_has_a_proof_for_each_entry(
    tmp_path: Path, since: int | None, until: int | None, indices: list[int]
) -> None:
    """From the first entry of that time to its last one, nothing between left out."""
    filled(tmp_path, 4)
    lines = list(export_lines(tmp_path / "ledger.db", since=since, until=until))
    assert [json.loads(line)["index"] for line in lines[:-1]] == indices
    verdict = check_export([line.encode() for line in lines])
    assert (verdict.problems, verdict.entries, verdict.signed) == ((), len(indices), 4)


def test_a_time_without_entries_exports_nothing(ledger: Path) -> None:
    """It is said."""
    with pytest.raises(StorageError, match="no signed entry was written in that time"):
        list(export_lines(ledger, since=10**18))


def test_the_export_holds_everything_that_is_signed(ledger: Path) -> None:
    """Hashes are those of the bodies, and the root over them is the checkpoint's."""
    *lines, last = map(json.loads, export_lines(ledger))
    hashes = [merkle.leaf_hash(line["body"].encode()) for line in lines]
    assert [line["hash"] for line in lines] == [one.hex() for one in hashes]
    assert [line["index"] for line in lines] == list(range(5))
    assert all(canonical.decode(line["body"].encode()) for line in lines)
    text, signatures = note.split_note(last["checkpoint"])

    def read(level: int, index: int) -> bytes:
        if level == 0:
            return hashes[index]
        return merkle.node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))

    assert note.parse_checkpoint(text).root == merkle.root(5, read)
    assert keys.parse_verifier(last["key"]).verify(text, signatures)


def run(*words: str) -> tuple[int, str]:
    """Run the command."""
    result = CliRunner().invoke(command, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.output


def test_verify_tells_and_exits(ledger: Path) -> None:
    """0 and a sentence, by file or by directory; 1 and the reasons."""
    code, text = run("verify", str(ledger))
    assert code == 0
    assert "The ledger is whole: 5 entries of demarc.example/cloud." in text
    assert "not whose it is" in text
    assert run("verify", str(ledger.parent)) == (code, text)
    connection = without_triggers(ledger)
    connection.execute("UPDATE leaf SET kind = 'x' WHERE idx = 2")
    connection.close()
    code, text = run("verify", str(ledger))
    assert code == 1
    assert "NOT whole" in text
    assert "That shows that it is whole" not in text
    assert "entry 2: the column kind says 'x'" in text


def test_erased_details_are_told(ledger: Path) -> None:
    """The entries still verify where an entry says why; a detail that merely went is no erasure."""
    log = Ledger.open(ledger, ledger.with_name("ledger.key"), ORIGIN, alarm=pytest.fail)
    erased = dossier.Erasure(
        time=9, vantage="v", erased=(dossier.Erased(entry=0, name="note"),), basis="request", reason="left"
    )
    log.append(*body.write(erased), erase=[(0, "note")]).result(10)
    log.close()
    assert "1 detail was erased; the entries still verify." in run("verify", str(ledger))[1]


def test_a_detail_that_merely_went_is_told(ledger: Path) -> None:
    """Somebody deleted the row and said nothing."""
    connection = sqlite3.connect(ledger, isolation_level=None)
    connection.execute("DELETE FROM detail")
    connection.close()
    code, text = run("verify", str(ledger))
    assert code == 1
    assert "entry 0: the detail 'note' is gone, and no entry says why" in text


def test_an_empty_ledger_is_whole(tmp_path: Path) -> None:
    """It has no checkpoint yet."""
    filled(tmp_path, 0)
    code, text = run("verify", str(tmp_path))
    assert code == 0
    assert "0 entries" in text
    assert "checkpoint" not in text


def test_verify_against_a_key(ledger: Path) -> None:
    """Given as text or as a file; a key that is none is a mistake of the caller."""
    key = json.loads(run("verify", str(ledger), "--format", "json")[1])["key"]
    (ledger.parent / "key.pub").write_text(key + "\n")
    for given_key in (key, str(ledger.parent / "key.pub")):
        code, text = run("verify", str(ledger), "--key", given_key)
        assert code == 0
        assert "not whose it is" not in text
    code, text = run("verify", str(ledger), "--key", "nonsense")
    assert code == 2
    assert "not a verifier key" in text


def test_proof_and_verify_offline(ledger: Path, tmp_path: Path) -> None:
    """What the one writes the other accepts without the ledger."""
    code, text = run("proof", "i-2", "--ledger", str(ledger.parent))
    assert code == 0
    ledger.unlink()
    (tmp_path / "i-2.json").write_text(text)
    code, text = run("verify", "--proof", str(tmp_path / "i-2.json"))
    assert code == 0
    assert "The proof is whole: 1 entry of demarc.example/cloud." in text


@pytest.mark.parametrize("words", [["export"], ["proof", "i-1", "--ledger"], ["proof", "i-9", "--ledger"]])
def test_what_cannot_be_given_is_said(tmp_path: Path, words: list[str]) -> None:
    """No ledger, or nothing in it: exit 1 and one line."""
    code, text = run(*words, str(tmp_path / "nothing.db"))
    assert code == 1
    assert "no ledger at" in text


def test_export_command(ledger: Path) -> None:
    """JSON Lines, the checkpoint last."""
    code, text = run("export", str(ledger))
    assert code == 0
    assert "checkpoint" in json.loads(text.splitlines()[-1])


def test_notes_are_shown_and_bounded(tmp_path: Path) -> None:
    """Notes do not make a ledger unsound."""
    log = Ledger.open(tmp_path / "ledger.db", tmp_path / "ledger.key", ORIGIN, alarm=pytest.fail)
    for _ in range(25):
        log.append("later", {"time": 1}, details={"x": b"y"})
    log.close()
    connection = without_triggers(tmp_path / "ledger.db")
    connection.close()
    filled(tmp_path / "other", 1)
    code, text = run("verify", str(tmp_path))
    assert code == 1
    assert "Note: 5 more notes" in text


def test_a_ledger_without_a_checkpoint_exports_nothing(ledger: Path) -> None:
    """Nothing is signed, so nothing is given out."""
    connection = without_triggers(ledger)
    connection.execute("DELETE FROM checkpoint")
    connection.close()
    with pytest.raises(StorageError, match="nothing in this ledger is signed yet"):
        list(export_lines(ledger))


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE leaf SET body = 'x' WHERE idx = 1", "entry 1 has no body"),
        ("UPDATE leaf SET body = CAST('\"i-1\"x' AS BLOB) WHERE idx = 3", "not JSON"),
        ("DELETE FROM leaf WHERE idx = 2", "the subtree 0/2 is missing"),
        ("DELETE FROM node", "is missing"),
        ("DELETE FROM log", "does not say whose it is"),
    ],
)
def test_a_damaged_ledger_proves_nothing(ledger: Path, statement: str, words: str) -> None:
    """The reason is told instead of a proof that would fail."""
    connection = without_triggers(ledger)
    connection.execute(statement)
    connection.close()
    with pytest.raises(StorageError, match=words):
        prove_incident(ledger, "i-1")
