"""Proof files and exports: entries with all that is needed to check them without the ledger.

FORMAT.md, sections Proof file and Export, is the specification; `agent.ledger.verifier` checks them.
"""

import base64
import contextlib
import hashlib
import sqlite3
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.ledger import merkle, note
from agent.ledger.reading import bodies, connect, fields, log_of, newest_checkpoint, node_reader, with_connection
from agent.ledger.storage import StorageError
from agent.ledger.verifier.checks import EXPORT, PROOF
from agent.ledger.verifier.forms import one_form

MOST_EVIDENCE = 8
"""Entries in one answer to a peer: begin, end and some changes of what it found in that time; some 300 kB each."""


def prove_incident(path: Path, incident: str, *, disclose: bool = False) -> dict[str, Any]:
    """Return the proof file of every signed entry about one incident; StorageError if there is none.

    `disclose` adds the details of those entries that have not been erased.
    """
    return with_connection(path, lambda db: _prove(db, incident, disclose=disclose))


def prove_evidence(db: sqlite3.Connection, *, since: int, until: int, witness: str) -> dict[str, Any]:
    """Return a proof file of the evidence about [since, until) (ns UTC), details included; of no entries perhaps.

    Each entry stands under the first checkpoint over it that bears a cosignature of the witness with this name;
    what has none is left out, and so is what is more than `MOST_EVIDENCE`.
    """
    cosigned = sorted(one for one in _cosigned(db).items() if f"\n— {witness} " in one[1])
    sizes = [size for size, _ in cosigned]
    found: list[tuple[int, bytes, int, str]] = []
    query = "SELECT idx, body FROM leaf WHERE kind = 'evidence' AND time >= ? ORDER BY idx"
    for index, body in db.execute(query, (since,)):
        windows: Any = fields(body).get("windows", [])
        place = bisect_right(sizes, index)
        if place < len(sizes) and any(start < until and since < stop for start, stop in windows):
            found.append((index, body, *cosigned[place]))
    return _proof_file(db, found[:MOST_EVIDENCE], disclose=True)


def file_text(proof: Mapping[str, Any]) -> str:
    """Return a proof file as it is written."""
    return f"{one_form(proof, 1)}\n"


def tlog_files(proof: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield for each entry a file of its body and one of its tlog-proof, as tools for transparency logs take them."""
    for entry in proof["entries"]:
        index = entry["proof"].split("\n", 2)[1].removeprefix("index ")
        yield f"entry-{index}.json", entry["body"]
        yield f"entry-{index}.json.tlog-proof", entry["proof"]


def export_lines(
    path: Path, *, disclose: bool = False, since: int | None = None, until: int | None = None
) -> Iterator[str]:
    """Yield the export of everything that is signed, a line each with its line feed.

    `since` and `until` (ns UTC) leave only the entries from the first one written at or after `since` to the
    last one written before `until`; then each has its own proof. StorageError, sqlite3.Error or OSError.
    """
    digest = hashlib.sha256()
    for line in _export(path, disclose=disclose, since=since, until=until):
        if "format" in line:
            digest.update(line["checkpoint"].encode())
            yield _line(line | {"digest": digest.hexdigest()})
        else:
            text = _line(line)
            digest.update(text.encode())
            yield text


def _export(path: Path, *, disclose: bool, since: int | None, until: int | None) -> Iterator[dict[str, Any]]:
    with contextlib.closing(connect(path)) as db:
        db.execute("BEGIN")
        size, checkpoint = newest_checkpoint(db)
        part = since is not None or until is not None
        first, stop = _range(db, size, since, until) if part else (0, size)
        cosigned = {} if part else _cosigned(db)
        read = node_reader(db)
        for index, body in bodies(db, stop, first):
            line: dict[str, Any] = {"body": body.decode(), "hash": merkle.leaf_hash(body).hex(), "index": index}
            if part:
                line["proof"] = [_text(one) for one in merkle.inclusion_proof(index, size, read)]
            yield line | _details(db, index, disclose=disclose)
            if index + 1 in cosigned and index + 1 < size:
                yield {"checkpoint": cosigned[index + 1]}
        yield {"checkpoint": checkpoint, "format": EXPORT, "key": str(log_of(db))}


def _range(db: sqlite3.Connection, size: int, since: int | None, until: int | None) -> tuple[int, int]:
    low = db.execute("SELECT min(idx) FROM leaf WHERE time >= ?", (since or 0,)).fetchone()[0]
    high = db.execute("SELECT max(idx) FROM leaf WHERE time < ?", (until or 2**63 - 1,)).fetchone()[0]
    if low is None or high is None or low > min(high, size - 1):
        raise StorageError("no signed entry was written in that time")
    return int(low), min(int(high) + 1, size)


def _cosigned(db: sqlite3.Connection) -> dict[int, str]:
    """Return the notes of the checkpoints that bear more than the log's own signature, by size."""
    query = "SELECT size, text, signatures FROM checkpoint WHERE instr(signatures, char(10)) < length(signatures)"
    return {int(size): f"{text}\n{signatures}" for size, text, signatures in db.execute(query)}


def _prove(db: sqlite3.Connection, incident: str, *, disclose: bool) -> dict[str, Any]:
    newest, checkpoint = newest_checkpoint(db)
    found = list(_about(db, incident, newest))
    if not found:
        raise StorageError(f"no signed entry speaks of {incident}")
    # What others have cosigned proves more than what is newest.
    better = [one for one in _cosigned(db).items() if one[0] > found[-1][0]]
    size, signed = max(better, default=(newest, checkpoint))
    return _proof_file(db, [(index, body, size, signed) for index, body in found], disclose=disclose)


def _proof_file(db: sqlite3.Connection, found: list[tuple[int, bytes, int, str]], *, disclose: bool) -> dict[str, Any]:
    """Return the file of entries: index, body, and the size and note of the checkpoint that each stands under."""
    read = node_reader(db)
    entries = [
        {
            "body": body.decode(),
            "proof": note.Proof(index, merkle.inclusion_proof(index, size, read), signed).text(),
            **_details(db, index, disclose=disclose),
        }
        for index, body, size, signed in found
    ]
    digest = hashlib.sha256(one_form(entries).encode()).hexdigest()
    return {"digest": digest, "entries": entries, "format": PROOF, "key": str(log_of(db))}


def _about(db: sqlite3.Connection, incident: str, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield index and body of the first `size` entries that speak of an incident: by its id, or with it whole."""
    # Most bodies do not hold the id at all; SQLite finds that out without them leaving it.
    wanted = "(instr(body, ?) > 0 OR typeof(body) <> 'blob')"
    query = f"SELECT idx, body FROM leaf WHERE idx < ? AND {wanted} ORDER BY idx"  # noqa: S608 - a constant
    for index, body in db.execute(query, (size, one_form(incident).encode())):
        if not isinstance(body, bytes):
            raise StorageError(f"entry {index} has no body")
        about = fields(body).get("incident")
        if incident in (about, about.get("id") if isinstance(about, dict) else None):
            yield index, body


def _details(db: sqlite3.Connection, index: int, *, disclose: bool) -> dict[str, Any]:
    """Return the key `details` of an entry's line, or nothing."""
    query = "SELECT name, salt, data FROM detail WHERE leaf = ?"
    rows = db.execute(query, (index,)).fetchall() if disclose else []
    details = {name: {"data": _text(data), "salt": _text(salt)} for name, salt, data in rows}
    return {"details": details} if details else {}


def _line(value: Mapping[str, Any]) -> str:
    return f"{one_form(value)}\n"


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
