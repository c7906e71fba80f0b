"""A chain file and what its probes would record: the ground of the diagnosis' tests.

A situation is written as one letter per failing probe; every other probe passes.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from agent.config import load_chain
from agent.model import Chain
from agent.observation import SELF, Observation
from probes.kit.result import Outcome, Stage

CHAIN_FILE = Path(__file__).parents[2] / "data" / "lab-chain.yml"
START = 1_795_442_400.0
CLOUD = ("gw", "gw-outer", "saas", "carrier-edge", "underlay", "anchor", "erp", "hr", "dns", "tunnel")
ONPREM = ("o-gw", "o-gw-outer", "o-underlay", "erp-local")

# letter -> outcome, stage, fault, answered
LETTERS: dict[str, tuple[Outcome, Stage | None, str | None, bool]] = {
    ".": (Outcome.OK, None, None, False),
    "d": (Outcome.DEGRADED, None, None, False),
    "u": (Outcome.UNKNOWN, None, "no-permission", False),
    "s": (Outcome.FAILED, Stage.CONNECT, "timeout", False),
    "r": (Outcome.FAILED, Stage.CONNECT, "refused", False),
    "l": (Outcome.FAILED, Stage.ANSWER, "timeout", False),
    "t": (Outcome.FAILED, Stage.SECURE, "timeout", False),
    "a": (Outcome.FAILED, Stage.ANSWER, "status", True),
    "n": (Outcome.FAILED, Stage.RESOLVE, "resolve-timeout", False),
}


def lab_chain() -> Chain:
    """Return the lab's chain."""
    return load_chain(CHAIN_FILE)


def observation(probe: str, vantage: str, letter: str, time: float, round_number: int) -> Observation:
    """Return one observation of the situation that `letter` stands for."""
    outcome, stage, fault, answered = LETTERS[letter]
    return Observation(
        time=time,
        round=round_number,
        vantage=vantage,
        probe=probe,
        outcome=outcome,
        stage=stage,
        fault=fault,
        answered=answered,
    )


def record(
    chain: Chain,
    situations: Iterable[tuple[int, Mapping[str, str]]],
    vantages: Iterable[str] = ("cloud", "onprem"),
    *,
    self_check: bool = True,
    start: float = START,
    first_round: int = 7312,
) -> list[Observation]:
    """Return the record of `situations`, each lasting so many rounds of one second.

    Every probe takes part in every round, staggered within it. A `self` entry is written for each
    vantage and round unless `self_check` is false; the key `cloud>self` sets its letter; the
    letter `-` leaves a probe out.
    """
    found, number = [], 0
    for rounds, letters in situations:
        for _ in range(rounds):
            time = start + number
            for vantage in vantages:
                names = [p.id for p in chain.probes_of(vantage)]
                for place, name in enumerate(names):
                    letter = letters.get(name, ".")
                    if letter != "-":
                        stagger = 0.9 * place / len(names)
                        found.append(observation(name, vantage, letter, time + stagger, first_round + number))
                if self_check:
                    letter = letters.get(f"{vantage}>{SELF}", ".")
                    found.append(observation(SELF, vantage, letter, time + 0.95, first_round + number))
            number += 1
    found.sort(key=lambda o: o.time)
    return found
