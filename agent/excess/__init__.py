"""Delay and loss beyond what is usual: noticed on each probe, and bounded from below for each party. Pure."""
