"""Signed notes, checkpoints and proofs as text: C2SP signed-note, tlog-checkpoint and tlog-proof.

Pure but for `generate`, which draws a key. A note is `text`, an empty line and signature lines; the
text ends in a line feed that is signed with it. Keys are written as the Go checksum database writes
them, so that its tools read ours: a verifier key `name+id+base64(0x01 || public key)`.
"""

import base64
import binascii
import hashlib
import re
from typing import NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ED25519 = b"\x01"
"""The algorithm byte (signed-note, "Signature types")."""

PROOF_HEADER = "c2sp.org/tlog-proof@v1"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")
_SIGNATURE = re.compile(r"— ([^ +\n]+) ([A-Za-z0-9+/]+={0,2})")
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")
_PRIVATE = "PRIVATE+KEY+"


class NoteError(ValueError):
    """A note, key, checkpoint or proof that is not in its one form, or a signature that fails."""


class Checkpoint(NamedTuple):
    """A tree head: the log's name, the number of leaves and the root over them."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{encode64(self.root)}\n"


class VerifierKey(msgspec.Struct, frozen=True, kw_only=True):
    """An Ed25519 public key with the name of the log that signs with it."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Return the four bytes that stand before each signature."""
        return key_id(self.name, self.public)

    def __str__(self) -> str:
        """Return the key in its text form."""
        return f"{self.name}+{self.id.hex()}+{encode64(ED25519 + self.public)}"

    def verify(self, text: str, signatures: str) -> bool:
        """Say whether one of the signature lines is this key's good signature over `text`."""
        public = Ed25519PublicKey.from_public_bytes(self.public)
        for line in signatures.split("\n"):
            match = _SIGNATURE.fullmatch(line)
            raw = _signature_bytes(match[2]) if match and match[1] == self.name else b""
            if raw[:4] != self.id:
                continue
            try:
                public.verify(raw[4:], text.encode())
            except InvalidSignature:
                return False
            return True
        return False


class Signer(msgspec.Struct, frozen=True, kw_only=True):
    """A private key. Its text form is secret; repr shows the name only."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        """Return the name; never the key."""
        return f"Signer({self.name!r}, ***)"

    @property
    def verifier(self) -> VerifierKey:
        """Return the public half."""
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        return VerifierKey(name=self.name, public=private.public_key().public_bytes_raw())

    def secret_text(self) -> str:
        """Return the private key as the key file holds it."""
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{encode64(ED25519 + self.seed)}"

    def sign(self, text: str) -> str:
        """Return the signature line over `text`, with its line feed."""
        raw = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"— {self.name} {encode64(self.verifier.id + raw)}\n"


def generate(name: str) -> Signer:
    """Draw a new key for the log `name`."""
    return Signer(name=valid_name(name), seed=Ed25519PrivateKey.generate().private_bytes_raw())


def valid_name(name: str) -> str:
    """Return `name` if a log may be called so, else NoteError."""
    if not _NAME.fullmatch(name):
        raise NoteError(f"{name!r} cannot name a log: letters, digits and . _ / - only")
    return name


def key_id(name: str, public: bytes) -> bytes:
    """Return the first four bytes of SHA-256(name || 0x0a || 0x01 || public key)."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def parse_signer(text: str) -> Signer:
    """Read a private key file; NoteError without the key in its message."""
    try:
        name, identifier, data = text.strip().removeprefix(_PRIVATE).split("+", 2)
    except ValueError as error:
        raise NoteError("the key file does not hold a private key in signed-note form") from error
    signer = Signer(name=name, seed=_key_bytes(data))
    if not text.startswith(_PRIVATE) or signer.verifier.id.hex() != identifier:
        raise NoteError("the key file does not hold a private key in signed-note form")
    return signer


def parse_verifier(text: str) -> VerifierKey:
    """Read a verifier key `name+id+base64`."""
    try:
        name, identifier, data = text.strip().split("+", 2)
    except ValueError as error:
        raise NoteError(f"{text.strip()!r} is not a verifier key (name+id+base64)") from error
    key = VerifierKey(name=name, public=_key_bytes(data))
    if key.id.hex() != identifier:
        raise NoteError(f"the key id {identifier} does not belong to the key of {name}")
    return key


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
    if (
        not separator
        or not signatures.endswith("\n")
        or not all(map(_SIGNATURE.fullmatch, signatures[:-1].split("\n")))
    ):
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


def encode64(raw: bytes) -> str:
    """Return standard base64 with padding."""
    return base64.b64encode(raw).decode()


def decode64(text: str) -> bytes:
    """Read standard base64 in its one form (RFC 4648 section 3.5: no stray bits)."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("not base64") from error
    if encode64(raw) != text:
        raise NoteError("not base64 in its one form")
    return raw


def _signature_bytes(text: str) -> bytes:
    """Return the bytes of a signature; none if it is not base64, since others may write what they like."""
    try:
        return decode64(text)
    except NoteError:
        return b""


def _key_bytes(data: str) -> bytes:
    raw = decode64(data)
    if raw[:1] != ED25519 or len(raw) != 33:
        raise NoteError("not an Ed25519 key")
    return raw[1:]
