"""SSH signatures of people: what OpenSSH made verifies, everything else is refused with a reason.

`tests/data/sshsig.json` holds public keys and signatures over one line, made by ssh-keygen of OpenSSH 9.2;
signatures of hardware keys are put together here, after PROTOCOL.u2f.
"""

import base64
import hashlib
import json
import struct
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from agent.ledger.sshsig import BEGIN, END, SignatureError, fingerprint, parse, read_key, verify

MADE = json.loads((Path(__file__).parents[2] / "data" / "sshsig.json").read_text())
GOOD = [name for name in MADE if name != "rsa1024"]
DATA = b"the proposal\n"
ED = MADE["ed25519"]
HARDWARE = Ed25519PrivateKey.from_private_bytes(bytes(32))


def string(data: bytes) -> bytes:
    """Return a string of RFC 4251."""
    return struct.pack(">I", len(data)) + data


def armored(blob: bytes) -> str:
    """Return a signature as a file."""
    return f"{BEGIN}\n{base64.b64encode(blob).decode()}\n{END}\n"


HARDWARE_ECDSA = ec.derive_private_key(7, ec.SECP256R1())
POINT = HARDWARE_ECDSA.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
HARDWARE_KEYS = {
    "sk-ssh-ed25519@openssh.com": string(HARDWARE.public_key().public_bytes_raw()),
    "sk-ecdsa-sha2-nistp256@openssh.com": string(b"nistp256") + string(POINT),
}


def hardware_key(name: str) -> bytes:
    """Return the bytes of a public key that lives in hardware."""
    return string(name.encode()) + HARDWARE_KEYS[name] + string(b"ssh:")


def number(value: int) -> bytes:
    """Return a positive mpint of RFC 4251."""
    return string(value.to_bytes(value.bit_length() // 8 + 1, "big"))


def by_hardware(name: str, flags: int) -> str:
    """Return a signature over DATA as a FIDO key makes it."""
    head = string(b"demarc") + string(b"") + string(b"sha512")
    message = b"SSHSIG" + head + string(hashlib.sha512(DATA).digest())
    tail = bytes([flags]) + struct.pack(">I", 7)
    signed = hashlib.sha256(b"ssh:").digest() + tail + hashlib.sha256(message).digest()
    if name.startswith("sk-ssh"):
        raw = HARDWARE.sign(signed)
    else:
        r, s = decode_dss_signature(HARDWARE_ECDSA.sign(signed, ec.ECDSA(hashes.SHA256())))
        raw = number(r) + number(s)
    signature = string(name.encode()) + string(raw) + tail
    return armored(b"SSHSIG\0\0\0\1" + string(hardware_key(name)) + head + string(signature))


@pytest.mark.parametrize("name", GOOD)
def test_what_openssh_signed_verifies(name: str) -> None:
    """By its own key over its own bytes, and by no other key over no other bytes."""
    one = MADE[name]
    key = read_key(one["key"])
    verify(one["signature"], DATA, key)
    with pytest.raises(SignatureError, match="not over these bytes"):
        verify(one["signature"], DATA + b" ", key)
    other = read_key(MADE["ecdsa256" if name == "ed25519" else "ed25519"]["key"])
    with pytest.raises(SignatureError, match=r"signed with SHA256:.*, not with SHA256:"):
        verify(one["signature"], DATA, other)


@pytest.mark.parametrize("name", HARDWARE_KEYS)
def test_hardware_keys_count_when_somebody_touched_them(name: str) -> None:
    """The flag is part of what is signed; without it nobody was there."""
    key = hardware_key(name)
    verify(by_hardware(name, 0x01), DATA, key)
    verify(by_hardware(name, 0x05), DATA, key)
    with pytest.raises(SignatureError, match="nobody touched"):
        verify(by_hardware(name, 0x04), DATA, key)


def test_a_short_rsa_key_is_refused() -> None:
    """What OpenSSH still signs with is not enough here."""
    with pytest.raises(SignatureError, match="1024 bits is too short"):
        verify(MADE["rsa1024"]["signature"], DATA, read_key(MADE["rsa1024"]["key"]))


def test_a_signature_for_something_else_is_refused() -> None:
    """The namespace keeps signatures for git or files apart."""
    with pytest.raises(SignatureError, match="signed for 'demarc', not for 'git': use ssh-keygen -Y sign -n git"):
        verify(ED["signature"], DATA, read_key(ED["key"]), "git")


def test_the_fingerprint_is_that_of_ssh_keygen() -> None:
    """SHA-256, base64 without padding."""
    key = read_key(ED["key"])
    assert fingerprint(key) == "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("", "not a public key of OpenSSH"),
        ("ssh-dss AAAA", "not a public key of OpenSSH"),
        ("ssh-ed25519 @@@@", "not base64"),
        (ED["key"].replace("ssh-ed25519", "ssh-rsa", 1), "says ssh-rsa and holds ssh-ed25519"),
        ("ssh-ed25519 AAAA", "cut off"),
        ("ssh-ed25519 AAAAAQ==", "cut off"),
        ("ssh-ed25519 AAAAAf8=", "not ASCII"),
    ],
)
def test_what_is_no_key(line: str, problem: str) -> None:
    """It is said why."""
    with pytest.raises(SignatureError, match=problem):
        read_key(line)


def changed(index: int, part: bytes) -> str:
    """Return a good signature with one of its five strings replaced."""
    one = parse(ED["signature"])
    strings = [one.key, one.namespace.encode(), one.reserved, one.hash.encode(), string(one.type.encode()) + one.rest]
    strings[index] = part
    return armored(b"SSHSIG\0\0\0\1" + b"".join(map(string, strings)))


@pytest.mark.parametrize(
    ("signature", "problem"),
    [
        ("", "not an SSH signature: it begins"),
        (f"{BEGIN}\n{END}", "not an SSH signature: it begins"),
        (f"{BEGIN}\n!\n{END}", "not base64"),
        (armored(b"SSHSIG\0\0\0\2"), "version 1"),
        (armored(b"SSHSIG\0\0\0\1"), "cut off"),
        (armored(base64.b64decode("".join(ED["signature"].split("\n")[1:-2])) + b"x"), "bytes follow"),
        (changed(3, b"md5"), "unknown hash 'md5'"),
        (changed(4, string(b"ssh-rsa") + string(b"x")), "type ssh-rsa does not fit the key"),
        (changed(4, string(b"ssh-ed25519") + string(b"x" * 64)), "not over these bytes"),
        (changed(2, b"x"), "not over these bytes"),
        (BEGIN + "\n" + "A" * 20_000 + "\n" + END, "not an SSH signature: it begins"),
    ],
)
def test_what_is_no_signature(signature: str, problem: str) -> None:
    """Every departure has its sentence."""
    with pytest.raises(SignatureError, match=problem):
        verify(signature, DATA, read_key(ED["key"]))


@given(name=st.sampled_from(GOOD), place=st.integers(0, 2000), byte=st.integers(0, 255))
def test_one_changed_byte_is_refused(name: str, place: int, byte: int) -> None:
    """Wherever it is, in whatever kind of signature: SignatureError, nothing else."""
    blob = bytearray(base64.b64decode("".join(MADE[name]["signature"].split("\n")[1:-2])))
    place %= len(blob)
    if blob[place] == byte:
        return
    blob[place] = byte
    with pytest.raises(SignatureError):
        verify(armored(bytes(blob)), DATA, read_key(MADE[name]["key"]))


@given(blob=st.binary(max_size=200))
def test_foreign_bytes_are_refused(blob: bytes) -> None:
    """A SignatureError, nothing else."""
    with pytest.raises(SignatureError):
        verify(armored(b"SSHSIG\0\0\0\1" + blob), DATA, read_key(ED["key"]))
