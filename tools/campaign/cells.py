"""The cells of the campaign: what goes wrong in the trials of each."""

from collections.abc import Callable, Mapping
from random import Random

import msgspec

from agent.model import UNASSIGNED, Chain, Confirm
from agent.observation import Observation
from tools.campaign.chains import PARTIES, TOPOLOGIES, random_chain
from tools.campaign.physics import Breaks, Fault, Recorder, Weather, faults_of

# Seconds: quiet before and after, long enough for recovery (ITU-T Y.1563: 10 s) and for a guard band.
BEFORE, AFTER = 8, 16


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One disturbance: the chain file as written, what broke, what was recorded, and when rivals look (seconds)."""

    chain: Chain
    faults: tuple[Fault, ...]
    weather: Weather
    observations: tuple[Observation, ...]
    look: int

    def owners(self, fault: Fault) -> tuple[str, ...]:
        """Return the owners of what broke."""
        return self.chain.segments[fault.segment].owners

    @property
    def nameable(self) -> frozenset[str]:
        """Return the parties that alone own something that broke: who may be named."""
        alone = (self.owners(f) for f in self.faults if len(self.owners(f)) == 1)
        return frozenset(owner for (owner,) in alone if owner != UNASSIGNED)


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of trial. `counts` says which findings are scored: all, those of margin 2, or corroborated ones."""

    name: str
    make: Callable[[str, Random], Trial]
    topologies: tuple[str, ...] = TOPOLOGIES
    counts: str = "all"


def _things(chain: Chain, count: int, pick: Random, *, alone: bool = True) -> list[tuple[str, Breaks, str]]:
    """Draw what breaks: segments first, half of them dead altogether."""
    by_segment: dict[str, list[tuple[str, Breaks, str]]] = {}
    for thing in faults_of(chain, chain.probes.values()):
        owners = chain.segments[thing[0]].owners
        if alone == (len(owners) == 1 and owners != (UNASSIGNED,)):
            by_segment.setdefault(thing[0], []).append(thing)
    drawn = pick.sample(sorted(by_segment), min(count, len(by_segment)))
    return [(name, Breaks.DEAD, "") if pick.random() < 0.5 else pick.choice(by_segment[name]) for name in drawn]


def _broken(things: list[tuple[str, Breaks, str]], start: float, stop: float) -> tuple[Fault, ...]:
    return tuple(Fault(segment=s, breaks=how, host=host, spans=((start, stop),)) for s, how, host in things)


def _dead(count: int) -> Callable[[str, Random], Trial]:
    """Return a maker of trials in which whole segments of plain chains die at once, as the facts have them."""

    def make(topology: str, pick: Random) -> Trial:
        chain = random_chain(topology, pick, Confirm(), plain=True)
        things = [(name, Breaks.DEAD, "") for name, _, _ in _things(chain, count, pick)]
        return _trial(chain, _broken(things, BEFORE, BEFORE + 14), Weather(), BEFORE + 14, pick)

    return make


def _simple(
    count: int, *, lasts: int = 14, weather: Weather | None = None, confirm: Confirm | None = None, alone: bool = True
) -> Callable[[str, Random], Trial]:
    """Return a maker of trials with `count` faults at once."""

    def make(topology: str, pick: Random) -> Trial:
        chain = random_chain(topology, pick, confirm or Confirm())
        faults = _broken(_things(chain, count, pick, alone=alone), BEFORE, BEFORE + lasts)
        return _trial(chain, faults, weather or Weather(), BEFORE + lasts, pick)

    return make


def _trial(  # noqa: PLR0917 - a trial is made of these
    chain: Chain, faults: tuple[Fault, ...], weather: Weather, end: int, pick: Random, look: int = 0
) -> Trial:
    ahead = round(max(weather.ahead.values(), default=0.0)) + 2 * round(chain.confirm.skew)
    recorder = Recorder(chain=chain, faults=faults, weather=weather, pick=pick)
    lines = recorder.lines(end + AFTER + ahead)
    return Trial(chain=chain, faults=faults, weather=weather, observations=tuple(lines), look=look or end)


def _staggered(topology: str, pick: Random) -> Trial:
    """Two faults one after the other: overlapping, within one another, or back to back."""
    chain = random_chain(topology, pick, Confirm())
    first = BEFORE + pick.randint(8, 20)
    second = pick.choice([first, pick.randint(BEFORE + 2, first)])
    end = second + pick.randint(8, 20)
    spans = [(BEFORE, first), (second, end)]
    pairs = zip(_things(chain, 2, pick), spans, strict=False)
    faults = tuple(fault for thing, (start, stop) in pairs for fault in _broken([thing], start, stop))
    return _trial(chain, faults, Weather(), max(first, end), pick, look=first)


def _series(topology: str, pick: Random) -> Trial:
    """Up to five faults at any moments of a minute and a half, some of them twice."""
    chain = random_chain(topology, pick, Confirm())
    faults: list[Fault] = []
    for thing in _things(chain, pick.randint(3, 5), pick):
        for _ in range(pick.randint(1, 2)):
            start = BEFORE + pick.uniform(0, 60)
            faults += _broken([thing], start, start + pick.uniform(3, 30))
    return _trial(chain, tuple(faults), Weather(), BEFORE + 90, pick)


def _flapping(topology: str, pick: Random) -> Trial:
    """One fault that comes and goes, each time for one to nine seconds."""
    chain = random_chain(topology, pick, Confirm())
    time, spans = float(BEFORE), []
    while time < BEFORE + 50:
        on, off = pick.uniform(1, 9), pick.uniform(1, 9)
        spans.append((time, time + on))
        time += on + off
    faults = tuple(
        Fault(segment=s, breaks=how, host=host, spans=tuple(spans)) for s, how, host in _things(chain, 1, pick)
    )
    return _trial(chain, faults, Weather(), round(time), pick)


def _undeclared(topology: str, pick: Random) -> Trial:
    """One fault, and a fifth of the probes cross one segment more than the chain file says."""
    chain = random_chain(topology, pick, Confirm())
    ways = {}
    for probe in chain.probes.values():
        others = [s for s in chain.segments if s not in probe.path and not s.endswith("-host")]
        if others and pick.random() < 0.2:
            ways[probe.key] = pick.choice(others)
    faults = _broken(_things(chain, 1, pick), BEFORE, BEFORE + 14)
    return _trial(chain, faults, Weather(missing_way=ways), BEFORE + 14, pick)


def _liar(topology: str, pick: Random) -> Trial:
    """One fault, and the operator of a vantage reports nothing that could accuse it."""
    chain = random_chain(topology, pick, Confirm())
    liar = pick.choice(sorted({v.operator for v in chain.vantages.values()}))
    faults = _broken(_things(chain, 1, pick), BEFORE, BEFORE + 14)
    return _trial(chain, faults, Weather(liar=liar), BEFORE + 14, pick)


def _clocks(topology: str, pick: Random) -> Trial:
    """One fault, and clocks up to ten seconds apart, within the guard band."""
    chain = random_chain(topology, pick, Confirm(skew=10.0))
    ahead = {name: pick.uniform(0, 10) for name in chain.vantages}
    faults = _broken(_things(chain, 1, pick), BEFORE + 20, BEFORE + 60)
    return _trial(chain, faults, Weather(ahead=ahead), BEFORE + 60, pick)


def _blind(topology: str, pick: Random) -> Trial:
    """Nothing is broken but the network of one vantage's own host."""
    chain = random_chain(topology, pick, Confirm())
    weather = Weather(blind={pick.choice(sorted(chain.vantages)): (float(BEFORE), float(BEFORE + 12))})
    return _trial(chain, (), weather, BEFORE + 12, pick)


NOISE = Weather(noise=0.03, missing=0.03)
SEVERAL = TOPOLOGIES[1:]
FAINT = Weather(noise=0.01, missing=0.03)
CELLS = (
    Cell(name="1 segment dead", make=_dead(1)),
    Cell(name="2 segments dead", make=_dead(2)),
    Cell(name="1 fault, clean", make=_simple(1)),
    Cell(name="2 faults, clean", make=_simple(2)),
    Cell(name="3 faults, clean", make=_simple(3)),
    Cell(name="2 faults, staggered", make=_staggered),
    Cell(name="a series of faults", make=_series),
    Cell(name="1 fault, flapping", make=_flapping),
    Cell(name="1 fault, 3 % noise", make=_simple(1, lasts=30, weather=NOISE)),
    Cell(name="1 fault, 1 % noise, 3 rounds", make=_simple(1, lasts=30, weather=FAINT, confirm=Confirm(rounds=3))),
    Cell(name="1 fault, a tenth is missing", make=_simple(1, lasts=30, weather=Weather(missing=0.1))),
    Cell(name="a fault of several or no owners", make=_simple(1, alone=False)),
    Cell(name="undeclared dependencies", make=_undeclared),
    Cell(name="undeclared dependencies, margin 2", make=_undeclared, counts="margin"),
    Cell(name="a lying operator", make=_liar, topologies=SEVERAL),
    Cell(name="a lying operator, corroborated", make=_liar, topologies=SEVERAL, counts="corroborated"),
    Cell(name="clocks apart", make=_clocks, topologies=SEVERAL),
    Cell(name="a vantage's own host", make=_blind),
)
BY_NAME: Mapping[str, Cell] = {cell.name: cell for cell in CELLS}

__all__ = ["BY_NAME", "CELLS", "PARTIES", "Cell", "Trial"]
