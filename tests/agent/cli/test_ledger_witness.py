"""Witnessing by plain files, handing a ledger over, and beginning it anew: the commands as they are typed."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent import keys
from agent.cli.ledger import command
from agent.ledger import Ledger, body
from agent.ledger.cosignature import witness_of
from tests.agent.ledger.test_ledger import stop_entry

CHAIN = """\
version: 1
effective: 2026-01-01T00:00
timezone: Europe/Amsterdam
director: msp
parties: {{msp: {{name: MSP}}, incumbent: {{name: Incumbent}}, client: {{name: Client}}}}
segments: {{host: {{owner: msp, side: cloud}}, far: {{owner: incumbent, side: onprem}}}}
vantages:
  cloud: {{segment: host, operator: msp, key: "{cloud}"}}
  onprem: {{segment: far, operator: incumbent, key: "{onprem}"}}
probes: {{gw: {{type: tcp, from: cloud, target: "127.0.0.1:9", path: [host, far]}}}}
"""


class Desk:
    """A ledger, a chain file, and a witness on a host without an agent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.log = self.data / "ledger.db"
        self.fill(3)
        self.cloud = keys.parse_signer((self.data / "ledger.key").read_text())
        self.onprem = keys.Signer(name="demarc/onprem", seed=bytes([1]) * 32)
        self.chain = folder / "chain.yml"
        self.chain.write_text(CHAIN.format(cloud=self.cloud.verifier, onprem=self.onprem.verifier))

    def fill(self, count: int, source: bytes = b"") -> None:
        """Write some more entries, the last one about the chain file where it is given."""
        log = Ledger.open(self.log, self.data / "ledger.key", "demarc/cloud", alarm=pytest.fail)
        for number in range(count):
            log.append("agent-stop", stop_entry(number)).result(10)
        if source:
            entry = body.ChainEntry(time=9, hash="ab" * 32, effective="2026-01-01T00:00", vantage="cloud")
            log.append(*body.write(entry), details={"source": source}).result(10)
        assert log.close()

    def cosign(self, since: int, log: str = "") -> tuple[int, str]:
        """Carry a request to the witness; return what it says."""
        code, text = run("checkpoint", str(self.data), "--since", str(since))
        assert code == 0, text
        (self.folder / "request.txt").write_text(text)
        where = [f"--{name}={self.folder / name}" for name in ("key", "memory")]
        key = log or str(self.cloud.verifier)
        return run("cosign", str(self.folder / "request.txt"), "--log", key, "--name", "witness.client.example", *where)

    @property
    def witness(self) -> str:
        """Return the witness's key."""
        return str(witness_of(keys.parse_signer((self.folder / "key").read_text()).verifier))

    def accept(self, cosigned: str) -> tuple[int, str]:
        """Carry the answer back."""
        (self.folder / "cosigned.txt").write_text(cosigned)
        return run("accept", str(self.folder / "cosigned.txt"), str(self.data), "--witness", self.witness)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """Return a desk."""
    return Desk(tmp_path)


def run(*words: str) -> tuple[int, str]:
    """Run the command; what is printed and, when it fails, why."""
    result = CliRunner().invoke(command, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout if result.exit_code == 0 else result.output


def test_a_witness_by_plain_files(desk: Desk) -> None:
    """Request, cosignature and its acceptance travel as files; the policy then finds the witness."""
    code, cosigned = desk.cosign(0)
    assert (code, desk.accept(cosigned)) == (0, (0, "3 entries are cosigned.\n"))
    desk.fill(2)
    code, cosigned = desk.cosign(3)
    assert (code, desk.accept(cosigned)) == (0, (0, "5 entries are cosigned.\n"))
    code, policy = run("policy", str(desk.chain), "--vantage", "cloud", "--witnesses", "2", "--witness", desk.witness)
    assert code == 0
    (desk.folder / "policy.txt").write_text(policy)
    code, text = run("verify", str(desk.data), "--policy", str(desk.folder / "policy.txt"))
    assert code == 1
    assert "the quorum 'parties' of the policy has not cosigned it" in text
    (desk.folder / "policy.txt").write_text(policy.replace("group parties 2", "group parties 1"))
    code, text = run("verify", str(desk.data), "--policy", str(desk.folder / "policy.txt"))
    assert code == 0
    assert "witness.client.example cosigned the first 5 entries" in text


def test_a_witness_says_what_it_has_and_refuses_another_history(desk: Desk) -> None:
    """A request from elsewhere is told the size to ask from; two histories are shown side by side, as evidence."""
    assert desk.cosign(0)[0] == 0
    desk.fill(1)
    code, text = desk.cosign(0)
    assert (code, "ask for `demarc ledger checkpoint --since 3`" in text) == (1, True)
    for path in desk.data.glob("ledger.db*"):
        path.unlink()
    desk.fill(0, b"another history")
    desk.fill(3)
    code, text = desk.cosign(3)
    assert (code, "KEEP THESE TWO" in text, text.count("demarc/cloud\n")) == (1, True, 2)
    assert desk.cosign(0, str(desk.onprem.verifier))[0] == 1
    assert run("checkpoint", str(desk.data), "--since", "99")[0] == 1


def test_what_is_no_cosignature_is_not_accepted(desk: Desk) -> None:
    """Of nobody, of another ledger, or no note at all."""
    _, cosigned = desk.cosign(0)
    for text in ("", cosigned.replace("\n3\n", "\n2\n"), "\n".join(cosigned.split("\n")[:-2]) + "\n"):
        assert desk.accept(text)[0] == 1
    assert run("accept", str(desk.folder / "cosigned.txt"), str(desk.folder), "--witness", desk.witness)[0] == 1


def test_a_new_witness_needs_a_name(desk: Desk) -> None:
    """It stands in every signature."""
    (desk.folder / "request.txt").write_text(run("checkpoint", str(desk.data))[1])
    words = ["--log", str(desk.cloud.verifier), "--key", str(desk.folder / "k"), "--memory", str(desk.folder / "m")]
    code, text = run("cosign", str(desk.folder / "request.txt"), *words)
    assert (code, "--name" in text) == (2, True)


def test_a_renewed_ledger_is_told_of_and_cosigned_anew(desk: Desk) -> None:
    """The witness takes the epoch for a log of its own; with a new key the command prints it."""
    assert desk.cosign(0)[0] == 0
    code, text = run("renew", str(desk.data), "--reason", "restored from a copy")
    assert (code, "demarc/cloud/2" in text) == (0, True)
    code, cosigned = desk.cosign(0)
    assert (code, cosigned.startswith("demarc/cloud/2\n1\n")) == (0, True)
    code, text = run("renew", str(desk.data), "--reason", "its key was copied", "--new-key")
    after = keys.parse_signer((desk.data / "ledger.key").read_text()).verifier
    assert (code, str(after) in text, after.public == desk.cloud.verifier.public) == (0, True, False)
    assert run("key", str(desk.data)) == (0, f"{after}\n")
    code, text = run("verify", str(desk.data))
    assert (code, text.count("The ledger is whole")) == (0, 3)


def test_a_key_that_systemd_keeps(desk: Desk) -> None:
    """The epoch is signed with the credential; a new key cannot be written there, and that is said."""
    (desk.folder / "credentials").mkdir()
    (desk.data / "ledger.key").rename(desk.folder / "credentials" / "ledger-key")
    runner = CliRunner(env={"CREDENTIALS_DIRECTORY": str(desk.folder / "credentials")})
    done = runner.invoke(command, ["renew", str(desk.data), "--reason", "restored"])
    assert (done.exit_code, "demarc/cloud/2" in done.output) == (0, True), done.output
    refused = runner.invoke(command, ["renew", str(desk.data), "--reason", "copied", "--new-key"])
    assert (refused.exit_code, "a credential of systemd" in refused.output) == (1, True)
    assert "ledger.key" in run("renew", str(desk.data), "--reason", "without it")[1]


def test_a_proof_over_epochs(desk: Desk) -> None:
    """It comes from the newest epoch that tells of the incident, and says which others do."""
    hold = {"time": 5, "incident": "i1", "vantage": "cloud", "state": "held", "reason": "r", "party": "client"}
    for count in (1, 1):
        log = Ledger.open(desk.log, desk.data / "ledger.key", "demarc/cloud", alarm=pytest.fail)
        for _ in range(count):
            log.append("hold", hold).result(10)
        assert log.close()
        proven = CliRunner().invoke(command, ["proof", "i1", "--ledger", str(desk.data)])
        assert proven.exit_code == 0, proven.output
        file = desk.folder / "proof.json"
        file.write_text(proven.stdout)
        assert run("verify", str(file))[0] == 0
        assert run("renew", str(desk.data), "--reason", "test")[0] == 0
    assert "ledger-1.db" in proven.stderr
    assert "demarc/cloud/2" in proven.stdout
    assert run("proof", "i1", "--ledger", str(desk.data / "ledger-1.db"))[0] == 0
    code, text = run("proof", "nothing", "--ledger", str(desk.data))
    assert (code, "nothing" in text) == (1, True)


def test_a_running_agents_ledger_is_not_renewed(desk: Desk) -> None:
    """The data directory is locked."""
    code, text = run("renew", str(desk.folder / "nothing" / "there"), "--reason", "x")
    assert (code, "No such file" in text) == (1, True)


@pytest.mark.parametrize("disclose", [False, True])
def test_a_bundle_is_checked_with_what_stands_in_it(desk: Desk, *, disclose: bool) -> None:
    """Its own script, policy and exports, over all epochs, in a Python without our packages."""
    desk.fill(1, desk.chain.read_bytes())
    assert run("renew", str(desk.data), "--reason", "its key was copied", "--new-key")[0] == 0
    text = desk.chain.read_text().replace(str(desk.cloud.verifier), run("key", str(desk.data))[1].strip())
    desk.chain.write_text(text)
    desk.fill(1, desk.chain.read_bytes())
    more = ["--disclose"] if disclose else []
    code, text = run("bundle", str(desk.folder / "out"), "--ledger", str(desk.data), *more)
    assert code == 0, text
    names = ["FORMAT.md", "README.md", "keys.txt", "ledger-1.jsonl", "ledger.jsonl", "policy.txt", "verify.py"]
    assert sorted(path.name for path in (desk.folder / "out").iterdir()) == names
    assert ('"salt"' in (desk.folder / "out" / "ledger.jsonl").read_text()) is disclose
    secret = (desk.data / "ledger.key").read_text().split("+")[-1].strip()
    assert secret not in "".join(path.read_text() for path in (desk.folder / "out").iterdir())
    files = ["ledger-1.jsonl", "ledger.jsonl"]
    (desk.folder / "out" / "lax.txt").write_text(
        (desk.folder / "out" / "policy.txt").read_text().replace("quorum parties", "quorum none")
    )
    for policy, expected in (("policy.txt", 1), ("lax.txt", 0)):
        words = [sys.executable, "-I", "verify.py", "--policy", policy, *files]
        done = subprocess.run(words, cwd=desk.folder / "out", capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (expected, ""), done.stdout
    assert run("bundle", str(desk.folder / "out"), "--ledger", str(desk.data))[0] == 1


def test_a_policy_that_is_no_text_is_told(desk: Desk, tmp_path: Path) -> None:
    """In one line, before anything is written."""
    (tmp_path / "policy").write_bytes(b"\xff\xfe")
    words = ("--ledger", str(desk.data), "--policy", str(tmp_path / "policy"))
    code, text = run("bundle", str(desk.folder / "out"), *words)
    assert (code, "is not UTF-8 text" in text) == (2, True)
    assert not (desk.folder / "out").exists()


def test_a_bundle_without_a_chain_file_wants_no_witness(desk: Desk) -> None:
    """It is said, and the policy names the log's own key."""
    assert run("bundle", str(desk.folder / "out"), "--ledger", str(desk.data))[0] == 0
    assert (desk.folder / "out" / "policy.txt").read_text() == f"log {desk.cloud.verifier}\nquorum none\n"


def test_a_policy_that_the_chain_does_not_give(desk: Desk) -> None:
    """Too many witnesses, an unknown vantage, no key: said in one line."""
    for words in (["cloud", "--witnesses", "2"], ["x"], ["cloud", "--witness", "x"]):
        assert run("policy", str(desk.chain), "--vantage", *words)[0] in (1, 2)
    desk.chain.write_text(desk.chain.read_text().replace(f', key: "{desk.cloud.verifier}"', ""))
    assert "has no key of cloud" in run("policy", str(desk.chain), "--vantage", "cloud")[1]
