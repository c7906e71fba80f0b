"""Tests of the observation store."""
