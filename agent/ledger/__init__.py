"""The ledger: a signed, append-only record that neither side can rewrite. FORMAT.md is its specification."""

from agent.ledger.ledger import Health, Ledger, LedgerFullError, LedgerStoppedError
from agent.ledger.storage import Receipt

__all__ = ["DATABASE", "KEY", "Health", "Ledger", "LedgerFullError", "LedgerStoppedError", "Receipt"]

DATABASE = "ledger.db"
KEY = "ledger.key"
"""File names in the agent's data directory."""
