"""The witness's memory and the log's cosignatures, in the ledger's file. Run by its writer thread.

What must stay true: what was cosigned is on disk before the cosignature leaves, checked and written in one
transaction (tlog-witness: else two requests could roll each other back); a cosignature is kept only with
the checkpoint that it is over, and the first one of each witness: the earliest time is what it proves.
"""

import sqlite3

import msgspec

from agent.keys import NoteError, Signer, VerifierKey
from agent.ledger import merkle, note
from agent.ledger.cosignature import Held, Refusal, Request, WitnessKey, cosign, judge
from agent.ledger.reading import log_of, node_reader


class Cosigned(msgspec.Struct, frozen=True, kw_only=True):
    """A cosignature: its line, the size it is over, and the time in it (POSIX seconds)."""

    line: str
    size: int
    time: int


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """Two notes that a log signed, without a good proof that one continues the other, and the answer to that."""

    log: str
    refusal: Refusal
    held: str
    offered: str


def held_of(db: sqlite3.Connection, origin: str) -> Held | None:
    """Return the newest checkpoint of the log `origin` that was cosigned here."""
    row = db.execute("SELECT size, text, signatures FROM witnessed WHERE origin = ?", (origin,)).fetchone()
    return Held(size=row[0], text=row[1], signatures=row[2]) if row else None


def add_checkpoint(
    db: sqlite3.Connection, signer: Signer, request: Request, log: VerifierKey, time: int
) -> Cosigned | Refusal | Split:
    """Cosign another log's checkpoint at `time` (POSIX seconds), or say why not."""
    db.execute("BEGIN IMMEDIATE")
    try:
        held = held_of(db, log.name)
        judged = judge(request, log, held)
        if isinstance(judged, Refusal):
            db.execute("ROLLBACK")
            if judged.conflict and held is not None:
                return Split(log=log.name, refusal=judged, held=held.note, offered=request.note)
            return judged
        text = judged.text()
        line = cosign(signer, text, time)
        if held is None or held.size < judged.size:  # the same tree again changes nothing that must be remembered
            own = log.line(note.split_note(request.note)[1], text)
            row = (log.name, judged.size, text, own + line, time * 1_000_000_000)
            db.execute("INSERT OR REPLACE INTO witnessed VALUES (?, ?, ?, ?, ?)", row)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return Cosigned(line=line, size=judged.size, time=time)


def keep_cosignature(db: sqlite3.Connection, witness: WitnessKey, cosigned: str) -> Cosigned:
    """Store a witness's cosignature of one of this log's checkpoints, given as its note.

    Returns the cosignature that is kept: the first of that witness. NoteError when it is not a good one.
    """
    text, signatures = note.split_note(cosigned)
    checkpoint = note.parse_checkpoint(text)
    line = next((f"{one}\n" for one in signatures.split("\n") if witness.cosigned(text, one) is not None), None)
    if line is None:
        raise NoteError(f"no good cosignature of {witness.name}")
    row = db.execute("SELECT text, signatures FROM checkpoint WHERE size = ?", (checkpoint.size,)).fetchone()
    if row is None or row[0] != text:
        raise NoteError(f"the cosigned checkpoint over {checkpoint.size} entries is not one of this ledger")
    time = witness.cosigned(row[0], row[1])
    if time is None:
        time = witness.cosigned(text, line)
        db.execute("UPDATE checkpoint SET signatures = signatures || ? WHERE size = ?", (line, checkpoint.size))
    return Cosigned(line=line, size=checkpoint.size, time=time or 0)


def first_after(db: sqlite3.Connection, size: int) -> int | None:
    """Return when the first entry beyond the first `size` was written (ns UTC), None when there is none."""
    row = db.execute("SELECT time FROM leaf WHERE idx = ?", (size,)).fetchone()
    return int(row[0]) if row else None


def newest_cosigned(db: sqlite3.Connection, witness: WitnessKey) -> tuple[int, int] | None:
    """Return size and time (POSIX seconds) of the newest checkpoint that a witness has cosigned."""
    # A signature line starts with the name; whether it is a good one is seen below.
    query = "SELECT size, text, signatures FROM checkpoint WHERE instr(signatures, ?) > 0 ORDER BY size DESC"
    for size, text, signatures in db.execute(query, (f"— {witness.name} ",)):
        time = witness.cosigned(text, signatures)
        if time is not None:
            return int(size), time
    return None


def request_of(db: sqlite3.Connection, old: int) -> Request | Refusal:
    """Return what asks a witness that holds this log's checkpoint over `old` entries to cosign the newest."""
    row = db.execute("SELECT size, text, signatures FROM checkpoint ORDER BY size DESC LIMIT 1").fetchone()
    if row is None:
        raise NoteError("nothing in this ledger is signed yet")
    size = int(row[0])
    if old > size:
        return Refusal(status=409, reason=f"this ledger is signed up to {size} entries only", size=size)
    proof = merkle.consistency_proof(old, size, node_reader(db)) if old else ()
    own = log_of(db).line(row[2], row[1])
    return Request(old=old, proof=proof, note=f"{row[1]}\n{own}")


def disowned(db: sqlite3.Connection, held: str) -> str:
    """Return why this ledger is not the one of which a witness holds the note `held`, empty if it may be.

    Only a good signature of this log's own key counts: what a witness merely says stops nothing.
    """
    try:
        own = log_of(db)
        text, signatures = note.split_note(held)
        checkpoint = note.parse_checkpoint(text)
    except NoteError:
        return ""
    if checkpoint.origin != own.name or not own.verify(text, signatures):
        return ""
    row = db.execute("SELECT coalesce(max(idx) + 1, 0) FROM leaf").fetchone()
    if checkpoint.size > row[0]:
        return f"this ledger has {row[0]} entries, but its key has signed {checkpoint.size}"
    if merkle.root(checkpoint.size, node_reader(db)) != checkpoint.root:
        return f"its key has signed another history of the first {checkpoint.size} entries"
    return ""
