"""The observation store: raw results for days, minutes for years, and which seconds counted as what.

Not evidence: the ledger is. A separate database, so that its load and its faults are its own.
"""

from agent.store.store import Store, StoreHealth

__all__ = ["DATABASE", "Store", "StoreHealth"]

DATABASE = "observations.db"
"""File name in the agent's data directory."""
