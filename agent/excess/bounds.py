"""How much of an excess certainly lies with a party: lower bounds from additive, non-negative parts. Pure.

What a probe measures is the sum over the elements of its path of what each adds beyond its usual. No element
adds less than nothing, so for party P and probe p

    P's part in p  >=  (what p shows at least)  -  (what the elements of others in p show at most)

and the latter is at most the sum over any probes that cover them. A segment has more than one element: what it
adds inside, at each side (the queue towards that neighbour), and where it answers itself. So a gateway whose own
uplink is full is not cleared by an echo of its inner address, nor of its outer one from within.

What must stay true: only probes of the same protocol bound each other, since devices treat protocols
differently; an element that nothing bounds may hold everything; others are bounded by their slow quarter, so
that parties who are slow in turns do not clear each other.
"""

import heapq
import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from agent.diagnosis.role import plain_address
from agent.model import Probe

# Confidence of each bound: 99.5 %, since several are combined.
_TAIL = 0.005
_NORMAL = 2.5758  # the 99.5 % quantile of the normal distribution
_TRIED = 8
LEAST_WINDOW = 8
"""Samples below which the median has no bound: 0.5^8 = 0.4 %."""


class Element(NamedTuple):
    """A part that can add delay or loss: `segment` inside, at its side to a neighbour, or answering `at` a host."""

    segment: str
    side: str = ""
    at: str = ""


class Shown(NamedTuple):
    """What one probe showed in a window beyond its usual: between `low` and `high`, in whatever adds up."""

    probe: str
    vantage: str
    protocol: str
    elements: frozenset[Element]
    low: float
    high: float


class Part(NamedTuple):
    """At least `low` lies with a party, shown by `probe`; `rests_on` are all probes that this was worked out from."""

    low: float
    rests_on: frozenset[str]
    probe: str = ""


NOTHING = Part(0.0, frozenset())


def elements_of(probe: Probe) -> frozenset[Element]:
    """Return the elements that a probe's round trip passes."""
    return elements_along(probe.path, probe.flow.host, probe.back)


def elements_along(path: Sequence[str], host: str, back: Sequence[str] = ()) -> frozenset[Element]:
    """Return the elements of a round trip along `path` to the address `host` of its last segment, and `back`."""
    home, last = path[0], path[-1]
    inside = [s for s in back if s not in (home, last)]
    found = {Element(last, at=plain_address(host))}
    for way in (path, (home, *reversed(inside), last) if back else ()):
        found.update(Element(segment) for segment in way[:-1])
        found.update(side for a, b in pairwise(way) for side in (Element(a, b), Element(b, a)))
    return frozenset(found)


@lru_cache(4096)
def segments_of(elements: frozenset[Element]) -> frozenset[str]:
    """Return the segments that elements are parts of."""
    return frozenset(element.segment for element in elements)


@lru_cache(256)
def _rank(count: int, share: float) -> int:
    """Return the largest r (from 1) for which the r-th smallest of `count` bounds that quantile from below; 0: none."""
    below, rank = 0.0, 0
    while rank < count and (below := below + _binomial(count, rank, share)) <= _TAIL:
        rank += 1
    return rank


def _binomial(count: int, hits: int, share: float) -> float:
    ways = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
    return math.exp(ways + hits * math.log(share) + (count - hits) * math.log1p(-share))


def median_at_least(values: Sequence[float]) -> float:
    """Return a bound of the median from below by order statistics (99.5 %), 0 for fewer than LEAST_WINDOW values."""
    rank = _rank(len(values), 0.5)
    return sorted(values)[rank - 1] if rank else 0.0


def quarter_at_most(values: Sequence[float]) -> float:
    """Return a bound from above of what three quarters stay below (99.5 %), infinite for fewer than 19 values."""
    rank = _rank(len(values), 0.25)
    return sorted(values)[-rank] if rank else math.inf


def wilson(lost: float, sent: float) -> tuple[float, float]:
    """Return bounds of a share (99.5 % each): Wilson's score interval (JASA 22, 1927)."""
    share, square = lost / sent, _NORMAL**2
    middle = (share + square / (2 * sent)) / (1 + square / sent)
    half = _NORMAL / (1 + square / sent) * math.sqrt(share * (1 - share) / sent + square / (4 * sent**2))
    return (max(0.0, middle - half) if lost else 0.0), min(1.0, middle + half)


def adding(loss: float) -> float:
    """Return what adds up along a path for a share that is lost: independent losses multiply what is left."""
    return -math.log1p(-loss) if loss < 1.0 else math.inf


def lost(part: float) -> float:
    """Return the share that is lost for what adds up: the inverse of `adding`."""
    return -math.expm1(-part)


def at_most(elements: frozenset[Element], shown: Sequence[Shown]) -> Part:
    """Return a bound from above of what `elements` add together: probes that cover them, cheapest first."""
    left, total, used = elements, 0.0, set[str]()
    useful = [(s, mine) for s in shown if (mine := s.elements & elements)]
    while left:
        best, most = None, math.inf
        for one, mine in useful:
            each = one.high / len(mine)
            if best is None or each < most or (each == most and one.probe < best.probe):
                best, most = one, each
        if best is None:
            return Part(math.inf, frozenset())
        covered = best.elements
        left -= covered
        total += best.high
        used.add(best.probe)
        useful = [(one, rest) for one, mine in useful if (rest := mine - covered)]
    return Part(total, frozenset(used))


def contradicted(one: Shown, alike: Sequence[Shown]) -> bool:
    """Return whether others show that no part of what `one` passes adds what it shows: the chain file errs, or they do.

    Of such a probe the rest would be laid on anybody.
    """
    return at_most(one.elements, [s for s in alike if s.probe != one.probe]).low < one.low


def at_least(
    party: str, target: frozenset[Element], owners: Mapping[Element, frozenset[str]], shown: Sequence[Shown]
) -> Part:
    """Return how much of what `target` adds lies at least with `party`; `owners` names who may hold each element.

    It is worked out from the probes that show most; a chain has too many to try each.
    """
    best, own = NOTHING, frozenset(e for e in target if owners[e] == {party})
    passing = (s for s in shown if s.low > 0.0 and not s.elements.isdisjoint(target))
    for one in heapq.nlargest(_TRIED, passing, key=lambda s: (s.low, s.probe)):
        mine = one.elements & own
        if not mine or one.low <= best.low:
            continue
        alike = [s for s in shown if s.protocol == one.protocol and s.probe != one.probe]
        others = at_most(one.elements - mine, alike)
        if one.low <= others.low or contradicted(one, alike):
            continue
        if one.low - others.low > best.low:
            best = Part(one.low - others.low, others.rests_on | {one.probe}, one.probe)
    return best
