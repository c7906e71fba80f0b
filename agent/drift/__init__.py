"""Drift: what was seen of a configuration, compared with what was approved.

Pure. What must stay true: drift attributes nothing. The diagnosis never sees a fact or a change; a change stands
beside an incident for people to read, and proves no cause.
"""
