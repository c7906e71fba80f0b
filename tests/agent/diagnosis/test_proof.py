"""The proof rule against brute force over every consistent world, and the verdicts beside it."""

from itertools import chain as joined
from itertools import product

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.diagnosis.evidence import Window
from agent.diagnosis.finding import Finding, Kind, Standing
from agent.diagnosis.proof import Prover, Since, conflicts
from agent.diagnosis.roles import Model
from agent.model import Chain
from tests.agent.diagnosis.small import chain, flow, probe

OWNERS = ("a", "b", "c", "a+b")


def window(model: Model, failing: set[str], vantage: str = "v", *, self_check: bool = False) -> Window:
    """Return the window in which `failing` fail silently and the vantage's other probes pass."""
    mine = [key for key, p in model.probes.items() if p.vantage == vantage]
    clearing = {key: frozenset(model.passing(key).cleared) for key in mine if key not in failing}
    if self_check:
        clearing[f"{vantage}>self"] = frozenset(model.home_roles(vantage))
    return Window(vantage, {k: frozenset(model.failing(k).accused) for k in mine if k in failing}, clearing)


def windows(chain_: Chain, failing: set[str], *, self_check: bool = True) -> tuple[Finding, ...]:
    """Return the findings when `failing` (`vantage>probe`) fail and everything else passes."""
    model = Model(chain_)
    views = [window(model, failing, v, self_check=self_check) for v in chain_.vantages]
    everything = {k: roles for view in views for k, roles in view.clearing.items()}
    return Prover(model).findings([view._replace(clearing=everything) for view in views])


@st.composite
def models(draw: st.DrawFn) -> tuple[Chain, set[str]]:
    """Return a small random chain and the probes that fail."""
    size = draw(st.integers(2, 5))
    names = [f"s{n}" for n in range(size)]
    owners = {name: draw(st.sampled_from(OWNERS)) for name in names}
    paths = draw(st.lists(st.lists(st.sampled_from(names[1:]), min_size=1, unique=True), min_size=1, max_size=4))
    probes = [probe(f"p{n}", ["s0", *path]) for n, path in enumerate(paths)]
    failing = draw(st.sets(st.sampled_from([p.key for p in probes])))
    return chain(owners, probes), failing


@given(models())
def test_equals_brute_force(case: tuple[Chain, set[str]]) -> None:
    """A conflict names a party exactly when some role of that party alone is broken in every consistent world."""
    chain_, failing = case
    model = Model(chain_)
    view = window(model, failing)
    cleared = set(joined.from_iterable(view.clearing.values()))
    free = sorted({n for accused in view.failing.values() for n in accused} - cleared)
    worlds = [
        {n for n, broken in zip(free, bits, strict=True) if broken} for bits in product((False, True), repeat=len(free))
    ]
    consistent = [w for w in worlds if all(w & accused for accused in view.failing.values())]
    proven = {c.party for c in conflicts(model, [view])} - {None}
    if not consistent:  # a contradiction: some accusation is cleared altogether
        assert any(not c.roles for c in conflicts(model, [view]))
        return
    # Seen from itself the vantage's own segment counts as held by owner and operator alike.
    home, operator = model.home["v"], model.operator["v"]
    alone = {
        n: next(iter(owners))
        for n in free
        if len(owners := set(model.owners_of[n]) | ({operator} if model.segment_of[n] == home else set())) == 1
    }
    always = {
        party for party in set(alone.values()) if all(any(alone.get(n) == party for n in world) for world in consistent)
    }
    if failing:
        assert proven == always


@given(models())
def test_never_an_innocent(case: tuple[Chain, set[str]]) -> None:
    """With one broken segment, whatever the chain, an attributed party owns it."""
    chain_, _ = case
    for broken, segment in chain_.segments.items():
        failing = {p.key for p in chain_.probes.values() if broken in p.path}
        for finding in windows(chain_, failing, self_check=broken != "s0"):
            assert finding.kind in (Kind.ATTRIBUTED, Kind.UNDETERMINED)
            assert set(finding.parties) <= set(segment.owners)
            if finding.kind is Kind.UNDETERMINED:
                assert set(segment.owners) <= set(finding.candidates)


def test_contradiction() -> None:
    """A probe that fails although another cleared all that it accuses is a contradiction, and names nobody."""
    same = flow("10.0.0.1")
    made = chain({"h": "a", "x": "b"}, [probe("p", ["h", "x"], to=same), probe("q", ["h", "x"], to=same)])
    (finding,) = windows(made, {"v>p"})
    assert (finding.kind, finding.parties, finding.candidates) == (Kind.CONTRADICTION, (), ("a", "b"))


def test_contradiction_holds_an_accusation() -> None:
    """An accusation that a contradiction touches is held while its margin is below two."""
    same = flow("10.0.0.1")
    made = chain(
        {"h": "a", "x": "b", "y": "c"},
        [probe("p", ["h", "x"], to=same), probe("q", ["h", "x"], to=same), probe("r", ["h", "x", "y"])],
        filters=["x"],
    )
    found = windows(made, {"v>p", "v>r"})
    assert {f.kind for f in found} == {Kind.UNDETERMINED, Kind.CONTRADICTION}
    plain = chain(
        {"h": "a", "x": "b"},
        [probe("p", ["h", "x"], to=same), probe("q", ["h", "x"], to=same), probe("r", ["h", "x"])],
    )
    (held,) = windows(plain, {"v>p", "v>r"})
    assert (held.kind, held.parties, held.standing) == (Kind.CONTRADICTION, (), None)


def test_margin_outweighs_a_contradiction() -> None:
    """With a margin of two the accusation stands beside the contradiction."""
    same = flow("10.0.0.1")
    made = chain(
        {"h": "b", "x": "b"},
        [probe("p", ["h", "x"], to=same), probe("q", ["h", "x"], to=same)]
        + [probe(f"r{n}", ["h", "x"]) for n in range(3)],
    )
    found = windows(made, {"v>p", "v>r0", "v>r1", "v>r2"})
    assert [(f.kind, f.parties, f.margin) for f in found] == [
        (Kind.ATTRIBUTED, ("b",), 3),
        (Kind.CONTRADICTION, (), None),
    ]


def test_unassigned_is_never_attributed() -> None:
    """A proven fault in a segment without an owner stays undetermined."""
    made = chain({"h": "a", "x": "unassigned"}, [probe("p", ["h", "x"])])
    (finding,) = windows(made, {"v>p"})
    assert (finding.kind, finding.candidates) == (Kind.UNDETERMINED, ("unassigned",))


def test_own_segment_on_the_operators_word() -> None:
    """A host owned by one party and operated by another is not laid at the owner's door by its own vantage."""
    made = chain({"h": "a", "x": "a"}, [probe("p", ["h", "x"])], vantages={"v": ("h", "b")})
    (finding,) = windows(made, {"v>p"}, self_check=False)
    assert (finding.kind, set(finding.candidates)) == (Kind.UNDETERMINED, {"a", "b"})


def test_a_joint_segment_is_named() -> None:
    """A proven fault in a jointly owned segment names the segment, and its owners as candidates."""
    made = chain(
        {"h": "a", "x": "a+b", "y": "c"},
        [probe("p", ["h", "x", "y"], to=flow("10.0.0.9")), probe("q", ["h", "y"], to=flow("10.0.0.9"))],
    )
    (finding,) = windows(made, {"v>p"})
    assert (finding.kind, finding.segments, finding.candidates) == (Kind.UNDETERMINED, ("x",), ("a", "b"))


TWO = {"near": ("h", "a"), "far": ("f", "b")}


def test_corroborated() -> None:
    """A finding that every operator but the party can be left out of is corroborated."""
    made = chain(
        {"h": "a", "f": "b", "x": "c"},
        [probe("p", ["h", "x"], vantage="near"), probe("q", ["f", "x"], vantage="far")],
        vantages=TWO,
    )
    (finding,) = windows(made, {"near>p", "far>q"})
    assert (finding.parties, finding.standing, finding.rests_on) == (("c",), Standing.CORROBORATED, ())


def test_single_sided() -> None:
    """A finding that falls without one operator's measurements rests on that operator."""
    made = chain({"h": "a", "x": "c"}, [probe("p", ["h", "x"])])
    (finding,) = windows(made, {"v>p"})
    assert (finding.standing, finding.rests_on, finding.margin) == (Standing.SINGLE_SIDED, ("a",), 1)


def test_self_measured() -> None:
    """A finding that only the party's own vantage proves is self-measured."""
    made = chain({"h": "a", "x": "a"}, [probe("p", ["h", "x"])])
    (finding,) = windows(made, {"v>p"})
    assert (finding.standing, finding.rests_on) == (Standing.SELF_MEASURED, ())


def test_two_faults_of_one_party_are_two_findings() -> None:
    """Two segments of one party, each proven by itself, are two findings; what both explain is in both."""
    made = chain(
        {"h": "a", "x": "b", "y": "b"},
        [probe("p", ["h", "x"]), probe("q", ["h", "y"]), probe("r", ["h", "x", "y"])],
    )
    found = windows(made, {"v>p", "v>q", "v>r"})
    assert {(f.segments, f.failing) for f in found} == {
        (("x",), ("v>p", "v>r")),
        (("y",), ("v>q", "v>r")),
    }
    assert all(f.parties == ("b",) for f in found)


def test_what_would_decide() -> None:
    """An open finding names the unheard measurement that would settle it."""
    outer = flow("203.0.113.2")
    made = chain(
        {"h": "a", "f": "b", "x": "c", "g": "b"},
        [probe("p", ["h", "x", "g"], vantage="near", to=outer), probe("q", ["f", "g"], vantage="far", to=outer)],
        vantages=TWO,
    )
    model = Model(made)
    (finding,) = Prover(model).findings([window(model, {"near>p"}, "near", self_check=True)])
    assert finding.kind is Kind.UNDETERMINED
    assert finding.decide_with == ("far>q",)


def test_simplest_explanation() -> None:
    """The simplest explanation is the fewest segments that would explain everything; it names nobody."""
    made = chain({"h": "a", "x": "b", "y": "c", "z": "d"}, [probe("p", ["h", "x", "y"]), probe("q", ["h", "x", "z"])])
    (finding,) = windows(made, {"v>p", "v>q"})
    assert (finding.kind, finding.simplest) == (Kind.UNDETERMINED, ("x",))


def test_nothing_fails() -> None:
    """Without a failing probe there is no finding."""
    assert windows(chain({"h": "a", "x": "b"}, [probe("p", ["h", "x"])]), set()) == ()


def test_three_that_hang_together() -> None:
    """A conflict that shares a segment with each of two others makes them one finding."""
    made = chain(
        {"h": "a", "x": "b", "y": "c", "u": "d", "w": "e"},
        [probe("p", ["h", "x", "u"]), probe("q", ["h", "y", "w"]), probe("r", ["h", "u", "w"])],
    )
    assert len(windows(made, {"v>p", "v>q"})) == 2
    (finding,) = windows(made, {"v>p", "v>q", "v>r"})
    assert set(finding.segments) == {"x", "u", "y", "w"}


APART = [
    ("both at once: one cause", 0.0, 0.0, 1),
    ("nothing known of the times: one cause", None, None, 1),
    ("the other still passed when the proven cause was there: two", 100.0, 160.0, 2),
    ("an attempt of the same moment may have passed", 100.0, 101.5, 1),
]


@pytest.mark.parametrize(("what", "began", "passed", "count"), APART, ids=[a[0] for a in APART])
def test_a_proven_role_explains_no_later_neighbour(
    what: str, began: float | None, passed: float | None, count: int
) -> None:
    """A cause explains a later fail only by the very role: a probe that passed beside it has a cause of its own."""
    made = chain(
        {"h": "a", "c": "b", "x": "d"},
        [probe("inner", ["h", "x"], to=flow("10.0.0.1")), probe("outer", ["h", "c", "x"], to=flow("10.0.0.2"))],
    )
    model = Model(made)
    since = {}
    if began is not None and passed is not None:
        since = {"v>inner": Since(began, 0.0), "v>outer": Since(passed + 1, passed)}
    found = Prover(model).findings([window(model, {"v>inner", "v>outer"}, self_check=True)], since)
    assert len(found) == count, what
    assert found[0].parties == ("d",)
    if count > 1:
        assert (found[1].kind, found[1].candidates) == (Kind.UNDETERMINED, ("b", "d"))


def test_the_very_role_explains_later_fails() -> None:
    """What needs the broken role is explained by it whenever it began to fail; larger packets too."""
    far = flow("10.0.0.9", size=1500)
    made = chain(
        {"h": "a", "c": "b", "x": "d", "y": "e"},
        [
            probe("near", ["h", "c", "x"], to=flow("10.0.0.1")),
            probe("alone", ["h", "x"], to=flow("10.0.0.1")),
            probe("far", ["h", "c", "y"], to=msgspec.structs.replace(far, connect_bytes=1500)),
        ],
    )
    model = Model(made)
    since = {"v>near": Since(100.0, 0.0), "v>far": Since(200.0, 190.0)}
    (finding,) = Prover(model).findings([window(model, {"v>near", "v>far"}, self_check=True)], since)
    assert (finding.parties, finding.failing) == (("b",), ("v>near", "v>far"))
