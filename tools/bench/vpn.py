"""How soon a fault of the tunnel shows: by strongSwan's events, and by the probes through it, at default timing.

From the order that breaks (the request to charon to end the child SA; the filter's rule) to the end of the attempt
whose observation has the fault. Nothing is broken at a favourable moment: the moments are random in the interval.
"""

import random
import socket
import time
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import vici

from lab.agents import Agent
from lab.api import Lab
from lab.tunnel import CHILD, vici_path
from tools.bench.table import Row, spread

RUNS = 12
# What breaks it, and the probe and fault by which it is to be seen first.
BY_DATA = ("esp-dropped", "anchor", "timeout")
BY_LIVENESS = ("near-cut", "tunnel", "peer-silent")
PATIENCE_SECONDS = 20.0


def measure() -> list[Row]:
    """Break the tunnel at random moments; return seconds to the fault in the record."""
    with Lab.up("bench-vpn") as lab:
        agent = Agent(lab, "cloud")
        try:
            gateway = vici_path(lab.run_dir, "cloud-gw")
            ended = [after(lab, agent, "tunnel", "child-missing", lambda: terminate(gateway)) for _ in range(RUNS)]
            dropped, silent = (
                [after(lab, agent, probe, fault, partial(lab.break_, name)) for _ in range(RUNS // 2)]
                for name, probe, fault in (BY_DATA, BY_LIVENESS)
            )
        finally:
            agent.stop()
    return [
        Row(what="child SA terminated to its fault, by event", measured=spread(ended, "ms", 1e3), goal="50 ms"),
        Row(what="ESP dropped to a fault, by 1 s probes through it", measured=spread(dropped), goal="2 s (one round)"),
        Row(what="path cut to `peer-silent`, dead peer detection 1 s", measured=spread(silent)),
    ]


def after(lab: Lab, agent: Agent, probe: str, fault: str, break_it: Callable[[], object]) -> float:
    """Return the seconds from the order to the end of the attempt that first shows the fault; heal then."""
    agent.wait(lambda a: all(last(a, name).get("outcome") == "ok" for name in ("tunnel", "anchor")), 60, "a tunnel")
    time.sleep(1.0 + 5.0 * random.random())  # the longest interval of the two probes
    broken = time.time()
    break_it()
    agent.wait(lambda a: bool(showing(a, probe, fault, broken)), PATIENCE_SECONDS, f"{probe}: {fault}")
    first = showing(agent, probe, fault, broken)[0]
    lab.heal()
    return float(first["time"] + first.get("seconds", 0.0) - broken)


def showing(agent: Agent, probe: str, fault: str, since: float) -> list[dict[str, Any]]:
    """Return the probe's observations since then that have the fault."""
    return [o for o in agent.observations() if o["probe"] == probe and o.get("fault") == fault and o["time"] >= since]


def last(agent: Agent, probe: str) -> dict[str, Any]:
    """Return the probe's last observation."""
    return ([{}] + [o for o in agent.observations() if o["probe"] == probe])[-1]


def terminate(gateway: Path) -> None:
    """Have charon end the child SA."""
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.connect(str(gateway))
        for _ in vici.Session(connection).terminate({"child": CHILD, "timeout": "1000"}):
            pass
