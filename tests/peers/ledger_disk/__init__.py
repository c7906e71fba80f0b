"""A disk for the ledger that fails, and that loses what was not synced."""
