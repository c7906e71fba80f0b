"""Which probes a confirmation round runs: enough to clear or to prove each segment, and no more."""

from collections.abc import Iterable, Iterator, Mapping

from agent.diagnosis.roles import Model
from agent.model import Chain, Probe
from probes.kit.spec import Pace

# design.md, "Time": a bound per round and vantage, and probes per accused segment.
MOST_ATTEMPTS = 50
PER_SEGMENT = 3


def confirmation_set(
    chain: Chain | Model, vantage: str, failing: Iterable[str], last_passed: Mapping[str, float]
) -> tuple[str, ...]:
    """Return the probes (ids) of `vantage` to run in each confirmation round.

    `failing` are the ids that started it; `last_passed` maps ids to the time of their last pass
    (any clock), probes that never passed being absent. For each segment of a failing probe's
    conflict other than the vantage's own: up to three probes with different targets that passed
    before. Those that share least with the conflict come first, since their pass clears most,
    and one that ends at the segment is among them, since its fail proves most. Slow sources
    confirm at their own pace and never join. At most 50 probes; failing ones come first.
    """
    model = chain if isinstance(chain, Model) else Model(chain)
    pool = {p.id: p for p in model.probes.values() if p.vantage == vantage and p.pace is Pace.ROUND}
    chosen = dict.fromkeys(name for name in failing if name in pool)
    usable = {name: probe for name, probe in pool.items() if name in last_passed}
    for name in tuple(chosen):
        for segment in _segments(model, pool[name]):
            chosen.update(dict.fromkeys(_witnesses(model, segment, pool[name], usable, last_passed)))
    return tuple(chosen)[:MOST_ATTEMPTS]


def most_confirming(chain: Chain, vantage: str) -> tuple[Probe, ...]:
    """Return the probes that one confirmation round of a vantage can run at most, whatever fails: the dearest ones.

    Concurrent incidents share their rounds, so this bounds all of them together.
    """
    able = [p for p in chain.probes_of(vantage) if p.pace is Pace.ROUND]
    return tuple(sorted(able, key=lambda p: -p.flow.carry_bytes)[:MOST_ATTEMPTS])


def _segments(model: Model, probe: Probe) -> tuple[str, ...]:
    """Return the segments that a fail of `probe` can accuse, in path order, its own left out."""
    home = model.home[probe.vantage]
    names = dict.fromkeys((*probe.path, *probe.back, *probe.resolve))
    return tuple(name for name in names if name != home)


def _witnesses(
    model: Model,
    segment: str,
    failing: Probe,
    usable: Mapping[str, Probe],
    last_passed: Mapping[str, float],
) -> Iterator[str]:
    """Yield up to three probes through or at `segment`, with different targets."""
    suspects = set(_segments(model, failing))

    def rank(name: str) -> tuple[int, float]:
        probe = usable[name]
        return len(suspects.intersection(probe.path) - {segment}), -last_passed[name]

    crossing = sorted((n for n, p in usable.items() if segment in (*p.path[:-1], *p.back)), key=rank)
    ending = sorted((n for n, p in usable.items() if p.path[-1] == segment), key=rank)
    targets = {failing.target}
    first = [*crossing[:1], *ending[:1], *crossing[1:], *ending[1:]]
    for name in first:
        if usable[name].target not in targets and len(targets) <= PER_SEGMENT:
            targets.add(usable[name].target)
            yield name
