"""How long one diagnosis of a large chain takes: everything of a window at once, on one core."""

import random
import time
from typing import Any

from agent.diagnosis.evidence import Window
from agent.diagnosis.proof import Prover
from agent.diagnosis.roles import Model
from agent.model import Chain, Confirm, Party, Probe, Segment, Vantage
from probes.kit.spec import Flow
from tools.bench.table import Row, spread

RUNS = 9


def large_chain(segments: int, probes: int) -> Chain:
    """Return a random chain: paths of eight segments, six parties, one vantage."""
    pick = random.Random(1)
    names = [f"s{n}" for n in range(segments)]
    made = {}
    for n in range(probes):
        address = f"10.{n // 65536}.{n // 256 % 256}.{n % 256}"
        flow = Flow(host=address, protocol="icmp", function="echo", connect_bytes=84, carry_bytes=84)
        path = ("s0", *pick.sample(names[1:], 7))
        common: dict[str, Any] = {"interval": 1.0, "timeout": 1.0, "settings": None, "target": address, "flow": flow}
        made[f"p{n}"] = Probe(id=f"p{n}", type="icmp", vantage="v", path=path, **common)
    return Chain(
        version=1,
        effective="2026-01-01T00:00",
        timezone="UTC",
        director="o0",
        parties={f"o{n}": Party(id=f"o{n}", name=f"O{n}") for n in range(6)},
        segments={s: Segment(id=s, owners=(f"o{n % 6}",), side="cloud") for n, s in enumerate(names)},
        vantages={"v": Vantage(id="v", segment="s0", operator="o0")},
        services={},
        confirm=Confirm(),
        probes=made,
        hash="0" * 64,
    )


def measure() -> list[Row]:
    """Return how long one diagnosis of a large chain takes."""
    model = Model(large_chain(200, 5000))
    prover, rows = Prover(model), []
    for what, broken, goal in (("one segment broken", {"s7"}, "10 ms"), ("everything failing", None, "25 ms")):
        failing = {k for k, p in model.probes.items() if broken is None or broken & set(p.path)}
        window = Window(
            "v",
            {k: frozenset(model.failing(k).accused) for k in failing},
            {k: frozenset(model.passing(k).cleared) for k in model.probes if k not in failing},
        )
        prover.findings([window])
        took = []
        for _ in range(RUNS):
            begin = time.perf_counter()
            prover.findings([window])
            took.append(time.perf_counter() - begin)
        rows.append(
            Row(what=f"diagnosis, 200 segments x 5,000 probes, {what}", measured=spread(took, "ms", 1e3), goal=goal)
        )
    return rows
