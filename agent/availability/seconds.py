"""Sets of seconds: sorted, disjoint, half-open intervals of integers, and what can be done with them. Pure."""

from collections.abc import Iterable
from typing import TypeAlias

Seconds: TypeAlias = tuple[tuple[int, int], ...]


def union(*sets: Iterable[tuple[int, int]]) -> Seconds:
    """Return what is in any of them; intervals may come in any order and overlap."""
    out: list[tuple[int, int]] = []
    for start, stop in sorted(one for intervals in sets for one in intervals if one[0] < one[1]):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], stop))
        else:
            out.append((start, stop))
    return tuple(out)


def intersection(one: Seconds, other: Seconds) -> Seconds:
    """Return what is in both."""
    out: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        start, stop = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if start < stop:
            out.append((start, stop))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(out)


def difference(one: Seconds, other: Seconds) -> Seconds:
    """Return what is in `one` and not in `other`."""
    if not one:
        return ()
    low, high = one[0][0], one[-1][1]
    edges = [low, *(edge for interval in other for edge in interval), high]
    holes = union((start, stop) for start, stop in zip(edges[::2], edges[1::2], strict=True))
    return intersection(one, holes)


def total(seconds: Seconds) -> int:
    """Return how many they are."""
    return sum(stop - start for start, stop in seconds)
