"""The contract's example of a chain file, and how tests load and change it."""

from pathlib import Path

from agent.config.chain import examine_chain
from agent.keys import Signer
from agent.ledger.cosignature import witness_of
from agent.model import Chain
from tests.agent.config.fakes import TYPES

DESIGN = (Path(__file__).parent / "design.yml").read_bytes()
KEY = Signer(name="demarc/onprem", seed=bytes(32)).verifier
THIRD = witness_of(Signer(name="witness.client.example", seed=bytes([1]) * 32).verifier)


def load(data: bytes) -> Chain:
    """Load with the fake probe types."""
    return examine_chain(data, "chain.yml", TYPES).loaded()


def edited(old: str, new: str) -> bytes:
    """Return the contract's example with one change, which must apply once."""
    assert DESIGN.count(old.encode()) == 1, old
    return DESIGN.replace(old.encode(), new.encode())
