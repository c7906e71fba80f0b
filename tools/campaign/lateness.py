"""What happens on the wire when things are slow or lossy: round trips from queues, noise, load and chance.

Written without the product's elements, so that it can contradict them: each packet of an attempt leaves one
device after another, waits in the queue towards the next, passes the inside of those that forward, and is
answered; the answer does the same on its way back. Things are slow (or lose a share) inside a segment, in its
queue towards one neighbour, or where an address answers.
"""

import math
from collections.abc import Iterable, Mapping
from itertools import pairwise
from random import Random

import msgspec

from agent.model import Chain, Probe
from agent.observation import SELF, Observation
from probes.kit.result import Outcome, Stage
from tools.campaign.physics import START

# One hop takes so long (s) when nothing happens, and a server so long to begin its answer.
HOP, SERVER = 0.0005, 0.010
DAY = 86_400.0


class Slow(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that adds delay (s, and up to `jitter` more) and loses a share: inside `segment`, or else where.

    `towards` names a neighbour: only what waits for it; `answers` an address: only what it answers; `serves`: only
    what a server takes after the handshake. `spans` are seconds of the record.
    """

    segment: str
    towards: str = ""
    answers: str = ""
    serves: bool = False
    delay: float = 0.0
    jitter: float = 0.0
    loss: float = 0.0
    spans: tuple[tuple[float, float], ...]

    def at(self, time: float) -> bool:
        """Return whether it is so at `time`."""
        return any(start <= time < stop for start, stop in self.spans)


class Air(msgspec.Struct, frozen=True, kw_only=True):
    """Noise: lognormal of `noise` (s) a hop, more by `load` (s) at noon, a spike of 10-200 ms and a loss by chance.

    `limited` are addresses that answer only a share of echoes.
    """

    noise: float = 0.0003
    load: float = 0.002
    spike: float = 0.003
    loss: float = 0.0005
    limited: Mapping[str, float] = {}


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """What is slow, the air, and chance."""

    things: tuple[Slow, ...]
    air: Air
    pick: Random

    def trip(self, probe: Probe, time: float, day: float) -> float | None:
        """Return the round trip of an attempt (s), None when a packet of it is lost; `day` is the time of day (s)."""
        now = [thing for thing in self.things if thing.at(time)]
        last, seconds = probe.path[-1], 0.0
        there, inside = list(probe.path), probe.path[1:-1]
        for way in (there, there[::-1]):
            met = [t for t in now if not (t.answers or t.serves) and self._meets(t, way, inside)]
            took = self._passes(met, len(way) - 1, day)
            if took is None:
                return None
            seconds += took
        if self.pick.random() < self.air.limited.get(probe.flow.host, 0.0):
            return None
        answering = [t for t in now if t.segment == last and t.answers == probe.flow.host and not t.serves]
        took = self._passes(answering, 0, day)
        return None if took is None else seconds + took

    def _meets(self, thing: Slow, way: list[str], inside: Iterable[str]) -> bool:
        if thing.towards:
            return (thing.segment, thing.towards) in pairwise(way)
        return thing.segment in inside

    def _passes(self, met: Iterable[Slow], hops: int, day: float) -> float | None:
        """Return what `hops` hops and the things met take (s)."""
        pick, air = self.pick, self.air
        busy = air.load * max(0.0, math.sin(2 * math.pi * (day / DAY - 0.25)))
        seconds = sum(HOP + busy / 10 + air.noise * pick.lognormvariate(-0.5, 1.0) for _ in range(hops))
        if hops and pick.random() < air.spike:
            seconds += pick.uniform(0.01, 0.2)
        lost = bool(hops) and pick.random() < air.loss
        for thing in met:
            # A thing inside is met on both ways; what it adds and loses is a round trip's.
            twice = not thing.towards and not thing.answers
            seconds += (thing.delay + pick.uniform(0.0, thing.jitter)) / (2 if twice else 1)
            lost = lost or pick.random() < (1 - math.sqrt(1 - thing.loss) if twice else thing.loss)
        return None if lost else seconds


def observed(probe: Probe, way: Way, time: float, day: float) -> Observation:
    """Return the observation of an attempt at `time` (seconds of the record)."""
    trip = way.trip(probe, time, day)
    seen = Observation(time=START + time, round=int(time), vantage=probe.vantage, probe=probe.id, outcome=Outcome.OK)
    if trip is None or trip > probe.timeout:
        return msgspec.structs.replace(seen, outcome=Outcome.FAILED, stage=Stage.CONNECT, fault="timeout")
    if probe.flow.protocol == "icmp":
        return msgspec.structs.replace(seen, phases={"answer": trip})
    serving = sum(t.delay for t in way.things if t.serves and t.segment == probe.path[-1] and t.at(time))
    server = SERVER * way.pick.lognormvariate(0.0, 0.3) + serving
    return msgspec.structs.replace(seen, phases={"connect": trip, "first_byte": trip + server})


def record(chain: Chain, way: Way, seconds: int, *, begin: int = 0) -> Iterable[Observation]:
    """Yield what the vantages of a chain see in `seconds` rounds, in order of time."""
    order = [(p, number, len(chain.probes)) for number, p in enumerate(chain.probes.values())]
    for second in range(begin, begin + seconds):
        for vantage in chain.vantages:
            yield Observation(time=START + second, round=second, vantage=vantage, probe=SELF, outcome=Outcome.OK)
        for probe, number, count in order:
            if second % round(probe.interval) == 0:
                time = second + 0.05 + 0.9 * number / count
                yield observed(probe, way, time, (START + time) % DAY)


__all__ = ["Air", "Slow", "Way", "observed", "record"]
