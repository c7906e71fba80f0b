"""Cosignatures and the request for one: C2SP tlog-cosignature (Ed25519, `cosignature/v1`) and tlog-witness. Pure.

A cosignature says: at this time, this was the largest tree of that log that I have seen, and it continues
every one that I saw before. What must stay true: a witness signs for one log only trees of which each
continues the one before, so `judge` is asked with what is held and its answer is stored before it is given.
"""

import re
import struct

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.keys import (
    COSIGNATURE,
    SIGNATURE,
    NoteError,
    Signer,
    VerifierKey,
    decode64,
    encode64,
    key_id,
    parse_witness_key,
)
from agent.ledger import merkle, note

PROOF_LINES = 63
"""tlog-witness: a client must not send more."""

REQUEST_BYTES = 65_536
"""63 hashes of 45 bytes and a note of some signatures; what is larger is no request."""

LATEST = 253_402_300_799
"""The last second of the year 9999: a time beyond it is no witness's clock, and no calendar can show it."""

_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")
_STAMPED = struct.Struct(">Q64s")


class WitnessKey(msgspec.Struct, frozen=True, kw_only=True):
    """An Ed25519 public key as a witness has it: the same key as a log's, but another key id."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Return SHA-256(name || 0x0a || 0x04 || key), its first four bytes."""
        return key_id(self.name, self.public, COSIGNATURE)

    def __str__(self) -> str:
        """Return the key in its text form."""
        return f"{self.name}+{self.id.hex()}+{encode64(COSIGNATURE + self.public)}"

    def cosigned(self, text: str, signatures: str) -> int | None:
        """Return the newest time (POSIX seconds) at which this witness cosigned `text`, None if it did not."""
        times = [self._time(text, line) for line in signatures.split("\n")]
        return max((time for time in times if time is not None), default=None)

    def _time(self, text: str, line: str) -> int | None:
        match = SIGNATURE.fullmatch(line)
        try:
            raw = decode64(match[2]) if match and match[1] == self.name else b""
        except NoteError:
            return None
        if raw[:4] != self.id or len(raw) != 4 + _STAMPED.size:
            return None
        time, signature = _STAMPED.unpack(raw[4:])
        if time > LATEST:
            return None
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, _message(text, time))
        except InvalidSignature:
            return None
        return int(time)


def witness_of(key: VerifierKey) -> WitnessKey:
    """Return the key with which the agent of a log cosigns other logs."""
    return WitnessKey(name=key.name, public=key.public)


def parse_witness(text: str) -> WitnessKey:
    """Read a witness key `name+id+base64(0x04 || public key)`."""
    name, public = parse_witness_key(text)
    return WitnessKey(name=name, public=public)


def cosign(signer: Signer, text: str, time: int) -> str:
    """Return the signature line of a cosignature over the checkpoint `text`, at `time` (POSIX seconds)."""
    key = witness_of(signer.verifier)
    stamped = _STAMPED.pack(time, signer.sign_bytes(_message(text, time)))
    return f"— {key.name} {encode64(key.id + stamped)}\n"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What a log asks a witness: a checkpoint's note, and the proof that it continues the one over `old` entries."""

    old: int
    proof: tuple[bytes, ...] = ()
    note: str

    def text(self) -> str:
        """Return the body of an add-checkpoint call."""
        return f"old {self.old}\n" + "".join(encode64(one) + "\n" for one in self.proof) + f"\n{self.note}"


def parse_request(text: str) -> Request:
    """Read the body of an add-checkpoint call; NoteError for any other text."""
    head, separator, rest = text.partition("\n\n")
    first, *lines = head.split("\n")
    old = _OLD.fullmatch(first)
    if not separator or old is None or len(lines) > PROOF_LINES:
        raise NoteError("not a request to cosign: the line `old SIZE`, hashes, an empty line and a checkpoint")
    proof = tuple(decode64(line) for line in lines)
    if any(len(one) != merkle.HASH_BYTES for one in proof):
        raise NoteError("not a request to cosign: a hash has 32 bytes")
    return Request(old=int(old[1]), proof=proof, note=rest)


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """The newest checkpoint of a log that a witness has cosigned."""

    size: int
    text: str
    signatures: str

    @property
    def note(self) -> str:
        """Return the whole note."""
        return f"{self.text}\n{self.signatures}"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing is cosigned: the status of tlog-witness and a sentence.

    `size` is what is held (status 409). `conflict`: the log signed two trees of which neither continues the other.
    """

    status: int
    reason: str
    size: int | None = None
    conflict: bool = False


def judge(request: Request, log: VerifierKey, held: Held | None) -> note.Checkpoint | Refusal:
    """Return the checkpoint if it may be cosigned, in the order of checks of tlog-witness."""
    try:
        text, signatures = note.split_note(request.note)
        offered = note.parse_checkpoint(text)
    except NoteError as error:
        return Refusal(status=400, reason=str(error))
    if offered.origin != log.name:
        return Refusal(status=404, reason=f"the log {offered.origin!r} is not known here")
    if not log.verify(text, signatures):
        return Refusal(status=403, reason=f"the checkpoint has no good signature of {log.name}")
    if request.old > offered.size:
        return Refusal(status=400, reason=f"a tree of {offered.size} entries does not continue one of {request.old}")
    size = held.size if held else 0
    if request.old != size:
        return Refusal(status=409, reason=f"the checkpoint held here is over {size} entries", size=size)
    if held is None:
        fits = not request.proof
        return offered if fits else Refusal(status=422, reason="from no entries there is nothing to prove")
    fits = merkle.verify_consistency(
        old=size,
        size=offered.size,
        old_root=note.parse_checkpoint(held.text).root,
        root=offered.root,
        proof=request.proof,
    )
    if fits:
        return offered
    # With one size two roots are proof in themselves; a proof that fails may also have been damaged.
    same = size == offered.size
    what = f"two trees of {size} entries" if same else f"a tree of {offered.size} entries that does not continue {size}"
    return Refusal(status=409 if same else 422, reason=f"{log.name} signed {what}", size=size, conflict=True)


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
