"""Two agents' ledgers for tests of what they show each other: one in a file, one that cosigns it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from agent import keys
from agent.ledger import body, witnessing
from agent.ledger.cosignature import Refusal, witness_of
from agent.ledger.entry import Entry
from agent.ledger.proof import file_text, prove_evidence
from agent.ledger.storage import Storage, encode_job, open_storage
from agent.ledger.witnessing import Cosigned

WITNESS = keys.Signer(name="demarc/cloud", seed=bytes([1]) * 32)


class PeerLog:
    """The ledger of the agent at `onprem` in a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.file = folder / "peer.db"

    def _open(self) -> Storage:
        return open_storage(self.file, self._folder / "peer.key", "demarc/onprem")

    @property
    def key(self) -> keys.VerifierKey:
        """Return the key that the chain file has of it."""
        storage = self._open()
        storage.close()
        return storage.identity.verifier

    def enter(self, entries: Iterable[tuple[Entry, dict[str, bytes]]], *, erased: bool = False) -> None:
        """Write and sign entries with their details; `erased`: without the details."""
        storage = self._open()
        for entry, details in entries:
            kind, fields = body.write(entry)
            storage.append(encode_job(kind, fields, None, details))
        if erased:
            storage.connection.execute("DELETE FROM detail")
        storage.sign()
        storage.close()

    def raw(self, kind: str, fields: dict[str, Any]) -> None:
        """Write and sign an entry of any form."""
        storage = self._open()
        storage.append(encode_job(kind, fields, None, {}))
        storage.sign()
        storage.close()

    def cosign(self, time: int, signer: keys.Signer = WITNESS) -> None:
        """Have the newest checkpoint cosigned at `time` (POSIX seconds), by a witness that saw nothing before."""
        storage = self._open()
        request = witnessing.request_of(storage.connection, 0)
        other = open_storage(self._folder / f"{time}.db", self._folder / f"{time}.key", "demarc/nobody")
        assert not isinstance(request, Refusal)
        told = witnessing.add_checkpoint(other.connection, signer, request, storage.identity.verifier, time)
        assert isinstance(told, Cosigned)
        witnessing.keep_cosignature(storage.connection, witness_of(signer.verifier), f"{request.note}{told.line}")
        other.close()
        storage.close()

    def proof(self, since: int = 0, until: int = 2**62, witness: str = WITNESS.name) -> bytes:
        """Return what the agent answers who asks for its evidence."""
        storage = self._open()
        told = prove_evidence(storage.connection, since=since, until=until, witness=witness)
        storage.close()
        return file_text(told).encode()
