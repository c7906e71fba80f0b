"""Tests of the availability in contract time."""
