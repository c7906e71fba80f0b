"""`demarc ledger`: verify, export, prove and hand over the ledger; its other commands stand beside this file."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from agent import keys
from agent.cli import ledger_correct, ledger_dispute, ledger_hours, ledger_key, ledger_witness
from agent.config import ConfigError, load_chain, load_chain_text
from agent.ledger import DATABASE
from agent.ledger.body import nanoseconds
from agent.ledger.bundle import source_in_force, with_earlier_keys, write_bundle
from agent.ledger.check import check
from agent.ledger.cosignature import parse_witness
from agent.ledger.policy import PolicyError, key_policy, policy_text
from agent.ledger.proof import export_lines, file_text, prove_incident, tlog_files
from agent.ledger.reading import log_of, with_connection
from agent.ledger.storage import StorageError, earlier_epochs, first_name
from agent.ledger.verifier import Bad, Policy, check_file, parse_policy, told

_DATA = Path("/var/lib/demarc")
_PATH = click.argument("path", type=click.Path(path_type=Path), default=_DATA)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)
_DISCLOSE = click.option(
    "--disclose", is_flag=True, help="Add the details that have not been erased (they may name people)."
)
_FORMAT = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to print.")


@click.group(name="ledger")
def command() -> None:
    """Verify, export, prove and hand over the ledger. PATH is the file, or the agent's data directory."""


@command.command()
@click.argument("paths", metavar="[PATH]...", type=click.Path(path_type=Path), nargs=-1)
@click.option("--proof", "proofs", type=_FILE, multiple=True, help="A proof file or an export (PATH takes them too).")
@click.option("--policy", "policy_file", type=_FILE, help="Whose keys count and how many witnesses are wanted.")
@click.option("--key", "key_text", help="The verifier key to check against, or a file that holds it.")
@_FORMAT
def verify(
    paths: tuple[Path, ...], proofs: tuple[Path, ...], policy_file: Path | None, key_text: str | None, form: str
) -> None:
    """Recompute every hash and signature of ledgers, exports and proof files; exit 0 if all are whole, 1 if not."""
    policy = _policy(policy_file, key_text)
    good = True
    files = [one for path in paths or (() if proofs else (_DATA,)) for one in _ledgers(path)] + list(proofs)
    for path in files:
        verdict = check(path, policy) if _is_database(path) else check_file(path, policy)
        good &= verdict.ok
        if form == "text" and len(files) > 1:
            click.echo(f"{path}:")
        click.echo(msgspec.json.encode(verdict) if form == "json" else told(verdict))
    sys.exit(0 if good else 1)


@command.command()
@_PATH
@click.option(
    "--since", type=click.DateTime(), help="Only entries written from this time (UTC) on, each with its proof."
)
@click.option(
    "--until", type=click.DateTime(), help="Only entries written before this time (UTC), each with its proof."
)
@_DISCLOSE
def export(path: Path, since: datetime | None, until: datetime | None, *, disclose: bool) -> None:
    """Write every signed entry as JSON Lines, with the checkpoints that others cosigned; `verify` takes it."""
    with _told():
        for line in export_lines(_file(path), disclose=disclose, since=_nano(since), until=_nano(until)):
            click.echo(line, nl=False)


@command.command()
@click.argument("incident")
@click.option("--ledger", "path", type=click.Path(path_type=Path), default=_DATA, help="The file or data directory.")
@click.option(
    "--files", type=click.Path(path_type=Path), help="Write body and tlog-proof of each entry into this folder."
)
@_DISCLOSE
def proof(incident: str, path: Path, files: Path | None, *, disclose: bool) -> None:
    """Write a file that proves every entry about INCIDENT; `verify` checks it anywhere."""
    with _told():
        file = _proof(path, incident, disclose=disclose)
        for name, text in tlog_files(file) if files else ():
            _into(files, name, text)
    if files is None:
        click.echo(file_text(file), nl=False)


@command.command()
@click.argument("chain_file", type=_FILE)
@click.option("--vantage", required=True, help="Whose ledger is to be checked.")
@click.option("--witnesses", type=click.IntRange(min=0), default=1, help="Of how many other parties. [default: 1]")
@click.option("--witness", "others", multiple=True, help="The key of a witness that runs no agent.")
def policy(chain_file: Path, vantage: str, witnesses: int, others: tuple[str, ...]) -> None:
    """Write the policy that CHAIN_FILE gives for a ledger: `verify --policy` and other tools for such logs take it."""
    try:
        chain = load_chain(chain_file)
        if vantage not in chain.vantages:
            raise click.BadParameter(f"the chain has no vantage {vantage!r}", param_hint="--vantage")
        keys_ = tuple(parse_witness(text) for text in others)
        click.echo(policy_text(chain, vantage, wanted=witnesses, others=keys_), nl=False)
    except (ConfigError, PolicyError, keys.NoteError) as error:
        raise click.ClickException(str(error)) from error


@command.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--ledger", "path", type=click.Path(path_type=Path), default=_DATA, help="The file or data directory.")
@click.option("--policy", "policy_file", type=_FILE, help="The policy; without it the one of the chain file in force.")
@_DISCLOSE
def bundle(folder: Path, path: Path, policy_file: Path | None, *, disclose: bool) -> None:
    """Write FOLDER: everything that is signed, and what checks it without demarc."""
    with _told():
        file = _file(path)
        written = _policy_text(policy_file) if policy_file else _policy_in_force(file)
        exports = write_bundle(folder, file, with_earlier_keys(written, earlier_epochs(file)), disclose=disclose)
    click.echo(f"{folder} holds {', '.join(exports)}, and verify.py to check it with.")


@command.command(name="key")
@_PATH
def show_key(path: Path) -> None:
    """Print the verifier key of this agent: it goes into the chain file as `vantages.NAME.key`."""
    try:
        key = with_connection(_file(path), log_of)
    except (StorageError, sqlite3.Error, OSError) as error:
        raise click.ClickException(f"{error}; the agent makes its key when it first starts") from error
    click.echo(keys.VerifierKey(name=first_name(key.name), public=key.public))


def _policy_text(file: Path) -> str:
    """Return the text of a policy's file."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"{file} is not UTF-8 text", param_hint="--policy") from error


@contextmanager
def _told() -> Iterator[None]:
    """Tell what goes wrong in one line."""
    try:
        yield
    except (StorageError, Bad, sqlite3.Error, OSError) as error:
        raise click.ClickException(str(error)) from error


def _proof(path: Path, incident: str, *, disclose: bool) -> dict[str, Any]:
    """Return the proof file of the newest epoch that tells of an incident, and say which others do."""
    found = {}
    *earlier, newest = _ledgers(path)
    for one in earlier:
        with suppress(StorageError, sqlite3.Error, OSError):
            found[one] = prove_incident(one, incident, disclose=disclose)
    try:
        found[newest] = prove_incident(newest, incident, disclose=disclose)
    except StorageError:
        if not found:
            raise
    *others, (told, file) = found.items()
    for other, _ in others:
        click.echo(f"This proves what {told.name} holds; earlier entries of it: --ledger {other}", err=True)
    return file


def _file(path: Path) -> Path:
    return path / DATABASE if path.is_dir() else path


def _ledgers(path: Path) -> tuple[Path, ...]:
    """Return the file, or all epochs in a data directory, oldest first."""
    return (*earlier_epochs(path / DATABASE), path / DATABASE) if path.is_dir() else (path,)


def _is_database(path: Path) -> bool:
    """Say whether a file is to be checked as a ledger; one that is not there is told of as one."""
    if path.suffix == ".db" or not path.exists():
        return True
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\0"  # sqlite.org/fileformat.html, section 1.3


def _policy(file: Path | None, key_text: str | None) -> Policy | None:
    """Return the policy of the command line, None when there is none."""
    try:
        if file is not None:
            return parse_policy(file.read_text(encoding="utf-8"))
        if key_text is None:
            return None
        text = Path(key_text).read_text(encoding="utf-8") if Path(key_text).is_file() else key_text
        return parse_policy(key_policy(keys.parse_verifier(text)))
    except (Bad, keys.NoteError, OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(str(error), param_hint="--policy" if file else "--key") from error


def _policy_in_force(file: Path) -> str:
    """Return the policy of the newest chain file in a ledger, of its own key alone where that gives none."""
    try:
        vantage, source = source_in_force(file)
        return policy_text(load_chain_text(source, "the chain file in the ledger"), vantage)
    except (ConfigError, PolicyError, KeyError) as error:
        click.echo(f"No witness is wanted in policy.txt: {error}", err=True)
        return key_policy(with_connection(file, log_of))


def _nano(moment: datetime | None) -> int | None:
    return None if moment is None else nanoseconds(moment.replace(tzinfo=UTC).timestamp())


def _into(folder: Path | None, name: str, text: str) -> None:
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


command.add_command(ledger_hours.command)
for one in ledger_witness.COMMANDS:
    command.add_command(one)


for _one in (*ledger_dispute.COMMANDS, *ledger_correct.COMMANDS, *ledger_key.COMMANDS):
    command.add_command(_one)
