"""What happens on the wire: broken things, and what every attempt sees of them.

Written without the product's roles, so that it can contradict them: things break (a segment dies, forwards
no more, drops large packets, closes a port, answers with errors), and an attempt meets them in the order
of its packets.
"""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from random import Random

import msgspec

from agent.model import Chain, Probe
from agent.observation import SELF, Observation
from probes.kit.result import Outcome, Stage

# Larger packets than every host must accept are those that a hole swallows (RFC 791, 3.2).
HOLE_ABOVE = 576
# Any UTC epoch second.
START = 1_795_442_400.0


class Breaks(StrEnum):
    """How a segment breaks."""

    DEAD = "dead"
    NO_FORWARD = "no forward"
    HOLE = "hole"
    CLOSED = "closed"
    HANGS = "hangs"
    ERRORS = "errors"
    DROPS_FLOW = "drops a flow"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One broken thing: where, how, for which address, in which seconds of the record."""

    segment: str
    breaks: Breaks
    host: str = ""
    spans: tuple[tuple[float, float], ...]

    def at(self, time: float) -> bool:
        """Return whether it is broken at `time`."""
        return any(start <= time < stop for start, stop in self.spans)


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What an attempt sees."""

    outcome: Outcome
    stage: Stage | None = None
    fault: str | None = None
    answered: bool = False


NO_LINK = Sight(outcome=Outcome.FAILED, stage=Stage.CONNECT, fault="no-link")
PASSED = Sight(outcome=Outcome.OK)
SILENT = Sight(outcome=Outcome.FAILED, stage=Stage.CONNECT, fault="timeout")
REFUSED = Sight(outcome=Outcome.FAILED, stage=Stage.CONNECT, fault="refused")
LATE = Sight(outcome=Outcome.FAILED, stage=Stage.ANSWER, fault="timeout")
ERRORS = Sight(outcome=Outcome.FAILED, stage=Stage.ANSWER, fault="status", answered=True)


def sight(probe: Probe, crossed: Sequence[str], broken: Iterable[tuple[str, Breaks, str]]) -> Sight:
    """Return what an attempt sees that crosses `crossed` to the last segment of its path."""
    last, flow, things = probe.path[-1], probe.flow, set(broken)

    def met(how: Breaks, where: Iterable[str], host: str = "") -> bool:
        return any((segment, how, host) in things for segment in where)

    if met(Breaks.DEAD, (*crossed, last)) or met(Breaks.NO_FORWARD, crossed):
        return SILENT
    if met(Breaks.DROPS_FLOW, crossed, flow.host):
        return SILENT
    if met(Breaks.CLOSED, (last,), flow.host):
        return REFUSED if flow.port else SILENT
    if flow.carry_bytes > HOLE_ABOVE and met(Breaks.HOLE, crossed):
        return LATE if flow.connect_bytes <= HOLE_ABOVE else SILENT
    if met(Breaks.HANGS, (last,), flow.host):
        return LATE
    if met(Breaks.ERRORS, (last,), flow.host):
        return ERRORS
    return PASSED


def faults_of(chain: Chain, probes: Iterable[Probe]) -> list[tuple[str, Breaks, str]]:
    """Return every single thing that can break and that some probe meets; the vantages' hosts are left out."""
    homes = {v.segment for v in chain.vantages.values()}
    found: dict[tuple[str, Breaks, str], None] = {}
    for probe in probes:
        for segment in probe.path[1:-1]:
            found.update({(segment, how, ""): None for how in (Breaks.DEAD, Breaks.NO_FORWARD)})
            if probe.flow.carry_bytes > HOLE_ABOVE:
                found[segment, Breaks.HOLE, ""] = None
            if chain.segments[segment].filters:
                found[segment, Breaks.DROPS_FLOW, probe.flow.host] = None
        last = probe.path[-1]
        found[last, Breaks.DEAD, ""] = None
        found[last, Breaks.CLOSED, probe.flow.host] = None
        if probe.flow.port:
            found.update({(last, how, probe.flow.host): None for how in (Breaks.HANGS, Breaks.ERRORS)})
    return [thing for thing in found if thing[0] not in homes]


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong beside the faults: shares of results that fail by chance or are missing, and clocks.

    `missing_way` maps a probe to a segment that it crosses and that its path does not name; `liar` is an
    operator whose vantages report no fail that could accuse it; `ahead` is by how many seconds a vantage's clock is.
    """

    noise: float = 0.0
    missing: float = 0.0
    missing_way: Mapping[str, str] = {}
    liar: str | None = None
    ahead: Mapping[str, float] = {}
    blind: Mapping[str, tuple[float, float]] = {}


class Recorder(msgspec.Struct, frozen=True, kw_only=True):
    """Writes down what the vantages of a chain see, by their own clocks."""

    chain: Chain
    faults: tuple[Fault, ...]
    weather: Weather
    pick: Random

    def lines(self, seconds: int) -> list[Observation]:
        """Return the observations of `seconds` rounds, in order of time."""
        found = []
        for second in range(seconds):
            for place, vantage in enumerate(self.chain.vantages):
                mine = self.chain.probes_of(vantage)
                for number, probe in enumerate(mine):
                    time = second + 0.1 * place + 0.8 * number / len(mine)
                    if self.pick.random() >= self.weather.missing:
                        found.append(self._written(vantage, probe.id, time, self._seen(probe, time)))
                seen = NO_LINK if self._is_blind(vantage, second) else PASSED
                found.append(self._written(vantage, SELF, second + 0.95, seen))
        return sorted(found, key=lambda o: (o.time, o.vantage, o.probe))

    def _is_blind(self, vantage: str, time: float) -> bool:
        start, stop = self.weather.blind.get(vantage, (0.0, 0.0))
        return start <= time < stop

    def _written(self, vantage: str, probe: str, time: float, seen: Sight) -> Observation:
        return Observation(
            time=START + time + self.weather.ahead.get(vantage, 0.0),
            round=int(time),
            vantage=vantage,
            probe=probe,
            outcome=seen.outcome,
            stage=seen.stage,
            fault=seen.fault,
            answered=seen.answered,
        )

    def _seen(self, probe: Probe, time: float) -> Sight:
        weather = self.weather
        if self._is_blind(probe.vantage, time):
            return SILENT
        hidden = weather.missing_way.get(probe.key)
        crossed = (*probe.path[1:-1], *([hidden] if hidden else ()))
        seen = sight(probe, crossed, [(f.segment, f.breaks, f.host) for f in self.faults if f.at(time)])
        if self.pick.random() < weather.noise:
            seen = SILENT if seen is PASSED else PASSED
        if self.chain.vantages[probe.vantage].operator == weather.liar and seen is not PASSED:
            own = any(weather.liar in self.chain.segments[s].owners for s in probe.path)
            return PASSED if own else seen
        return seen


__all__ = ["START", "Breaks", "Fault", "Recorder", "Weather", "faults_of", "sight"]
