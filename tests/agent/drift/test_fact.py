"""One fact over time: two looks, flapping, calm."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.drift.fact import AMONG, CALM_SECONDS, FLAPS, Fact, Moved, look
from agent.drift.value import Event, Move


def looked(values: str, step: float = 60.0, begin: float = 1000.0) -> tuple[Fact, list[Moved]]:
    """Look at one letter after the other, `step` seconds apart; a space is a look that told nothing."""
    fact, told = Fact(), []
    for number, value in enumerate(values):
        if value != " ":
            fact, moved = look(fact, value, begin + number * step)
            told += [moved] if moved else []
    return fact, told


SEQUENCES: dict[str, tuple[str, list[str]]] = {
    "one look is nothing": ("a", []),
    "first seen in two": ("aa", ["seen :a"]),
    "one odd look": ("aabaa", ["seen :a"]),
    "odd looks that differ": ("aabcdaa", ["seen :a"]),
    "a change": ("aabb", ["seen :a", "changed a:b"]),
    "a change and back": ("aabbaa", ["seen :a", "changed a:b", "changed b:a"]),
    "nothing told in between": ("aa   b  b", ["seen :a", "changed a:b"]),
    "every second look": ("aabababababab", ["seen :a"]),
    "flapping is told once": (
        "aa" + "bbaa" * 5,
        ["seen :a", "changed a:b", "changed b:a", "changed a:b", "changed b:a", "flapping a:a | b"],
    ),
    "a value that is new while it flaps": (
        "aa" + "bbaa" * 3 + "ccbbcc",
        ["seen :a", "changed a:b", "changed b:a", "changed a:b", "changed b:a", "flapping a:a | b", "changed a:c"],
    ),
}


@pytest.mark.parametrize("case", SEQUENCES)
def test_what_counts_as_a_change(case: str) -> None:
    """A value counts when two looks in a row saw it; what comes and goes too often is told once."""
    values, wanted = SEQUENCES[case]
    _, told = looked(values)
    assert [f"{one.event} {one.move.before}:{one.move.after}" for one in told] == wanted


def test_a_change_lies_between_two_looks() -> None:
    """It happened after the last look that saw what was, and not after the first that saw what is."""
    _, told = looked("aaa bb")
    assert told[-1] == Moved(Event.CHANGED, Move(before="a", after="b"), 1120.0, 1240.0)


def test_calm_ends_the_flapping() -> None:
    """After an hour at one value the fact is steady again, and its next change is told."""
    fact, _ = looked("aa" + "bbaa" * 3)
    assert fact.among
    still, moved = look(fact, "a", fact.changes[-1] + CALM_SECONDS - 1)
    assert moved is None
    assert still.among
    calm, moved = look(still, "a", fact.changes[-1] + CALM_SECONDS)
    assert moved is not None
    assert (moved.event, moved.move) == (Event.SETTLED, Move(before="a", after="a"))
    assert calm.quiet
    pending, _ = look(calm, "b", 20_000.0)
    assert look(pending, "b", 20_060.0)[1] is not None


def test_changes_far_apart_do_not_flap() -> None:
    """One change an hour is told as long as it goes on."""
    _, told = looked("aa" + "bbaa" * 6, step=1800.0)
    assert {one.event for one in told} == {Event.SEEN, Event.CHANGED}


def test_new_values_of_a_flapping_fact_are_bounded() -> None:
    """A server that shows another certificate at every other look is not heard for ever."""
    fact, told = looked("aa" + "".join(2 * chr(ord("b") + number) for number in range(24)), step=1.0)
    assert len(fact.among) == AMONG
    assert len(told) == FLAPS + AMONG - 1


def test_a_clock_that_steps_back_makes_nothing_flap() -> None:
    """Changes of a later time than now count for nothing, and no change happened before it happened."""
    fact = Fact()
    for number, value in enumerate("aabbaabbaabbaa"):
        fact, moved = look(fact, value, 100_000.0 - number * 7200.0)
        assert moved is None or moved.not_before is None or moved.not_before <= moved.at
    assert not fact.among


@given(st.text("abc", max_size=60), st.sampled_from([1.0, 600.0, 4000.0]))
def test_any_sequence(values: str, step: float) -> None:
    """Changes follow each other: what was before is what held; no more are told than looks saw."""
    fact, told = looked(values, step)
    holds = ""
    for one in told:
        if one.event in (Event.SEEN, Event.CHANGED):
            assert one.move.after != one.move.before
        assert one.not_before is None or one.not_before <= one.at
        if one.event is Event.SEEN:
            assert not holds
            holds = one.move.after
    runs = sum(a == b for a, b in pairwise(values))
    assert len(told) <= runs
    assert (fact.value is None) == (not holds)
    assert fact.value is None or fact.value * 2 in values
