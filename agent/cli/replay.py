"""`demarc replay`: what recorded observations prove, offline."""

import sys
from pathlib import Path

import click

from agent.config import ConfigError, load_chain
from agent.model import Chain
from agent.observation import SELF, Observation
from agent.replay import BadLineError, document, read, replay

EX_DATAERR = 65
EX_CONFIG = 78


@click.command("replay")
@click.option("--chain", "chain_file", required=True, type=click.Path(path_type=Path), help="The chain file.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("observations", type=click.Path(path_type=Path, allow_dash=True))
def command(chain_file: Path, form: str, observations: Path) -> None:
    """Diagnose OBSERVATIONS (JSON Lines, `-` for standard input) with the chain file."""
    try:
        chain = load_chain(chain_file)
    except ConfigError as error:
        click.echo(str(error), err=True)
        sys.exit(EX_CONFIG)
    try:
        data = sys.stdin.buffer.read() if str(observations) == "-" else observations.read_bytes()
        found = read(data.split(b"\n"))
    except BadLineError as error:
        click.echo(f"{observations}:{error}", err=True)
        sys.exit(EX_DATAERR)
    except OSError as error:
        click.echo(
            f"{observations}: cannot be read: {error.strerror}; give a file that `demarc observations` wrote", err=True
        )
        sys.exit(EX_DATAERR)
    _warn_strangers(chain, found)
    incidents = replay(chain, found)
    if form == "json":
        click.echo(document(incidents))
        return
    for incident in incidents:
        who = incident.party or f"undetermined: {', '.join(incident.candidates) or '-'}"
        ended = "open" if incident.closed is None else f"{incident.closed:.3f}"
        click.echo(f"{incident.id}  {incident.opened:.3f} - {ended}  {incident.kind}  {who}")
        click.echo(f"    segments {', '.join(incident.segments)}; services {', '.join(incident.services) or '-'}")
    if not incidents:
        count = f"{len(found):,} observations" if found else "these observations: there are none"
        click.echo(f"no incident is confirmed by {count}")


def _warn_strangers(chain: Chain, found: list[Observation]) -> None:
    """Say once which observations the chain file does not know; they are ignored."""
    known = {p.key for p in chain.probes.values()} | {f"{v}>{SELF}" for v in chain.vantages}
    strangers = sorted({o.key for o in found} - known)
    if strangers:
        names = ", ".join(strangers[:8])
        click.echo(f"warning: not in the chain file, ignored: {names}", err=True)
