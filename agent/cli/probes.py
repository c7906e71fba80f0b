"""`demarc probes`: the reference of the probe types, from their own declarations."""

import sys

import click
import msgspec

from agent.config import InstalledTypes
from agent.config.problem import did_you_mean
from agent.config.reference import probe_reference, type_rows
from agent.config.schema import specs

UNKNOWN_TYPE = 2  # as click's own usage errors


@click.command("probes")
@click.argument("name", required=False)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True)
def command(name: str | None, style: str) -> None:
    """Print the probe types: their keys, phases, faults, metrics; of one type when NAME is given."""
    found = {spec.type: spec for spec in specs(InstalledTypes())}
    if name is not None and name not in found:
        hint = did_you_mean(name, found) or f"; there are {', '.join(found)}"
        click.echo(f"no such probe type `{name}`{hint}", err=True)
        sys.exit(UNKNOWN_TYPE)
    chosen = [spec for spec in found.values() if name in (None, spec.type)]
    if style == "json":
        click.echo(msgspec.json.format(msgspec.json.encode([type_rows(spec) for spec in chosen])))
    else:
        click.echo("\n".join(probe_reference(spec) for spec in chosen), nl=False)
