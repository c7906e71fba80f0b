"""A short campaign of random disturbances through the product's own replay, and an independent brute force.

`make campaign` runs the long one.
"""

from collections.abc import Iterator
from itertools import combinations
from random import Random

import pytest

from agent.diagnosis.identifiability import Analysis, Proof, segment_faults
from agent.diagnosis.roles import Model
from agent.incident.value import Kind
from agent.model import UNASSIGNED, Confirm
from agent.replay import replay
from agent.words import LANGUAGES, sentences
from tests.agent.test_words import FORBIDDEN
from tools.campaign.cells import BY_NAME, CELLS, Cell
from tools.campaign.chains import TOPOLOGIES, random_chain
from tools.campaign.physics import Breaks, Fault, Recorder, Weather, faults_of, sight
from tools.campaign.rivals import RULES
from tools.campaign.score import judge, run

# A chain file that is wrong proves nothing, and a liar is believed until somebody else has looked.
HONEST = [cell for cell in CELLS if cell.name not in ("undeclared dependencies", "a lying operator")]
TRIALS = 2


@pytest.mark.parametrize("cell", HONEST, ids=lambda c: c.name)
def test_nobody_innocent(cell: Cell) -> None:
    """In no trial is an innocent named, nor a party for a time in which nothing of it was broken."""
    for topology in cell.topologies:
        for number in range(TRIALS):
            score = run(cell, topology, f"unit/{cell.name}/{topology}/{number}")["demarc"]
            assert (score.false, score.late, score.lost) == (False, False, False), (topology, number)


def test_the_rivals_do_name_innocents() -> None:
    """The same trials fool each of the simpler rules: the campaign can tell them apart."""
    cell = BY_NAME["1 fault, clean"]
    scores = [run(cell, TOPOLOGIES[1], f"unit/{number}") for number in range(12)]
    for rule in RULES:
        assert any(score[rule].false for score in scores)
        assert any(score[rule].right for score in scores)


def test_undetermined_only_where_it_was_said_beforehand() -> None:
    """A dead segment is attributed exactly when identifiability called that provable."""
    cell, seen = BY_NAME["1 segment dead"], set()
    for topology in TOPOLOGIES:
        for number in range(6):
            trial = cell.make(topology, Random(f"said/{topology}/{number}"))
            (fault,) = trial.faults
            told = {f.segment: f.proof for f in segment_faults(Analysis(Model(trial.chain)))}
            score = judge(trial, replay(trial.chain, trial.observations), "all")
            assert score.right == (told[fault.segment] is Proof.PROVABLE)
            seen.add(score.right)
    assert seen == {True, False}


def worlds(things: list[tuple[str, Breaks, str]], most: int) -> Iterator[tuple[tuple[str, Breaks, str], ...]]:
    """Yield every combination of at most so many broken things."""
    for count in range(1, most + 1):
        yield from combinations(things, count)


@pytest.mark.parametrize("number", range(8))
def test_true_in_every_consistent_world(number: int) -> None:
    """Whoever is named has something broken in every world of up to three broken things that looks the same."""
    pick = Random(f"worlds/{number}")
    chain = random_chain(TOPOLOGIES[1], pick, Confirm())
    probes = list(chain.probes.values())
    things = faults_of(chain, probes)
    broken = pick.sample(things, pick.randint(1, 2))
    faults = [Fault(segment=s, breaks=how, host=host, spans=((0.0, 60.0),)) for s, how, host in broken]
    recorder = Recorder(chain=chain, faults=tuple(faults), weather=Weather(), pick=pick)
    found = replay(chain, recorder.lines(8))
    named = {i.parties[0] for i in found if i.kind is Kind.ATTRIBUTED}
    seen = [sight(p, p.path[1:-1], broken) for p in probes]
    for world in worlds(things, 2 if len(things) > 60 else 3):
        # Most worlds show themselves at the first probe.
        if all(sight(p, p.path[1:-1], world) == saw for p, saw in zip(probes, seen, strict=True)):
            owners = {chain.segments[segment].owners for segment, _, _ in world}
            assert all((party,) in owners for party in named), world
    assert UNASSIGNED not in named


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_finding_has_its_text(language: str) -> None:
    """Every finding of some trials is told in three to six sentences that judge nobody."""
    for cell in CELLS:
        trial = cell.make(cell.topologies[0], Random(f"text/{cell.name}"))
        for incident in replay(trial.chain, trial.observations):
            told = sentences(incident, trial.chain, None, language)
            assert 3 <= len(told) <= 6, incident
            assert not FORBIDDEN.search(" ".join(told))
