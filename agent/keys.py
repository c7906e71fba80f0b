"""Keys and signatures as text, as C2SP signed-note and the Go checksum database write them.

Pure but for `generate` and `sealed_text`, which draw random bytes. One key signs an agent's ledger and what
it tells its peers; what is signed begins with a line that says which of them it is. A verifier key reads
`name+id+base64(0x01 || public key)`.
"""

import base64
import binascii
import hashlib
import os
import re

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

ED25519 = b"\x01"
COSIGNATURE = b"\x04"
"""Algorithm bytes (signed-note, "Signature types"): of a log's signature, and of a witness's, with its time."""

SIGNATURE = re.compile(r"— ([^ +\n]+) ([A-Za-z0-9+/]+={0,2})")
"""A signature line, without its line feed."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,254}")
_PRIVATE = "PRIVATE+KEY+"
_SEALED = "SEALED+PRIVATE+KEY+"


class NoteError(ValueError):
    """A note, key, checkpoint or proof that is not in its one form, or a signature that fails."""


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
        return bool(self.line(signatures, text))

    def line(self, signatures: str, text: str) -> str:
        """Return this key's line among `signatures`, with its line feed; empty if it is not good over `text`."""
        public = Ed25519PublicKey.from_public_bytes(self.public)
        for line in signatures.split("\n"):
            match = SIGNATURE.fullmatch(line)
            raw = _signature_bytes(match[2]) if match and match[1] == self.name else b""
            if raw[:4] != self.id:
                continue
            try:
                public.verify(raw[4:], text.encode())
            except InvalidSignature:
                return ""
            return f"{line}\n"
        return ""


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

    def sign_bytes(self, message: bytes) -> bytes:
        """Return the bare Ed25519 signature over `message`, 64 bytes."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)

    def signature(self, text: str) -> str:
        """Return the base64 part of the signature line over `text`."""
        return encode64(self.verifier.id + self.sign_bytes(text.encode()))

    def sign(self, text: str) -> str:
        """Return the signature line over `text`, with its line feed."""
        return f"— {self.name} {self.signature(text)}\n"


def origin(vantage: str) -> str:
    """Return the name for ever of the log of an agent, and so of its key."""
    return f"demarc/{vantage}"


def generate(name: str) -> Signer:
    """Draw a new key for the log `name`."""
    return Signer(name=valid_name(name), seed=Ed25519PrivateKey.generate().private_bytes_raw())


def valid_name(name: str) -> str:
    """Return `name` if a log may be called so, else NoteError."""
    if not _NAME.fullmatch(name):
        raise NoteError(f"{name!r} cannot name a log: letters, digits and . _ / - only")
    return name


def key_id(name: str, public: bytes, algorithm: bytes = ED25519) -> bytes:
    """Return the first four bytes of SHA-256(name || 0x0a || algorithm || public key)."""
    return hashlib.sha256(name.encode() + b"\n" + algorithm + public).digest()[:4]


def sealed_text(signer: Signer, passphrase: bytes) -> str:
    """Return the private key as a key file holds it that is protected by a passphrase."""
    salt, nonce = os.urandom(16), os.urandom(12)
    head = f"{_SEALED}{signer.name}+{signer.verifier.id.hex()}+"
    closed = ChaCha20Poly1305(_stretched(passphrase, salt)).encrypt(nonce, signer.seed, head.encode())
    return head + encode64(salt + nonce + closed)


def _stretched(passphrase: bytes, salt: bytes) -> bytes:
    # OWASP's figures of 2024 for scrypt: 32 MB and a tenth of a second for each guess.
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.strip())


def _unsealed(text: str, passphrase: bytes) -> Signer:
    try:
        name, identifier, data = text.strip().removeprefix(_SEALED).split("+", 2)
        raw = decode64(data)
        head = f"{_SEALED}{name}+{identifier}+".encode()
        seed = ChaCha20Poly1305(_stretched(passphrase, raw[:16])).decrypt(raw[16:28], raw[28:], head)
    except InvalidTag as error:
        raise NoteError("the passphrase does not open the key file") from error
    except ValueError as error:
        raise NoteError("the key file does not hold a private key in its protected form") from error
    return Signer(name=name, seed=seed)


def parse_signer(text: str, passphrase: bytes = b"") -> Signer:
    """Read a private key file, protected or not; NoteError without the key in its message."""
    if text.startswith(_SEALED):
        if not passphrase:
            raise NoteError("the key file is protected, and no passphrase is given")
        return _unsealed(text, passphrase)
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


def parse_witness_key(text: str) -> tuple[str, bytes]:
    """Read a witness's key `name+id+base64(0x04 || public key)`: its name and the 32 bytes."""
    name, _, rest = text.strip().partition("+")
    identifier, _, data = rest.partition("+")
    raw = decode64(data)
    if raw[:1] != COSIGNATURE or len(raw) != 33 or not re.fullmatch(r"[^ +\n]+", name):
        raise NoteError(f"{text.strip()!r} is not a witness's key (name+id+base64, algorithm 4)")
    if key_id(name, raw[1:], COSIGNATURE).hex() != identifier:
        raise NoteError(f"the key id {identifier} does not belong to the key of {name}")
    return name, raw[1:]


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
