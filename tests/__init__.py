"""Tests: `agent` and `probes` are unit and property tests without network; `peers` talk to real
servers on this machine; `lab` break a whole chain in network namespaces.
"""
