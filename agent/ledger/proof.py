"""Proof files and exports: entries with all that is needed to check them without the ledger.

FORMAT.md, sections Proof file and Export, is the specification.
"""

import base64
import binascii
import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec

from agent import keys
from agent.ledger import canonical, merkle, note
from agent.ledger.check import Verdict
from agent.ledger.reading import bodies, fields, log_of, newest_checkpoint, node_reader, with_connection
from agent.ledger.storage import StorageError

FORMAT = "demarc-proof-1"


class Disclosure(msgspec.Struct, frozen=True, kw_only=True):
    """A detail with its salt, both base64."""

    salt: str
    data: str


class ProvenEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A canonical body and its tlog-proof."""

    body: str
    proof: str
    details: dict[str, Disclosure] = {}


class ProofFile(msgspec.Struct, frozen=True, kw_only=True):
    """What `demarc ledger proof` writes."""

    format: str
    key: str
    entries: tuple[ProvenEntry, ...]


def prove_incident(path: Path, incident: str, *, disclose: bool = False) -> ProofFile:
    """Return the proof of every signed entry about one incident; StorageError if there is none.

    `disclose` adds the details of those entries that have not been erased.
    """
    return with_connection(path, lambda db: _prove(db, lambda body: _speaks_of(body, incident), incident, disclose))


def check_proof(data: bytes, key: keys.VerifierKey | None = None) -> Verdict:
    """Check a proof file offline, against `key` or else the key that it brings; never raises for its content."""
    try:
        file = msgspec.json.decode(data, type=ProofFile)
        own = keys.parse_verifier(file.key)
    except (msgspec.DecodeError, UnicodeDecodeError, keys.NoteError) as error:
        return Verdict(ok=False, problems=(f"not a proof file: {error}",))
    if file.format != FORMAT or not file.entries:
        return Verdict(ok=False, problems=(f"not a proof file of format {FORMAT} with entries",))
    used = key or own
    problems = [] if str(used) == str(own) else [f"the file was signed with {own}, not {used}"]
    newest = ""
    for number, entry in enumerate(file.entries):
        try:
            newest = _check_entry(entry, used)
        except (keys.NoteError, canonical.CanonicalError, StorageError, binascii.Error) as error:
            problems.append(f"entry {number} of the file: {error}")
    return Verdict(
        ok=not problems,
        origin=used.name,
        key=str(used),
        own_key=key is None,
        entries=len(file.entries),
        checkpoint="" if problems else newest,
        problems=tuple(problems),
    )


def export_lines(path: Path) -> Iterator[bytes]:
    """Yield the export of everything that is signed, a JSON line each without line feed."""
    yield from with_connection(path, lambda db: list(_export(db)))


def _export(db: sqlite3.Connection) -> Iterator[bytes]:
    size, checkpoint = newest_checkpoint(db)
    for index, body in bodies(db, size):
        yield msgspec.json.encode({"index": index, "hash": merkle.leaf_hash(body).hex(), "body": body.decode()})
    yield msgspec.json.encode({"checkpoint": checkpoint, "key": str(log_of(db))})


def _prove(
    db: sqlite3.Connection, wanted: Callable[[Mapping[str, canonical.Json]], bool], what: str, disclose: bool
) -> ProofFile:
    size, checkpoint = newest_checkpoint(db)
    read = node_reader(db)
    entries = []
    for index, body in bodies(db, size):
        if wanted(fields(body)):
            proof = note.Proof(index, merkle.inclusion_proof(index, size, read), checkpoint)
            details = _disclosures(db, index) if disclose else {}
            entries.append(ProvenEntry(body=body.decode(), proof=proof.text(), details=details))
    if not entries:
        raise StorageError(f"no signed entry speaks of {what}")
    return ProofFile(format=FORMAT, key=str(log_of(db)), entries=tuple(entries))


def _speaks_of(body: Mapping[str, canonical.Json], incident: str) -> bool:
    """Say whether a body is about the incident: its transitions (an object) and escalations (its id)."""
    about = body.get("incident")
    return incident in (about, about.get("id") if isinstance(about, dict) else None)


def _disclosures(db: sqlite3.Connection, index: int) -> dict[str, Disclosure]:
    rows = db.execute("SELECT name, salt, data FROM detail WHERE leaf = ?", (index,))
    return {name: Disclosure(salt=_text(salt), data=_text(data)) for name, salt, data in rows}


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def _check_entry(entry: ProvenEntry, key: keys.VerifierKey) -> str:
    """Return the note that proves the entry, or raise with what is wrong."""
    body = entry.body.encode()
    content = canonical.decode(body)
    proof = note.parse_proof(entry.proof)
    text, signatures = note.split_note(proof.note)
    checkpoint = note.parse_checkpoint(text)
    if checkpoint.origin != key.name or not key.verify(text, signatures):
        raise StorageError(f"the checkpoint has no good signature of {key.name}")
    included = merkle.verify_inclusion(
        leaf=merkle.leaf_hash(body),
        index=proof.leaf,
        size=checkpoint.size,
        proof=proof.hashes,
        root=checkpoint.root,
    )
    if not included:
        raise StorageError(f"the body is not entry {proof.leaf} under the checkpoint over {checkpoint.size} entries")
    bound = content.get("details", {})
    for name, detail in entry.details.items():
        data = base64.b64decode(detail.salt, validate=True) + base64.b64decode(detail.data, validate=True)
        if not isinstance(bound, dict) or bound.get(name) != hashlib.sha256(data).hexdigest():
            raise StorageError(f"the detail {name!r} does not match its commitment")
    return proof.note
