"""Which raw results belong to an incident, and the detail that holds them. Pure.

What must stay true: it is decided by what the incident says of itself, never by what the results say; a
probe's results in the windows are all there or none is, and those left out are named.
"""

import gzip
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from agent.incident.value import Event, Incident, Kind, State, Transition
from agent.model import Chain

SELF = "self"
EDGE_SECONDS = 600.0
"""So much before the first bad result and after the last one (the facts of the ledger: 10 minutes)."""

CHANGE_SECONDS = 120.0
"""Before a finding was changed: what a peer that comes back still has."""

SETTLE_SECONDS = 10.0
"""After so long the store has what was measured until now, by peers too: both go round every 2 s."""

MOST_PROBES = 64
MOST_BYTES = 4_000_000
"""Of lines, before compression: 40 probes of 1 s for 10 minutes; about 300 kB in the ledger."""

MOST_CHANGES = 10
"""An incident that flickers for days does not fill the ledger."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Evidence that is owed: results of `windows` [from, to) once it is `due` (UTC epoch seconds)."""

    incident: Incident
    part: str
    windows: tuple[tuple[float, float], ...]
    due: float


class Packed(msgspec.Struct, frozen=True, kw_only=True):
    """The detail: a gzip file of so many lines; `omitted` are the probes left out."""

    data: bytes
    observations: int
    omitted: tuple[str, ...]


def wanted(transition: Transition) -> Wanted | None:
    """Return what evidence a transition asks for; nothing of what was only suspected or is our own blindness."""
    incident, at = transition.incident, transition.at
    if incident.confirmed is None or incident.kind is Kind.MONITOR:
        return None
    match transition.event:
        case Event.CONFIRMED:
            return Wanted(
                incident=incident,
                part="onset",
                windows=edges(incident.opened - EDGE_SECONDS, at),
                due=at + SETTLE_SECONDS,
            )
        case Event.CHANGED if incident.state is State.CONFIRMED:
            return Wanted(
                incident=incident, part="change", windows=((at - CHANGE_SECONDS, at),), due=at + SETTLE_SECONDS
            )
        case Event.CLOSED | Event.MERGED:
            closed = incident.closed if incident.closed is not None else at
            return Wanted(
                incident=incident,
                part="end",
                windows=edges(incident.confirmed, closed + EDGE_SECONDS),
                due=max(closed + EDGE_SECONDS, at) + SETTLE_SECONDS,
            )
        case _:
            return None


def edges(start: float, stop: float) -> tuple[tuple[float, float], ...]:
    """Return [start, stop), or where that is long its begin and end, which has both sides of the last bad result."""
    if stop - start <= 4 * EDGE_SECONDS:
        return ((start, stop),) if start < stop else ()
    return ((start, start + 2 * EDGE_SECONDS), (stop - 2 * EDGE_SECONDS, stop))


def telling(incident: Incident, chain: Chain) -> tuple[str, ...]:
    """Return the probes that speak of an incident, the most telling first, at most `MOST_PROBES`.

    Those that failed, those that cleared segments, those that would decide, the self-checks of their
    vantages; then what else crosses the incident's segments, and what else there is.
    """
    support = incident.support
    clearing = (key for keys in support.exonerating.values() for key in keys)
    first = dict.fromkeys((*incident.faults, *support.failing, *clearing, *incident.decide_with))
    selves = dict.fromkeys(f"{name}>{SELF}" for name in chain.vantages)
    segments = set(incident.segments)
    near = (p.key for p in chain.probes.values() if segments & {*p.path, *p.back, *p.resolve})
    rest = (p.key for p in chain.probes.values())
    return tuple(dict.fromkeys((*first, *selves, *near, *rest)))[:MOST_PROBES]


def packed(lines: Iterable[tuple[str, bytes]], order: Sequence[str], most_bytes: int = MOST_BYTES) -> Packed:
    """Return the detail that holds `lines` (probe key and line), of the first probes of `order` that fit."""
    held = list(lines)
    sizes: Counter[str] = Counter()
    for key, line in held:
        sizes[key] += len(line) + 1
    room, kept = most_bytes, set[str]()
    for key in order:
        if sizes[key] <= room:
            room -= sizes[key]
            kept.add(key)
    text = [line + b"\n" for key, line in held if key in kept]
    omitted = tuple(sorted(key for key in sizes if key not in kept))
    return Packed(data=gzip.compress(b"".join(text), mtime=0), observations=len(text), omitted=omitted)


def unpacked(data: bytes, most_bytes: int = 16 * MOST_BYTES) -> list[bytes]:
    """Return the lines of a detail; ValueError when it is none, or unpacks to more than we ever write."""
    unpacker = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        text = unpacker.decompress(data, most_bytes)
    except zlib.error as error:
        raise ValueError(f"not a gzip file: {error}") from error
    if not unpacker.eof:
        raise ValueError("the gzip file is cut off, or larger than evidence is")
    return text.split(b"\n")[:-1]
