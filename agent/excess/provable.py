"""What a chain's measurements can prove of a slow thing: before any is (`slow_places`), and while one is (`settling`).

A slow thing is imagined in one element: every probe that passes it shows it, all others show nothing, exactly. Its
owner is provable if and only if the rule then names it; more measuring and better statistics would change nothing
about that. What must stay true: nothing is proposed that would not decide, and no probe of a proposal is to spare.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import msgspec

from agent.excess.bounds import Element, Shown, elements_along
from agent.excess.judge import Owners, Ruling, rule
from agent.excess.watch import ROUND_TRIP, Watch, shown_by
from agent.model import UNASSIGNED, Chain, Probe

# Only where the imagined excess lies counts, not how large it is.
_SLOW, _MARGIN = 1.0, 0.5
# Places times probes: beyond it nothing is told, since `demarc check` would take longer than a few seconds.
_MOST_WORK = 10_000
# So many unheard probes are considered, those that share most with what is late: some tens of milliseconds.
_UNHEARD = 12
# Shorter targets have fewer parts that must be shown to be small.
_TARGETS = 3


Item = TypeVar("Item")


class Echo(msgspec.Struct, frozen=True, kw_only=True):
    """A round trip that the chain file lacks: from `vantage` along `path`, to `target` (empty: any address) there."""

    vantage: str
    path: tuple[str, ...]
    protocol: str
    target: str = ""


class SlowPlace(msgspec.Struct, frozen=True, kw_only=True):
    """A place that can be slow: `segment` inside, `towards` a neighbour (its queue), or `answering` at an address.

    `proof`: provable (its owner is named), located (a segment of several owners or none is), or open, between
    `owners`. `settled_by` are what would have to be measured besides for its owner to be named; empty where
    nothing from the chain's vantages would do.
    """

    segment: str
    towards: str = ""
    answering: str = ""
    proof: str
    owners: tuple[str, ...] = ()
    settled_by: tuple[Echo, ...] = ()


def slow_places(chain: Chain) -> tuple[SlowPlace, ...]:
    """Return every place on the ways of the probes that are watched for delay or loss; none for a huge chain."""
    watch = Watch(chain)
    places = {e for probe in watch.watched for e in watch.elements(probe.key)}
    order = list(chain.segments)
    if len(places) * len(watch.probes) > _MOST_WORK:
        return ()
    return tuple(_place(watch, e) for e in sorted(places, key=lambda e: (order.index(e.segment), e.side, e.at)))


def _place(watch: Watch, place: Element) -> SlowPlace:
    passing = sorted((p for p in watch.watched if place in watch.elements(p.key)), key=lambda p: (len(p.path), p.key))[
        :_TARGETS
    ]
    rulings = [one for target in passing for one in _imagined(watch, target, place)]
    told = msgspec.structs.replace
    found = SlowPlace(segment=place.segment, towards=place.side, answering=place.at, proof="open")
    if any(one.parties for one in rulings):
        return told(found, proof="provable")
    best = min(rulings, key=lambda one: len(one.candidates))
    if len(watch.owners[place]) != 1 or UNASSIGNED in watch.owners[place]:
        located = best.segments == (place.segment,)
        return told(found, proof="located" if located else "open", owners=best.candidates)
    return told(found, owners=best.candidates, settled_by=_settled_by(watch, passing[0], place))


def _imagined(watch: Watch, target: Probe, place: Element, more: Iterable[Echo] = ()) -> tuple[Ruling, ...]:
    """Return what is ruled of `target` while `place` alone is slow."""

    def exact(elements: frozenset[Element]) -> tuple[frozenset[Element], float, float]:
        size = _SLOW if place in elements else 0.0
        return elements, size, size

    shown = [shown_by(probe, ROUND_TRIP, *exact(watch.elements(key))) for key, probe in watch.probes.items()]
    mine = next(one for one in shown if one.probe == target.key)
    extra = [
        Shown(f"{e.vantage}>?{n}", e.vantage, mine.protocol, *exact(elements_along(e.path, e.target or f"?{n}")))
        for n, e in enumerate(more)
    ]
    owners = watch.owners | {e: watch.held[e.segment] for one in extra for e in one.elements}
    return rule(watch.chain, owners, mine, (*shown, *extra), _MARGIN)


def _settled_by(watch: Watch, target: Probe, place: Element) -> tuple[Echo, ...]:
    """Return the fewest round trips along known ways with which the owner of a slow `place` would be named."""
    if place.side and watch.held[place.side] != watch.owners[place]:
        return ()  # either end of a line between two owners: no round trip tells them apart
    known = dict.fromkeys(
        (p.vantage, p.path[:end])
        for p in watch.probes.values()
        for end in range(2, len(p.path) + 1)
        if p.path[end - 1] in target.path and watch.chain.segments[p.path[end - 1]].side != "line"
    )  # a tunnel has no address of its own
    end, host = target.path[-1], target.flow.host
    echoes = [
        Echo(vantage=v, path=path, protocol=target.flow.protocol, target=host if path[-1] == end else "")
        for v, path in known
        if (v, path) != (target.vantage, target.path)
    ]
    return fewest(echoes, lambda some: any(one.parties for one in _imagined(watch, target, place, some)))


def settling(  # noqa: PLR0917 - one moment's evidence, passed on as it is
    chain: Chain, owners: Owners, target: Shown, shown: Sequence[Shown], unheard: Sequence[Shown], margin: float
) -> tuple[str, ...]:
    """Return the probes of the chain file, unheard now, that could settle an undetermined excess: with whom it lies.

    They could if a party would be named were it all in one element of the target, and they showed exactly that.
    """
    alike = sorted(
        (one for one in unheard if one.protocol == target.protocol),
        key=lambda one: (-len(one.elements & target.elements), one.probe),
    )[:_UNHEARD]
    # A queue is never the first to be settled: both ends of a line are passed together.
    for place in sorted(element for element in target.elements if not element.side):

        def enough(some: Sequence[Shown], place: Element = place) -> bool:
            told = [
                one._replace(low=target.low, high=target.high) if place in one.elements else one._replace(high=0.0)
                for one in some
            ]
            return any(one.parties for one in rule(chain, owners, target, (*shown, *told), margin))

        if found := fewest(alike, enough):
            return tuple(sorted(one.probe for one in found))
    return ()


def fewest(items: Sequence[Item], enough: Callable[[Sequence[Item]], bool]) -> tuple[Item, ...]:
    """Return items that are enough and of which none can be spared; none where all of them are not enough."""
    if not items or not enough(items):
        return ()
    kept = list(items)
    for one in reversed(items):
        rest = [item for item in kept if item is not one]
        if enough(rest):
            kept = rest
    return tuple(kept)
