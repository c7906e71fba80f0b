"""The lab's chain with a service on its underlay that has margins, and what is measured on it when things are slow."""

from collections.abc import Iterable
from random import Random

import msgspec

from agent.model import Chain, Service
from agent.observation import Observation
from tests.agent.diagnosis.world import lab_chain
from tools.campaign.lateness import Air, Slow, Way, record

QUIET = Air(load=0.0, spike=0.0, loss=0.0)
FAR_EDGE = "203.0.113.1"


def line_chain(delay: float | None = 0.015, loss: float | None = 0.02) -> Chain:
    """Return the chain: the carrier's far edge is measured from within, so that the carrier can be told apart."""
    chain = lab_chain()
    gw = chain.probes["o-gw"]
    far = msgspec.structs.replace(
        gw,
        id="o-carrier-edge",
        path=("onprem-host", "onprem-gw", "carrier"),
        flow=msgspec.structs.replace(gw.flow, host=FAR_EDGE),
    )
    underlay = msgspec.structs.replace(chain.probes["underlay"], service="line")
    line = Service(id="line", name="Line", delay_margin=delay, loss_margin=loss)
    probes = {**chain.probes, "underlay": underlay, "o-carrier-edge": far}
    kept = {name: probe for name, probe in probes.items() if name not in ("tunnel", "hr", "saas", "o-gw")}
    return msgspec.structs.replace(chain, services={**chain.services, "line": line}, probes=kept)


CHAIN = line_chain()


def seen(*things: Slow, seconds: int, air: Air = QUIET, begin: int = 0, seed: int = 1) -> Iterable[Observation]:
    """Return what is observed on the chain."""
    return record(CHAIN, Way(things=things, air=air, pick=Random(seed)), seconds, begin=begin)
