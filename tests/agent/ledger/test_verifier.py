"""The second reading of FORMAT.md: policies, exports and proofs, whole and mutated, by package and by single file."""

import base64
import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import keys
from agent.incident.value import Event
from agent.ledger import Ledger, merkle, witnessing
from agent.ledger.check import check
from agent.ledger.cosignature import Request, WitnessKey, cosign, witness_of
from agent.ledger.policy import key_policy
from agent.ledger.proof import export_lines, file_text, prove_incident
from agent.ledger.reading import connect
from agent.ledger.verifier import (
    Bad,
    Policy,
    Verdict,
    check_export,
    check_file,
    check_proof,
    parse_policy,
    script,
    told,
)
from agent.ledger.verifier.forms import BODY_BYTES, read_body
from agent.ledger.verifier.tree import Tree, included
from tests.agent.ledger.test_ledger import ORIGIN, stop_entry
from tests.agent.ledger.test_proof import transition

WITNESSES = {name: keys.Signer(name=f"demarc/{name}", seed=name.encode().ljust(32)) for name in ("onprem", "client")}
KEYS = {name: witness_of(signer.verifier) for name, signer in WITNESSES.items()}
TIME = 1_795_442_400


def made(folder: Path) -> Path:
    """Return a ledger of nine entries: the first six cosigned by one witness, the first eight by two."""
    path, at = folder / "ledger.db", 0
    for size, witnesses in ((4, ()), (6, ("onprem",)), (8, ("onprem", "client")), (9, ())):
        log = Ledger.open(path, folder / "ledger.key", ORIGIN, alarm=pytest.fail)
        for number in range(at, size):
            details = {"note": b"by Jansen"} if number == 2 else {}
            kind, fields = "agent-stop", stop_entry(number)
            if number % 3 == 2:
                kind, fields = "incident", transition("i-1" if number > 4 else "i-0", Event.CONFIRMED)
            log.append(kind, fields, details=details).result(10)
        at = size
        assert log.close()
        for name in witnesses:
            _cosign(folder, WITNESSES[name])
    return path


def _cosign(folder: Path, signer: keys.Signer) -> None:
    log = Ledger.open(folder / "ledger.db", folder / "ledger.key", ORIGIN, alarm=pytest.fail)
    asked = log.run(lambda storage: witnessing.request_of(storage.connection, 0)).result(10)
    assert isinstance(asked, Request)
    text = asked.note.partition("\n\n")[0] + "\n"
    note = f"{asked.note}{cosign(signer, text, TIME + asked.old)}"
    key = witness_of(signer.verifier)
    assert log.run(lambda storage: witnessing.keep_cosignature(storage.connection, key, note)).result(10).size
    log.close()


class Corpus:
    """A ledger, its key, and what it gives to others."""

    def __init__(self, folder: Path) -> None:
        self.ledger = made(folder)
        self.key = keys.parse_signer((folder / "ledger.key").read_text()).verifier
        self.export = "".join(export_lines(self.ledger, disclose=True)).encode()
        self.part = "".join(export_lines(self.ledger, since=2, until=7)).encode()
        self.earlier_proof = file_text(prove_incident(self.ledger, "i-0", disclose=True)).encode()
        self.proof = file_text(prove_incident(self.ledger, "i-1", disclose=True)).encode()

    def policy(self, quorum: str) -> str:
        """Return a policy with both witnesses and this quorum."""
        lines = [f"log {self.key}", *(f"witness {name} {key}" for name, key in KEYS.items())]
        return "\n".join([*lines, "group both all onprem client", f"quorum {quorum}", ""])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Return the corpus, made once."""
    return Corpus(tmp_path_factory.mktemp("corpus"))


def checked(data: bytes, policy: str | None) -> Verdict:
    """Check a file's content."""
    read = None if policy is None else parse_policy(policy)
    return check_proof(data, read) if data.startswith(b"{\n") else check_export(data.splitlines(keepends=True), read)


def test_what_is_whole_is_told_so(corpus: Corpus) -> None:
    """Entries, what is signed and what is witnessed, the same for the ledger and its export."""
    for quorum in ("onprem", "client", "both"):
        policy = corpus.policy(quorum)
        for verdict in (checked(corpus.export, policy), check(corpus.ledger, parse_policy(policy))):
            assert verdict.problems == ()
            assert (verdict.entries, verdict.signed, verdict.witnessed, verdict.own_key) == (9, 9, 8, False)
            assert verdict.witnesses == {"client": (8, TIME), "onprem": (8, TIME)}
            assert verdict.notes[-1] == "entries 8 to 8 are signed by the log alone, not witnessed yet"
    part = checked(corpus.part, corpus.policy("none"))
    assert (part.problems, part.entries, part.signed) == ((), 5, 9)
    assert "has not cosigned it" in checked(corpus.part, corpus.policy("client")).problems[0]


def test_a_proof_stands_under_what_others_cosigned(corpus: Corpus) -> None:
    """The newest checkpoint is not cosigned, so an older one proves more."""
    verdict = checked(corpus.proof, corpus.policy("none"))
    assert (verdict.problems, verdict.entries, verdict.signed) == ((), 2, 9)
    earlier = checked(corpus.earlier_proof, corpus.policy("both"))
    assert (earlier.problems, earlier.entries, earlier.witnessed) == ((), 1, 8)


def test_without_a_policy_a_file_shows_only_that_it_is_whole(corpus: Corpus) -> None:
    """Its own key is used, and that is said."""
    for data in (corpus.export, corpus.part, corpus.proof):
        verdict = checked(data, None)
        assert (verdict.problems, verdict.own_key) == ((), True)
        assert "not whose it is" in told(verdict)


def test_nobody_is_his_own_witness(corpus: Corpus, tmp_path: Path) -> None:
    """A log's own key as a witness counts for nothing."""
    path = made(tmp_path)
    signer = keys.parse_signer((tmp_path / "ledger.key").read_text())
    _cosign(tmp_path, signer)
    policy = f"log {signer.verifier}\nwitness me {witness_of(signer.verifier)}\nquorum me\n"
    verdict = check(path, parse_policy(policy))
    assert verdict.problems == ("the quorum 'me' of the policy has not cosigned it",)
    assert "single-signed" in told(check(path, parse_policy(key_policy(signer.verifier))))


POLICY_ERRORS = {
    "no quorum": "log {log}\n",
    "two quorums": "quorum none\nquorum none\n",
    "an unknown quorum": "quorum x\n",
    "a word too many": "log {log} url more\nquorum none\n",
    "a witness's key as a log": "log {witness}\nquorum none\n",
    "a log's key as a witness": "witness w {log}\nquorum none\n",
    "a log twice": "log {log}\nlog {log}\nquorum none\n",
    "a witness twice": "witness a {witness}\nwitness b {witness}\nquorum none\n",
    "a name twice": "witness a {witness}\ngroup a any a\nquorum a\n",
    "none as a name": "witness none {witness}\nquorum none\n",
    "none in a group": "group g any none\nquorum g\n",
    "a member before it is known": "group g any a\nwitness a {witness}\nquorum g\n",
    "a member of two groups": "witness a {witness}\ngroup g any a\ngroup h any a\nquorum g\n",
    "a group of none": "group g any\nquorum none\n",
    "too many wanted": "witness a {witness}\ngroup g 2 a\nquorum g\n",
    "none wanted": "witness a {witness}\ngroup g 0 a\nquorum g\n",
    "some wanted": "witness a {witness}\ngroup g some a\nquorum g\n",
    "a key of another id": "log {forged}\nquorum none\n",
    "no key": "log abc\nquorum none\n",
    "another word": "logs {log}\nquorum none\n",
}


@pytest.mark.parametrize("text", POLICY_ERRORS.values(), ids=POLICY_ERRORS.keys())
def test_what_is_no_policy_is_refused(text: str) -> None:
    """With the line, or the word, that is wrong."""
    signer = WITNESSES["onprem"]
    forged = str(signer.verifier).replace(signer.verifier.id.hex(), "00000000")
    with pytest.raises(Bad):
        parse_policy(text.format(log=signer.verifier, witness=KEYS["onprem"], forged=forged))


def test_a_policy_may_be_written_freely() -> None:
    """Comments, spaces, tabs, addresses, groups of groups."""
    third = WitnessKey(name="third", public=bytes(32))
    text = f"""
      # whose word counts
    witness A {KEYS["onprem"]} https://witness.example/
    \twitness\tB\t{KEYS["client"]}
    witness C {third}
    group AB 2 A B
    group all3 any AB C
    log {WITNESSES["onprem"].verifier} https://log.example
    quorum all3
    """
    policy = parse_policy(text)
    wanted = {("A",): False, ("A", "B"): True, ("C",): True, (): False, ("B",): False}
    assert {names: policy.met(names) for names in wanted} == wanted
    assert len(policy.keys_of("demarc/onprem/2")) == 1
    others = ("demarc/onprem/x", "demarc/onprem2", "demarc", "demarc/onprem/02")
    assert [policy.keys_of(name) for name in others] == [()] * 4


@given(st.text())
def test_any_text_is_a_policy_or_bad(text: str) -> None:
    """Nothing else comes out."""
    try:
        assert isinstance(parse_policy(text), Policy)
    except Bad:
        return


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return the content with one thing changed: a byte, a line, a character in a field, or a whole field."""
    lines = data.splitlines(keepends=True)
    way = rng.randrange(7)
    if way == 0:
        place = rng.randrange(len(data))
        return data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
    if way == 1:
        place = rng.randrange(len(data))
        return data[:place] + data[place + 1 :]
    if way == 2:
        place = rng.randrange(len(data) + 1)
        return data[:place] + rng.choice([b"0", b"A", b"\n", b" ", b'"', b"\xff", b"+"]) + data[place:]
    if way == 3:
        return data[: rng.randrange(len(data))]
    one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    if way == 4:
        del lines[one]
    elif way == 5:
        lines[one], lines[other] = lines[other], lines[one]
    else:
        lines.insert(other, lines[one])
    return b"".join(lines)


def mutations(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Yield so many different contents, none of them the original."""
    rng = random.Random(seed)
    seen = {data}
    while len(seen) <= count:
        other = mutated(data, rng)
        if other not in seen:
            seen.add(other)
            yield other


def refused(corpus: Corpus, count: int) -> None:
    """Check that every mutation is refused with a sentence that says what is wrong."""
    policy = corpus.policy("both")
    for data in (corpus.export, corpus.part):
        quorum = policy if data is corpus.export else corpus.policy("none")
        assert checked(data, quorum).ok
        for other in mutations(data, count // 2, count):
            verdict = checked(other, quorum)
            assert not verdict.ok, other
            assert all(problem.strip() and len(problem) < 400 for problem in verdict.problems)
            assert "NOT whole" in told(verdict)


def test_mutations_of_exports_are_refused(corpus: Corpus) -> None:
    """A few hundred; ten thousand under soak."""
    refused(corpus, 400)


@pytest.mark.soak
def test_ten_thousand_mutations_of_exports_are_refused(corpus: Corpus) -> None:
    """Each with a message that says what is wrong."""
    refused(corpus, 10_000)


def test_mutations_of_proofs_are_refused(corpus: Corpus) -> None:
    """A proof file has one form too."""
    policy = corpus.policy("onprem")
    assert checked(corpus.earlier_proof, policy).ok
    for other in mutations(corpus.earlier_proof, 200, 1):
        assert not checked(other, policy).ok, other


def entry_line(export: bytes, change: Any) -> bytes:
    """Return the export with its third line changed by `change` and in its one form again."""
    lines = export.splitlines()
    line = json.loads(lines[2])
    change(line)
    lines[2] = json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode()
    return b"\n".join(lines) + b"\n"


WRONG = {
    "an altered body": (lambda line: line.update(body=line["body"].replace("i-0", "i-2")), "does not match its hash"),
    "an altered body and hash": (
        lambda line: line.update(body="{}", hash=merkle.leaf_hash(b"{}").hex()),
        "does not match the 6 before it",
    ),
    "an altered detail": (
        lambda line: line["details"]["note"].update(data=base64.b64encode(b"by Pietersen").decode()),
        "the detail 'note' does not match its commitment",
    ),
    "a detail of nothing": (
        lambda line: line["details"].update(x=line["details"]["note"]),
        "the detail 'x' does not match",
    ),
    "details in another form": (lambda line: line.update(details=[]), "details are by name"),
    "an index": (lambda line: line.update(index=7), "entry 7 stands where entry 2 belongs"),
    "an index that is none": (lambda line: line.update(index="2"), "an entry has a body, a hash and an index"),
    "another key": (lambda line: line.update(more="x"), "other keys"),
}


@pytest.mark.parametrize(("change", "words"), WRONG.values(), ids=WRONG.keys())
def test_the_sentence_says_what_is_wrong(corpus: Corpus, change: Any, words: str) -> None:
    """And where."""
    problems = checked(entry_line(corpus.export, change), corpus.policy("none")).problems
    assert any(words in problem for problem in problems), problems


def test_a_cut_export_is_told(corpus: Corpus) -> None:
    """By lines, by bytes, to nothing; and nothing may stand after the end."""
    lines = corpus.export.splitlines(keepends=True)
    policy = corpus.policy("none")
    for rest in ([], lines[:-1], lines[:3]):
        assert "the last line" in checked(b"".join(rest), policy).problems[0]
    assert "cut off" in checked(corpus.export[:-1], policy).problems[0]
    assert "after the last line" in checked(corpus.export + lines[0], policy).problems[0]
    assert "the entries before it are missing" in checked(b"".join(lines[1:]), policy).problems[0]


BODIES = ['{"a": 1}', '{"a":1.5}', '{"a":true}', '{"a":null}', '{"é":1}', "[1]", '{"a":1,"a":2}', '{"b":1,"a":2}', "{",
    '{"a":' + "9" * 30 + "}", '{"a":9223372036854775808}', '{"a":' + "[" * 20 + "]" * 20 + "}", '{"":1}',
    '{"a":"' + "x" * BODY_BYTES + '"}', '{"a":NaN}', '{"a":"\\u0041"}']  # fmt: skip


@pytest.mark.parametrize("text", BODIES)
def test_a_body_that_is_not_canonical_is_bad(text: str) -> None:
    """The same forms as the writer's own reader refuses."""
    with pytest.raises(Bad):
        read_body(text)


def test_the_tree_agrees_with_the_writers(corpus: Corpus) -> None:
    """Roots and inclusion proofs of every size up to 70, reckoned twice."""
    leaves = [merkle.leaf_hash(b"%d" % number) for number in range(70)]

    def read(level: int, index: int) -> bytes:
        if level == 0:
            return leaves[index]
        return merkle.node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))

    tree = Tree()
    for size in range(70):
        assert tree.root() == merkle.root(size, read)
        for index in range(size):
            proof = list(merkle.inclusion_proof(index, size, read))
            assert included(leaves[index], index, size, proof, tree.root())
            assert not included(leaves[index - 1], index, size, proof, tree.root()) or size == 1
            assert not included(leaves[index], index, size, [*proof, leaves[0]], tree.root())
        assert not included(leaves[0], size, size, [], tree.root())
        tree.add(leaves[size])


def test_the_single_file_gives_the_same_verdicts(corpus: Corpus, tmp_path: Path) -> None:
    """It runs without our packages, over whole and mutated files, with and without a policy."""
    (tmp_path / "verify.py").write_text(script(), encoding="utf-8")
    assert "agent" not in [
        line.split(" ")[1].split(".")[0] for line in script().splitlines() if line.startswith("from ")
    ]
    (tmp_path / "policy.txt").write_text(corpus.policy("onprem"), encoding="utf-8")
    contents = [corpus.export, corpus.part, corpus.earlier_proof, corpus.proof, b""]
    contents += [other for data in contents[:4] for other in mutations(data, 25, 7)]
    files = []
    for number, content in enumerate(contents):
        files.append(tmp_path / f"{number}.txt")
        files[-1].write_bytes(content)
    for policy in ([], ["--policy", "policy.txt"]):
        read = parse_policy(corpus.policy("onprem")) if policy else None
        words = [sys.executable, "-I", "verify.py", *policy, "--format", "json", *(file.name for file in files)]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
        assert (done.returncode, done.stderr) == (1, "")
        for file, line in zip(files, done.stdout.splitlines(), strict=True):
            expected = check_file(file, read)
            verdict = json.loads(line)
            for name in ("ok", "what", "origin", "key", "own_key", "entries", "signed", "witnessed", "checkpoint"):
                assert verdict[name] == getattr(expected, name)
            assert (tuple(verdict["problems"]), tuple(verdict["notes"])) == (expected.problems, expected.notes)
    good = subprocess.run(
        [sys.executable, "-I", "verify.py", "0.txt"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (good.returncode, good.stdout.startswith("0.txt: The export is whole: 9 entries")) == (0, True)
    bad = [sys.executable, "-I", "verify.py", "--policy", "0.txt", "0.txt"]
    assert subprocess.run(bad, cwd=tmp_path, capture_output=True, check=False).returncode == 2


def test_a_damaged_database_gives_no_export(corpus: Corpus) -> None:
    """The connection for reading changes nothing."""
    connection = connect(corpus.ledger)
    assert connection.execute("SELECT count(*) FROM leaf").fetchone() == (9,)
    connection.close()
