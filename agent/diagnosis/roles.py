"""What each probe's outcome proves and accuses, compiled from the chain file.

A path is not a set of segments: in it every segment is *crossed*, except the last, which
*answers*. Answering does not prove forwarding, nor that another address answers; a small packet
that crossed says nothing of a large one. So the elements of the diagnosis are roles, and this
module knows which roles a pass clears and which a fail accuses (design.md, "What a probe proves");
for what tunnels carry it asks `agent.diagnosis.tunnels`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from agent.diagnosis.role import (
    SMALL_PACKET,
    Answers,
    Crossed,
    Filtered,
    Resolves,
    Role,
    crossed,
    plain_address,
)
from agent.diagnosis.tunnels import Tunnels
from agent.model import UNASSIGNED, Chain, Probe
from agent.observation import Observation
from probes.kit.result import Outcome, Stage
from probes.kit.spec import Evidence

REFUSED = "refused"
# Accusations whose remains are kept: several moments of the largest chain that we measure.
REMEMBERED = 50_000


def _begins_large(probe: Probe) -> bool:
    """Return whether a probe's first packet is of a size that its target need not answer."""
    return probe.flow.connect_bytes > SMALL_PACKET[probe.flow.family]


class Verdict(Enum):
    """What one attempt's outcome means for the roles of its path."""

    PASS = "pass"  # noqa: S105 - an outcome, no secret
    RESOLVE = "resolve"  # the name did not resolve
    SILENT = "silent"  # nothing came back while connecting
    REFUSED = "refused"  # an answer that says no; a filter can speak in the responder's name
    ANSWERED = "answered"  # connected, and the responder's own bytes say that it failed
    LATE = "late"  # connected, then silence or a reset: a hole for large packets looks like this
    UNKNOWN = "unknown"  # we could not look


def verdict(observation: Observation) -> Verdict:
    """Return what `observation` means; `degraded` is a pass for reachability."""
    match observation.outcome, observation.stage:
        case ((Outcome.OK | Outcome.DEGRADED), _):
            return Verdict.PASS
        case Outcome.UNKNOWN, _:
            return Verdict.UNKNOWN
        case _, Stage.RESOLVE:
            return Verdict.RESOLVE
        case _, (Stage.SECURE | Stage.ANSWER):
            return Verdict.ANSWERED if observation.answered else Verdict.LATE
        case _:
            return Verdict.REFUSED if observation.fault == REFUSED else Verdict.SILENT


class Effect(NamedTuple):
    """The roles (by number) that an outcome accuses and clears."""

    accused: tuple[int, ...]
    cleared: tuple[int, ...]


NOTHING = Effect((), ())


class Remains(NamedTuple):
    """What is left of an accusation: its segments (also as a bit mask) and their owners.

    `party` is the one assigned owner of all of them, or None.
    """

    segments: frozenset[str]
    owners: frozenset[str]
    mask: int
    party: str | None


class Model:
    """A chain compiled to numbered roles; immutable after construction.

    Only roles that some fail can accuse are numbered. `segment_of[n]` and `owners_of[n]` speak of
    role n. `effects` are computed when first needed and kept.
    """

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.probes: dict[str, Probe] = {p.key: p for p in chain.probes.values()}
        self.operator = {v.id: v.operator for v in chain.vantages.values()}
        self.home = {v.id: v.segment for v in chain.vantages.values()}
        self.teller = {p.key: p.told_by for p in chain.probes.values() if p.told_by}
        self.roles: list[Role] = []
        self._tunnels = Tunnels(chain)
        self._number: dict[Role, int] = {}
        self._sizes: dict[tuple[str, int], list[int]] = defaultdict(list)
        self._accused = {key: self._accusations(probe) for key, probe in self.probes.items()}
        self.segment_of: tuple[str, ...] = tuple(role.segment for role in self.roles)
        self.owners_of = tuple(frozenset(chain.segments[s].owners) for s in self.segment_of)
        self._hosts = self._addresses()
        self._place = {name: place for place, name in enumerate(chain.segments)}
        self._remains: dict[tuple[str, frozenset[int]], Remains] = {}
        self._imagined: dict[tuple[str, Outcome], Effect] = {}
        self._effects: dict[tuple[str, Verdict, Outcome, str | None, int | None], Effect] = {}

    def _accusations(self, probe: Probe) -> dict[Verdict, tuple[int, ...]]:
        """Return by kind of fail the numbers of the roles that it accuses."""
        flow, last = probe.flow, probe.path[-1]
        port = Answers(last, flow.host, flow.protocol, flow.port, "")
        served = port._replace(function=flow.function)
        gates = self.gates(probe)
        # That a host answers small packets, or that another of its states is good, does not clear it of these.
        end = served if probe.evidence is Evidence.STATE or _begins_large(probe) else port
        accused: dict[Verdict, Iterable[Role]] = {
            Verdict.SILENT: (
                *self.crossings(probe, flow.connect_bytes),
                *self._tunnels.carried(probe),
                *gates,
                end,
            ),
            Verdict.REFUSED: (*gates, port if _begins_large(probe) else end),
            Verdict.ANSWERED: (served,),
            Verdict.LATE: (*self.crossings(probe, flow.carry_bytes), served),
        }
        if probe.resolve:
            way = (crossed(s, flow.family, flow.connect_bytes) for s in probe.resolve[:-1])
            accused[Verdict.RESOLVE] = (*way, Resolves(probe.resolve[-1], flow.host))
        return {kind: tuple(self._enter(role) for role in roles) for kind, roles in accused.items()}

    def _enter(self, role: Role) -> int:
        number = self._number.get(role)
        if number is None:
            number = self._number[role] = len(self.roles)
            self.roles.append(role)
            if isinstance(role, Crossed):
                self._sizes[role.segment, role.family].append(role.size)
        return number

    def crossings(self, probe: Probe, size: int, upto: int | None = None) -> tuple[Crossed, ...]:
        """Return the crossed roles of the path's first `upto` segments and of the way back.

        Without `upto`: of the whole path but its last segment.
        """
        there = probe.path[: len(probe.path) - 1 if upto is None else upto]
        back = tuple(s for s in probe.back if s not in there and s != probe.path[-1]) if upto is None else ()
        return tuple(crossed(s, probe.flow.family, size) for s in (*there, *back))

    def gates(self, probe: Probe) -> tuple[Filtered, ...]:
        """Return the filter roles there and on a way back of its own.

        Each has the segment before it as direction; the vantage's own filter has none before it.
        """
        flow, segments = probe.flow, self.chain.segments
        ends = {probe.path[0], probe.path[-1]}
        back = [s for s in probe.back if s not in ends]
        steps = (
            *zip(("", *probe.path), probe.path[:-1], strict=False),
            *zip((probe.path[-1], *back), back, strict=False),
        )
        return tuple(
            Filtered(here, before, flow.protocol, flow.port, flow.host)
            for before, here in steps
            if segments[here].filters
        )

    def _addresses(self) -> dict[str, str]:
        """Map every probed address to the one segment that answers at it."""
        found: dict[str, set[str]] = defaultdict(set)
        for probe in self.probes.values():
            if not (probe.flow.named or probe.flow.local):
                found[plain_address(probe.flow.host)].add(probe.path[-1])
        return {host: next(iter(names)) for host, names in found.items() if len(names) == 1}

    def effect(self, observation: Observation) -> Effect:
        """Return what `observation` accuses and clears; nothing for an unknown probe or outcome."""
        kind = verdict(observation)
        probe = self.probes.get(observation.key)
        if probe is None or kind is Verdict.UNKNOWN:
            return NOTHING
        by = observation.by if kind in (Verdict.SILENT, Verdict.REFUSED, Verdict.LATE) else None
        key = (probe.key, kind, observation.outcome, by, observation.packet_bytes)
        if key not in self._effects:
            effect = self._effect(probe, kind, by, observation.packet_bytes)
            if observation.outcome is Outcome.OK:
                told = self._tunnels.told(probe, self._number)
                effect = effect._replace(cleared=(*effect.cleared, *(self._number[role] for role in told)))
            self._effects[key] = effect
        return self._effects[key]

    def _effect(self, probe: Probe, kind: Verdict, by: str | None, packet_bytes: int | None) -> Effect:
        """Work out one effect; `by` is the host that sent an ICMP error.

        A router on the way speaks in its own name, of a refusal too. So does the last segment from
        another of its addresses; what comes from the very address that was asked says no like a
        refusal, and a filter can speak in its name. After connecting it says no more than silence does.
        """
        speaker = None if by is None else self._hosts.get(plain_address(by))
        if by is not None and plain_address(by) == plain_address(probe.flow.host):
            kind = Verdict.LATE if kind is Verdict.LATE else Verdict.REFUSED
        elif speaker in probe.path:
            return self._cut_at(probe, kind, probe.path.index(speaker))
        accused = self._accused[probe.key].get(kind, ())
        return Effect(accused, self._known(self._cleared(probe, kind, packet_bytes)))

    def _cut_at(self, probe: Probe, kind: Verdict, place: int) -> Effect:
        """Return the effect of an ICMP error: it proves the path up to the router at `place`, which sent it.

        After connecting that proves no more crossings than the connection did, since nothing says how large the packet
        was that the router could not pass on; but the disturbance lies with the router or behind it.
        """
        before, late = probe.path[:place], kind is Verdict.LATE
        accused = self._accused[probe.key].get(Verdict.LATE if late else Verdict.SILENT, ())
        kept = tuple(n for n in accused if self.segment_of[n] not in before)
        if late:
            return Effect(kept, self._known(self._cleared(probe, kind, None)))
        proven: tuple[Role, ...] = (
            *self.crossings(probe, probe.flow.connect_bytes, place),
            *self._tunnels.carried(probe, place),
        )
        return Effect(kept, self._known(proven))

    def _cleared(self, probe: Probe, kind: Verdict, packet_bytes: int | None) -> tuple[Role, ...]:
        """Return the roles that an outcome proves, whether or not any fail accuses them."""
        flow, last = probe.flow, probe.path[-1]
        port = Answers(last, flow.host, flow.protocol, flow.port, "")
        served = port._replace(function=flow.function)
        if probe.evidence is Evidence.STATE:
            return (served,) if kind is Verdict.PASS else ()
        size = packet_bytes or max(flow.carry_bytes, flow.connect_bytes)
        connected: tuple[Role, ...] = (*self._tunnels.carried(probe), *self.gates(probe), port)
        match kind:
            case Verdict.PASS:
                return (*self.crossings(probe, size), *connected, served)
            case Verdict.ANSWERED:
                return (*self.crossings(probe, size), *connected)
            case Verdict.LATE:
                return (*self.crossings(probe, flow.connect_bytes), *connected)
            case Verdict.REFUSED:
                filters = (i for i, s in enumerate(probe.path) if self.chain.segments[s].filters)
                before = next(filters, len(probe.path) - 1)
                return (*self.crossings(probe, flow.connect_bytes, before), *self._tunnels.carried(probe, before))
            case _:
                return ()

    def _known(self, roles: Iterable[Role]) -> tuple[int, ...]:
        """Return the numbers of proven roles; a crossing proves every smaller one of its family."""
        numbers: list[int] = []
        for role in roles:
            if isinstance(role, Crossed):
                sizes = self._sizes.get((role.segment, role.family), ())
                numbers.extend(self._number[role._replace(size=n)] for n in sizes if n <= role.size)
            else:  # what answers or lets through is accused by the same probe's silence
                numbers.append(self._number[role])
        return tuple(numbers)

    def meaning(self, probe: str) -> object:
        """Return all that decides what results of `probe` mean; equal in two models: they mean the same in both."""
        found = self.probes.get(probe)
        if found is None:
            return None
        accused = {kind: frozenset(self.roles[n] for n in numbers) for kind, numbers in self._accused[probe].items()}
        return found.path, found.back, found.resolve, found.flow, found.evidence, found.pace, found.told_by, accused

    def implied(self, roles: Iterable[int]) -> frozenset[int]:
        """Return `roles` and what does not work when they do not: larger packets of the same crossing."""
        found = set(roles)
        for number in tuple(found):
            role = self.roles[number]
            if isinstance(role, Crossed):
                sizes = self._sizes[role.segment, role.family]
                found.update(self._number[role._replace(size=n)] for n in sizes if n > role.size)
        return frozenset(found)

    def passing(self, probe: str) -> Effect:
        """Return the effect that a pass of `probe` (`vantage>probe`) would have."""
        return self.imagined(probe, Outcome.OK)

    def failing(self, probe: str) -> Effect:
        """Return the effect that silence at `probe` would have."""
        return self.imagined(probe, Outcome.FAILED)

    def imagined(self, probe: str, outcome: Outcome) -> Effect:
        """Return the effect of a pass, or of silence while connecting."""
        found = self._imagined.get((probe, outcome))
        if found is None:
            vantage, _, name = probe.partition(">")
            stage = Stage.CONNECT if outcome is Outcome.FAILED else None
            seen = Observation(time=0, round=0, vantage=vantage, probe=name, outcome=outcome, stage=stage)
            found = self._imagined[probe, outcome] = self.effect(seen)
        return found

    def came(self, probe: str) -> frozenset[int]:
        """Return the roles that carried what a told state speaks of: of the segments behind its teller's, but the last.

        Its path leads to whoever tells, and on along the way of what is told; nothing where nobody tells.
        """
        found = self.probes[probe]
        telling = [i for i, s in enumerate(found.path) if self.chain.segments[s].owners == (found.told_by,)]
        if not telling or found.evidence is not Evidence.STATE:
            return frozenset()
        size = found.flow.carry_bytes
        way = (crossed(s, found.flow.family, size) for s in found.path[telling[0] + 1 : -1])
        return frozenset(self._known(way))

    def accusations(self, probe: str) -> Mapping[Verdict, tuple[int, ...]]:
        """Return by kind of fail what `probe` accuses."""
        return self._accused[probe]

    def accusable(self, probe: str) -> frozenset[int]:
        """Return every role that some kind of fail of `probe` accuses."""
        return frozenset(n for roles in self._accused[probe].values() for n in roles)

    def home_roles(self, vantage: str) -> tuple[int, ...]:
        """Return every role of the vantage's own segment: what its passed self-check clears."""
        home = self.home[vantage]
        return tuple(n for n, segment in enumerate(self.segment_of) if segment == home)

    def remains(self, vantage: str, roles: frozenset[int]) -> Remains:
        """Return segments and owners of `roles` as evidence of `vantage` may name them.

        A vantage's own segment is never laid at its owner's door on the operator's word alone: seen
        from a vantage of the same operator it counts as held by both, so only an owner who operates
        it is named.
        """
        key = (vantage, roles)
        found = self._remains.get(key)
        if found is None:
            segments = frozenset([self.segment_of[n] for n in roles])
            owners = {owner for n in roles for owner in self.owners_of[n]}
            operator = self.operator[vantage]
            if any(self.home[v] in segments for v, other in self.operator.items() if other == operator):
                owners.add(operator)
            mask = sum(1 << self._place[s] for s in segments)
            party = next(iter(owners)) if len(owners) == 1 and UNASSIGNED not in owners else None
            found = Remains(segments, frozenset(owners), mask, party)
            if len(self._remains) >= REMEMBERED:
                self._remains.clear()
            self._remains[key] = found
        return found


def unproven_roles(chain: Chain) -> tuple[Role, ...]:
    """Return the roles that some probe accuses and no *other* probe's pass clears.

    The vantages' own segments are left out: the self-check clears them.
    """
    model = Model(chain)
    accusers: Mapping[int, set[str]] = defaultdict(set)
    clearers: Mapping[int, set[str]] = defaultdict(set)
    for key in model.probes:
        for number in model.accusable(key):
            accusers[number].add(key)
        for number in model.passing(key).cleared:
            clearers[number].add(key)
    homes = set(model.home.values())
    return tuple(
        model.roles[n]
        for n in sorted(accusers)
        if model.segment_of[n] not in homes and not any(clearers[n] - {key} for key in accusers[n])
    )


__all__ = [
    "NOTHING",
    "Effect",
    "Model",
    "Verdict",
    "unproven_roles",
    "verdict",
]
