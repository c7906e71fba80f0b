"""`demarc ledger checkpoint|accept|renew`: being witnessed by plain files, and beginning a ledger anew."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click

from agent import keys
from agent.cli.ledger_cosign import cosign
from agent.daemon.errors import StartError
from agent.daemon.place import open_data
from agent.ledger import DATABASE, KEY, epoch, witnessing
from agent.ledger.cosignature import Refusal, parse_witness
from agent.ledger.keyfile import key_path, read_signer
from agent.ledger.reading import with_connection
from agent.ledger.storage import StorageError, load_key

_DATA = Path("/var/lib/demarc")
_PATH = click.argument("path", type=click.Path(path_type=Path), default=_DATA)
_FILE = click.Path(path_type=Path, exists=True, dir_okay=False)


@contextmanager
def _told() -> Iterator[None]:
    """Tell what goes wrong in one line."""
    try:
        yield
    except (StorageError, StartError, keys.NoteError, sqlite3.Error, OSError, UnicodeDecodeError) as error:
        raise click.ClickException(str(error)) from error


@click.command()
@_PATH
@click.option(
    "--since", type=click.IntRange(min=0), default=0, help="The entries that the witness has cosigned before."
)
def checkpoint(path: Path, since: int) -> None:
    """Write what asks a witness to cosign this ledger: carry it over as a file, or POST it (C2SP tlog-witness)."""
    with _told():
        asked = with_connection(_file(path), lambda db: witnessing.request_of(db, since))
    if isinstance(asked, Refusal):
        raise click.ClickException(asked.reason)
    click.echo(asked.text(), nl=False)


@click.command()
@click.argument("cosigned", type=_FILE)
@_PATH
@click.option("--witness", "witness_text", required=True, help="The witness's key, as it was agreed on.")
def accept(cosigned: Path, path: Path, witness_text: str) -> None:
    """Keep a witness's cosignature, from the file that `demarc ledger cosign` wrote; the agent may run meanwhile."""
    with _told():
        file = _file(path)
        if not file.is_file():
            raise FileNotFoundError(f"no ledger at {file}")
        with closing(sqlite3.connect(file, isolation_level=None, timeout=10.0)) as db:
            db.execute("PRAGMA synchronous = FULL")
            kept = witnessing.keep_cosignature(db, parse_witness(witness_text), cosigned.read_text(encoding="utf-8"))
    click.echo(f"{kept.size} entries are cosigned.")


@click.command()
@_PATH
@click.option("--reason", required=True, help="Why, for those who will read the ledger.")
@click.option("--new-key", is_flag=True, help="Sign the new epoch with a new key, which the old one announces.")
def renew(path: Path, reason: str, *, new_key: bool) -> None:
    """Begin a new epoch of the ledger in the data directory PATH; the agent must be stopped.

    For a ledger that was restored from a copy or damaged, and for a change of key. The file so far is kept.
    """
    with _told():
        lock = open_data(path)
        try:
            file = key_path(path, KEY)
            if new_key and file.parent != path:
                raise click.ClickException(
                    f"the key is a credential of systemd, which cannot be written: put it into {path / KEY} for this,"
                    " and encrypt the new one afterwards (systemd-creds encrypt)"
                )
            first = read_signer(file).name
            name = epoch.renew(
                path / DATABASE,
                file,
                first,
                vantage=first.rpartition("/")[2],
                reason=reason,
                now=time.time(),
                new_key=new_key,
            )
            key = load_key(file, first).verifier
        finally:
            os.close(lock)
    click.echo(f"The ledger goes on as {name}; tell the other parties why.")
    if new_key:
        click.echo(f"Its key in the chain file (`vantages.NAME.key`) is now\n    {key}")


def _file(path: Path) -> Path:
    return path / DATABASE if path.is_dir() else path


COMMANDS = (checkpoint, cosign, accept, renew)
