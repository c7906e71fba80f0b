"""What a chain's measurements could prove of what is slow if they were exact: no noise, no chance, no windows.

The excess that each probe would show is worked out from what is slow, and given to the product's own rule as both
bounds. What that does not prove, no longer measuring and no better statistics would: it takes another measurement.
(The rule adds up covers; a linear program over the same parts, which is the most that can be proven, named the
same parties: 228 and 228 of 600 trials, once one more and once one less.)
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from agent.excess.bounds import Shown, adding
from agent.excess.judge import rule
from agent.excess.watch import LOSS, RESPONSE, ROUND_TRIP, Watch, served
from agent.model import Chain, Probe
from tools.campaign.lateness import Slow


def provable(chain: Chain, things: Sequence[Slow], margins: dict[str, float]) -> frozenset[str]:
    """Return the parties that exact measurements of a chain prove while all of `things` are slow or lossy."""
    watch = Watch(chain)
    found = set[str]()
    for kind in (ROUND_TRIP, RESPONSE, LOSS):
        shown = tuple(_shown(watch, things, kind))
        for target in shown:
            if chain.probes[target.probe.rpartition(">")[2]].service and target.low >= margins[kind]:
                found.update(p for one in rule(chain, watch.owners, target, shown, margins[kind]) for p in one.parties)
    return frozenset(found)


def _shown(watch: Watch, things: Iterable[Slow], kind: str) -> Iterator[Shown]:
    for key, probe in watch.probes.items():
        if kind == RESPONSE and probe.flow.protocol != "tcp":
            continue
        exact = sum(_adds(thing, probe, kind) for thing in things)
        elements = frozenset((served(probe),)) if kind == RESPONSE else watch.elements(key)
        yield Shown(key, probe.vantage, f"{kind} {probe.flow.protocol}{probe.flow.family}", elements, exact, exact)


def _adds(thing: Slow, probe: Probe, kind: str) -> float:
    """Return what a thing adds to a round trip (s, in the middle), or loses of it in what adds up."""
    size = adding(thing.loss) if kind == LOSS else thing.delay + thing.jitter / 2
    ends = thing.segment == probe.path[-1]
    if thing.serves:
        return thing.delay if kind == RESPONSE and ends else 0.0
    if kind == RESPONSE:
        return 0.0
    if thing.answers:
        return size if ends and thing.answers == probe.flow.host else 0.0
    if thing.towards:
        ways = (probe.path, probe.path[::-1])
        return size * sum((thing.segment, thing.towards) in pairwise(way) for way in ways)
    return size if thing.segment in probe.path[1:-1] else 0.0
