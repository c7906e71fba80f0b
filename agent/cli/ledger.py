"""`demarc ledger`: verify, export or prove entries of the ledger."""

import sqlite3
import sys
from pathlib import Path

import click
import msgspec

from agent import keys
from agent.cli import ledger_hours
from agent.ledger import DATABASE
from agent.ledger.check import Verdict, check
from agent.ledger.proof import check_proof, export_lines, prove_incident
from agent.ledger.reading import log_of, with_connection
from agent.ledger.storage import StorageError

_DATA = Path("/var/lib/demarc")
_FORMAT = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")


@click.group(name="ledger")
def command() -> None:
    """Verify, export or prove entries of the ledger. PATH is the file, or the agent's data directory."""


@command.command()
@click.argument("path", type=click.Path(path_type=Path), default=_DATA)
@click.option(
    "--proof", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="Check a proof file instead."
)
@click.option("--key", "key_text", help="The verifier key to check against, or a file that holds it.")
@_FORMAT
def verify(path: Path, proof: Path | None, key_text: str | None, form: str) -> None:
    """Recompute every hash and signature; exit 0 if the ledger is whole, 1 if not."""
    key = _key(key_text)
    verdict = check_proof(proof.read_bytes(), key) if proof else check(_file(path), key)
    if form == "json":
        click.echo(msgspec.json.encode(verdict))
    else:
        click.echo(_told(verdict, "proof" if proof else "ledger"))
    sys.exit(0 if verdict.ok else 1)


@command.command()
@click.argument("path", type=click.Path(path_type=Path), default=_DATA)
def export(path: Path) -> None:
    """Write every signed entry as JSON Lines, and the checkpoint over them."""
    try:
        for line in export_lines(_file(path)):
            click.echo(line)
    except (StorageError, sqlite3.Error, OSError) as error:
        raise click.ClickException(str(error)) from error


@command.command()
@click.argument("incident")
@click.option("--ledger", "path", type=click.Path(path_type=Path), default=_DATA, help="The file or data directory.")
@click.option("--disclose", is_flag=True, help="Add the details that have not been erased (they may name people).")
def proof(incident: str, path: Path, *, disclose: bool) -> None:
    """Write a file that proves every entry about INCIDENT; `verify --proof` checks it anywhere."""
    try:
        file = prove_incident(_file(path), incident, disclose=disclose)
    except (StorageError, sqlite3.Error, OSError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(msgspec.json.format(msgspec.json.encode(file), indent=1))


@command.command(name="key")
@click.argument("path", type=click.Path(path_type=Path), default=_DATA)
def show_key(path: Path) -> None:
    """Print the verifier key of this agent: it goes into the chain file as `vantages.NAME.key`."""
    try:
        click.echo(with_connection(_file(path), log_of))
    except (StorageError, sqlite3.Error, OSError) as error:
        raise click.ClickException(f"{error}; the agent makes its key when it first starts") from error


def _file(path: Path) -> Path:
    return path / DATABASE if path.is_dir() else path


def _key(text: str | None) -> keys.VerifierKey | None:
    if text is None:
        return None
    try:
        return keys.parse_verifier(Path(text).read_text(encoding="utf-8") if Path(text).is_file() else text)
    except (keys.NoteError, OSError) as error:
        raise click.BadParameter(str(error), param_hint="--key") from error


def _told(verdict: Verdict, what: str) -> str:
    """Return a verdict in sentences."""
    lines = []
    if verdict.ok:
        lines.append(f"The {what} is whole: {_count(verdict.entries, 'entry', 'entries')} of {verdict.origin}.")
        if verdict.checkpoint:
            lines += [
                "It stands under this checkpoint:",
                "",
                *(f"    {x}" for x in verdict.checkpoint.splitlines()),
                "",
            ]
        if verdict.erased:
            lines.append(f"{_count(verdict.erased, 'detail was', 'details were')} erased; the entries still verify.")
    else:
        lines.append(f"The {what} is NOT whole:")
        lines += [f"  - {problem}" for problem in verdict.problems]
    lines += [f"Note: {text}." for text in verdict.notes[:20]]
    if len(verdict.notes) > 20:
        lines.append(f"Note: {len(verdict.notes) - 20} more notes (--format json shows all).")
    if verdict.own_key and verdict.key:
        lines += [f"It was checked against the key that the {what} itself brings:", f"    {verdict.key}"]
    if verdict.own_key and verdict.ok:
        lines += [
            "That shows that it is whole, not whose it is. Compare the key with the one that was agreed on,",
            "or give that one with --key.",
        ]
    return "\n".join(lines)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


command.add_command(ledger_hours.command)
