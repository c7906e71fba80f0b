"""`demarc init` as a user sees it; what it writes passes `demarc check`."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from agent.cli import check
from agent.cli.init import command, local_timezone
from agent.config import load_host_and_chain

GATEWAY = ("--gateway", "192.0.2.1")


def init(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(command, arguments)


def test_files_that_pass_the_check(tmp_path: Path) -> None:
    """Both files are written into a new directory, and `demarc check` accepts them."""
    directory = tmp_path / "new"
    result = init(str(directory), *GATEWAY, "--operator", "Gemeente Voorbeeld", "--vantage", "cloud")
    assert result.exit_code == 0, result.stderr
    assert CliRunner().invoke(check.command, [str(directory / "agent.yml")]).exit_code == 0
    host, chain = load_host_and_chain(directory / "agent.yml")
    assert host.data == "/var/lib/demarc"
    assert chain.parties["gemeente-voorbeeld"].name == "Gemeente Voorbeeld"
    assert chain.timezone == local_timezone()
    assert chain.probes["gw"].target == "192.0.2.1"
    assert [s.id for s in chain.segments.values() if s.owners != ("unassigned",)] == ["cloud-host"]


def test_onprem_side(tmp_path: Path) -> None:
    """A host on another side says so."""
    assert init(str(tmp_path), *GATEWAY, "--vantage", "onprem", "--side", "onprem").exit_code == 0
    _, chain = load_host_and_chain(tmp_path / "agent.yml")
    assert {segment.side for segment in chain.segments.values()} == {"onprem"}


@pytest.mark.parametrize("name", ["chain.yml", "agent.yml"])
def test_never_overwrites(tmp_path: Path, name: str) -> None:
    """An existing file of either name stays as it is, and the other is not written."""
    (tmp_path / name).write_text("mine")
    result = init(str(tmp_path), *GATEWAY)
    assert result.exit_code == 1
    assert "exists already; nothing was written" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "mine"


def test_a_directory_that_cannot_be_made_has_a_remedy(tmp_path: Path) -> None:
    """What the system says, where, and what to do; no traceback for a name that no file system takes."""
    (tmp_path / "file").touch()
    for name in ("file/in", "x" * 300):
        result = init(str(tmp_path / name), *GATEWAY)
        assert result.exit_code == 1
        assert "; give a directory that you may write to, or run this as root" in result.stderr


REFUSED = [
    (("--vantage", "a b"), 2, "is no name"),
    (("--operator", " "), 2, "write the party's name"),
    (("--timezone", "Mars/Base"), 2, "there is no timezone `Mars/Base`"),
    (("--gateway", "router"), 1, "does not appear to be an IPv4"),
    (("--gateway", "192.0.2.1", "--vantage", "null"), 1, "is not text"),
]


@pytest.mark.parametrize(("arguments", "code", "text"), REFUSED)
def test_refused(tmp_path: Path, arguments: tuple[str, ...], code: int, text: str) -> None:
    """A wrong option is refused with its reason, and nothing is written."""
    result = init(str(tmp_path / "d"), *arguments)
    assert result.exit_code == code
    assert text in result.stderr
    assert not (tmp_path / "d").exists()


def test_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """A directory that cannot be made is said in one line."""
    (tmp_path / "file").write_text("")
    result = init(str(tmp_path / "file" / "d"), *GATEWAY)
    assert result.exit_code == 1
    assert result.stderr.startswith("Error: ")
