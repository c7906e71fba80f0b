"""Signed notes, checkpoints and proofs as text: C2SP signed-note, tlog-checkpoint and tlog-proof. Pure.

A note is `text`, an empty line and signature lines; the text ends in a line feed that is signed with it.
"""

import re
from typing import NamedTuple

from agent.keys import SIGNATURE, NoteError, decode64, encode64

PROOF_HEADER = "c2sp.org/tlog-proof@v1"

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class Checkpoint(NamedTuple):
    """A tree head: the log's name, the number of leaves and the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{encode64(self.root)}\n"


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint: exactly three lines, as this ledger writes them."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0] or not _DECIMAL.fullmatch(lines[1]):
        raise NoteError("not a checkpoint: name, size and root, a line each")
    root = decode64(lines[2])
    if len(root) != 32:
        raise NoteError("not a checkpoint: the root has 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root)


def split_note(note: str) -> tuple[str, str]:
    """Return the text and the signature lines of a note; NoteError if it has none."""
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n") or not all(map(SIGNATURE.fullmatch, signatures[:-1].split("\n"))):
        raise NoteError("not a signed note: text, an empty line, signature lines")
    return text + "\n", signatures


class Proof(NamedTuple):
    """A leaf's place in a signed tree: its index, inclusion proof and the checkpoint's whole note."""

    leaf: int
    hashes: tuple[bytes, ...]
    note: str

    def text(self) -> str:
        """Return the tlog-proof text."""
        hashes = "".join(encode64(one) + "\n" for one in self.hashes)
        return f"{PROOF_HEADER}\nindex {self.leaf}\n{hashes}\n{self.note}"


def parse_proof(text: str) -> Proof:
    """Read a tlog-proof without extra data; NoteError for any other text."""
    head, separator, note = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != PROOF_HEADER or len(lines) < 2 or not lines[1].startswith("index "):
        raise NoteError("not a tlog-proof")
    if not _DECIMAL.fullmatch(lines[1][6:]):
        raise NoteError("not a tlog-proof: the index is not a number")
    return Proof(int(lines[1][6:]), tuple(decode64(line) for line in lines[2:]), note)
