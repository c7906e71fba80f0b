"""What only a forger makes: files whose digests are right and whose content is not; and the script's command line."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from agent import keys
from agent.keys import encode64
from agent.ledger.cosignature import cosign, witness_of
from agent.ledger.verifier import Bad, Verdict, check_export, check_proof, parse_policy, told
from agent.ledger.verifier.checks import PROOF, Findings
from agent.ledger.verifier.forms import one_form
from agent.ledger.verifier.words import main
from tests.agent.ledger.test_verifier import Corpus

LOGS = {name: keys.Signer(name=name, seed=name.encode().ljust(32)) for name in ("a", "b")}
BOTH = parse_policy("".join(f"log {one.verifier}\n" for one in LOGS.values()) + "quorum none\n")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Return a ledger and what it gives to others."""
    return Corpus(tmp_path_factory.mktemp("edges"))


def note(log: str, size: object, more: str = "") -> str:
    """Return a signed checkpoint over any tree."""
    text = f"{log}\n{size}\n{encode64(bytes(32))}\n{more}"
    return f"{text}\n{LOGS[log].sign(text)}"


def test_one_file_speaks_of_one_log() -> None:
    """Though the policy knows both; an older checkpoint takes no place of a newer one."""
    findings = Findings(BOTH)
    for size in (5, 3):
        findings.stands(findings.checkpoint(note("a", size)), note("a", size))
    assert findings.signed is not None
    assert findings.signed.size == 5
    with pytest.raises(Bad, match="it speaks of two logs, a and b"):
        findings.checkpoint(note("b", 5))


def test_a_checkpoint_has_three_lines() -> None:
    """Extension lines are none of ours, and a size has one form."""
    for size, more in ((5, "an extension\n"), ("05", "")):
        with pytest.raises(Bad, match="three lines"):
            Findings(BOTH).checkpoint(note("a", size, more))


def forged(corpus: Corpus, **changes: Any) -> Verdict:
    """Check an export of a part whose first entry was changed, with a digest that is right again."""
    first, *rest, last = corpus.part.splitlines(keepends=True)
    rows = [f"{one_form(json.loads(first) | changes)}\n".encode(), *rest]
    end = json.loads(last)
    end["digest"] = hashlib.sha256(b"".join(rows) + end["checkpoint"].encode()).hexdigest()
    return check_export([*rows, f"{one_form(end)}\n".encode()], parse_policy(corpus.policy("none")))


def test_a_digest_that_was_made_right_again_proves_nothing(corpus: Corpus) -> None:
    """The tree does."""
    assert forged(corpus).ok
    (problem,) = forged(corpus, proof=[encode64(bytes(32))]).problems
    assert "is not in the tree of 9 entries" in problem
    (problem,) = forged(corpus, proof="none").problems
    assert "a proof is a list of hashes" in problem


def test_a_proof_of_nothing(corpus: Corpus) -> None:
    """It proves nothing."""
    whole = json.loads(corpus.proof) | {"entries": [], "digest": hashlib.sha256(b"[]").hexdigest()}
    assert whole["format"] == PROOF
    assert "holds no entries" in check_proof(f"{one_form(whole, 1)}\n".encode()).problems[0]


def test_a_time_beyond_the_calendar_is_told_as_a_number() -> None:
    """Only a witness of the policy could have signed it, and the checker does not fall over it."""
    witness = keys.Signer(name="w", seed=bytes(32))
    policy = parse_policy(f"log {LOGS['a'].verifier}\nwitness w {witness_of(witness.verifier)}\nquorum w\n")
    text = f"a\n3\n{encode64(bytes(32))}\n"
    signed = f"{text}\n{LOGS['a'].sign(text)}{cosign(witness, text, 2**63)}"
    findings = Findings(policy)
    findings.stands(findings.checkpoint(signed), signed)
    assert f"w cosigned the first 3 entries, at the second {2**63}." in told(findings.verdict("export", whole=True))


def test_the_script_says_what_it_found(corpus: Corpus, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 0 when all is whole, 1 when not, 2 when it could not look."""
    good, bad, policy = (tmp_path / name for name in ("good.jsonl", "bad.json", "policy.txt"))
    good.write_bytes(corpus.export)
    bad.write_bytes(corpus.proof.replace(b"i-1", b"i-2", 1))
    policy.write_text(corpus.policy("both"))
    assert main([str(good), "--policy", str(policy)]) == 0
    assert main([str(good), str(bad), "--format", "json"]) == 1
    assert [json.loads(line)["ok"] for line in capsys.readouterr().out.splitlines()[-2:]] == [1, 0]
    assert main([str(good), "--policy", str(bad)]) == 2
    assert main([str(tmp_path / "nothing"), "--policy", str(tmp_path / "nothing")]) == 2
    assert "nothing" in capsys.readouterr().err
