"""People who sign with SSH keys, without ssh-keygen; and a chain file that names them."""

import base64
import hashlib
import struct

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agent.ledger.sshsig import BEGIN, END
from agent.model import Chain, Person
from tests.agent.samples import CHAIN


def string(data: bytes) -> bytes:
    """Return a string of RFC 4251."""
    return struct.pack(">I", len(data)) + data


class Signatory:
    """Somebody with an Ed25519 key."""

    def __init__(self, seed: int) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.blob = string(b"ssh-ed25519") + string(self._private.public_key().public_bytes_raw())
        self.line = f"ssh-ed25519 {base64.b64encode(self.blob).decode()} comment"

    def sign(self, data: bytes, namespace: str = "demarc") -> str:
        """Return what `ssh-keygen -Y sign` writes."""
        head = string(namespace.encode()) + string(b"") + string(b"sha512")
        message = b"SSHSIG" + head + string(hashlib.sha512(data).digest())
        signature = string(b"ssh-ed25519") + string(self._private.sign(message))
        blob = b"SSHSIG\0\0\0\1" + string(self.blob) + head + string(signature)
        return f"{BEGIN}\n{base64.b64encode(blob).decode()}\n{END}\n"


SIGNATORIES = {party: Signatory(number) for number, party in enumerate(("client", "msp", "carrier", "incumbent"), 1)}
PEOPLED: Chain = msgspec.structs.replace(
    CHAIN,
    custodian="client",
    parties={
        name: msgspec.structs.replace(
            party,
            people={"boss": Person(id="boss", role="contract manager", key=SIGNATORIES[name].line, name=f"J. {name}")},
        )
        if name in SIGNATORIES
        else party
        for name, party in CHAIN.parties.items()
    },
)
