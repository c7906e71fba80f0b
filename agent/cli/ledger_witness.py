"""`demarc ledger checkpoint|cosign|accept|renew`: witnessing by plain files, and beginning a ledger anew."""

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import click
import msgspec

from agent import keys
from agent.daemon.errors import StartError
from agent.daemon.place import open_data
from agent.ledger import DATABASE, KEY, epoch, witnessing
from agent.ledger.cosignature import (
    Held,
    Refusal,
    judge,
    parse_request,
    parse_witness,
    witness_of,
)
from agent.ledger.cosignature import (
    cosign as cosign_text,
)
from agent.ledger.note import split_note
from agent.ledger.reading import with_connection
from agent.ledger.storage import StorageError, is_epoch_of, load_key

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


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a witness without an agent remembers: by log the newest checkpoint that it has cosigned."""

    logs: dict[str, Held] = {}


@click.command()
@click.argument("asked", metavar="REQUEST", type=_FILE)
@click.option("--log", "log_text", required=True, help="The verifier key of the log, as it was agreed on.")
@click.option("--key", "key_file", type=click.Path(path_type=Path), required=True, help="Your key; made if absent.")
@click.option("--name", default="", help="How a new key is called, for example witness.client.example.")
@click.option(
    "--memory", type=click.Path(path_type=Path), required=True, help="What you cosigned before; keep it safe."
)
def cosign(asked: Path, log_text: str, key_file: Path, name: str, memory: Path) -> None:
    """Cosign the ledger that a REQUEST file asks for, on a host without an agent; prints the cosigned checkpoint.

    Nothing is cosigned that does not continue what you cosigned before. What you have not cosigned yet is said,
    so that `demarc ledger checkpoint --since` can be told.
    """
    with _told():
        if not key_file.exists() and not name:
            raise click.UsageError(f"{key_file} does not exist; give a --name to make a new key")
        signer = _key(key_file, name)
        log = keys.parse_verifier(log_text)
        question = parse_request(asked.read_text(encoding="utf-8"))
        origin = question.note.partition("\n")[0]
        if is_epoch_of(origin, log.name):
            log = keys.VerifierKey(name=origin, public=log.public)
        known = msgspec.json.decode(memory.read_bytes(), type=Memory) if memory.exists() else Memory()
        judged = judge(question, log, known.logs.get(log.name))
        if isinstance(judged, Refusal):
            raise click.ClickException(_refused(judged, known.logs.get(log.name), question.note))
        text = judged.text()
        own = log.line(split_note(question.note)[1], text)
        held = Held(size=judged.size, text=text, signatures=own)
        _remember(memory, Memory(logs={**known.logs, log.name: held}))
        click.echo(f"{text}\n{own}{cosign_text(signer, text, int(time.time()))}", nl=False)
    click.echo(f"cosigned {judged.size} entries of {log.name} as {witness_of(signer.verifier)}", err=True)


def _refused(refusal: Refusal, held: Held | None, offered: str) -> str:
    if refusal.conflict and held is not None:
        return f"{refusal.reason}. KEEP THESE TWO, they are evidence:\n\n{held.note}\n{offered}"
    if refusal.status == 409:
        return f"{refusal.reason}: ask for `demarc ledger checkpoint --since {refusal.size}`"
    return refusal.reason


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
            first = keys.parse_signer((path / KEY).read_text(encoding="utf-8")).name
            name = epoch.renew(
                path / DATABASE,
                path / KEY,
                first,
                vantage=first.rpartition("/")[2],
                reason=reason,
                now=time.time(),
                new_key=new_key,
            )
            key = load_key(path / KEY, first).verifier
        finally:
            os.close(lock)
    click.echo(f"The ledger goes on as {name}; tell the other parties why.")
    if new_key:
        click.echo(f"Its key in the chain file (`vantages.NAME.key`) is now\n    {key}")


def _file(path: Path) -> Path:
    return path / DATABASE if path.is_dir() else path


def _key(path: Path, name: str) -> keys.Signer:
    return (
        keys.parse_signer(path.read_text(encoding="utf-8")) if path.exists() else load_key(path, keys.valid_name(name))
    )


def _remember(path: Path, memory: Memory) -> None:
    """Write what was cosigned, to disk, before the cosignature is given."""
    ready = path.with_name(f"{path.name}.next")
    with ready.open("wb") as file:
        file.write(msgspec.json.encode(memory) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    ready.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


COMMANDS = (checkpoint, cosign, accept, renew)
