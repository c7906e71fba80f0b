"""The order of a chain on screen: columns from the cloud to the on-premise end, and the branches. Pure.

The chain file has no picture of itself; its probes' paths do. Paths of a vantage on the cloud's
side run left to right, those of one on the on-premise side right to left. A demarcation line stands
wherever two neighbours on any path have different owners, and none of them may be left out.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from agent.model import Chain, Probe, Segment

SAAS: Final = "saas"
# Where a column stands when its segments differ in side; line and transit are both between the ends.
_PLACE: Final = {"cloud": 0, "transit": 1, "line": 1, "onprem": 2, SAAS: 3}


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """Segments that stand side by side at one place of the chain; `sides` that they belong to.

    `lines` are the pairs of segments whose owner changes at this column's left edge.
    """

    segments: tuple[str, ...]
    sides: tuple[str, ...]
    lines: tuple[tuple[str, str], ...] = ()


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A segment off the chain (an online service, or what is seen only through one), what leads to it, its lines."""

    segment: str
    after: tuple[str, ...] = ()
    lines: tuple[tuple[str, str], ...] = ()


class Arrangement(msgspec.Struct, frozen=True, kw_only=True):
    """The whole picture; `lines` are all demarcation lines, also those that no edge can show."""

    columns: tuple[Column, ...]
    branches: tuple[Branch, ...]
    lines: tuple[tuple[str, str], ...]


Edge = tuple[str, str]


def arrange(chain: Chain) -> Arrangement:
    """Return the picture of `chain`. Every segment appears once."""
    edges = _edges(chain)
    off = _off_the_chain(chain, edges)
    spine = [s for s in chain.segments if s not in off]
    ranks = _ranks(spine, [e for e in edges if not off.intersection(e)])
    keys = sorted({_place(chain.segments[s], ranks[s]) for s in spine})
    index = {s: keys.index(_place(chain.segments[s], ranks[s])) for s in spine}
    members = [tuple(s for s in spine if index[s] == number) for number in range(len(keys))]
    owners = [frozenset(chain.segments[s].owners for s in column) for column in members]
    changes = [e for e in edges if chain.segments[e[0]].owners != chain.segments[e[1]].owners]
    lines: dict[int | None, list[Edge]] = {}
    for edge in changes:
        lines.setdefault(_edge_column(edge, index, owners), []).append(edge)
    columns = tuple(
        Column(
            segments=column,
            sides=tuple(dict.fromkeys(chain.segments[s].side for s in column)),
            lines=tuple(lines.get(number, ())),
        )
        for number, column in enumerate(members)
    )
    branches = tuple(_branch(s, edges, changes) for s in _branch_order(off, chain, edges))
    return Arrangement(columns=columns, branches=branches, lines=tuple(changes))


def _off_the_chain(chain: Chain, edges: Iterable[Edge]) -> frozenset[str]:
    """Return the online services, and every segment all of whose neighbours are off the chain."""
    neighbours: dict[str, set[str]] = {s: set() for s in chain.segments}
    for left, right in edges:
        neighbours[left].add(right)
        neighbours[right].add(left)
    off = {s for s in chain.segments if chain.segments[s].side == SAAS}
    vantages = {v.segment for v in chain.vantages.values()}
    while more := {s for s, near in neighbours.items() if near and near <= off} - off - vantages:
        off |= more
    return frozenset(off)


def _branch_order(off: frozenset[str], chain: Chain, edges: Iterable[Edge]) -> list[str]:
    """Return the branches so that each stands after what leads to it."""
    ranks = _ranks([s for s in chain.segments if s in off], [e for e in edges if off.issuperset(e)])
    return sorted(ranks, key=lambda s: ranks[s])


def _edges(chain: Chain) -> tuple[Edge, ...]:
    """Return all neighbouring pairs of all paths, left to right, in the order met."""
    found: dict[Edge, None] = {}
    # Probes of one vantage share most of their steps, and many probes have the same path.
    for vantage, path in dict.fromkeys(p for probe in chain.probes.values() for p in _paths(probe)):
        for left, right in _steps(chain, vantage, path):
            if (right, left) not in found:
                found[left, right] = None
    return tuple(found)


def _paths(probe: Probe) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Return (vantage, path) of the way there, and of the way back where it differs."""
    there = (probe.vantage, probe.path)
    return (there, (probe.vantage, probe.back)) if probe.back else (there,)


def _steps(chain: Chain, vantage: str, path: tuple[str, ...]) -> list[Edge]:
    """Return one path's neighbouring pairs, left to right; a branch stands on the right of its trunk."""
    steps = list(pairwise(path))
    if chain.segments[chain.vantages[vantage].segment].side != "onprem":
        return steps
    return [(a, b) if chain.segments[b].side == SAAS else (b, a) for a, b in steps]


def _ranks(spine: Iterable[str], edges: Iterable[Edge]) -> dict[str, int]:
    """Return for each segment the length of the longest way to it (Kahn's algorithm).

    Paths that disagree on the order make a cycle; the first segment in the file's order then goes
    first, so that the picture is always the same one.
    """
    waiting: dict[str, set[str]] = {s: set() for s in spine}
    for left, right in edges:
        waiting[right].add(left)
    ranks: dict[str, int] = {}
    depth = dict.fromkeys(waiting, 0)
    while waiting:
        ready = [s for s, before in waiting.items() if not before] or [next(iter(waiting))]
        for segment in ready:
            del waiting[segment]
            ranks[segment] = depth[segment]
        for segment, before in waiting.items():
            if before.intersection(ready):
                depth[segment] = max(depth[segment], *(ranks[r] + 1 for r in ready if r in before))
                before.difference_update(ready)
    return ranks


def _place(segment: Segment, rank: int) -> tuple[int, int]:
    """Return the sort key of a segment's column: the side first, then how far along."""
    return _PLACE[segment.side], rank


def _edge_column(edge: Edge, index: Mapping[str, int], owners: Sequence[frozenset[tuple[str, ...]]]) -> int | None:
    """Return the column at whose left edge the owner changes along `edge`; None within a column or for a branch.

    A step that passes over columns (of other paths) has its line where those change owner too.
    """
    left, right = (index.get(s) for s in edge)
    if left is None or right is None or left == right:
        return None
    between = range(min(left, right) + 1, max(left, right) + 1)
    return next((n for n in reversed(between) if owners[n - 1] != owners[n]), max(left, right))


def _branch(segment: str, edges: Iterable[Edge], changes: Iterable[Edge]) -> Branch:
    return Branch(
        segment=segment,
        after=tuple(a for a, b in edges if b == segment),
        lines=tuple(e for e in changes if e[1] == segment),
    )
