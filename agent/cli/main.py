"""The command group. Subcommands are imported only when they run: `--help` stays fast."""

from importlib import import_module
from typing import Any

import click

from agent import __version__

# name -> (module in agent.cli, one line of help). The table is the whole registration.
COMMANDS: dict[str, tuple[str, str]] = {
    "run": ("run", "Run the agent: probe the chain, diagnose, record, alert."),
    "check": ("check", "Check a chain file or an agent file; exit 78 with every error at once."),
    "init": ("init", "Write a first chain file and agent file for this host."),
    "doctor": ("doctor", "Say what this host lacks to run the configured probes, and the remedy."),
    "probe": ("probe", "Run one configured probe once and show each phase."),
    "probes": ("probes", "Print the probe reference: settings, phases, faults."),
    "vici": ("vici", "Pass on to the agent what reads strongSwan's state, and nothing else."),
    "status": ("status", "Show the running agent's view of the chain."),
    "incidents": ("incidents", "List incidents of the running agent."),
    "observations": ("observations", "Write recorded observations as JSON Lines."),
    "replay": ("replay", "Diagnose recorded observations offline, deterministically."),
    "drift": ("drift", "Show what changed in configurations, and approve what was seen."),
    "maintenance": ("maintenance", "Announce maintenance before it begins, list it, withdraw it."),
    "baseline": ("baseline", "Fix what was usual once the chain had settled; show it."),
    "ledger": ("ledger", "Verify, export or prove entries of the ledger."),
    "report": ("report", "Write the monthly service-level report."),
}


class LazyGroup(click.Group):
    """A group whose subcommands are modules, loaded on use.

    A file that cannot be read or written, wherever a command meets it, is told in one line. `run` is left out: what
    a daemon did not expect needs its traceback.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was named."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if error.filename is None or ctx.invoked_subcommand == "run":
                raise
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error
        except click.BadParameter as error:
            if not error.message.endswith("is not readable."):
                raise
            told = f"{error.message} Run this as root, or as the agent's user."
            raise click.BadParameter(told, ctx=error.ctx, param=error.param) from error

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the table's order."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the module of `cmd_name` and return its `command`."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"agent.cli.{COMMANDS[cmd_name][0]}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of subcommands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="demarc")
def main() -> None:
    """Monitor a hybrid IT chain; say which segment broke, who owns it and how that is known."""
