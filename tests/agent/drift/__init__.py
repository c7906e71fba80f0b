"""Tests of drift: all of it pure."""
