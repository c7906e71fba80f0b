"""The checks of exports and proof files: what is whole, what is signed, what is witnessed. Pure but for `check_file`.

What must stay true: whatever a file holds, the result is a verdict, with a sentence for what is wrong; "whole"
is said only of what was recomputed from the bodies.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.ledger.verifier.forms import Bad, check_details, one_form, read_base64, read_body, read_object
from agent.ledger.verifier.tree import Tree, included, leaf_hash
from agent.ledger.verifier.trust import DECIMAL, LOG, Checkpoint, Policy, parse_key, read_checkpoint

EXPORT = "demarc-export-1"
PROOF = "demarc-proof-1"
SENTENCES = 100
"""After so many the rest is only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check found; `problems` is empty when all is well.

    `signed` entries stand under a good signature of the log, `witnessed` of them under the quorum of the
    policy; `witnesses` gives for each how many entries it cosigned last, and when (POSIX seconds).
    """

    ok: bool
    what: str = "ledger"
    origin: str = ""
    key: str = ""
    own_key: bool = True
    entries: int = 0
    signed: int = 0
    witnessed: int = 0
    witnesses: dict[str, tuple[int, int]] = field(default_factory=dict)
    erased: int = 0
    checkpoint: str = ""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class Findings:
    """What the checks of one file have found so far."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.problems: list[str] = []
        self.notes: list[str] = []
        self.entries = 0
        self.erased = 0
        self.signed: Checkpoint | None = None
        self.witnessed = 0
        self.note = ""
        self.times: dict[str, tuple[int, int]] = {}

    def checkpoint(self, note: str) -> Checkpoint:
        """Take a checkpoint that stands in the file."""
        found = read_checkpoint(note, self.policy)
        if self.signed is not None and self.signed.key != found.key:
            raise Bad(f"it speaks of two logs, {self.signed.key.name} and {found.key.name}")
        return found

    def stands(self, found: Checkpoint, note: str) -> None:
        """Note that a checkpoint is right about the entries under it."""
        if self.signed is None or found.size >= self.signed.size:
            self.signed, self.note = found, note
        if self.policy.quorum != "none" and self.policy.met(found.cosigned):
            self.witnessed = max(self.witnessed, found.size)
        for name, time in found.cosigned.items():
            self.times[name] = max(self.times.get(name, (0, 0)), (found.size, time))

    def verdict(self, what: str, *, whole: bool) -> Verdict:
        """Return the verdict; of a `whole` ledger the last entries may still wait for their witnesses."""
        size = self.signed.size if self.signed else 0
        wanted = self.policy.quorum != "none"
        if wanted and not self.problems and self.witnessed < (1 if whole else size):
            self.problems.append(f"the quorum {self.policy.quorum!r} of the policy has not cosigned it")
        elif wanted and self.witnessed < size:
            self.notes.append(f"entries {self.witnessed} to {size - 1} are signed by the log alone, not witnessed yet")
        shown = self.problems[:SENTENCES]
        if len(self.problems) > SENTENCES:
            shown.append(f"and {len(self.problems) - SENTENCES} more")
        key = self.signed.key if self.signed else next(iter(self.policy.logs), None)
        return Verdict(
            ok=not shown,
            what=what,
            origin=key.name if key else "",
            key=str(key or ""),
            own_key=self.policy.own,
            entries=self.entries,
            signed=size,
            witnessed=self.witnessed,
            witnesses=dict(sorted(self.times.items())),
            erased=self.erased,
            checkpoint="" if shown else self.note,
            problems=tuple(shown),
            notes=tuple(self.notes),
        )


def check_export(lines: Iterable[bytes], policy: Policy | None = None) -> Verdict:
    """Check an export, line by line; without a policy against the key that it brings."""
    rows = iter(lines)
    if policy is None:
        kept = list(rows)  # the key stands in the last line
        rows, policy = iter(kept), _own_policy(kept[-1].removesuffix(b"\n") if kept else b"")
    check = _Export(policy)
    for number, row in enumerate(rows, 1):
        try:
            check.line(row)
        except (Bad, UnicodeDecodeError) as error:
            check.problems.append(f"line {number}: {error}")
            break  # what follows would only repeat it
    else:
        if not check.ended:
            check.problems.append("the export is cut off: the last line, with the checkpoint and the key, is missing")
    return check.verdict("export", whole=not check.ranged)


def _own_policy(last: bytes, indent: int | None = None) -> Policy:
    """Return a policy of the one key that a file brings itself."""
    try:
        key = parse_key(str(read_object(last.decode(), "the file", indent).get("key")), LOG)
    except (Bad, UnicodeDecodeError):
        return Policy(own=True)
    return Policy(logs=(key,), own=True)


class _Export(Findings):
    """An export that is read line by line: entries in order, checkpoints among them, one at the end."""

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self.ended = False
        self.ranged = False
        self._tree = Tree()
        self._proofs: list[tuple[int, bytes, list[bytes]]] = []
        self._next = 0
        self._digest = hashlib.sha256()

    def line(self, row: bytes) -> None:
        """Take a line."""
        if self.ended:
            raise Bad("it stands after the last line")
        if not row.endswith(b"\n"):
            raise Bad("the line is cut off")
        line = read_object(row[:-1].decode(), "the line")
        if "checkpoint" in line:
            self._checkpoint_line(line)
        else:
            self._entry(line)
        self._digest.update(row)

    def _entry(self, line: dict[str, Any]) -> None:
        index, body, said = line.get("index"), line.get("body"), line.get("hash")
        if not isinstance(body, str) or not isinstance(said, str) or type(index) is not int:
            raise Bad("an entry has a body, a hash and an index")
        if not self.entries:
            self.ranged, self._next = "proof" in line, index
        wanted = {"body", "hash", "index", *(("proof",) if self.ranged else ())}
        if set(line) - {"details"} != wanted or (index and not self.ranged and not self.entries):
            raise Bad("the entry has other keys than this export has, or the entries before it are missing")
        if index != self._next:
            raise Bad(f"entry {index} stands where entry {self._next} belongs")
        self._next, self.entries = index + 1, self.entries + 1
        leaf = leaf_hash(body.encode("utf-8", "surrogatepass"))
        if leaf.hex() != said:
            self.problems.append(f"entry {index}: the body does not match its hash")
            leaf = bytes.fromhex(said) if re.fullmatch("[0-9a-f]{64}", said) else leaf  # one sentence, not two
        try:
            check_details(read_body(body), line.get("details", {}))
        except (Bad, UnicodeEncodeError) as error:
            self.problems.append(f"entry {index}: {error}")
        if self.ranged:
            self._proofs.append((index, leaf, _hashes(line["proof"])))
        else:
            self._tree.add(leaf)

    def _checkpoint_line(self, line: dict[str, Any]) -> None:
        self.ended = "key" in line
        if set(line) != ({"checkpoint", "digest", "format", "key"} if self.ended else {"checkpoint"}):
            raise Bad("a line with a checkpoint has other keys than it may have")
        note = str(line["checkpoint"])
        found = self.checkpoint(note)
        self._digest.update(note.encode() if self.ended else b"")
        if self.ended and line["digest"] != self._digest.hexdigest():
            raise Bad("a line, or the checkpoint in this one, was altered since the export: the digest does not match")
        if self.ended and (line["key"] != str(found.key) or line["format"] != EXPORT):
            raise Bad(f"the key is not that of the checkpoint ({found.key}), or the format is not {EXPORT}")
        if not self.ranged and (found.size, found.root) != (self._tree.size, self._tree.root()):
            raise Bad(f"the checkpoint over {found.size} entries does not match the {self._tree.size} before it")
        for index, leaf, proof in self._proofs:
            if not included(leaf, index, found.size, proof, found.root):
                raise Bad(f"entry {index} is not in the tree of {found.size} entries")
        self.stands(found, note)


def _hashes(value: Any) -> list[bytes]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise Bad("a proof is a list of hashes")
    return [read_base64(one) for one in value]


def check_proof(data: bytes, policy: Policy | None = None) -> Verdict:
    """Check a proof file; without a policy against the key that it brings."""
    check = Findings(_own_policy(data.removesuffix(b"\n"), 1) if policy is None else policy)
    try:
        file = read_object(data.decode().removesuffix("\n"), "the file", 1)
        entries = file.get("entries")
        if (
            set(file) != {"digest", "entries", "format", "key"}
            or file["format"] != PROOF
            or not isinstance(entries, list)
        ):
            raise Bad(f"it is not a proof file of the format {PROOF}")  # noqa: TRY301 - told like the others below
        if not entries or not data.endswith(b"\n"):
            raise Bad("it holds no entries, or is cut off")  # noqa: TRY301 - as above
        for number, entry in enumerate(entries):
            try:
                _proven(check, entry, file["key"])
            except (Bad, UnicodeEncodeError) as error:
                check.problems.append(f"entry {number} of the file: {error}")
        if not check.problems and file["digest"] != hashlib.sha256(one_form(entries).encode()).hexdigest():
            check.problems.append("the file was altered since it was made: the digest does not match")
    except (Bad, UnicodeDecodeError) as error:
        check.problems.append(str(error))
    return check.verdict("proof", whole=False)


def _proven(check: Findings, entry: Any, key: Any) -> None:
    """Check one entry of a proof file with its tlog-proof (C2SP)."""
    if not isinstance(entry, dict) or set(entry) - {"details"} != {"body", "proof"}:
        raise Bad("an entry has a body and a proof")
    body, proof = str(entry["body"]), str(entry["proof"])
    content = read_body(body)
    head, gap, note = proof.partition("\n\n")
    first, *lines = head.split("\n")
    index = lines.pop(0).removeprefix("index ") if lines else ""
    if not gap or first != "c2sp.org/tlog-proof@v1" or f"index {index}" not in head or not DECIMAL.fullmatch(index):
        raise Bad("the proof is not a tlog-proof")
    found = check.checkpoint(note)
    if key != str(found.key):
        raise Bad(f"the file names another key than that of its checkpoint, {found.key}")
    if not included(leaf_hash(body.encode()), int(index), found.size, [read_base64(one) for one in lines], found.root):
        raise Bad(f"the body is not entry {index} under the checkpoint over {found.size} entries")
    check_details(content, entry.get("details", {}))
    check.entries += 1
    check.stands(found, note)


def check_file(path: Path, policy: Policy | None = None) -> Verdict:
    """Check an export or a proof file, whichever it is."""
    with path.open("rb") as file:
        first = file.readline()
        file.seek(0)
        return check_proof(file.read(), policy) if first == b"{\n" else check_export(file, policy)
