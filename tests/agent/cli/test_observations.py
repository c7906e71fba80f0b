"""`demarc observations`: what was recorded comes out again, and bad input is told."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.observations import command
from agent.observation import decode
from agent.store import DATABASE, Store
from tests.agent.diagnosis.world import START, lab_chain, record


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a data directory with three recorded rounds."""
    store = Store.open(tmp_path / DATABASE)
    for one in record(lab_chain(), [(3, {})], ["cloud"]):
        store.observation(one)
    assert store.close()
    return tmp_path


def run(*arguments: str) -> tuple[int, list[str], str]:
    """Run the command; return exit status, lines and standard error."""
    result = CliRunner().invoke(command, list(arguments))
    return result.exit_code, result.stdout.splitlines(), result.stderr


@pytest.mark.parametrize(
    ("what", "options", "rounds"),
    [
        ("everything", [], {7312, 7313, 7314}),
        ("from a second on", ["--from", str(START + 1)], {7313, 7314}),
        ("up to a moment", ["--to", "2026-11-23T14:00:01Z"], {7312}),
        ("a moment without offset is UTC", ["--to", "2026-11-23T14:00:01"], {7312}),
    ],
)
def test_comes_out(data: Path, what: str, options: list[str], rounds: set[int]) -> None:
    """Each line is an observation of the period that was asked for."""
    status, lines, _ = run("--data", str(data), *options)
    assert (status, {decode(line).round for line in lines}) == (0, rounds), what


def test_no_store(tmp_path: Path) -> None:
    """A directory without a store is refused with a remedy, and nothing is made there."""
    status, _, errors = run("--data", str(tmp_path / "none"))
    assert (status, "--data" in errors) == (66, True)
    assert not (tmp_path / "none").exists()


def test_no_moment(data: Path) -> None:
    """What is no moment is a usage error."""
    status, _, errors = run("--data", str(data), "--from", "yesterday")
    assert (status, "yesterday" in errors) == (2, True)
