"""Whose word counts: keys, policies (C2SP tlog-policy) and the signatures under a checkpoint. Pure.

What must stay true: nobody is his own witness; a signature of a key that counts is good, or the note is not.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.ledger.verifier.forms import Bad, read_base64

LOG, WITNESS = 1, 4
"""Algorithm bytes (C2SP signed-note): Ed25519 of a log, timestamped Ed25519 of a witness."""

_SIGNATURE = re.compile(r"— ([^ +\n]+) ([A-Za-z0-9+/]+={0,2})")
_EPOCH = re.compile(r"/[1-9][0-9]{0,5}")
DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """An Ed25519 public key: `algorithm` LOG or WITNESS, `id` the four bytes before its signatures."""

    name: str
    algorithm: int
    public: bytes

    @property
    def id(self) -> bytes:
        """Return the first four bytes of SHA-256(name || 0x0a || algorithm || public key)."""
        return hashlib.sha256(b"%s\n%c%s" % (self.name.encode(), self.algorithm, self.public)).digest()[:4]

    def __str__(self) -> str:
        """Return the key as policies and files write it."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.algorithm]) + self.public).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """Whose word counts (C2SP tlog-policy): the logs, the witnesses by name, groups as (how many, of whom).

    `own` says that there was no policy and the only key is the one that the file itself brings.
    """

    logs: tuple[Key, ...] = ()
    witnesses: dict[str, Key] = field(default_factory=dict)
    groups: dict[str, tuple[int, tuple[str, ...]]] = field(default_factory=dict)
    quorum: str = "none"
    own: bool = False

    def keys_of(self, name: str) -> tuple[Key, ...]:
        """Return the keys that count for the log `name`: of the policy's logs, and of a later epoch of one."""
        return tuple(
            Key(name=name, algorithm=LOG, public=key.public)
            for key in self.logs
            if name == key.name or (name.startswith(key.name) and _EPOCH.fullmatch(name[len(key.name) :]))
        )

    def met(self, cosigned: Iterable[str]) -> bool:
        """Say whether these witnesses are the quorum."""
        names = set(cosigned)
        for name, (count, members) in self.groups.items():  # a group names only what stands before it
            if sum(member in names for member in members) >= count:
                names.add(name)
        return self.quorum == "none" or self.quorum in names


def parse_key(text: str, algorithm: int) -> Key:
    """Read a key `name+id+base64(algorithm || public key)`."""
    parts = text.strip().split("+", 2)
    raw = read_base64(parts[2]) if len(parts) == 3 else b""
    if len(raw) != 33 or not re.fullmatch(r"[^ +\n]+", parts[0]):
        raise Bad(f"{text.strip()[:80]!r} is not a key (name+id+base64)")
    if raw[0] != algorithm:
        raise Bad(f"the key of {parts[0]} has the algorithm {raw[0]}, not {algorithm}")
    key = Key(name=parts[0], algorithm=algorithm, public=raw[1:])
    if key.id.hex() != parts[1]:
        raise Bad(f"the key id {parts[1]!r} does not belong to the key of {key.name}")
    return key


def parse_policy(text: str) -> Policy:
    """Read a policy (C2SP tlog-policy)."""
    logs: list[Key] = []
    witnesses: dict[str, Key] = {}
    groups: dict[str, tuple[int, tuple[str, ...]]] = {}
    quorum: list[str] = []
    taken: set[str] = set()
    for number, line in enumerate(text.split("\n"), 1):
        words = line.replace("\t", " ").split(" ")
        match [word for word in words if word]:
            case []:
                continue
            case [first, *_] if first.startswith("#"):
                continue
            case ["log", key] | ["log", key, _]:
                logs.append(parse_key(key, LOG))
            case ["witness", name, key] | ["witness", name, key, _] if name not in _names(witnesses, groups):
                witnesses[name] = parse_key(key, WITNESS)
            case ["group", name, count, *members] if name not in _names(witnesses, groups):
                _check_group(number, members, _names(witnesses, groups), taken)
                groups[name] = (_threshold(number, count, len(members)), tuple(members))
            case ["quorum", name] if name in {"none", *witnesses, *groups} and not quorum:
                quorum.append(name)
            case _:
                raise Bad(f"policy, line {number}: {line.strip()[:80]!r} cannot be understood here")
    for keys, what in ((logs, "log"), (list(witnesses.values()), "witness")):
        if len({key.public for key in keys}) < len(keys):
            raise Bad(f"policy: a {what} stands in it twice")
    if not quorum:
        raise Bad("policy: there is no quorum line; without witnesses write `quorum none`")
    return Policy(logs=tuple(logs), witnesses=witnesses, groups=groups, quorum=quorum[0])


def _names(*tables: dict[str, Any]) -> set[str]:
    return {"none"}.union(*tables)


def _check_group(number: int, members: list[str], names: set[str], taken: set[str]) -> None:
    for member in members:
        if member == "none" or member not in names or member in taken:
            raise Bad(f"policy, line {number}: {member!r} is not known before this line, or is a member already")
        taken.add(member)


def _threshold(number: int, text: str, members: int) -> int:
    count = {"any": 1, "all": members}.get(text, int(text) if DECIMAL.fullmatch(text) else 0)
    if not 1 <= count <= members:
        raise Bad(f"policy, line {number}: {text!r} of {members} members is no group")
    return count


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A signed tree head whose signature is good; `cosigned` has the time of each witness of the policy."""

    key: Key
    size: int
    root: bytes
    cosigned: dict[str, int]


def read_checkpoint(note: str, policy: Policy) -> Checkpoint:
    """Check the signatures of a checkpoint's note (C2SP tlog-checkpoint, tlog-cosignature)."""
    text, signatures = _split(note)
    origin, size, root, *rest = text.split("\n")
    if rest != [""] or not DECIMAL.fullmatch(size) or len(read_base64(root)) != 32:
        raise Bad("a checkpoint has three lines: name, size and root")
    known = policy.keys_of(origin)
    if not known:
        raise Bad(f"the log {origin!r} is not one of those whose word counts here")
    key = next((key for key in known if _signed(key, text, signatures) is not None), None)
    if key is None:
        raise Bad(f"the checkpoint has no good signature of {origin}")
    cosigned = {}
    for name, witness in policy.witnesses.items():
        time = _signed(witness, text, signatures)
        if time is not None and witness.public != key.public:  # nobody is his own witness
            cosigned[name] = time
    return Checkpoint(key=key, size=int(size), root=read_base64(root), cosigned=cosigned)


def _split(note: str) -> tuple[str, list[tuple[str, bytes]]]:
    """Return the text of a note and its signatures (name, bytes)."""
    text, gap, lines = note.rpartition("\n\n")
    found = [_SIGNATURE.fullmatch(line) for line in lines[:-1].split("\n")]
    if not gap or not lines.endswith("\n") or None in found or text.count("\n") != 2:
        raise Bad("a checkpoint is three lines, an empty line, and signature lines")
    return f"{text}\n", [(match[1], read_base64(match[2])) for match in found if match]


def _signed(key: Key, text: str, signatures: list[tuple[str, bytes]]) -> int | None:
    """Return when `key` signed `text` (0 for a log), None if it did not; Bad for a signature that is not good."""
    times = []
    for name, raw in signatures:
        if name != key.name or raw[:4] != key.id:
            continue
        time = int.from_bytes(raw[4:12], "big") if key.algorithm == WITNESS else 0
        message = f"cosignature/v1\ntime {time}\n{text}" if key.algorithm == WITNESS else text
        signature = raw[12:] if key.algorithm == WITNESS else raw[4:]
        try:
            Ed25519PublicKey.from_public_bytes(key.public).verify(signature, message.encode())
        except InvalidSignature:
            raise Bad(f"the checkpoint has no good signature of {key.name}") from None
        times.append(time)
    return max(times, default=None)
