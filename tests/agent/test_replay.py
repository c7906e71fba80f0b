"""Replay: the recorded faults of the lab, the contract's output, and input that is none."""

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from agent.cli.replay import command
from agent.config import load_chain
from agent.observation import decode, encode
from agent.replay import BadLineError, document, read, replay
from lab.faults import FAULTS
from tests.agent.diagnosis.world import CHAIN_FILE, START, lab_chain, observation, record
from tests.lab.test_scenarios import agrees

REPLAYS = Path(__file__).parents[1] / "data" / "replays"
RECORDED = sorted(REPLAYS.glob("*.jsonl"))
KEYS = {
    "id", "opened", "closed", "kind", "parties", "candidates", "segments", "services", "standing", "rests_on",
    "margin", "decide_with", "support",
}  # fmt: skip


def found(lines: list[bytes]) -> list[dict[str, Any]]:
    """Return the incidents that recorded lines prove on the lab's recorded chain."""
    chain = load_chain(REPLAYS / "chain.yml")
    incidents: list[dict[str, Any]] = json.loads(document(replay(chain, read(lines))))["incidents"]
    return incidents


def test_every_row_is_recorded() -> None:
    """Each row of the issue's table has its recorded fault."""
    assert {path.stem for path in RECORDED} == {name for name, fault in FAULTS.items() if fault.row}


@pytest.mark.parametrize("path", RECORDED, ids=lambda p: p.stem)
def test_recorded_fault(path: Path) -> None:
    """A recorded fault gives the table's finding: of both vantages, and of the cloud's alone."""
    fault = FAULTS[path.stem]
    assert fault.cloud is not None
    assert fault.both is not None
    lines = path.read_bytes().splitlines()
    assert agrees(found(lines), fault.both)
    assert agrees(found([line for line in lines if b'"vantage":"cloud"' in line]), fault.cloud)


@pytest.mark.parametrize("path", RECORDED[:3], ids=lambda p: p.stem)
def test_same_input_same_bytes(path: Path) -> None:
    """The order of the lines does not matter, and the output is the same to the byte."""
    chain, lines = load_chain(REPLAYS / "chain.yml"), path.read_bytes().splitlines()
    assert document(replay(chain, read(lines))) == document(replay(chain, read(lines)))


def test_the_contracts_keys() -> None:
    """Every key is always present, for every kind of incident."""
    chain = lab_chain()
    letters = {"erp": "r", "erp-local": "r", "cloud>self": "."}
    blind = {"onprem>self": "s"}
    incidents = json.loads(document(replay(chain, record(chain, [(6, {}), (6, letters), (20, {}), (6, blind)]))))
    kinds = {i["kind"] for i in incidents["incidents"]}
    assert kinds == {"attributed", "monitor"}
    for incident in incidents["incidents"]:
        assert set(incident) == KEYS
        assert set(incident["support"]) == {"failing", "exonerating"}


def test_unknown_keys_are_ignored() -> None:
    """Readers ignore keys that they do not know."""
    line = encode(observation("gw", "cloud", "s", START, 1))[:-1] + b',"from_the_future":[1]}'
    assert decode(line).probe == "gw"


BAD = [
    ("not json", b"{", 1),
    ("a list", b"[]", 1),
    ("no round", b'{"time":1,"vantage":"v","probe":"p","outcome":"ok"}', 1),
    ("an outcome that does not exist", b'{"time":1,"round":1,"vantage":"v","probe":"p","outcome":"bad"}', 1),
    ("a bad second line", encode(observation("gw", "cloud", ".", START, 1)) + b"\n\nnonsense", 3),
    ("no utf-8", b'{"time":1,"round":1,"vantage":"\xff","probe":"p","outcome":"ok"}', 1),
]


@pytest.mark.parametrize(("what", "data", "line"), BAD, ids=[b[0] for b in BAD])
def test_bad_line(what: str, data: bytes, line: int) -> None:
    """A line that is no observation is refused with its number."""
    with pytest.raises(BadLineError) as error:
        read(data.split(b"\n"))
    assert error.value.line == line, what


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    """Any line is an observation or a BadLineError, nothing else."""
    with contextlib.suppress(BadLineError):
        assert len(read([data])) <= 1


def run(*arguments: str, data: bytes = b"") -> tuple[int, str, str]:
    """Run the command; return exit status, standard output and standard error."""
    result = CliRunner().invoke(command, list(arguments), input=data)
    return result.exit_code, result.stdout, result.stderr


def test_command_json() -> None:
    """The command prints the document; a stranger's observation is ignored, and said."""
    chain = lab_chain()
    lines = [encode(o) for o in record(chain, [(6, {}), (6, {"erp": "r", "erp-local": "r"})])]
    lines.append(encode(observation("nobody", "cloud", "s", START, 1)))
    status, output, errors = run("--chain", str(CHAIN_FILE), "--format", "json", "-", data=b"\n".join(lines))
    assert status == 0
    assert json.loads(output)["incidents"][0]["parties"] == ["incumbent"]
    assert "cloud>nobody" in errors


def test_command_text(tmp_path: Path) -> None:
    """Without a format a person reads a line for each incident, or that there is none."""
    chain = lab_chain()
    file = tmp_path / "o.jsonl"
    file.write_bytes(b"\n".join(encode(o) for o in record(chain, [(6, {}), (6, {"dns": "r"}), (12, {})])))
    status, output, _ = run("--chain", str(CHAIN_FILE), str(file))
    assert status == 0
    assert "attributed  msp" in output
    file.write_bytes(b"")
    assert "these observations: there are none" in run("--chain", str(CHAIN_FILE), str(file))[1]
    file.write_bytes(b"\n".join(encode(o) for o in record(chain, [(6, {})])))
    assert re.search(
        r"no incident is confirmed by [1-9]\d* observations", run("--chain", str(CHAIN_FILE), str(file))[1]
    )


def test_command_refuses_bad_input(tmp_path: Path) -> None:
    """A bad chain file is 78, a bad or missing record 65; both name file and line."""
    file = tmp_path / "o.jsonl"
    assert run("--chain", str(tmp_path / "none.yml"), str(file))[0] == 78
    status, _, errors = run("--chain", str(CHAIN_FILE), str(file))
    assert (status, "cannot be read" in errors) == (65, True)
    file.write_text("{}\n")
    status, _, errors = run("--chain", str(CHAIN_FILE), str(file))
    assert (status, f"{file}:1:" in errors) == (65, True)
