"""The exposition, without a network."""
