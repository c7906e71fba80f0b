"""The key that an agent of the lab signs with, as text that C2SP signed-note describes ("Signed note keys").

Made before the agents start, so that the chain file can name it as the operators of two real agents would have
agreed: each agent then counts only what the other signed, and cosigns the other's ledger.
"""

import base64
import hashlib
import os
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = b"\x01"


def agent_key(path: Path, name: str) -> str:
    """Return the verifier key that belongs to the private key at `path`, which is made when there is none."""
    kept = path.read_text().split("+", 4)[4] if path.exists() else ""
    seed = base64.b64decode(kept)[1:] or os.urandom(32)
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    number = hashlib.sha256(name.encode() + b"\n" + ED25519 + public).hexdigest()[:8]
    if not kept:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(f"PRIVATE+KEY+{name}+{number}+{_text(seed)}\n")
    return f"{name}+{number}+{_text(public)}"


def _text(key: bytes) -> str:
    return base64.b64encode(ED25519 + key).decode()
