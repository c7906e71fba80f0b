"""What the excess of a service's probe says: how much, and whose it is at least. Pure.

What must stay true: a party is found only where its part alone, bounded from below, reaches the margin; whoever
cannot be shown to add next to nothing stays a candidate.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Literal

import msgspec

from agent.diagnosis.finding import Kind, Standing
from agent.excess.bounds import Element, Shown, at_least, at_most, contradicted, segments_of
from agent.model import UNASSIGNED, Chain

# Who adds less than this share of what is to be explained is no candidate.
_NEXT_TO_NOTHING = 0.1

Owners = Mapping[Element, frozenset[str]]


class Excess(msgspec.Struct, frozen=True, kw_only=True):
    """A service's probe shows `low` at least beyond its usual: seconds (`delay`), or the share that is lost (`loss`).

    `part` is what lies at least with the party of an attributed finding, 0.0 where nobody is named; `margin` is
    the contract's.
    """

    what: Literal["delay", "loss"]
    low: float
    part: float = 0.0
    margin: float


class Ruling(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from one window, for one service's probe; `shown_by` is the probe that shows a party's part."""

    kind: Kind
    parties: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    segments: tuple[str, ...]
    standing: Standing | None = None
    rests_on: tuple[str, ...] = ()
    part: float = 0.0
    shown_by: str = ""
    exonerating: dict[str, tuple[str, ...]] = {}


def rule(chain: Chain, owners: Owners, target: Shown, shown: Sequence[Shown], margin: float) -> tuple[Ruling, ...]:
    """Return one ruling for each party whose part reaches `margin`, else one that names the candidates.

    Where the parts are shown to add less than the whole, that is a contradiction.
    """
    found = tuple(
        _attributed(chain, owners, party, target, shown, margin)
        for party in chain.parties
        if at_least(party, target.elements, owners, shown).low >= margin
    )
    if found:
        return found
    alike = [s for s in shown if s.protocol == target.protocol and s.probe != target.probe]
    if contradicted(target, alike):
        passed = {e.segment for e in target.elements}
        segments = tuple(s for s in chain.segments if s in passed)
        return (Ruling(kind=Kind.CONTRADICTION, segments=segments, exonerating=_bounded(chain, alike, ())),)
    return (_undetermined(chain, owners, target, alike),)


def cleared(party: str, owners: Owners, target: Shown, shown: Sequence[Shown], margin: float) -> bool:
    """Return whether what a party adds to `target` is certainly below `margin`."""
    mine = frozenset(e for e in target.elements if owners[e] == {party})
    return at_most(mine, [s for s in shown if s.protocol == target.protocol]).low < margin


def _attributed(  # noqa: PLR0917 - one moment's evidence, passed on as it is
    chain: Chain, owners: Owners, party: str, target: Shown, shown: Sequence[Shown], margin: float
) -> Ruling:
    part = at_least(party, target.elements, owners, shown)
    operator = {v.id: v.operator for v in chain.vantages.values()}

    def without(left_out: str) -> bool:
        kept = [s for s in shown if operator[s.vantage] != left_out]
        return at_least(party, target.elements, owners, kept).low >= margin

    rests_on = tuple(o for o in dict.fromkeys(operator.values()) if o != party and not without(o))
    own = not rests_on and not without(party)
    standing = Standing.SINGLE_SIDED if rests_on else Standing.SELF_MEASURED if own else Standing.CORROBORATED
    proof = [s for s in shown if s.probe in part.rests_on]
    mine = {e.segment for e in target.elements if owners[e] == {party}}
    shows = {e for s in proof if s.probe == part.probe for e in s.elements}
    accused = {e.segment for e in shows & target.elements if owners[e] == {party}}
    return Ruling(
        kind=Kind.ATTRIBUTED,
        parties=(party,),
        candidates=(party,),
        segments=tuple(s for s in chain.segments if s in accused),
        standing=standing,
        rests_on=rests_on,
        part=part.low,
        shown_by=part.probe,
        exonerating=_bounded(chain, [s for s in proof if s.high < target.low], mine),
    )


def _undetermined(chain: Chain, owners: Owners, target: Shown, alike: Sequence[Shown]) -> Ruling:
    held: dict[frozenset[str], set[Element]] = {}
    for element in target.elements:
        held.setdefault(owners[element], set()).add(element)
    little = _NEXT_TO_NOTHING * target.low
    possible = {
        group: {e for e in elements if at_most(frozenset({e}), alike).low >= little} or elements
        for group, elements in held.items()
        if at_most(frozenset(elements), alike).low >= little
    } or held
    segments = {e.segment for elements in possible.values() for e in elements}
    parties = {owner for group in possible for owner in group}
    quick = [s for s in alike if s.high < little]
    return Ruling(
        kind=Kind.UNDETERMINED,
        candidates=tuple(p for p in (*chain.parties, UNASSIGNED) if p in parties),
        segments=tuple(s for s in chain.segments if s in segments),
        exonerating=_bounded(chain, quick, segments),
    )


def _bounded(chain: Chain, proof: Sequence[Shown], but: Collection[str]) -> dict[str, tuple[str, ...]]:
    """Return by segment the probes that show what it adds to be little."""
    found: dict[str, list[str]] = {}
    for one in sorted(proof, key=lambda s: s.probe):
        for segment in segments_of(one.elements).difference(but):
            found.setdefault(segment, []).append(one.probe)
    return {segment: tuple(found[segment]) for segment in chain.segments if segment in found}
