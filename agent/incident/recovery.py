"""How a confirmed incident ends: by itself, or hidden behind another one.

It is over after ten good seconds (ITU-T Y.1563) of every probe that proves it, or, while it names nobody,
of every probe in it, those left out that another incident explains; the first of them is its end. What
another fault hides is neither up nor down: an incident all of whose fails are hidden waits, and when they
then pass it ended where it was hidden, since nothing is known of it after that.
"""

from collections.abc import Collection, Mapping
from typing import NamedTuple

from agent.incident.ground import Ground
from agent.incident.memory import Memory, Track
from agent.incident.value import Incident, Kind

# ITU-T Y.1563: ten consecutive good seconds end unavailability, counted from the first.
GOOD_SECONDS = 10.0


class Ending(NamedTuple):
    """Since when an incident recovers, and whether that is long enough to end it."""

    recovered: float
    over: bool


def explained(incident: Incident, others: Collection[Incident], tracks: Mapping[str, Track]) -> frozenset[str]:
    """Return the incident's probes that fail while one of `others`, all confirmed, holds them too."""
    told = {key for other in others if other.id != incident.id for key in other.faults}
    return frozenset(k for k in incident.faults if k in told and k in tracks and tracks[k].bad_since is not None)


def masked(
    incident: Incident, others: Collection[Incident], memory: Memory, ground: Ground, now: float
) -> float | None:
    """Return since when all that still fails is hidden by `others`, all confirmed; None: it is not.

    What its own proof reached at `now` is not hidden.
    """
    failing = {k for k in incident.faults if k in memory.tracks and memory.tracks[k].bad_since is not None}
    if ground.proven >= now or not failing or not failing <= explained(incident, others, memory.tracks):
        return None
    if ground.masked is not None:
        return ground.masked
    hidden = max(min(o.opened for o in others if o.id != incident.id and key in o.faults) for key in failing)
    return hidden if hidden > incident.opened else ground.proven


def ending(
    incident: Incident, others: Collection[Incident], memory: Memory, ground: Ground | None, now: float
) -> Ending | None:
    """Return how far `incident` has recovered at `now`; None while something of it fails or is not known.

    One that names a party is over when its proof is: what its other probes fail by then is no longer shown
    to be its doing, and is told for itself.
    """
    proof = ground.proving if ground is not None and incident.kind is Kind.ATTRIBUTED else ()
    if proof and ground is not None and ground.proven >= now:
        return None
    keys = [k for k in proof or incident.faults if k in memory.tracks]
    elsewhere = explained(incident, others, memory.tracks)
    heard = [k for k in keys if k not in elsewhere and not memory.stale(k, now)]
    goods = [memory.tracks[k].good_since for k in heard]
    since = [g for g in goods if g is not None]
    if heard and len(since) == len(heard):
        good_from = max(*since, incident.recovered or 0.0)
        if _may_be_behind(incident, keys, good_from, memory):
            return None
        good_until = min(memory.tracks[k].time + memory.holds(k) for k in heard)
        # What failed again meanwhile, without a finding that makes it a relapse, was not shown to be this cause.
        # Seconds in which nobody could look end no good run, and are no bad ones either.
        mended = max(memory.tracks[k].mended or good_from for k in heard)
        end = mended if incident.recovered is None else incident.recovered
        hidden = None if ground is None else ground.masked
        return Ending(end if hidden is None else min(end, hidden), over=good_until - good_from >= GOOD_SECONDS)
    failing = {k for k in keys if memory.tracks[k].bad_since is not None}
    if incident.recovered is not None and failing and failing <= elsewhere:
        return Ending(incident.recovered, over=True)
    return None


def _may_be_behind(incident: Incident, keys: Collection[str], good_from: float, memory: Memory) -> bool:
    """Return whether a vantage beside those of `keys` still sees the incident, on a clock that may be behind."""
    places = {key.partition(">")[0] for key in keys}
    others = (memory.tracks[k] for k in incident.faults if k in memory.tracks and k.partition(">")[0] not in places)
    limit = good_from + memory.model.chain.confirm.skew
    return any(track.bad_since is not None and track.time <= limit for track in others)


__all__ = ["Ending", "ending", "explained", "masked"]
