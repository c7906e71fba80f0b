"""Tests of agent.excess."""
