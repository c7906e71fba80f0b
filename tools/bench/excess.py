"""What watching delay and loss costs: each observation, each weighing, and what is kept; on one core."""

import random
import time

import msgspec

from agent.incident.engine import Engine
from agent.incident.excess import EVERY_SECONDS
from agent.model import Chain, Service
from agent.observation import Observation
from probes.kit.result import Outcome
from tools.bench.diagnosis import large_chain
from tools.bench.table import Row, spread

SEGMENTS, PROBES = 50, 200
LEARNED, MEASURED = 200, 60
SLOW = "s7"
START = 1_795_442_400.0


def served(chain: Chain, delay: float | None = None, loss: float | None = None) -> Chain:
    """Return a chain each of whose probes belongs to one service, with margins or without."""
    probes = {name: msgspec.structs.replace(probe, service="s") for name, probe in chain.probes.items()}
    service = Service(id="s", name="S", delay_margin=delay, loss_margin=loss)
    return msgspec.structs.replace(chain, services={"s": service}, probes=probes)


def second(chain: Chain, number: int, late: frozenset[str], pick: random.Random) -> list[Observation]:
    """Return one attempt of each probe, `late` ones by 50 ms."""
    return [
        Observation(
            time=START + number,
            round=number,
            vantage="v",
            probe=name,
            outcome=Outcome.OK,
            phases={"answer": 0.01 + pick.expovariate(2000) + (0.05 if name in late else 0.0)},
        )
        for name in chain.probes
    ]


def observing(chain: Chain) -> tuple[Engine, list[float]]:
    """Return an engine that has learned, and how long each observation of a second took (s)."""
    engine, pick, took = Engine(chain), random.Random(1), []
    for number in range(LEARNED + MEASURED):
        seen = second(chain, number, frozenset(), pick)
        begin = time.process_time()
        for one in seen:
            engine.observe(one)
        took.append((time.process_time() - begin) / len(seen))
        engine.evaluate(START + number)
    return engine, took[LEARNED:]


def weighing(engine: Engine, chain: Chain, late: frozenset[str]) -> list[float]:
    """Return how long a weighing takes (s) while `late` probes are late."""
    pick, took = random.Random(2), []
    for number in range(LEARNED + MEASURED, LEARNED + 2 * MEASURED):
        for one in second(chain, number, late, pick):
            engine.observe(one)
        begin = time.process_time()
        engine.excesses.evaluate(START + number)
        took.append(time.process_time() - begin)
    return took[MEASURED // 2 :: round(EVERY_SECONDS)]


def measure() -> list[Row]:
    """Return what watching delay and loss costs beside the diagnosis."""
    plain = served(large_chain(SEGMENTS, PROBES))
    chain = served(plain, delay=0.015, loss=0.02)
    _, before = observing(plain)
    engine, with_it = observing(chain)
    kept = len(engine.usual() or b"")
    calm = weighing(engine, chain, frozenset())
    late = frozenset(name for name, probe in chain.probes.items() if SLOW in probe.path)
    busy = weighing(observing(chain)[0], chain, late)
    return [
        Row(what=f"an observation, {PROBES} probes, no margins", measured=spread(before, "us", 1e6)),
        Row(what=f"an observation, {PROBES} probes, all with margins", measured=spread(with_it, "us", 1e6)),
        Row(what="a weighing (every 2 s), nothing late", measured=spread(calm, "ms", 1e3)),
        Row(what=f"a weighing while {len(late)} probes are late", measured=spread(busy, "ms", 1e3)),
        Row(what="kept over a restart, a probe and kind of hour", measured=f"{kept / PROBES:.0f} bytes"),
    ]
