"""Contract time: which seconds of a service counted as what (ITU-T Y.1563, and the partition of a period).

Pure. Integer UTC seconds throughout; intervals are half open, [start, stop).
"""
