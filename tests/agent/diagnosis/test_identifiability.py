"""Identifiability against the prover itself, over every single fault of small random chains."""

from hypothesis import given
from hypothesis import strategies as st

from agent.diagnosis.evidence import Window
from agent.diagnosis.finding import Kind
from agent.diagnosis.identifiability import Analysis, Proof, segment_faults, single_faults
from agent.diagnosis.proof import Prover
from agent.diagnosis.roles import Model
from agent.model import Chain
from agent.observation import Observation
from probes.kit.result import Outcome, Stage
from probes.kit.spec import Evidence
from tests.agent.diagnosis.small import chain, flow, probe
from tests.agent.diagnosis.world import lab_chain

OWNERS = ("a", "b", "c", "a+b", "unassigned")


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """Return a small random chain: two vantages, filters, sizes, names, shared addresses and ways back."""
    names = [f"s{n}" for n in range(draw(st.integers(2, 5)))]
    owners = {"h": "a", "k": "b", **{name: draw(st.sampled_from(OWNERS)) for name in names}}
    probes = []
    for number in range(draw(st.integers(1, 6))):
        path = draw(st.lists(st.sampled_from(names), min_size=1, unique=True))
        where, home = draw(st.sampled_from([("v", "h"), ("w", "k")]))
        to = flow(
            draw(st.sampled_from([f"{path[-1]}-x", f"{path[-1]}-y"])),
            protocol=draw(st.sampled_from(["icmp", "tcp"])),
            size=draw(st.sampled_from([84, 1500])),
        )
        back = [*path[::-1], draw(st.sampled_from(names)), home] if draw(st.booleans()) else []
        resolve = draw(st.lists(st.sampled_from(names), max_size=2, unique=True))
        evidence = draw(st.sampled_from([Evidence.PATH, Evidence.PATH, Evidence.STATE]))
        probes.append(
            probe(f"p{number}", [home, *path], vantage=where, to=to, back=back, resolve=resolve, evidence=evidence)
        )
    filters = draw(st.lists(st.sampled_from(names), max_size=1))
    return chain(owners, probes, vantages={"v": ("h", "a"), "w": ("k", "b")}, filters=filters)


def accusations(model: Model, key: str, stage: Stage) -> tuple[frozenset[int], frozenset[int]]:
    """Return what a silent fail at a stage accuses and clears."""
    vantage, _, name = key.partition(">")
    seen = Observation(time=0, round=1, vantage=vantage, probe=name, outcome=Outcome.FAILED, stage=stage)
    effect = model.effect(seen)
    return frozenset(effect.accused), frozenset(effect.cleared)


def findings(model: Model, broken: set[int]) -> set[tuple[Kind, tuple[str, ...], tuple[str, ...]]]:
    """Return what the prover says when these roles are broken and every probe shows its first failing stage."""
    failing: dict[str, frozenset[int]] = {}
    clearing: dict[str, frozenset[int]] = {}
    gone = model.implied(broken)
    for key in model.probes:
        for stage in (Stage.RESOLVE, Stage.CONNECT, Stage.ANSWER):
            accused, cleared = accusations(model, key, stage)
            if accused & gone:
                failing[key], clearing[key] = accused, cleared
                break
        else:
            clearing[key] = frozenset(model.passing(key).cleared)
    clearing |= {f"{v}>self": frozenset(model.home_roles(v)) for v in model.home}
    views = [Window(v, {k: a for k, a in failing.items() if k.startswith(f"{v}>")}, clearing) for v in model.home]
    return {(f.kind, f.parties, f.segments) for f in Prover(model).findings(views)}


@given(chains())
def test_equals_the_prover(made: Chain) -> None:
    """A single fault is provable exactly when the prover names its owner, located when it names the joint segment."""
    model = Model(made)
    analysis = Analysis(model)
    for number, fault in zip(analysis.faults(), single_faults(analysis), strict=True):
        said = findings(model, {number})
        named = {parties for kind, parties, _ in said if kind is Kind.ATTRIBUTED}
        assert named == ({made.segments[fault.segment].owners} if fault.proof is Proof.PROVABLE else set())
        pinned = (Kind.UNDETERMINED, (), (fault.segment,)) in said
        if fault.proof is Proof.LOCATED:
            assert pinned
        if fault.proof is Proof.OPEN:
            assert fault.apart_from or len(fault.owners) == 1


@given(chains())
def test_whole_segments(made: Chain) -> None:
    """A segment that does nothing any more is provable exactly when the prover names its owner."""
    model = Model(made)
    for fault in segment_faults(Analysis(model)):
        broken = {n for n, segment in enumerate(model.segment_of) if segment == fault.segment}
        named = {parties for kind, parties, _ in findings(model, broken) if kind is Kind.ATTRIBUTED}
        assert named == ({made.segments[fault.segment].owners} if fault.proof is Proof.PROVABLE else set())


def test_the_labs_chain() -> None:
    """With both vantages every segment but the joint tunnel is provable when it is dead."""
    proofs = {fault.segment: fault.proof for fault in segment_faults(Analysis(Model(lab_chain())))}
    assert proofs.pop("vpn") is not Proof.PROVABLE
    assert set(proofs.values()) == {Proof.PROVABLE}
