"""The commands in the guides run as they stand there."""

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from agent.cli.main import main
from agent.ledger import DATABASE
from agent.ledger.history import read_history
from agent.ledger.reading import log_of, with_connection
from tests.agent.report.test_command import folder as folder  # noqa: PLC0414 - a fixture is found by its name

DOCS = Path(__file__).parents[3] / "docs"


def commands(name: str) -> list[str]:
    """Return the commands of a guide."""
    blocks = re.findall(r"```sh\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize("name", ["ledger.md", "report.md"])
def test_the_commands_of_the_guide_run(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Each ends with exit code 0 in an agent's data directory."""
    monkeypatch.chdir(folder)
    Path("ledger.pub").write_text(str(with_connection(folder / DATABASE, log_of)))
    (folder / "obs.jsonl").rename("observations.jsonl")
    incident = read_history(folder / DATABASE).incidents[0].id
    lines = commands(name)
    assert lines
    for line in lines:
        text = line.replace("/var/lib/demarc", str(folder)).replace("3f9ac2d1e07b", incident)
        text, _, target = text.partition(" > ")
        words = shlex.split(text)
        assert words[0] == "demarc"
        result = CliRunner().invoke(main, words[1:])
        assert result.exit_code == 0, f"{line}: {result.output}"
        if target:
            Path(target).write_text(result.output)


def test_the_guides_name_no_option_that_does_not_exist() -> None:
    """Options in running text are those of the commands."""
    for name, groups in (("ledger.md", ("ledger",)), ("report.md", ("report", "baseline"))):
        known = {
            option
            for group in groups
            for sub in main.get_command(None, group).commands.values()  # type: ignore[arg-type, union-attr]
            for parameter in sub.params
            for option in parameter.opts
        }
        found = set(re.findall(r"(?<![-\w])--[a-z][a-z-]+", (DOCS / name).read_text(encoding="utf-8")))
        assert found <= known, (name, found - known)
