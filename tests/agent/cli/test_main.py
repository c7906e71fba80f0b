"""The command group: what holds for every command."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from agent.cli.main import COMMANDS, LazyGroup, main


class Group(LazyGroup):
    """The group with one command, whatever its name, that meets an error."""

    error: Exception

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        """Return the command."""

        @click.command(cmd_name)
        def command() -> None:
            raise self.error

        return command


def met(error: Exception, name: str = "check") -> tuple[str, BaseException | None]:
    """Return what a command that meets `error` prints, and what it raises."""
    group = Group()
    group.error = error
    result = CliRunner().invoke(group, [name])
    return result.stderr, result.exception


def test_every_command_has_the_help_of_the_table() -> None:
    """The table's names load, and `--help` lists them without loading one."""
    listed = CliRunner().invoke(main, ["--help"]).stdout
    for name in COMMANDS:
        assert f"\n  {name} " in listed
        assert CliRunner().invoke(main, [name, "--help"]).exit_code == 0


def test_a_file_that_cannot_be_opened_is_told_in_one_line(tmp_path: Path) -> None:
    """With its name and the system's word, wherever a command meets it."""
    path = tmp_path / "x"
    assert met(FileNotFoundError(2, "No such file or directory", str(path)))[0] == (
        f"Error: {path}: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("error", "name"),
    [(OSError("no file's"), "check"), (OSError(5, "Input/output error", "/x"), "run"), (ValueError("x"), "check")],
    ids=["of no file", "of the daemon", "of another kind"],
)
def test_what_was_not_expected_keeps_its_traceback(error: Exception, name: str) -> None:
    """Only files are told; a bug stays one."""
    assert met(error, name) == ("", error)


def test_who_may_not_read_hears_who_may() -> None:
    """The framework's own word of a path has its remedy too."""
    assert "Run this as root, or as the agent's user." in met(click.BadParameter("Path 'x' is not readable."))[0]
    assert "Run this" not in met(click.BadParameter("'x' is no date"))[0]
