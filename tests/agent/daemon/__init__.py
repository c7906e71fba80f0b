"""Tests of the daemon: pure parts and its shell under virtual time."""
