"""Which measurements would make more single faults provable: probes, a way out, a vantage; best first.

Every candidate is compiled beside the chain and imagined as a probe that answers. Greedy: the best one
is taken, then the best beside it. An address that does not exist yet is written as what it must be, and
whose consent it takes is said with it: the party that must let it answer, or on whose ground a host stands.
"""

from collections.abc import Iterable, Iterator

import msgspec

from agent.diagnosis.identifiability import Analysis, Proof
from agent.diagnosis.roles import Model
from agent.model import UNASSIGNED, Chain, Probe, Segment, Vantage
from probes.kit.spec import Evidence, Flow

# IPv4 and ICMP headers (RFC 791, RFC 792) with 56 bytes, and a packet as large as Ethernet carries.
SMALL, LARGE = 84, 1500
MOST_TOLD = 3
# Looking must not take longer than a second: probes of a chain, and judgements times probes (about 1 us each).
MOST_PROBES, MOST_WORK = 500, 500_000
# Where one can put a host; the line, the carrier's and Microsoft's networks take none.
HOST_SIDES = ("cloud", "onprem")
ELSEWHERE = "elsewhere?"


class Proposed(msgspec.Struct, frozen=True, kw_only=True):
    """A probe to add: from where, what answers, packets of `size` bytes.

    An empty `target` is an address yet to be found in the last segment of `path`.
    """

    vantage: str
    path: tuple[str, ...]
    target: str
    size: int


class Addition(msgspec.Struct, frozen=True, kw_only=True):
    """What to add. `decides`: single faults more that are then provable or pinned to a joint segment.

    `kind`: `probe`, `way-out` (something beyond the first segment that needs nobody else on the chain) or
    `vantage` (a new host beside `beside`, with all of `probes`). `consent`: the parties that must agree.
    """

    kind: str
    decides: int
    probes: tuple[Proposed, ...]
    beside: str = ""
    consent: tuple[str, ...] = ()


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """An addition with its probes as they would be compiled."""

    addition: Addition
    compiled: tuple[Probe, ...]


def additions(chain: Chain, most: int = MOST_TOLD) -> tuple[Addition, ...]:
    """Return at most `most` additions, the most useful first, each judged beside those before it.

    Nothing is proposed for a chain of more than five hundred probes.
    """
    base = Model(chain)
    size = (len(base.roles) + len(chain.segments)) * len(chain.probes)
    if not base.roles or len(chain.probes) > MOST_PROBES:
        return ()
    found = list(_candidates(chain))[: max(MOST_WORK // size, 1)]
    analysis = Analysis(Model(_extended(chain, found)))
    faults = _faults(analysis, base)
    places = {key: place for place, key in enumerate(analysis.keys)}
    groups = [sum(1 << places[p.key] for p in candidate.compiled) for candidate in found]
    active = sum(1 << places[key] for key in base.probes)
    chosen: list[Addition] = []
    left = {fault for fault in faults if analysis.judge(fault, active)[0] is Proof.OPEN}
    while len(chosen) < most and left:
        decided = [{f for f in left if analysis.judge(f, active | group)[0] is not Proof.OPEN} for group in groups]
        best = max(range(len(found)), key=lambda n: (*_worth(found[n].addition, len(decided[n])), -n))
        if not decided[best]:
            break
        chosen.append(msgspec.structs.replace(found[best].addition, decides=len(decided[best])))
        active |= groups[best]
        left -= decided[best]
    return tuple(chosen)


def _faults(analysis: Analysis, base: Model) -> tuple[tuple[int, ...], ...]:
    """Return every fault in one role of the chain, and in one whole segment with what candidates need of it."""
    segments: dict[str, list[int]] = {name: [] for name in base.segment_of}
    for number in analysis.faults():
        if (name := analysis.model.segment_of[number]) in segments:
            segments[name].append(number)
    single = ((number,) for number in analysis.faults() if number < len(base.roles))
    return tuple(dict.fromkeys((*single, *(tuple(numbers) for numbers in segments.values() if numbers))))


def _worth(addition: Addition, decided: int) -> tuple[int, int]:
    """Rank by what it decides, then by whom one has to ask."""
    return decided, -len(addition.consent)


def _candidates(chain: Chain) -> Iterator[Candidate]:
    """Yield what could be added, probes of existing vantages first."""
    paths = dict.fromkeys((p.vantage, p.path[:end]) for p in chain.probes.values() for end in range(2, len(p.path) + 1))
    sent = {(p.vantage, p.path, p.flow.carry_bytes) for p in chain.probes.values() if p.evidence is Evidence.PATH}
    for number, (vantage, path) in enumerate(paths):
        if chain.segments[path[-1]].side == "line":  # a tunnel has no address of its own
            continue
        for size in (SMALL, LARGE):
            if all((vantage, path, other) not in sent for other in range(size, LARGE + 1)):
                made = Proposed(vantage=vantage, path=path, target="", size=size)
                yield _candidate(
                    chain, "probe", f"{number}-{size}", [made], consent=_answering(chain, vantage, path[-1:])
                )
    for vantage, home in ((v.id, v.segment) for v in chain.vantages.values()):
        for first in dict.fromkeys(path[1] for where, path in paths if where == vantage):
            out = Proposed(vantage=vantage, path=(home, first, ELSEWHERE), target="", size=LARGE)
            yield _candidate(chain, "way-out", f"{vantage}-{first}", [out])
    measuring = {chain.segments[p.path[0]].side for p in chain.probes.values()}
    for side in HOST_SIDES:
        if side not in measuring:
            yield from _hosts(chain, side, paths)


def _hosts(chain: Chain, side: str, paths: Iterable[tuple[str, tuple[str, ...]]]) -> Iterator[Candidate]:
    """Yield a host behind each first segment of a side from which nobody measures; an idle vantage there is it."""
    known = list(paths)
    idle = next((v for v in chain.vantages.values() if chain.segments[v.segment].side == side), None)
    firsts = (next((s for s in path if chain.segments[s].side == side), None) for _, path in known)
    for gate in dict.fromkeys(name for name in firsts if name is not None):
        host, vantage = (idle.segment, idle.id) if idle else (f"host beside {gate}", f"beside {gate}")
        consent = () if idle else _owners(chain, (gate,), chain.director)
        way = dict.fromkeys(path[1 : path.index(gate) + 1][::-1] for _, path in known if gate in path)
        ends = {s for s in (path[-1] for _, path in known) if chain.segments[s].side == side}
        proposed = [
            Proposed(vantage=vantage, path=(host, *path), target="", size=LARGE) for path in way if len(path) > 1
        ]
        proposed += (
            Proposed(vantage=vantage, path=(host, p.path[-1]), target=p.id, size=LARGE)
            for p in chain.probes.values()
            if p.path[-1] in ends and p.evidence is Evidence.PATH
        )
        yield _candidate(chain, "vantage", gate, proposed, consent=consent, beside=gate)


def _candidate(
    chain: Chain, kind: str, name: str, proposed: list[Proposed], *, consent: tuple[str, ...] = (), beside: str = ""
) -> Candidate:
    compiled = tuple(_compiled(chain, f"{kind}?{name}?{n}", one) for n, one in enumerate(proposed))
    # In `target` the name of the probe whose address is meant has served its turn.
    told = tuple(
        msgspec.structs.replace(one, target=chain.probes[one.target].target if one.target else "") for one in proposed
    )
    return Candidate(
        addition=Addition(kind=kind, decides=0, probes=told, beside=beside, consent=consent), compiled=compiled
    )


def _compiled(chain: Chain, name: str, proposed: Proposed) -> Probe:
    flow = Flow(
        host=f"new address {name}",
        protocol="icmp",
        function="echo",
        family=next((p.flow.family for p in chain.probes.values() if p.path[-1] == proposed.path[-1]), 4),
        connect_bytes=SMALL,
        carry_bytes=proposed.size,
    )
    if proposed.target:
        flow = chain.probes[proposed.target].flow
    return Probe(
        id=name,
        type="icmp",
        vantage=proposed.vantage,
        path=proposed.path,
        interval=1.0,
        timeout=1.0,
        settings=None,
        flow=flow,
        target=flow.host,
    )


def _answering(chain: Chain, vantage: str, segments: tuple[str, ...]) -> tuple[str, ...]:
    return _owners(chain, segments, chain.vantages[vantage].operator)


def _owners(chain: Chain, segments: Iterable[str], asking: str) -> tuple[str, ...]:
    """Return the owners of segments whose consent `asking` needs: none where it is an owner itself."""
    owners = (chain.segments[s].owners for s in segments)
    return tuple(dict.fromkeys(o for some in owners if asking not in some for o in some if o != UNASSIGNED))


def _extended(chain: Chain, candidates: Iterable[Candidate]) -> Chain:
    """Return the chain with every candidate in it, after all that it holds itself."""
    compiled = [probe for candidate in candidates for probe in candidate.compiled]
    homes = {probe.vantage: probe.path[0] for probe in compiled if probe.vantage not in chain.vantages}
    segments = {ELSEWHERE: Segment(id=ELSEWHERE, owners=(UNASSIGNED,), side="saas")}
    segments |= {home: Segment(id=home, owners=(chain.director,), side="onprem") for home in homes.values()}
    vantages = {v: Vantage(id=v, segment=home, operator=chain.director) for v, home in homes.items()}
    return msgspec.structs.replace(
        chain,
        segments={**chain.segments, **segments},
        vantages={**chain.vantages, **vantages},
        probes={**chain.probes, **{probe.id: probe for probe in compiled}},
    )


__all__ = ["Addition", "Proposed", "additions"]
