"""`python -m tools.campaign.late`: random slow and lossy things, whom the product names, and whom simpler rules would.

Exit status 1 when an innocent was named where none may be (everywhere but in the cell of a chain file that errs).
`--calm DAYS` counts instead what is noticed and what opens while nothing is wrong.
"""

import argparse
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import pairwise
from random import Random

import msgspec

from agent.excess.bounds import adding
from agent.excess.watch import LOSS, RESPONSE, ROUND_TRIP
from agent.incident.excess import EVERY_SECONDS, Excesses
from agent.incident.value import Event, Incident, Kind
from agent.model import UNASSIGNED, Chain, Confirm, Probe, Service
from agent.observation import Observation
from probes.kit.result import Outcome
from tools.campaign.chains import TOPOLOGIES, random_chain
from tools.campaign.lateness import DAY, Air, Slow, Way, record
from tools.campaign.physics import START
from tools.campaign.possible import provable

# Seconds: what is usual is learned, something is slow (a share needs longer to be bounded), and it is over.
LEARN, SLOW, LOSSY, AFTER = 220, 160, 420, 60
MARGIN, LOSS_MARGIN = 0.015, 0.02
# A party may be named for so long (s) beside its fault: two windows of sixty attempts, in which it may have moved.
SLACK = 120.0
# Paths as long as this are watched: what users feel.
LEAST_PATH = 4
EXACT = "exact measurements"
RULES = ("first slow hop", "largest jump")


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One disturbance: the chain file as written, what really is crossed, and what is slow, `together` or in turns."""

    chain: Chain
    ways: Chain
    things: tuple[Slow, ...]
    air: Air
    stop: int
    together: bool = True

    @property
    def owners(self) -> frozenset[tuple[str, ...]]:
        """Return the owner sets of what is slow."""
        return frozenset(self.chain.segments[thing.segment].owners for thing in self.things)

    @property
    def nameable(self) -> frozenset[str]:
        """Return who may be named."""
        return frozenset(o[0] for o in self.owners if len(o) == 1 and o != (UNASSIGNED,))


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """`false`: an innocent was named; `right`: somebody was, and all rightly; `over`: more was laid than there was.

    `late`: a party was named for too long beside its fault. `lost`: something opened, and of what is slow no owner
    is among the candidates. `opened`: how long after it began (s) the first incident opened, None: none did.
    """

    false: bool = False
    right: bool = False
    late: bool = False
    over: bool = False
    lost: bool = False
    opened: float | None = None


def watched(chain: Chain) -> Chain:
    """Return a chain whose long paths belong to a service with margins."""
    probes = {
        name: msgspec.structs.replace(probe, service="s") if len(probe.path) >= LEAST_PATH else probe
        for name, probe in chain.probes.items()
    }
    service = Service(id="s", name="S", delay_margin=MARGIN, loss_margin=LOSS_MARGIN)
    return msgspec.structs.replace(chain, services={"s": service}, probes=probes)


def thing(chain: Chain, pick: Random, spans: tuple[tuple[float, float], ...], *, lossy: bool) -> Slow:
    """Draw something slow (or lossy) that a watched probe passes."""
    probe = pick.choice([p for p in chain.probes.values() if p.service])
    place = pick.randrange(1, len(probe.path))
    made = Slow(segment=probe.path[place], spans=spans)
    if lossy:
        made = msgspec.structs.replace(made, loss=pick.uniform(0.1, 0.4))
    else:
        jitter = pick.uniform(0.0, 0.03) if pick.random() < 0.5 else 0.0
        made = msgspec.structs.replace(made, delay=pick.uniform(0.03, 0.1), jitter=jitter)
    if place == len(probe.path) - 1:
        served = probe.flow.protocol == "tcp" and not lossy and pick.random() < 0.5
        return msgspec.structs.replace(made, serves=served, answers="" if served else probe.flow.host)
    neighbours = (probe.path[place - 1], probe.path[place + 1])
    return msgspec.structs.replace(made, towards=pick.choice(("", *neighbours)))


def _cell(
    count: int, *, lossy: bool = False, turns: bool = False, undeclared: bool = False
) -> Callable[[str, Random], Trial]:
    """Return a maker of trials."""

    def make(topology: str, pick: Random) -> Trial:
        chain = watched(random_chain(topology, pick, Confirm()))
        stop = LEARN + (LOSSY if lossy else SLOW)
        whole = ((float(LEARN), float(stop)),)
        spans: list[tuple[tuple[float, float], ...]] = [whole] * count
        if turns:
            edges = [LEARN + 12.0 * n for n in range((stop - LEARN) // 12 + 1)]
            pairs = list(pairwise(edges))
            spans = [tuple(pairs[0::2]), tuple(pairs[1::2])]
        things = tuple(thing(chain, pick, span, lossy=lossy) for span in spans)
        hosts = [p.flow.host for p in chain.probes.values() if p.flow.protocol == "icmp"]
        limited = {host: pick.uniform(0.2, 0.6) for host in hosts if pick.random() < 0.15}
        ways = _detours(chain, pick) if undeclared else chain
        return Trial(chain=chain, ways=ways, things=things, air=Air(limited=limited), stop=stop, together=not turns)

    return make


def _detours(chain: Chain, pick: Random) -> Chain:
    """Return what is really crossed where a fifth of the probes cross a segment more than their path says."""
    probes = dict(chain.probes)
    for name, probe in chain.probes.items():
        others = [s for s in chain.segments if s not in probe.path and not s.endswith("-host")]
        if others and pick.random() < 0.2:
            path = (*probe.path[:-1], pick.choice(others), probe.path[-1])
            probes[name] = msgspec.structs.replace(probe, path=path)
    return msgspec.structs.replace(chain, probes=probes)


CELLS: Mapping[str, Callable[[str, Random], Trial]] = {
    "1 slow thing": _cell(1),
    "2 slow things": _cell(2),
    "2 slow in turns": _cell(2, turns=True),
    "1 lossy thing": _cell(1, lossy=True),
    "nothing but noise": _cell(0),
    "undeclared dependencies": _cell(1, undeclared=True),
}
ALLOWED = {"undeclared dependencies": 1.0}


def lives(chain: Chain, observations: Iterable[Observation]) -> tuple[list[Incident], float | None]:
    """Return every incident as it was last known, and when the first opened (UTC epoch seconds)."""
    excesses, known, first, looked = Excesses(chain, ()), dict[str, Incident](), None, 0.0
    for one in observations:
        excesses.observe(one)
        if one.time - looked >= EVERY_SECONDS:
            looked = one.time
            for change in excesses.evaluate(one.time):
                if change.event is Event.MERGED:
                    known.pop(change.incident.id)
                    continue
                known[change.incident.id] = change.incident
                first = first or change.at
    return list(known.values()), first


def run(cell: str, topology: str, seed: str) -> dict[str, Score]:
    """Return the scores of one trial, by who judged."""
    pick = Random(seed)
    trial = CELLS[cell](topology, pick)
    way = Way(things=trial.things, air=trial.air, pick=pick)
    seen = [
        one if one.probe == "self" else msgspec.structs.replace(one, round=int(one.time - START))
        for one in record(trial.ways, way, trial.stop + AFTER)
    ]
    found, first = lives(trial.chain, seen)
    named = [i for i in found if i.kind is Kind.ATTRIBUTED]
    wrong = [i for i in named if i.parties[0] not in trial.nameable]
    right = bool(named) and not wrong if trial.nameable else not named
    scores = {
        "demarc": Score(
            false=bool(wrong),
            right=right,
            late=any(_outside(trial, i) > SLACK for i in named),
            over=any(_over(trial, i) for i in named if i not in wrong),
            lost=bool(found) and bool(trial.things) and not _told(trial, found),
            opened=None if first is None else first - START - LEARN,
        )
    }
    scores[EXACT] = exact(trial)
    for rule in RULES:
        blamed = rival(trial, seen, rule)
        false = bool(blamed - trial.nameable)
        scores[rule] = Score(false=false, right=bool(blamed) and not false if trial.nameable else not blamed)
    return scores


def exact(trial: Trial) -> Score:
    """Return the score of the product's rule on exact measurements; a hop with limits shows no loss."""
    lossy = any(thing.loss for thing in trial.things)
    heard = {n: p for n, p in trial.chain.probes.items() if not (lossy and p.flow.host in trial.air.limited)}
    chain = msgspec.structs.replace(trial.chain, probes=heard)
    margins = {ROUND_TRIP: MARGIN, RESPONSE: MARGIN, LOSS: adding(LOSS_MARGIN)}
    groups = [trial.things] if trial.together else [(thing,) for thing in trial.things]
    named = frozenset[str]().union(*(provable(chain, group, margins) for group in groups))
    wrong = bool(named - trial.nameable)
    return Score(false=wrong, right=bool(named) and not wrong if trial.nameable else not named)


def _outside(trial: Trial, incident: Incident) -> float:
    last = START + trial.stop + AFTER
    opened, closed = incident.opened - START, (last if incident.closed is None else incident.closed) - START
    return (closed - opened) - max(0.0, min(closed, trial.stop) - max(opened, LEARN))


def _told(trial: Trial, found: Iterable[Incident]) -> bool:
    """Return whether an owner of what is slow is told as possible, or a segment of it where nobody can be."""
    candidates = {party for i in found for party in i.candidates} | {s for i in found for s in i.segments}
    owners = {owner for group in trial.owners for owner in group}
    return bool(candidates & (owners | {t.segment for t in trial.things}))


def _over(trial: Trial, incident: Incident) -> bool:
    """Return whether more was laid with a party than all that is slow of it, on the way there and back."""
    excess, mine = (
        incident.excess,
        [t for t in trial.things if trial.chain.segments[t.segment].owners == incident.parties],
    )
    if excess is None:
        return False
    if excess.what == "delay":
        return excess.part > sum(t.delay + t.jitter for t in mine)
    return excess.part > sum(t.loss for t in mine)


def rival(trial: Trial, seen: Sequence[Observation], rule: str) -> frozenset[str]:
    """Return whom a simple rule names that looks at the same measurements, and knows when they were bad."""
    shown = _excesses(trial, seen)
    blamed = set()
    for target in (p for p in trial.chain.probes.values() if p.service and shown.get(p.key, 0.0) >= MARGIN):
        way = sorted(
            (p for p in trial.chain.probes.values() if _along(p, target) and p.key in shown), key=lambda p: len(p.path)
        )
        steps = [(shown[b.key] - shown[a.key], b) for a, b in pairwise(way)]
        slow = next((p for p in way if shown[p.key] >= MARGIN), target)
        _, jump = max(steps, key=lambda step: step[0], default=(0.0, target))
        at = (slow if rule == RULES[0] else jump).path[-1]
        blamed.add(trial.chain.segments[at].owners[0])
    return frozenset(blamed)


def _along(probe: Probe, target: Probe) -> bool:
    return probe.path == target.path[: len(probe.path)]


def _excesses(trial: Trial, seen: Sequence[Observation]) -> dict[str, float]:
    """Return by probe how much more its median round trip, or the share that it lost, is than before."""
    before, after = defaultdict[str, list[Observation]](list), defaultdict[str, list[Observation]](list)
    for one in seen:
        if one.time < START + trial.stop and one.probe != "self":
            (after if one.time >= START + LEARN else before)[one.key].append(one)

    def middle(lines: list[Observation]) -> float:
        taken = [one.phases.get("answer", one.phases.get("connect", 0.0)) for one in lines if one.phases]
        gone = sum(one.outcome is Outcome.FAILED for one in lines) / len(lines)
        return statistics.median(taken or [1.0]) + (gone if any(t.loss for t in trial.things) else 0.0)

    return {key: middle(lines) - middle(before[key]) for key, lines in after.items() if before[key]}


def batch(cell: str, topology: str, seeds: tuple[str, ...]) -> list[tuple[str, dict[str, Score]]]:
    """Run some trials of one cell."""
    return [(seed, run(cell, topology, seed)) for seed in seeds]


def share(count: int, total: int) -> str:
    """Return a share in per cent."""
    per_cent = 100 * count / total
    return f"{per_cent:.1f}" if 0 < per_cent < 10 else f"{per_cent:.0f}"


def head(trials: int) -> str:
    """Return the head of the table."""
    judges = (f"demarc: false %/right % of {trials}", EXACT, *RULES)
    flaws = ("not its time %", "overstated %", "truth not told %", "not opened %", "opened after s")
    names = ("cell", "topology", *judges, *flaws)
    return f"| {' | '.join(names)} |\n{'|---' * len(names)}|"


def report(cell: str, topology: str, results: list[tuple[str, dict[str, Score]]]) -> str:
    """Return a line of the table."""
    total = len(results)
    parts = []
    for judge in ("demarc", EXACT, *RULES):
        scores = [scores[judge] for _, scores in results]
        parts.append(f"{share(sum(s.false for s in scores), total)}/{share(sum(s.right for s in scores), total)}")
    ours = [scores["demarc"] for _, scores in results]
    opened = sorted(s.opened for s in ours if s.opened is not None)
    after = f"{statistics.median(opened):.0f}" if opened else "-"
    counts = [sum(s.late for s in ours), sum(s.over for s in ours), sum(s.lost for s in ours), total - len(opened)]
    return f"| {cell} | {topology} | {' | '.join((*parts, *(share(c, total) for c in counts), after))} |"


def calm(days: float, seed: int) -> str:
    """Return what was noticed and what opened in days of noise on a chain of echoes."""
    pick = Random(seed)
    chain = watched(random_chain("chain, 2 vantages", pick, Confirm()))
    hosts = [p.flow.host for p in chain.probes.values() if p.flow.protocol == "icmp"]
    air = Air(limited={hosts[0]: 0.4})
    seen = record(chain, Way(things=(), air=air, pick=pick), round(days * DAY))
    excesses, raised, opened, on = Excesses(chain, ()), 0, 0, set[tuple[str, str]]()
    looked = 0.0
    for one in seen:
        excesses.observe(one)
        if one.time - looked >= EVERY_SECONDS:
            looked = one.time
            opened += sum(change.event is Event.CONFIRMED for change in excesses.evaluate(one.time))
            keys = ((p.key, kind) for p in excesses.watch.watched for kind in ("round-trip", "response", "loss"))
            now = {key for key in keys if (t := excesses.watch.trigger(*key)) is not None and t.raised}
            raised += len(now - on)
            on = now
    count = len(excesses.watch.watched)
    return f"{days:g} days, {count} watched probes: noticed {raised / days:.1f} a day, opened {opened / days:.1f} a day"


def main() -> int:
    """Run the campaign; return the exit status."""
    parser = argparse.ArgumentParser(prog="tools.campaign.late")
    parser.add_argument("--trials", type=int, default=40, help="trials of each cell and topology")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cell", help="only this cell")
    parser.add_argument("--calm", type=float, help="so many days of noise instead")
    said = parser.parse_args()
    begin, bad = time.monotonic(), 0
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        if said.calm:
            for line in pool.map(partial(calm, said.calm), range(said.seed, said.seed + 3)):
                print(line, flush=True)
            return 0
        print(head(said.trials))
        jobs = {}
        for cell in (c for c in CELLS if said.cell in (None, c)):
            for topology in TOPOLOGIES:
                seeds = tuple(f"{said.seed}/{cell}/{topology}/{n}" for n in range(said.trials))
                parts = [seeds[n : n + 5] for n in range(0, len(seeds), 5)]
                jobs[cell, topology] = [pool.submit(batch, cell, topology, part) for part in parts]
        for (cell, topology), submitted in jobs.items():
            results = [result for part in submitted for result in part.result()]
            print(report(cell, topology, results), flush=True)
            wrong = [seed for seed, s in results if s["demarc"].false or s["demarc"].late or s["demarc"].over]
            if wrong:
                print(f"  look at: {', '.join(wrong[:5])}", file=sys.stderr)
            bad += sum(s["demarc"].false for _, s in results) > ALLOWED.get(cell, 0.0) * said.trials
    print(f"{time.monotonic() - begin:.0f} s")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main())
