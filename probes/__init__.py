"""demarc's probe types: one file per type, plus the kit that they share.

A probe knows nothing of the agent: it takes settings and a deadline and returns a Result.
Importing one probe module imports no other; nothing heavy is imported at module level.
"""
