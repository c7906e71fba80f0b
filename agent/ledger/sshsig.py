"""Signatures of people: SSH signatures over a file, as `ssh-keygen -Y sign -n demarc FILE` makes them. Pure.

OpenSSH's PROTOCOL.sshsig is the specification; PROTOCOL.u2f that of keys in hardware (`sk-`). What must stay
true: the key is compared with the one that was agreed on, byte for byte, before anything is verified; the
namespace keeps signatures for git or for mail from passing here; foreign bytes give a verdict, nothing else.
"""

import base64
import binascii
import hashlib
import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

NAMESPACE: Final = "demarc"
BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
END: Final = "-----END SSH SIGNATURE-----"
_MAGIC: Final = b"SSHSIG"
_MOST_BYTES: Final = 16_384  # RSA of 16384 bits, the most that OpenSSH takes, is 5 kB with its key
_RSA_BITS: Final = 2048  # below it OpenSSH warns and BIO 2 forbids
_USER_PRESENT: Final = 0x01  # PROTOCOL.u2f: somebody touched the key


class SignatureError(ValueError):
    """Not a signature by this key over these bytes; the text says why."""


class Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A signature taken apart: the public key's bytes, the namespace, the hash, and type and bytes of the rest."""

    key: bytes
    namespace: str
    hash: str
    type: str
    rest: bytes
    reserved: bytes


def read_key(line: str) -> bytes:
    """Return the bytes of a public key as OpenSSH writes it (`ssh-ed25519 AAAA… comment`); SignatureError."""
    words = line.split()
    if len(words) < 2 or words[0] not in _VERIFY:
        known = ", ".join(sorted(_VERIFY))
        raise SignatureError(f"not a public key of OpenSSH; one of {known}, as in ~/.ssh/id_ed25519.pub")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error as error:
        raise SignatureError("the public key is not base64") from error
    name, _ = _text(blob)
    if name != words[0]:
        raise SignatureError(f"the public key says {words[0]} and holds {name}")
    return blob


def fingerprint(key: bytes) -> str:
    """Return a key's fingerprint as `ssh-keygen -l` prints it."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


def parse(armored: str) -> Signed:
    """Take an armored signature apart; SignatureError says what is wrong with it."""
    lines = armored.strip().splitlines()
    if len(armored) > _MOST_BYTES or len(lines) < 3 or (lines[0].strip(), lines[-1].strip()) != (BEGIN, END):
        raise SignatureError(f"not an SSH signature: it begins with {BEGIN} and ends with {END}")
    try:
        blob = base64.b64decode("".join(line.strip() for line in lines[1:-1]), validate=True)
    except binascii.Error as error:
        raise SignatureError("the signature is not base64") from error
    if blob[:6] != _MAGIC or blob[6:10] != b"\0\0\0\1":
        raise SignatureError("not an SSH signature of version 1")
    key, rest = _string(blob[10:])
    namespace, rest = _text(rest)
    reserved, rest = _string(rest)
    algorithm, rest = _text(rest)
    signature, rest = _string(rest)
    if rest:
        raise SignatureError("bytes follow the signature")
    sort, inner = _text(signature)
    return Signed(key=key, namespace=namespace, hash=algorithm, type=sort, rest=inner, reserved=reserved)


def verify(armored: str, data: bytes, key: bytes, namespace: str = NAMESPACE) -> None:
    """Check that `armored` is a signature over `data` by `key` (`read_key`) for `namespace`; SignatureError if not."""
    signed = parse(armored)
    if signed.key != key:
        raise SignatureError(f"signed with {fingerprint(signed.key)}, not with {fingerprint(key)}")
    if signed.namespace != namespace:
        raise SignatureError(
            f"signed for {signed.namespace!r}, not for {namespace!r}: use ssh-keygen -Y sign -n {namespace}"
        )
    if signed.hash not in ("sha256", "sha512"):
        raise SignatureError(f"signed over an unknown hash {signed.hash!r}")
    digest = hashlib.new(signed.hash, data).digest()
    parts = (signed.namespace.encode(), signed.reserved, signed.hash.encode(), digest)
    message = _MAGIC + b"".join(struct.pack(">I", len(part)) + part for part in parts)
    sort, fields = _text(key)
    try:
        _VERIFY[sort](fields, signed, message)
    except (InvalidSignature, UnsupportedAlgorithm, ValueError, KeyError, OverflowError) as error:
        if isinstance(error, SignatureError):
            raise
        raise SignatureError("the signature is not over these bytes, or is damaged") from error


def _string(data: bytes) -> tuple[bytes, bytes]:
    """Return the first string of RFC 4251 section 5 and what follows it."""
    if len(data) < 4:
        raise SignatureError("the signature is cut off")
    size = int.from_bytes(data[:4], "big")
    if len(data) < 4 + size:
        raise SignatureError("the signature is cut off")
    return data[4 : 4 + size], data[4 + size :]


def _text(data: bytes) -> tuple[str, bytes]:
    first, rest = _string(data)
    try:
        return first.decode("ascii"), rest
    except UnicodeDecodeError as error:
        raise SignatureError("a name in the signature is not ASCII") from error


def _number(data: bytes) -> tuple[int, bytes]:
    first, rest = _string(data)
    return int.from_bytes(first, "big", signed=True), rest


def _expect(signed: Signed, *types: str) -> None:
    if signed.type not in types:
        raise SignatureError(f"a signature of type {signed.type} does not fit the key")


def _ed25519(fields: bytes, signed: Signed, message: bytes) -> None:
    _expect(signed, "ssh-ed25519")
    public, _ = _string(fields)
    signature, _ = _string(signed.rest)
    Ed25519PublicKey.from_public_bytes(public).verify(signature, message)


def _sk_ed25519(fields: bytes, signed: Signed, message: bytes) -> None:
    _expect(signed, "sk-ssh-ed25519@openssh.com")
    public, rest = _string(fields)
    application, _ = _string(rest)
    signature, tail = _string(signed.rest)
    Ed25519PublicKey.from_public_bytes(public).verify(signature, _by_hardware(application, tail, message))


def _ecdsa(fields: bytes, signed: Signed, message: bytes) -> None:
    curve_name, rest = _text(fields)
    _expect(signed, f"ecdsa-sha2-{curve_name}")
    point, _ = _string(rest)
    _check_ecdsa(curve_name, point, signed.rest, message)


def _sk_ecdsa(fields: bytes, signed: Signed, message: bytes) -> None:
    _expect(signed, "sk-ecdsa-sha2-nistp256@openssh.com")
    curve_name, rest = _text(fields)
    point, rest = _string(rest)
    application, _ = _string(rest)
    _, tail = _string(signed.rest)
    _check_ecdsa(curve_name, point, signed.rest, _by_hardware(application, tail, message))


def _check_ecdsa(curve_name: str, point: bytes, rest: bytes, message: bytes) -> None:
    curve, algorithm = _CURVES[curve_name]
    pair, _ = _string(rest)
    r, pair = _number(pair)
    s, _ = _number(pair)
    public = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
    public.verify(encode_dss_signature(r, s), message, ec.ECDSA(algorithm))


def _rsa(fields: bytes, signed: Signed, message: bytes) -> None:
    _expect(signed, "rsa-sha2-256", "rsa-sha2-512")  # PROTOCOL.sshsig: never SHA-1
    exponent, rest = _number(fields)
    modulus, _ = _number(rest)
    if modulus.bit_length() < _RSA_BITS:
        raise SignatureError(f"an RSA key of {modulus.bit_length()} bits is too short")
    signature, _ = _string(signed.rest)
    algorithm = hashes.SHA256() if signed.type == "rsa-sha2-256" else hashes.SHA512()
    rsa.RSAPublicNumbers(exponent, modulus).public_key().verify(signature, message, padding.PKCS1v15(), algorithm)


def _by_hardware(application: bytes, tail: bytes, message: bytes) -> bytes:
    """Return what a key in hardware signs: the application, flags, counter and message (PROTOCOL.u2f)."""
    if len(tail) != 5 or not tail[0] & _USER_PRESENT:
        raise SignatureError("nobody touched the hardware key when it signed")
    return hashlib.sha256(application).digest() + tail + hashlib.sha256(message).digest()


_CURVES: Mapping[str, tuple[ec.EllipticCurve, hashes.HashAlgorithm]] = MappingProxyType(
    {
        "nistp256": (ec.SECP256R1(), hashes.SHA256()),
        "nistp384": (ec.SECP384R1(), hashes.SHA384()),
        "nistp521": (ec.SECP521R1(), hashes.SHA512()),
    }
)
_VERIFY: Mapping[str, Callable[[bytes, Signed, bytes], None]] = MappingProxyType(
    {
        "ssh-ed25519": _ed25519,
        "sk-ssh-ed25519@openssh.com": _sk_ed25519,
        "ecdsa-sha2-nistp256": _ecdsa,
        "ecdsa-sha2-nistp384": _ecdsa,
        "ecdsa-sha2-nistp521": _ecdsa,
        "sk-ecdsa-sha2-nistp256@openssh.com": _sk_ecdsa,
        "ssh-rsa": _rsa,
    }
)
