"""Slow sources: each of their results is judged by what else was seen at its own moment."""

from functools import partial

from agent.diagnosis.cells import Cell, Says
from agent.diagnosis.finding import Kind
from agent.diagnosis.slow import Fail, Slow
from agent.incident.value import Incident
from agent.model import Chain, Probe
from agent.observation import Observation
from agent.replay import replay
from probes.kit.spec import Pace
from tests.agent.diagnosis.small import chain, flow, probe
from tests.agent.diagnosis.world import START, observation, record

EVERY = 60


def slow_chain(*more: Probe) -> Chain:
    """Return a slow source behind a carrier that a quick probe crosses too."""
    probes = [
        probe("far", ["h", "c", "y"], to=flow("10.0.0.2")),
        probe("slow", ["h", "c", "x"], to=flow("10.0.0.9"), pace=Pace.OWN, interval=EVERY),
    ]
    return chain({"h": "a", "c": "b", "x": "m", "y": "n", "z": "n"}, [*probes, *more])


def lines(made: Chain, far: str, slow: str, *, blind: int = -1, **more: str) -> list[Observation]:
    """Return a record of a minute a letter, a slow result half-way each; `blind`: a minute without self-check."""
    found: list[Observation] = []
    quiet = dict.fromkeys(("slow", *more), "-")
    for minute, letter in enumerate(far):
        at, number = START + minute * EVERY, minute * EVERY
        letters = {**quiet, "far": letter, **({"v>self": "s"} if minute == blind else {})}
        found += record(made, [(EVERY, letters)], ["v"], start=at, first_round=number)
        for name, said in (("slow", slow), *more.items()):
            if minute < len(said) and said[minute] != "-":
                found.append(observation(name, "v", said[minute], at + 30.2, number + 30))
    return sorted(found, key=lambda o: o.time)


def of(found: tuple[Incident, ...], key: str) -> list[Incident]:
    """Return the incidents that hold a probe."""
    return [i for i in found if key in i.faults]


def test_what_works_now_does_not_accuse_for_what_failed_before() -> None:
    """When an outage has ended, a slow source that has not looked again names nobody for it."""
    made = slow_chain()
    found = replay(made, lines(made, ".sssss", ".sssss")[:-1] + record_of_quiet(made, 6))
    (incident,) = of(found, "v>slow")
    assert {i.parties for i in found} <= {(), ("b",)}
    assert "m" not in incident.parties


def record_of_quiet(made: Chain, minute: int) -> list[Observation]:
    """Return half a minute in which everything quick passes and the slow source has not looked yet."""
    at = START + minute * EVERY
    return record(made, [(30, {"slow": "-"})], ["v"], start=at, first_round=minute * EVERY)


def test_each_result_by_its_own_moment() -> None:
    """A slow source that fails while everything else on its way works at each of its moments is located."""
    made = slow_chain()
    (incident,) = of(replay(made, lines(made, ".......", ".ssssss")), "v>slow")
    assert (incident.parties, incident.segments) == (("m",), ("x",))


def test_one_moment_without_witness() -> None:
    """One of five moments in which the way was not proven leaves the way possible."""
    made = slow_chain()
    (incident,) = of(replay(made, lines(made, "...-...", ".ssssss")[:5000]), "v>slow")
    assert (incident.kind, incident.candidates) == (Kind.UNDETERMINED, ("b", "m"))


def test_a_blind_round_is_no_fail() -> None:
    """A slow source's fail in a round whose self-check failed counts for nothing, and ends its run."""
    made = slow_chain()
    assert of(replay(made, lines(made, "......", ".sssss", blind=3)), "v>slow") == []


def test_passes_of_slow_sources_clear() -> None:
    """A slow source that passed before, during and after the fails of another clears what both need."""
    other = probe("other", ["h", "c", "z"], to=flow("10.0.0.8"), pace=Pace.OWN, interval=EVERY)
    made = slow_chain(other)
    alone = replay(made, lines(made, "-" * 8, ".ssssss", other="-" * 8))
    both = replay(made, lines(made, "-" * 8, ".ssssss", other="........"))
    assert [(i.kind, i.candidates) for i in of(alone, "v>slow")] == [(Kind.UNDETERMINED, ("b", "m"))]
    assert [i.parties for i in of(both, "v>slow")] == [("m",)]


def test_an_unknown_ends_a_run_of_passes() -> None:
    """A slow source that could not look once clears nothing for that time."""
    other = probe("other", ["h", "c", "z"], to=flow("10.0.0.8"), pace=Pace.OWN, interval=EVERY)
    made = slow_chain(other)
    found = replay(made, lines(made, "-" * 8, ".ssssss", other="....u..."))
    assert [i.kind for i in of(found, "v>slow")] == [Kind.UNDETERMINED]


def test_a_quick_source_is_confirmed_by_results_that_are_settled() -> None:
    """Where the newest result is always still waiting for others' evidence, the ones before it confirm."""

    def before(number: int, fail: Fail) -> bool:
        return fail.number < number

    slow = Slow(3)
    for number in range(9):
        slow.add("v>q", number, float(number), number + 10.0, Cell(Says.FAIL, frozenset({1}), frozenset()))
        slow.judge(lambda *_: False, partial(before, number - 2), lambda _: {})
    assert [fail.number for fail in slow.confirmed()["v>q"]] == [3, 4, 5]
    assert slow.settled("v>q")
