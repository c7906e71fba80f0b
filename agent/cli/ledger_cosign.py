"""`demarc ledger cosign`: a witness on a host without an agent, by files carried over or over HTTP.

What must stay true: what was cosigned is on disk before the cosignature is given; nothing is cosigned that does
not continue what was cosigned before.
"""

import asyncio
import os
import time
from pathlib import Path

import click
import msgspec

from agent import keys
from agent.daemon.http_client import FetchError
from agent.daemon.witness_calls import CallError, call, fetched, said
from agent.ledger.cosignature import Held, Refusal, Request, judge, parse_request, witness_of
from agent.ledger.cosignature import cosign as cosign_text
from agent.ledger.note import split_note
from agent.ledger.storage import is_epoch_of, load_key
from agent.model import Peer


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What a witness without an agent remembers: by log the newest checkpoint that it has cosigned."""

    logs: dict[str, Held] = {}


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """A witness at work: its key, the log whose ledger it cosigns, and the file of what it cosigned before."""

    signer: keys.Signer
    log: keys.VerifierKey
    file: Path
    memory: Memory

    def held(self, origin: str) -> Held | None:
        """Return what it cosigned last of a log."""
        return self.memory.logs.get(origin)

    def cosign(self, asked: Request, now: float) -> str:
        """Return the cosigned note, remembered; ClickException when it may not be cosigned."""
        log = self.log
        origin = asked.note.partition("\n")[0]
        if is_epoch_of(origin, log.name):
            log = keys.VerifierKey(name=origin, public=log.public)
        judged = judge(asked, log, self.held(log.name))
        if isinstance(judged, Refusal):
            raise click.ClickException(_refused(judged, self.held(log.name), asked.note))
        text = judged.text()
        own = log.line(split_note(asked.note)[1], text)
        held = Held(size=judged.size, text=text, signatures=own)
        _remember(self.file, Memory(logs={**self.memory.logs, log.name: held}))
        click.echo(f"cosigned {judged.size} entries of {log.name} as {witness_of(self.signer.verifier)}", err=True)
        return f"{text}\n{own}{cosign_text(self.signer, text, int(now))}"


@click.command()
@click.argument("asked", metavar="REQUEST|URL")
@click.option("--log", "log_text", required=True, help="The verifier key of the log, as it was agreed on.")
@click.option("--key", "key_file", type=click.Path(path_type=Path), required=True, help="Your key; made if absent.")
@click.option("--name", default="", help="How a new key is called, for example witness.client.example.")
@click.option(
    "--memory", type=click.Path(path_type=Path), required=True, help="What you cosigned before; keep it safe."
)
@click.option("--ca-file", help="The certificates that verify an https URL, when they are not the host's.")
def cosign(*, asked: str, log_text: str, key_file: Path, name: str, memory: Path, ca_file: str | None) -> None:
    """Cosign a ledger on a host without an agent.

    REQUEST is the file that `demarc ledger checkpoint` wrote; the cosigned checkpoint is printed, for `demarc ledger
    accept`. With the URL of the agent instead, as in `http://cloud.example:10199`, it is fetched and handed back: run
    that by a timer. Nothing is cosigned that does not continue what you cosigned before.
    """
    if not key_file.exists() and not name:
        raise click.UsageError(f"{key_file} does not exist; give a --name to make a new key")
    try:
        desk = Desk(
            signer=_key(key_file, name), log=keys.parse_verifier(log_text), file=memory, memory=_recalled(memory)
        )
        if asked.startswith(("http://", "https://")):
            asyncio.run(_visit(Peer(vantage="", url=asked, ca_file=ca_file), desk))
        else:
            click.echo(desk.cosign(parse_request(Path(asked).read_text(encoding="utf-8")), time.time()), nl=False)
    except (keys.NoteError, FetchError, CallError, OSError, UnicodeDecodeError, msgspec.DecodeError) as error:
        raise click.ClickException(str(error)) from error


async def _visit(agent: Peer, desk: Desk) -> None:
    """Fetch an agent's checkpoint, cosign it and hand the cosignature over; FetchError, NoteError or CallError."""
    newest = await _offered(agent, 0)
    held = desk.held(newest.note.partition("\n")[0])
    if held is not None:
        newest = await _offered(agent, held.size)
    answer = await call(agent, "/cosignature", desk.cosign(newest, time.time()))
    if answer.status != 200:
        raise CallError(f"it does not take the cosignature: {said(answer)}")


async def _offered(agent: Peer, old: int) -> Request:
    offered = await fetched(agent, old)
    if isinstance(offered, int):
        raise CallError(
            f"you cosigned {old} entries of its ledger, it has {offered}: it was restored from a copy, or written anew"
        )
    return offered


def _refused(refusal: Refusal, held: Held | None, offered: str) -> str:
    if refusal.conflict and held is not None:
        return f"{refusal.reason}. KEEP THESE TWO, they are evidence:\n\n{held.note}\n{offered}"
    if refusal.status == 409:
        return f"{refusal.reason}: ask for `demarc ledger checkpoint --since {refusal.size}`"
    return refusal.reason


def _key(path: Path, name: str) -> keys.Signer:
    return (
        keys.parse_signer(path.read_text(encoding="utf-8")) if path.exists() else load_key(path, keys.valid_name(name))
    )


def _recalled(path: Path) -> Memory:
    return msgspec.json.decode(path.read_bytes(), type=Memory) if path.exists() else Memory()


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
