"""The guard band between clocks, gaps, ties and single runs: what a record must not hide or blame."""

import random

import pytest

from agent.incident.value import Incident, Kind
from agent.model import Chain, Confirm
from agent.observation import Observation, encode
from agent.replay import document, read, replay
from tests.agent.diagnosis.small import chain, flow, probe
from tests.agent.diagnosis.world import START, lab_chain, observation, record


def two_sides(skew: float) -> Chain:
    """Return a line between two gateways, seen from both ends."""
    return chain(
        {"h": "a", "g": "a", "line": "c", "k": "b", "w": "b"},
        [
            probe("near", ["h", "g"], to=flow("10.0.0.1")),
            probe("far", ["h", "g", "line", "k"], to=flow("10.0.0.2")),
            probe("k-near", ["w", "k"], vantage="w", to=flow("10.0.0.2")),
            probe("k-far", ["w", "k", "line", "g"], vantage="w", to=flow("10.0.0.1")),
        ],
        vantages={"v": ("h", "a"), "w": ("w", "b")},
        confirm=Confirm(skew=skew),
    )


FAULTS = [
    ("the line", {"far": "s", "k-far": "s"}, None),
    ("the near gateway", {"near": "s", "far": "s", "k-far": "s"}, "a"),
    ("the far gateway", {"far": "s", "k-near": "s", "k-far": "s"}, "b"),
]


def shifted(made: Chain, letters: dict[str, str], by: float) -> list[Observation]:
    """Return a minute of quiet, of a fault and of quiet, the second vantage's clock wrong by so much."""
    lines = record(made, [(60, {}), (60, letters), (60, {})], ["v"])
    lines += record(made, [(60, {}), (60, letters), (60, {})], ["w"], start=START + by)
    return sorted(lines, key=lambda o: o.time)


@pytest.mark.parametrize("by", [-28, -15, -6, 0, 6, 15, 28])
@pytest.mark.parametrize(("what", "letters", "party"), FAULTS, ids=[f[0] for f in FAULTS])
def test_clocks_apart(what: str, letters: dict[str, str], party: str | None, by: float) -> None:
    """Within the guard band clocks may differ: one incident, and the right party or, of the line, nobody."""
    made = two_sides(30.0)
    found = replay(made, shifted(made, letters, by))
    assert [i.parties for i in found] == [(party,) if party else ()], what
    assert (party or "c") in found[0].candidates


def test_a_short_fault_with_clocks_apart_names_nobody_wrongly() -> None:
    """A fault that is over before the guard band is: nothing that the peer saw earlier clears anybody."""
    made = two_sides(30.0)
    letters = FAULTS[0][1]
    for by in (-20.0, 20.0):
        lines = record(made, [(30, {}), (8, letters), (40, {})], ["v"])
        lines += record(made, [(30, {}), (8, letters), (40, {})], ["w"], start=START + by)
        found = replay(made, sorted(lines, key=lambda o: o.time))
        assert found
        assert {p for i in found for p in i.parties} == set()


def test_clocks_apart_at_the_start_of_a_record() -> None:
    """Before any peer has passed the guard band the newest rounds are judged by themselves."""
    made = two_sides(30.0)
    found = only(replay(made, record(made, [(8, FAULTS[0][1])], ["v", "w"])))
    assert (found.kind, set(found.candidates)) == (Kind.UNDETERMINED, {"a", "b", "c"})


def test_a_gap_in_the_record_hides_nothing() -> None:
    """Five failing rounds count although the record then falls silent for a minute."""
    made = chain({"h": "a", "g": "b"}, [probe("p", ["h", "g"])])
    lines = record(made, [(6, {}), (5, {"p": "s"})], ["v"])
    lines += record(made, [(12, {})], ["v"], start=START + 71, first_round=8000)
    (found,) = replay(made, lines)
    assert (found.parties, found.closed) == (("b",), START + 71)


def test_one_run_among_fuller_ones() -> None:
    """A fail that is unanimous in one run only is confirmed, whatever more passes in the runs beside it."""
    made = chain(
        {"h": "a", "g": "b", "x": "c", "y": "c"},
        [probe("p", ["h", "g"]), probe("q", ["h", "x"]), probe("r", ["h", "y"])],
    )
    lines = record(
        made, [(9, {}), (1, {"p": "s"}), (3, {"p": "s"}), (1, {"p": "s", "q": "-", "r": "-"}), (14, {})], ["v"]
    )
    assert [i.parties for i in replay(made, lines)] == [("b",)]


def test_lines_of_one_instant_in_any_order() -> None:
    """Attempts with equal times give the same bytes in whatever order their lines stand."""
    made = lab_chain()
    letters = {"carrier-edge": "s", "underlay": "s", "anchor": "s", "erp": "s", "hr": "s", "tunnel": "s"}
    lines = [
        encode(observation(o.probe, o.vantage, letters.get(o.probe, ".") if n >= 6 else ".", START + n, n))
        for n in range(30)
        for o in record(made, [(1, {})])
    ]
    outputs = set()
    for seed in range(4):
        random.Random(seed).shuffle(lines)
        outputs.add(document(replay(made, read(lines))))
    assert len(outputs) == 1


def only(found: tuple[Incident, ...]) -> Incident:
    """Return the only incident."""
    (incident,) = found
    return incident


def test_an_operator_does_not_accuse_the_owner_of_its_vantage() -> None:
    """The host of a vantage is not laid at its owner's door by another vantage of the same operator."""
    made = chain({"h": "a", "w": "c"}, [probe("p", ["h", "w"])], vantages={"v": ("h", "a"), "w": ("w", "a")})
    found = only(replay(made, record(made, [(6, {}), (8, {"p": "s"})], ["v"])))
    assert (found.kind, found.candidates) == (Kind.UNDETERMINED, ("a", "c"))
